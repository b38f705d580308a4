from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vasa_core import assets
from vasa_core.__main__ import app
from vasa_core.errors import BadInput, ConsentRefused
from vasa_core.evaluate.attacks import frames_of, luma
from vasa_core.pictures import load_picture
from vasa_core.render import resized
from vasa_core.trust.house import House
from vasa_core.trust.release import release_live, release_still, release_video
from vasa_core.trust.verify import examine, seal_of

PORTRAIT = assets.FOLDER / "portraits" / "mei.png"


@pytest.fixture(scope="module")
def portrait():
    return load_picture(PORTRAIT)


@pytest.fixture(scope="module")
def leave(house, portrait):
    """Grants for one of our cast, from the registry."""
    return lambda purpose: house.registry.grant(portrait, purpose, asked_by="account-1", portrait_path=PORTRAIT)


@pytest.fixture(scope="module")
def still(tmp_path_factory, house, portrait, leave):
    out = tmp_path_factory.mktemp("still") / "p.png"
    return release_still(resized(portrait, 256), out, leave("look"), house=house).path


@pytest.fixture(scope="module")
def video(tmp_path_factory, house, portrait, leave):
    frames = [np.roll(resized(portrait, 256), shift, axis=1) for shift in (0, 1, 2, 1, 0, 0)]
    return release_video(frames, None, 25, tmp_path_factory.mktemp("video") / "v.mp4", leave("speak"), house=house).path


def test_a_released_file_carries_both(house, still, video):
    for path in (still, video):
        findings = examine(path, house)
        assert (findings.carries, findings.credentials.seal, findings.exit_code) == ("both", "ours", 0)
        assert findings.false_alarm < 1e-6
        assert findings.made_at is not None
        assert house.registry.made_with(findings.watermark.payload)["id"] == findings.credentials.grant_id
        assert findings.sentences[0].startswith("MADE HERE, UNCHANGED")
        assert "account-1" not in " ".join(findings.sentences), "who made it is nobody else's business"


def test_a_screenshot_carries_the_watermark_alone(tmp_path, house, still):
    shot = tmp_path / "shot.jpg"
    with Image.open(still) as image:
        image.convert("RGB").resize((384, 384), Image.Resampling.BICUBIC).crop((10, 12, 370, 372)).save(
            shot, quality=80
        )
    findings = examine(shot, house)
    assert (findings.carries, findings.credentials.seal, findings.exit_code) == ("watermark", "none", 0)
    assert "PASSED ON" in findings.sentences[0]


def test_other_pictures_and_other_houses_carry_neither(tmp_path, house, still):
    assert examine(PORTRAIT, house).carries == "neither"
    stranger = examine(still, House.at(tmp_path / "elsewhere"))
    assert (stranger.carries, stranger.credentials.seal, stranger.exit_code) == ("neither", "foreign", 20)
    assert "does not know" in stranger.sentences[1]


def test_one_flipped_bit_is_noticed_wherever_it_is(tmp_path, house, still, video):
    """Also in the kilobyte of padding and the names that C2PA itself leaves unprotected."""
    for path in (still, video):
        content, harmed = path.read_bytes(), tmp_path / f"harmed{path.suffix}"
        places = np.unique(np.concatenate([np.arange(0, 6000, 61), np.linspace(0, len(content) - 1, 30).astype(int)]))
        for place in places[places < len(content)]:
            flipped = bytearray(content)
            flipped[place] ^= 1 << int(place) % 8
            harmed.write_bytes(flipped)
            assert seal_of(harmed, house) != "ours", f"byte {place} of {path.name}"
        assert seal_of(path, house) == "ours"


def test_a_changed_file_is_called_tampered(tmp_path, house, still):
    content = bytearray(still.read_bytes())
    content[content.index(b"IDAT") + 30] ^= 1
    harmed = tmp_path / "harmed.png"
    harmed.write_bytes(content)
    try:
        findings = examine(harmed, house)
    except BadInput:  # the flip broke the picture itself
        return
    assert (findings.carries, findings.exit_code) == ("tampered", 21)
    assert "TAMPERED" in findings.sentences[0]


