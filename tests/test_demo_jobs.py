"""The queue and the device: whose turn it is, what a crash costs, what a restart finds."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from demo_house import QUICK, voice

from demo.device import remove_unfinished
from demo.jobs import INTERRUPTED, Jobs, fair_order
from demo.limits import Limits, Rate, limits_from
from demo.requests import ClipRequest, StillRequest, controls_from
from demo.server import open_services
from demo.settings import Settings, settings_from
from vasa_core.errors import AccessRefused, BadInput, BadOption, Busy, ConsentRefused, VasaError
from vasa_core.trust import schema
from vasa_core.trust.accounts import Accounts
from vasa_core.trust.registry import Registry

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path):
    registry = Registry.open(home=tmp_path)
    yield registry
    registry.close()


@pytest.fixture
def people(registry):
    accounts = Accounts(registry.audit)
    return [accounts.add(name, "viewer", by="tests", oidc_subject=name) for name in ("anna", "bert", "carla")]


@pytest.fixture
def queue(registry):
    return Jobs(registry.audit, Limits(queued_per_account=3, queued_in_all=7, clips_per_hour=6))


# ---- turns --------------------------------------------------------------------------------------------------------


def test_accounts_take_turns_however_many_jobs_one_has():
    waiting = [(f"a{n}", "anna") for n in range(4)] + [("b0", "bert"), ("b1", "bert"), ("c0", "carla")]
    assert fair_order(waiting, {}) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_who_was_served_longest_ago_is_first():
    waiting = [("a0", "anna"), ("a1", "anna"), ("b0", "bert"), ("c0", "carla")]
    turns = {"anna": BEGIN + timedelta(2), "bert": BEGIN, "carla": BEGIN + timedelta(1)}
    assert fair_order(waiting, turns) == ["b0", "c0", "a0", "a1"]
    assert fair_order(waiting, {"anna": BEGIN}) == ["b0", "c0", "a0", "a1"], "who was never served comes first"


def test_every_job_has_one_place_and_nobody_is_served_twice_before_another():
    rng = random.Random(1)
    for _ in range(50):
        waiting = [(f"j{n}", rng.choice("abcde")) for n in range(rng.randrange(30))]
        order = fair_order(waiting, {})
        owner = dict(waiting)
        assert sorted(order) == sorted(owner)
        rounds: dict[str, int] = {}
        for job in order:
            rounds[owner[job]] = rounds.get(owner[job], 0) + 1
            left = {owner[j] for j in order[order.index(job) + 1 :]}
            assert all(rounds[owner[job]] <= rounds.get(other, 0) + 1 for other in left)


def test_jobs_are_taken_in_the_order_that_was_told(queue, people):
    anna, bert, carla = people
    ids = [queue.add(who, "clip", {}) for who in (anna, anna, bert, anna, carla)]
    told = sorted(queue.places().items(), key=lambda place: place[1])
    assert [job_id for job_id, _ in told] == [ids[i] for i in (0, 2, 4, 1, 3)]
    assert [queue.take().id for _ in ids] == [job_id for job_id, _ in told]
    assert queue.take() is None


def test_one_person_and_all_together_can_only_ask_for_so_much(queue, people):
    anna, bert, carla = people
    for who in (anna, anna, anna, bert, bert, bert, carla):
        queue.add(who, "clip", {})
    with pytest.raises(Busy, match="You have 3 jobs waiting"):
        queue.add(anna, "clip", {})
    with pytest.raises(Busy, match="queue is full"):
        queue.add(carla, "clip", {})
    while job := queue.take():
        queue.end(job.id, "done")
    for _ in range(3):
        queue.add(anna, "clip", {})
        queue.end(queue.take().id, "done")
    with pytest.raises(Busy, match="in an hour"):
        queue.add(anna, "clip", {})


def test_a_job_ends_once(queue, people):
    job_id = queue.add(people[0], "clip", {"title": "x"})
    queue.take()
    assert queue.end(job_id, "done", made={"duration_s": 2.0})
    assert not queue.end(job_id, "failed", "too late")
    job = queue.of(people[0], job_id)
    assert job.state == "done" and job.request == {"title": "x", "made": {"duration_s": 2.0}}


def test_a_waiting_job_can_be_cancelled_by_its_owner_alone(queue, people):
    anna, bert, _ = people
    job_id = queue.add(anna, "clip", {})
    with pytest.raises(BadOption, match="no such job of yours"):
        queue.cancel_waiting(bert, job_id)
    with pytest.raises(BadOption, match="no such job of yours"):
        queue.of(bert, job_id)
    assert queue.cancel_waiting(anna, job_id) and not queue.cancel_waiting(anna, job_id)
    assert queue.of(anna, job_id).state == "cancelled" and queue.take() is None


def test_a_restart_reports_what_ran_and_keeps_what_waited(queue, people):
    anna, bert, _ = people
    ran, waited, live = queue.add(anna, "clip", {}), queue.add(bert, "clip", {}), queue.add(bert, "live", {})
    queue.take()
    assert queue.recover() == 2
    assert [queue.of(who, job).state for who, job in ((anna, ran), (bert, waited), (bert, live))] == [
        "interrupted",
        "queued",
        "interrupted",
    ]
    assert queue.of(anna, ran).message == INTERRUPTED
    assert queue.take().id == waited


def test_every_change_of_a_job_is_in_the_audit(registry, queue, people):
    job_id = queue.add(people[0], "clip", {"text": "private words"})
    queue.take()
    queue.end(job_id, "failed", "It broke.")
    events = [entry.event for entry in registry.audit.entries() if dict(entry.facts).get("job") == job_id]
    assert events == ["job_queued", "job_started", "job_failed"]
    assert "private" not in str(registry.audit.entries())


# ---- bounds -------------------------------------------------------------------------------------------------------


def test_a_rate_is_a_sliding_window_for_each_key():
    at = [0.0]
    rate = Rate(2, 10, clock=lambda: at[0])
    assert [rate.allows("a") for _ in range(3)] == [True, True, False] and rate.allows("b")
    at[0] = 9.9
    assert not rate.allows("a")
    at[0] = 10.1
    assert rate.allows("a")
    with pytest.raises(Busy, match="At most 2 things"):
        rate.allows("a"), rate.check("a", "things")


def test_limits_come_from_the_environment_and_misspelt_ones_are_refused():
    assert limits_from({"VASA_LIMIT_SOUND_S": "2.5", "VASA_LIMIT_STEPS": "7"}) == Limits(sound_s=2.5, steps=7)
    for wrong in ({"VASA_LIMIT_SOUNDS": "2"}, {"VASA_LIMIT_STEPS": "many"}, {"VASA_LIMIT_STEPS": "0"}):
        with pytest.raises(BadOption):
            limits_from(wrong)


def test_the_server_listens_to_this_machine_alone_unless_told_its_public_name(tmp_path):
    assert settings_from({"VASA_HOME": str(tmp_path)}).host == "127.0.0.1"
    with pytest.raises(BadOption, match="VASA_PUBLIC_URL"):
        settings_from({"VASA_HOST": "0.0.0.0"})
    public = settings_from({"VASA_HOST": "0.0.0.0", "VASA_PUBLIC_URL": "https://studio.example.org"})
    assert public.secure and public.origins == {"https://studio.example.org"} and public.hosts == {"studio.example.org"}


@pytest.mark.parametrize(
    "changed",
    [
        {"portrait": "../../etc/passwd"},
        {"portrait": "mei", "voice": "../english"},
        {"portrait": "mei"},
        {"portrait": "mei", "voice": "english", "text": "both"},
        {"portrait": "mei", "text": "x" * 1000},
        {"portrait": "mei", "voice": "english", "size": 100_000},
        {"portrait": "mei", "voice": "english", "size": float("nan")},
        {"portrait": "mei", "voice": "english", "size": "512"},
        {"portrait": "mei", "voice": "english", "fps": 1000},
        {"portrait": "mei", "voice": "english", "seed": -1},
        {"portrait": "mei", "voice": "english", "language": "en --stdout; rm"},
        {"portrait": "mei", "voice": "english", "curve": "a.b"},
        {"portrait": "mei", "voice": "english", "controls": {"steps": 1000}},
        {"portrait": "mei", "voice": "english", "controls": {"gaze_yaw": 1e9}},
        {"portrait": "mei", "voice": "english", "controls": {"gaze_yaw": float("nan")}},
        {"portrait": "mei", "voice": "english", "controls": {"emotion": "<script>"}},
        {"portrait": "mei", "voice": "english", "controls": {"__class__": 1}},
        {"portrait": "mei", "voice": "english", "controls": []},
        {"portrait": "mei", "voice": "english", "title": "x" * 500},
    ],
)
def test_what_is_out_of_bounds_is_refused_before_anything_is_queued(changed):
    with pytest.raises(BadOption):
        ClipRequest(**changed).check(Limits())


def test_controls_arrive_in_radians():
    controls = controls_from({"gaze_yaw": 30, "pose_roll": -10, "emotion": "happy", "blink_rate": 2})
    assert controls.gaze == pytest.approx((0.5236, 0), abs=1e-4)
    assert controls.pose == pytest.approx((0, 0, -0.1745), abs=1e-4)
    assert (controls.emotion, controls.blink_rate) == ("happy", 2)


def test_who_only_listens_is_asked_for_by_a_tick():
    assert controls_from({"listening": 1.0}).listening is True and controls_from({"listening": 0.0}).listening is False
    with pytest.raises(BadOption, match="listening must be a number between 0 and 1"):
        controls_from({"listening": 7.0})


# ---- the device with its real worker --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Services with a running device, and an account."""
    home = tmp_path_factory.mktemp("house")
    services = open_services(Settings(home=home, limits=Limits(job_s=60, queued_per_account=20, clips_per_hour=500)))
    anna = services.accounts.add("anna", "administrator", by="tests", oidc_subject="1")
    services.device.start()
    assert services.device.ready.wait(150)
    yield services, anna
    services.device.stop()
    services.uploads.inspector.close()
    services.registry.close()


