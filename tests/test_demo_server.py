"""The real server over HTTP: how it starts, who gets in, what it says about itself, and what it serves to whom."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import REPOSITORY
from demo_house import PASSWORD, QUICK, Browser, House, hidden_word, voice

from vasa_core import assets


@pytest.fixture(scope="module")
def anna(demo_house):
    return demo_house.browser("anna")


@pytest.fixture(scope="module")
def rita(demo_house):
    return demo_house.browser("rita")


@pytest.fixture(scope="module")
def clip(anna):
    """A clip of anna's, made through the queue."""
    sound = anna.upload(voice(0.5), "sound").json()["upload"]
    asked = anna.post("/jobs", json={"portrait": "mei", "upload": sound, **QUICK})
    assert asked.status_code == 202, asked.text
    job = anna.finish(asked.json()["job"])
    assert job["state"] == "done", job
    return job["clip_id"]


# ---- starting -----------------------------------------------------------------------------------------------------


def test_the_first_start_says_where_to_go_and_how_to_let_somebody_in(demo_house):
    said = demo_house.log.read_text()
    assert demo_house.url in said
    first_words = said.partition("--role administrator")[0]  # what attackers make Gradio say comes later
    assert ".venv/bin/vasa app user add NAME" in first_words
    assert "Traceback" not in first_words


def test_the_house_is_for_its_owner_alone(demo_house):
    assert demo_house.home.stat().st_mode & 0o077 == 0 or demo_house.home.parent.stat().st_mode & 0o077 == 0
    secrets = [path for path in (demo_house.home / "keys").rglob("*") if path.is_file() and ".key" in path.name]
    assert secrets and all(path.stat().st_mode & 0o077 == 0 for path in secrets)


def test_it_listens_to_this_machine_alone(demo_house):
    """Bound to 127.0.0.1: another address of this machine, even another loopback one, finds nobody."""
    assert Browser(demo_house.url).get("/health").json()["alive"]
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.settimeout(5)
        type(probe).__mro__[1].connect(probe, ("127.0.0.77", demo_house.port))


def test_a_second_server_leaves_the_house_alone(demo_house):
    second = House(demo_house.home)
    command = [sys.executable, "-m", "demo"]
    environment = {"VASA_HOME": str(second.home), "VASA_PORT": str(second.port), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "Another server" in done.stderr + done.stdout
    assert Browser(demo_house.url).get("/health").json()["ready"]


# ---- getting in ---------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_an_account(demo_house):
    stranger = Browser(demo_house.url)
    assert stranger.get("/").headers["location"] == "/studio/"
    assert stranger.get("/studio/").headers["location"] == "/login"
    refused = stranger.sign_in("anna", "a wrong password")
    assert refused.status_code == 401 and "do not belong together" in refused.text
    assert "vasa_session" not in stranger.cookies
    assert stranger.get("/studio/config").status_code == 401


def test_a_session_cookie_cannot_be_read_by_scripts_nor_sent_from_elsewhere(demo_house):
    browser = Browser(demo_house.url)
    word = hidden_word(browser.get("/login").text)
    answer = browser.post("/login", data={"name": "vera", "password": PASSWORD, "csrf": word})
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith("vasa_session=")]
    assert "HttpOnly" in cookie and "samesite=lax" in cookie.lower() and "Path=/" in cookie
    assert "Secure" not in cookie, "over plain http browsers would drop it"
    assert answer.headers["location"] == "/studio/"


def test_signing_in_gives_a_new_session_whatever_was_planted_before(demo_house):
    browser = Browser(demo_house.url)
    browser.cookies.set("vasa_session", "planted")
    browser.sign_in("vera")
    assert "planted" not in [c.value for c in browser.cookies.jar if c.name == "vasa_session"][-1:]
    assert browser.get("/session").json()["name"] == "vera"


def test_signing_out_ends_the_session_for_who_copied_the_cookie(demo_house):
    browser, thief = demo_house.browser("vera"), Browser(demo_house.url)
    thief.cookies.set("vasa_session", browser.cookies["vasa_session"])
    assert thief.get("/session").status_code == 200
    assert browser.post("/logout", data={"csrf": "wrong"}).status_code == 403
    assert browser.post("/logout", data={"csrf": browser.csrf}).status_code == 303
    assert thief.get("/session").status_code == 401 and thief.get("/studio/config").status_code == 401