def test_padding_that_c2pa_does_not_guard_is_guarded_by_the_audit(tmp_path, house, still):
    content = bytearray(still.read_bytes())
    pad = content.index(b"cpadY") + 200
    assert content[pad] == 0
    content[pad] = 1
    harmed = tmp_path / "harmed.png"
    harmed.write_bytes(content)
    findings = examine(harmed, house)
    assert (findings.carries, findings.credentials.seal) == ("tampered", "ours")


def test_credentials_of_one_release_on_the_pictures_of_another(tmp_path, house, portrait, leave, monkeypatch):
    """Whoever holds our keys and signs anew what another release made is found out by the watermark."""
    from vasa_core.trust.credentials import sign

    first = release_still(resized(portrait, 256), tmp_path / "a.png", leave("look"), house=house).path
    forged = tmp_path / "b.png"
    sign(first, forged, leave("look"), "vasa_core 1", house.authority)
    assert examine(forged, house).carries == "tampered"


def test_what_is_no_picture_and_no_video_is_refused(tmp_path, house):
    (tmp_path / "notes.mp4").write_text("just words")
    for path in (tmp_path / "notes.mp4", tmp_path / "missing.png", assets.voices()[0]):
        with pytest.raises(BadInput):
            examine(path, house)


def test_a_video_cut_off_in_the_middle_is_read_as_far_as_it_goes(tmp_path, house, video):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:-400])
    assert examine(cut, house).carries == "tampered"


# ---- live ---------------------------------------------------------------------------------------------------------


def test_live_frames_carry_label_and_watermark_and_the_audit_hears_of_them(tmp_path, house, portrait, leave):
    grant = leave("speak")
    frames = [resized(portrait, 384)] * 3
    before = len(house.registry.audit.entries())
    stream = release_live(iter(frames), grant, house=house)
    told = house.registry.audit.entries()[before:]
    assert [entry.event for entry in told] == ["live_started"], "before any frame leaves"
    pictures = list(stream)
    shot = tmp_path / "shot.jpg"
    shot.write_bytes(pictures[1])
    findings = examine(shot, house)
    assert (findings.carries, findings.watermark.payload) == ("watermark", grant.mark)
    told = house.registry.audit.entries()[before:]
    assert [(e.event, e.facts.get("frames")) for e in told] == [("live_started", None), ("live_ended", 3)]
    assert {entry.actor for entry in told} == {"account-1"}


def test_a_live_stream_that_is_left_early_is_told_as_well(house, portrait, leave):
    stream = release_live(iter([resized(portrait, 128)] * 3), leave("speak"), house=house)
    next(stream)
    stream.close()
    last = house.registry.audit.entries(newest=1)[0]
    assert (last.event, last.facts["frames"]) == ("live_ended", 1)


def test_nothing_streams_on_a_grant_for_something_else(house, portrait, leave):
    before = len(house.registry.audit.entries(event="live_started"))
    with pytest.raises(ConsentRefused):
        release_live(iter([portrait]), leave("look"), house=house)
    assert len(house.registry.audit.entries(event="live_started")) == before


# ---- what the audit hears -----------------------------------------------------------------------------------------


def test_every_file_is_in_the_audit_by_its_sha256(house, still, video):
    from vasa_core.trust.consent import file_sha256

    told = {entry.facts["sha256"] for entry in house.registry.audit.entries(event="generated")}
    assert {file_sha256(still), file_sha256(video)} <= told
    assert house.registry.audit.verify().sound


def test_every_frame_carries_the_mark(house, video):
    from vasa_core.trust.watermark import read

    payloads = {read([luma(frame)], house.watermark_key).payload for frame in frames_of(video)[::4]}
    assert len(payloads) == 1
    assert house.registry.made_with(payloads.pop()) is not None


# ---- the command --------------------------------------------------------------------------------------------------


def test_the_command_ends_with_a_code_that_scripts_can_use(tmp_path, still):
    run = CliRunner().invoke(app, ["verify", str(still)])
    assert (run.exit_code, run.stdout.split(":")[0]) == (0, "MADE HERE, UNCHANGED")
    assert CliRunner().invoke(app, ["verify", str(PORTRAIT)]).exit_code == 20
    content = bytearray(still.read_bytes())
    content[content.index(b"cpadY") + 100] ^= 1
    (tmp_path / "harmed.png").write_bytes(content)
    assert CliRunner().invoke(app, ["verify", str(tmp_path / "harmed.png")]).exit_code == 21