@pytest.fixture(scope="module")
def sound(studio, tmp_path_factory):
    services, anna = studio
    path = tmp_path_factory.mktemp("sounds") / "voice.wav"
    path.write_bytes(voice(0.4))
    return services.keep_upload(anna, path, "sound")


@pytest.fixture(scope="module")
def long_sound(studio, tmp_path_factory):
    services, anna = studio
    path = tmp_path_factory.mktemp("sounds") / "long.wav"
    path.write_bytes(voice(20.0))
    return services.keep_upload(anna, path, "sound")


def over(services, account, job_id):
    """The job once it is over."""
    for _ in range(5000):
        if (job := services.job(account, job_id)).state not in ("queued", "running"):
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def until_drawing(services, account, job_id):
    for _ in range(5000):
        job = services.job(account, job_id)
        assert job.state in ("queued", "running"), job
        if job.stage == "render":
            return
        time.sleep(0.02)
    raise AssertionError(job)


def half_made(services) -> list[Path]:
    return [path for path in services.registry.files.rglob("*") if path.is_file() and "unfinished" in str(path)]


def test_a_clip_is_made_with_stages_told_and_kept_for_its_owner(studio, sound):
    services, anna = studio
    job_id = services.submit(anna, ClipRequest(portrait="mei", upload=sound, **QUICK))
    job = over(services, anna, job_id)
    assert job.state == "done" and job.message is None
    clip = next(clip for clip in services.clips(anna) if clip.id == job.clip_id)
    assert clip.servable and clip.duration_s == pytest.approx(0.4, abs=0.11) and clip.title == "Mei: a recording"
    assert services.clip(anna, clip.id).path.read_bytes()[4:8] == b"ftyp"
    assert not half_made(services)