# ---- what it says about itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/login", "/health", "/verify", "/nowhere", "/static/studio.css", "/studio/", "/clips/x.mp4"]
)
def test_every_answer_carries_the_headers_that_browsers_obey(demo_house, path):
    headers = Browser(demo_house.url).get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=(self), microphone=(self)" in headers["permissions-policy"]
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == "'none'" and policy["default-src"] == "'self'"
    assert policy["object-src"] == "'none'" and policy["base-uri"] == "'self'" and policy["form-action"] == "'self'"
    assert "unsafe" not in policy["script-src"] and "http" not in policy["script-src"]
    assert "server" not in headers


def test_the_studio_names_each_of_its_inline_scripts_in_its_policy(anna):
    from demo.security import INLINE_SCRIPT, script_hash

    answer = anna.get("/studio/")
    scripts = INLINE_SCRIPT.findall(answer.content)
    assert scripts and all(
        f"'{script_hash(script)}'" in answer.headers["content-security-policy"] for script in scripts
    )


@pytest.mark.parametrize("path", ["/login", "/verify", "/studio/"])
def test_pages_ask_nobody_else_for_anything(anna, path):
    page = anna.get(path).text
    asked = re.findall(r"""(?:src|href|action)=["']?(https?:|//)([^"'\s>]+)""", page)
    assert not [host for _, host in asked if not host.startswith(("127.0.0.1", "localhost"))]


def test_errors_are_one_sentence(anna):
    for path, status in (("/nowhere", 404), ("/jobs/nothing", 400), ("/clips/nothing.mp4", 400)):
        answer = anna.get(path)
        assert answer.status_code == status and answer.json()["detail"].count(".") == 1
    assert anna.post("/jobs", content=b"{").status_code == 400
    assert anna.post("/jobs", json={"portrait": "mei", "who": 1}).status_code == 400
    assert anna.post("/uploads").status_code == 422


# ---- what it serves -----------------------------------------------------------------------------------------------


