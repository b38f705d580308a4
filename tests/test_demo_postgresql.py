"""The demo on PostgreSQL: accounts, consent, clips, queue, audit; a server killed in the middle, and the next one."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
from datetime import date, timedelta

import pytest
from conftest import REPOSITORY
from demo_house import QUICK, House, voice
from test_demo_server import stranger


@pytest.fixture(scope="module")
def served(postgresql_server, tmp_path_factory):
    """A server whose registry is a database of PostgreSQL."""
    from databases import new_database

    url = new_database(postgresql_server, secrets.token_hex(8))
    house = House(tmp_path_factory.mktemp("postgresql"), environment={"VASA_DATABASE": url})
    house.add(("anna", "administrator"), ("rita", "reviewer"))
    house.start()
    yield house
    house.stop()


def test_from_consent_to_clip_and_back(served):
    anna, rita = served.browser("anna"), served.browser("rita")
    assert not (served.home / "registry.db").exists(), "nothing went to SQLite"
    portrait = rita.upload(stranger(), "picture").json()["upload"]
    paper = rita.upload(b"I agree. Signed: P.", "document").json()["upload"]
    until = str(date.today() + timedelta(9))
    asked = {"portrait": portrait, "statement": paper, "name": "P. Example", "until": until}
    consent = rita.post("/consent/statement", json=asked).json()["id"]
    clip = {"portrait": consent, "upload": rita.upload(voice(0.5), "sound").json()["upload"], **QUICK}
    assert rita.post("/jobs", json=clip).status_code == 403, "nobody has approved yet"
    assert anna.post(f"/consents/{consent}/approve", json={}).json()["state"] == "approved"
    job = rita.finish(rita.post("/jobs", json=clip).json()["job"])
    assert job["state"] == "done", job
    address = f"/clips/{job['clip_id']}.mp4"
    assert rita.get(address).status_code == 200 and len(rita.get(address).content) > 1000
    assert anna.post(f"/consents/{consent}/revoke", json={"why": "asked"}).json()["state"] == "revoked"
    assert rita.get(address).status_code in (403, 404) and rita.post("/jobs", json=clip).status_code == 403
    events = [entry["kind"] for entry in anna.get("/audit?limit=200").json()["entries"]]
    assert {"consent_recorded", "consent_approved", "granted", "generated", "viewed", "revoked", "refused"} <= set(
        events
    )


def test_a_server_killed_in_the_middle_leaves_a_sound_house(served):
    rita = served.browser("rita")
    long = rita.upload(voice(20.0), "sound").json()["upload"]
    running = rita.post("/jobs", json={"portrait": "mei", "upload": long, **QUICK}).json()["job"]
    short = rita.upload(voice(0.4), "sound").json()["upload"]
    waiting = rita.post("/jobs", json={"portrait": "mei", "upload": short, **QUICK}).json()["job"]
    for _ in range(1500):
        if rita.get(f"/jobs/{running}").json()["state"] == "running":
            break
    served.stop(signal.SIGKILL)
    served.start()
    assert rita.get("/session").status_code == 200, "who was signed in still is"
    assert rita.finish(running)["state"] == "interrupted"
    assert rita.finish(waiting)["state"] == "done"
    assert served.registry().audit.verify().sound


def test_the_command_line_proves_the_same_chain(served):
    environment = {"PATH": "/usr/bin:/bin", "VASA_HOME": str(served.home), **served.environment}
    command = [sys.executable, "-m", "vasa_core", "audit", "verify"]
    said = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("sound")