def test_a_picture_comes_before_clips_that_wait(studio, sound):
    services, anna = studio
    jobs = [services.submit(anna, ClipRequest(portrait="mei", upload=sound, **QUICK)) for _ in range(3)]
    view = services.still(anna, StillRequest(portrait="mei", yaw=10, size=128))
    assert services.job(anna, jobs[-1]).state == "queued"
    assert services.still_path(anna, view.id).read_bytes().startswith(b"\xff\xd8\xff")
    assert [over(services, anna, job).state for job in jobs] == ["done"] * 3


def test_a_killed_worker_costs_its_job_alone(studio, sound, long_sound):
    services, anna = studio
    doomed = services.submit(anna, ClipRequest(portrait="mei", upload=long_sound, size=256))
    after = services.submit(anna, ClipRequest(portrait="mei", upload=sound, **QUICK))
    until_drawing(services, anna, doomed)
    os.kill(services.device.worker_pid, signal.SIGKILL)
    failed = over(services, anna, doomed)
    assert failed.state == "failed" and "broke off" in failed.message and failed.message.count(".") == 1
    assert over(services, anna, after).state == "done"
    assert not half_made(services) and failed.clip_id is None
    assert services.registry.audit.verify().sound


def test_a_running_job_can_be_cancelled_and_leaves_nothing(studio, long_sound):
    services, anna = studio
    job_id = services.submit(anna, ClipRequest(portrait="mei", upload=long_sound, size=256))
    until_drawing(services, anna, job_id)
    worker = services.device.worker_pid
    services.cancel(anna, job_id)
    assert over(services, anna, job_id).state == "cancelled"
    assert services.device.worker_pid == worker, "a cancelled job costs no worker"
    assert not half_made(services)