def test_a_clip_comes_out_byte_for_byte_with_its_credentials(demo_house, anna, clip, tmp_path):
    kept = next((demo_house.home / "files" / "clips").glob(f"{clip}*")).read_bytes()
    answer = anna.get(f"/clips/{clip}.mp4?download=1")
    assert answer.content == kept and answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "private, no-store"
    file = tmp_path / "again.mp4"
    file.write_bytes(answer.content)
    told = Browser(demo_house.url).post(
        "/verify", files={"file": ("clip.mp4", answer.content)}, headers={"X-Piece": "1"}
    )
    assert told.status_code == 200 and "unchanged since" in told.text
    changed = bytearray(answer.content)
    changed[len(changed) // 2] ^= 1
    told = Browser(demo_house.url).post(
        "/verify", files={"file": ("clip.mp4", bytes(changed))}, headers={"X-Piece": "1"}
    )
    assert "vs-wrong" in told.text and "unchanged since" not in told.text


def test_a_player_can_ask_for_pieces(anna, clip):
    whole = anna.get(f"/clips/{clip}.mp4").content
    piece = anna.get(f"/clips/{clip}.mp4", headers={"Range": "bytes=100-199"})
    assert piece.status_code == 206 and piece.content == whole[100:200]
    assert piece.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert anna.get(f"/clips/{clip}.mp4", headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    assert anna.head(f"/clips/{clip}.mp4").headers["content-length"] == str(len(whole))
    assert anna.get(f"/clips/{clip}.jpg").content.startswith(b"\xff\xd8\xff")
    assert anna.get(f"/clips/{clip}.vtt").status_code == 404, "nobody knows the words of a buzz"


def test_views_and_downloads_are_told_to_the_audit_once(demo_house, anna, clip):
    for _ in range(3):
        anna.get(f"/clips/{clip}.mp4", headers={"Range": "bytes=0-9"})
        anna.get(f"/clips/{clip}.mp4?download=1")
    entries = demo_house.registry().audit.entries()
    for event in ("viewed", "downloaded"):
        assert len([e for e in entries if e.event == event and dict(e.facts).get("clip") == clip]) == 1


def test_a_sentence_is_spoken_and_captioned(anna):
    import shutil

    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    asked = anna.post("/jobs", json={"portrait": "mei", "text": "Good morning.", "language": "en", **QUICK})
    job = anna.finish(asked.json()["job"])
    assert job["state"] == "done", job
    assert "Good morning." in anna.get(f"/clips/{job['clip_id']}.vtt").text


# ---- consent, from its recording to its end -----------------------------------------------------------------------


def stranger() -> bytes:
    """A face that is none of our files: one of the cast, cut smaller, so consent is asked for it."""
    import io

    from PIL import Image

    with Image.open(assets.FOLDER / "portraits" / "mei.png") as picture:
        side = picture.width
        small = picture.convert("RGB").crop((8, 8, side - 9, side - 9)).resize((400, 400))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=92)
    return out.getvalue()


def test_consent_is_refused_given_used_and_taken_back(demo_house, anna, rita):
    portrait = rita.upload(stranger(), "picture").json()["upload"]
    assert rita.post("/jobs", json={"portrait": portrait, "voice": "english"}).status_code == 403
    statement = rita.upload(b"I agree to be animated by this studio. Signed: M.", "document").json()["upload"]
    paper = {
        "portrait": portrait,
        "statement": statement,
        "name": "M. Example",
        "until": str(date.today() + timedelta(100)),
    }
    handed_in = rita.post("/consent/statement", json=paper)
    assert handed_in.status_code == 200, handed_in.text
    consent = handed_in.json()["id"]
    asked = {"portrait": consent, "upload": rita.upload(voice(0.5), "sound").json()["upload"], **QUICK}

    paper = anna.get(f"/consents/{consent}/paper")
    assert paper.text == "I agree to be animated by this studio. Signed: M."
    assert paper.headers["content-type"] == "text/plain; charset=utf-8"
    seen = list(demo_house.registry().audit.entries(event="paper_seen"))
    assert [entry.facts["consent"] for entry in seen][-1:] == [consent]
    (told,) = [each for each in anna.get("/consents").json() if each["id"] == consent]
    assert told["paper"] == "text" and told["approvable"]

    waits = rita.post("/jobs", json=asked)
    assert waits.status_code == 403 and "approval" in waits.json()["detail"]
    assert rita.post(f"/consents/{consent}/approve", json={}).status_code == 403, "nobody approves what they recorded"
    assert anna.post(f"/consents/{consent}/approve", json={}).status_code == 200

    job = rita.finish(rita.post("/jobs", json=asked).json()["job"])
    assert job["state"] == "done", job
    address = f"/clips/{job['clip_id']}.mp4"
    assert rita.get(address).status_code == 200
    assert rita.get(f"/consents/{consent}.jpg").content.startswith(b"\xff\xd8\xff")

    assert rita.post(f"/consents/{consent}/revoke", json={"why": "no longer"}).status_code == 200
    for gone in (address, address.replace("mp4", "jpg"), f"/consents/{consent}.jpg", f"{address}?download=1"):
        assert rita.get(gone).status_code in (403, 404), gone
    assert rita.get(address, headers={"Range": "bytes=0-9"}).status_code in (403, 404)
    again = rita.post("/jobs", json=asked)
    assert again.status_code == 403 and demo_house.registry().audit.verify().sound


def test_a_reviewer_sees_each_kind_of_paper_and_may_turn_it_down(demo_house, anna, rita):
    papers = {"pdf": b"%PDF-1.4 signed", "picture": stranger(), "text": b"Yes, I agree."}
    portrait, until = rita.upload(stranger(), "picture").json()["upload"], str(date.today() + timedelta(9))
    answers = {}
    for kind, content in papers.items():
        asked = {"portrait": portrait, "statement": rita.upload(content, "document").json()["upload"]}
        portrait = rita.upload(stranger(), "picture").json()["upload"]
        handed_in = rita.post("/consent/statement", json={**asked, "name": kind, "until": until}).json()
        assert handed_in["paper"] == kind
        answers[kind] = rita.get(f"/consents/{handed_in['id']}/paper")
        rolf = demo_house.browser("rolf")
        assert rolf.get(f"/consents/{handed_in['id']}/paper").content == answers[kind].content
        assert rolf.post(f"/consents/{handed_in['id']}/revoke", json={"why": "not signed"}).json()["state"] == "revoked"
    assert answers["pdf"].content == papers["pdf"] and "attachment" in answers["pdf"].headers["content-disposition"]
    assert answers["picture"].headers["content-type"] == "image/jpeg"
    assert answers["text"].content == papers["text"]


def test_a_consent_is_used_within_its_scope_alone(demo_house, anna, rita):
    portrait = rita.upload(stranger(), "picture").json()["upload"]
    terms = {"name": "S. Example", "until": str(date.today() + timedelta(9)), "purposes": ["speak"]}
    terms |= {"languages": ["en"], "emotions": ["happy"], "portrait": portrait}
    for odd in ({"purposes": []}, {"purposes": ["sell"]}, {"emotions": ["bored"]}, {"languages": ["English!"]}):
        terms["statement"] = rita.upload(b"I agree.", "document").json()["upload"]
        assert rita.post("/consent/statement", json=terms | odd).status_code == 400, odd
    kept = rita.post("/consent/statement", json=terms).json()
    assert kept["scope"] == "videos, only in en, only happy"
    anna.post(f"/consents/{kept['id']}/approve", json={})
    sound = rita.upload(voice(0.4), "sound").json()["upload"]

    def outcome(**asked: object) -> str:
        clip = {"portrait": kept["id"], "size": 128, "fps": 10, "controls": {"steps": 1}} | asked
        job = rita.finish(rita.post("/jobs", json=clip).json()["job"])
        return job["message"] or job["state"]

    assert outcome(upload=sound, language="en") == "done"
    assert outcome(upload=sound, language="en", controls={"steps": 1, "emotion": "happy"}) == "done"
    assert "languages en" in outcome(voice="french", language="en"), "a sample voice speaks its own language"
    assert "languages en" in outcome(upload=sound), "which language is not said"
    assert "emotions happy" in outcome(upload=sound, language="en", controls={"steps": 1, "emotion": "angry"})
    mood_swing = {"controls": {"steps": 1, "emotion": "happy"}, "curve": "mood_swing"}
    assert "emotions happy" in outcome(upload=sound, language="en", **mood_swing), "it ends in another mood"


# ---- signing in through a provider --------------------------------------------------------------------------------


class Provider(ThreadingHTTPServer):
    """A small OpenID provider that vouches for whoever comes; it checks what a provider must."""

    def __init__(self) -> None:
        from joserfc.jwk import RSAKey

        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.subject, self.asked, self.nonce, self.challenge = "person-1", {}, "", ""
        super().__init__(("127.0.0.1", 0), _ProviderAnswers)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _ProviderAnswers(BaseHTTPRequestHandler):
    server: Provider

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, said: object) -> None:
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        parts, ours = urlsplit(self.path), self.server
        if parts.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            meta = {name: f"{ours.url}/{place}" for name, place in names.items()}
            self.answer({"issuer": ours.url, "id_token_signing_alg_values_supported": ["RS256"], **meta})
        elif parts.path == "/keys":
            self.answer({"keys": [ours.key.as_dict(private=False)]})
        else:
            ours.asked = {name: value[0] for name, value in parse_qs(parts.query).items()}
            self.send_response(302)
            self.send_header("Location", f"{ours.asked['redirect_uri']}?code=abc&state={ours.asked['state']}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_POST(self) -> None:
        import base64
        import hashlib

        from joserfc import jwt

        given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        digest = hashlib.sha256(given["code_verifier"][0].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.server.asked["code_challenge"]
        now = int(time.time())
        claims = {"iss": self.server.url, "sub": self.server.subject, "aud": "studio", "iat": now, "exp": now + 60}
        token = jwt.encode(
            {"alg": "RS256", "kid": "one"}, claims | {"nonce": self.server.asked["nonce"]}, self.server.key
        )
        self.answer({"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": token})


def test_a_provider_can_vouch_for_people_who_have_an_account_here(tmp_path):
    from vasa_core.trust.accounts import Accounts

    provider = Provider()
    names = {
        "URL": f"{provider.url}/.well-known/openid-configuration",
        "ID": "studio",
        "SECRET": "s",
        "NAME": "Example",
    }
    house = House(tmp_path, environment={f"VASA_OIDC_{name}": value for name, value in names.items()})
    registry = house.registry()
    Accounts(registry.audit).add("olga", "viewer", by="tests", oidc_subject=f"{provider.url}|person-1")
    house.start(ready=False)
    try:
        olga = Browser(house.url)
        assert "Example" in olga.get("/login").text
        olga.follow_redirects = True
        olga.get("/login/oidc")
        assert olga.get("/session").json()["name"] == "olga"

        provider.subject = "person-2"
        unknown = Browser(house.url)
        unknown.follow_redirects = True
        assert "no account for you" in unknown.get("/login/oidc").text and "vasa_session" not in unknown.cookies

        forged = Browser(house.url).get("/login/oidc/back?code=abc&state=guessed")
        assert forged.status_code == 401 and "vouch" in forged.text
        told = [dict(e.facts).get("why") for e in registry.audit.entries(event="access_refused")]
        assert {"provider_stranger", "provider_refused"} <= set(told)
    finally:
        house.stop()
        provider.shutdown()