def test_what_the_worker_refuses_is_one_sentence(studio):
    services, anna = studio
    asked = ClipRequest(portrait="mei", text="Hello", language="xx", **QUICK)
    job = over(services, anna, services.submit(anna, asked))
    assert job.state == "failed" and "voice" in job.message and "\n" not in job.message
    with pytest.raises(VasaError, match="no expression"):
        services.still(anna, StillRequest(portrait="mei", expression={"noSuchThing": 0.5}))


def test_somebody_elses_portrait_upload_and_consent_are_nobodys(studio, sound):
    services, _ = studio
    other = services.accounts.add("other", "reviewer", by="tests", oidc_subject="2")
    viewer = services.accounts.add("viewer", "viewer", by="tests", oidc_subject="3")
    with pytest.raises(BadInput, match="no such sound of yours"):
        services.submit(other, ClipRequest(portrait="mei", upload=sound, **QUICK))
    with pytest.raises(VasaError, match="consent"):
        services.submit(other, ClipRequest(portrait="0" * 32, voice="english"))
    with pytest.raises(AccessRefused, match="reviewer"):
        services.submit(viewer, ClipRequest(portrait="0" * 32, voice="english"))
    with pytest.raises(AccessRefused):
        services.trail(other)


def test_only_the_dead_processs_files_are_cleared(tmp_path):
    for name in (".a.mp4.12.unfinished", ".b.mp4.123.unfinished", "c.mp4"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path, 12)
    assert {path.name for path in tmp_path.iterdir()} == {".b.mp4.123.unfinished", "c.mp4"}


def test_the_words_of_old_jobs_are_forgotten_and_those_of_new_ones_kept(queue, people):
    old, new = (queue.add(people[0], "clip", {"text": "private words"}) for _ in range(2))
    for job_id in (old, new):
        queue.take()
        queue.end(job_id, "done")
    with queue.audit.store.writing() as connection:
        change = schema.jobs.update().where(schema.jobs.c.id == old)
        connection.execute(change.values(ended_at=BEGIN - timedelta(days=3650)))
    assert queue.forget_words(BEGIN - timedelta(days=3000)) == 1
    assert queue.of(people[0], old).request == {} and queue.of(people[0], new).request["text"]


def test_a_live_session_shows_no_mood_that_nobody_agreed_to():
    from demo.worker import _LiveWishes

    def check(mood: str) -> None:
        if mood != "neutral":
            raise ConsentRefused("The consent covers the emotions neutral.", "other_emotion")

    wishes = _LiveWishes({"emotion": "neutral"}, check)
    wishes.change({"emotion": "angry", "energy": 2.0})
    assert (wishes.now.emotion, wishes.now.energy) == ("neutral", 1.0)
    wishes.change({"emotion": "neutral", "energy": 2.0})
    assert wishes.now.energy == 2.0


def test_on_a_machine_that_cannot_keep_up_the_face_still_moves():
    from types import SimpleNamespace

    from demo.worker import _LivePace

    hearing = SimpleNamespace(heard_s=0.0)
    pace = _LivePace(hearing, 512)
    assert not any(pace.is_late(frame / 25) for frame in range(25)), "all in time"
    hearing.heard_s = 60.0
    shown = [frame for frame in range(48) if not pace.is_late(frame / 25)]
    assert shown == [11, 23, 35, 47], "one in twelve"
    assert pace.fitting(np.zeros((512, 512, 3), np.uint8)).shape[0] < 512, "and smaller"
