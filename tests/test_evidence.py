"""Live captures: the phrase once and in time, the right words, a moving mouth, the portrait's own face."""

from __future__ import annotations

import random
import shutil
import subprocess
import wave
from datetime import UTC, datetime, timedelta

import av
import cv2
import numpy as np
import pytest

from vasa_core import assets
from vasa_core.errors import ConsentRefused, MissingExtra
from vasa_core.pictures import load_picture
from vasa_core.trust import capture, phrase
from vasa_core.trust.evidence import Findings, captured
from vasa_core.trust.likeness import likeness
from vasa_core.trust.registry import Registry

GOOD = Findings(words_matched=6, words_heard=6, face_share=1.0, geometry_distance=0.2, mouth_range=0.2)
HAS_FLITE = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


def spoken(words: str, path) -> np.ndarray:
    """What flite's voice slt says, samples at 16 kHz."""
    subprocess.run(["flite", "-voice", "slt", "-t", words, "-o", str(path)], check=True)
    with wave.open(str(path)) as file:
        assert file.getframerate() == 16_000
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def filmed(pictures, samples, path, fps=12):
    """A video of these pictures with this sound, as a camera would record it."""
    with av.open(str(path), "w") as file:
        video, audio = file.add_stream("libx264", rate=fps), file.add_stream("aac", rate=16_000)
        audio.layout = "mono"
        video.width, video.height, video.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        for picture in pictures:
            file.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        sound = av.AudioFrame.from_ndarray((samples * 32767).astype("<i2")[None], format="s16", layout="mono")
        sound.sample_rate = 16_000
        file.mux(audio.encode(sound))
        for stream in (video, audio):
            file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    picture = load_picture(assets.portraits()[0])
    return cv2.resize(picture, (400, 400), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def talking(face) -> list[np.ndarray]:
    """The face with its mouth opening and closing, as our own engine draws it."""
    from vasa_core.studio import Studio

    studio = Studio()
    portrait = studio.portrait(face)
    openings = 0.35 * np.abs(np.sin(np.arange(12) * 0.9))
    return [studio.look(portrait, yaw=2 * np.sin(k), expression={"jawOpen": float(o)}, size=320)
            for k, o in enumerate(openings)]  # fmt: skip


def shaken(face, count=12) -> list[np.ndarray]:
    """A photo moved about in front of the camera."""
    rng, corners = np.random.default_rng(1), np.float32([[0, 0], [399, 0], [399, 399], [0, 399]])
    moves = [corners + rng.normal(0, 9, (4, 2)).astype(np.float32) for _ in range(count)]
    return [cv2.warpPerspective(face, cv2.getPerspectiveTransform(corners, to), (400, 400)) for to in moves]


# ---- words --------------------------------------------------------------------------------------------------------


def test_phrases_are_six_different_words_and_do_not_repeat():
    rng = random.Random(1)
    drawn = [phrase.draw(rng) for _ in range(200)]
    assert len(set(drawn)) == 200
    assert all(len(set(words.split())) == phrase.LENGTH and set(words.split()) <= set(phrase.WORDS) for words in drawn)


@pytest.mark.parametrize(
    ("said", "matched"),
    [
        ("a b c d e f", 6), ("", 0), ("x a x b c x d e f", 6), ("f e d c b a", 1), ("a a a a", 1), ("b d f", 3),
        ("d e f a b c", 3), ("a c b d", 3),
    ],
)  # fmt: skip
def test_words_count_in_the_phrases_order(said, matched):
    assert phrase.matching("a b c d e f", tuple(said.split())) == matched


def test_reciting_the_whole_list_does_not_pass():
    assert phrase.passes(4, 6)
    assert not phrase.passes(3, 6)
    assert not phrase.passes(6, len(phrase.WORDS))


@HAS_FLITE
def test_a_voice_is_heard_and_another_phrase_is_not(tmp_path):
    pytest.importorskip("pocketsphinx")
    asked, other = "banana window doctor river camera elephant", "hospital lemon guitar zebra coffee island"
    said = phrase.heard(spoken(asked, tmp_path / "a.wav"))
    assert phrase.passes(phrase.matching(asked, said), len(said))
    assert phrase.matching(other, said) < 2


@pytest.mark.parametrize("samples", [np.zeros(16_000 * 3), np.zeros(100), np.full(16_000 * 40, 0.1)])
def test_silence_a_click_and_a_lecture_are_no_phrase(samples):
    assert phrase.heard(samples.astype(np.float32)) == ()


def test_without_pocketsphinx_the_refusal_says_what_to_install(monkeypatch):
    phrase._decoder.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(MissingExtra, match="extra 'app'"):
        phrase.heard(np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32))


# ---- what a capture must show -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"words_matched": 3}, "wrong_words"),
        ({"words_heard": 30}, "wrong_words"),
        ({"face_share": 0.5}, "no_face"),
        ({"mouth_range": 0.01}, "still_mouth"),
        ({"geometry_distance": 9.0}, "other_face"),
    ],
)
def test_each_thing_missing_has_its_name(fields, code):
    import dataclasses

    findings = dataclasses.replace(GOOD, **fields)
    with pytest.raises(ConsentRefused) as refusal:
        captured(findings, "c", "0" * 64, "0" * 64, "a")
    assert refusal.value.code == code
    assert captured(GOOD, "c", "0" * 64, "0" * 64, "a").figures["words_matched"] == 6


@HAS_FLITE
def test_a_talking_face_passes_and_becomes_a_consent(registry, face, talking, tmp_path):
    pytest.importorskip("pocketsphinx")
    challenge = registry.new_phrase("a1")
    samples = spoken(challenge.phrase, tmp_path / "s.wav")
    video = filmed(talking * (len(samples) * 12 // 16_000 // 12 + 1), samples, tmp_path / "v.mp4")
    shown = registry.captured(challenge.id, video, face, "a1")
    assert shown.figures["face_share"] == 1.0
    fields = {"name": "A", "statement": "s", "purposes": ["speak"], "expires_on": registry.today}
    kept = registry.record_consent(face, recorded_by="a1", evidence=shown, **fields)
    assert (kept.state, kept.basis) == ("active", "live capture")
    with pytest.raises(ConsentRefused, match="used already"):
        registry.captured(challenge.id, video, face, "a1")
    with pytest.raises(ConsentRefused, match="another portrait"):
        registry.record_consent(face[::-1, ::-1], recorded_by="a1", evidence=shown, **fields)


@HAS_FLITE
def test_a_photo_held_into_the_camera_is_seen_through(face, tmp_path):
    pytest.importorskip("pocketsphinx")
    words = "banana window doctor river camera elephant"
    samples = spoken(words, tmp_path / "s.wav")
    video = filmed(shaken(face) * 5, samples, tmp_path / "v.mp4")
    findings = capture.examine(video, words, likeness(face))
    assert findings.mouth_range < 0.03
    with pytest.raises(ConsentRefused) as refusal:
        findings.check()
    assert refusal.value.code == "still_mouth"


def test_a_wall_and_a_broken_file_are_refused(face, tmp_path):
    known = likeness(face)
    wall = filmed([np.full((240, 320, 3), 120, np.uint8)] * 24, np.zeros(32_000), tmp_path / "v.mp4")
    with pytest.raises(ConsentRefused) as refusal:
        capture.examine(wall, "banana", known).check()
    assert refusal.value.code == "no_face"
    (tmp_path / "b.webm").write_bytes(b"nothing")
    with pytest.raises(ConsentRefused) as refusal:
        capture.examine(tmp_path / "b.webm", "banana", known)
    assert refusal.value.code == "no_voice"


# ---- one time -----------------------------------------------------------------------------------------------------


def test_a_phrase_is_for_one_account_once_and_soon(registry, face, tmp_path):
    class Clock:
        now = datetime.now(UTC)

    timed = Registry(registry.store, registry.home, registry.chain_name, lambda: Clock.now)
    (tmp_path / "v.mp4").write_bytes(b"")

    def attempt(challenge_id: str, account: str) -> str:
        with pytest.raises(ConsentRefused) as refusal:
            timed.captured(challenge_id, tmp_path / "v.mp4", face, account)
        return refusal.value.code

    first, second = timed.new_phrase("a1"), timed.new_phrase("a1")
    assert first.phrase != second.phrase
    assert attempt(first.id, "b2") == "used_phrase"  # foreign: and not used up by it
    assert attempt(first.id, "a1") == "no_voice"
    assert attempt(first.id, "a1") == "used_phrase"  # a failure uses it up too
    Clock.now += timedelta(minutes=6)
    assert attempt(second.id, "a1") == "old_phrase"
    assert attempt("none such", "a1") == "used_phrase"
    said = [entry.facts["reason"] for entry in timed.audit.entries(event="refused")]
    assert said == ["used_phrase", "no_voice", "used_phrase", "old_phrase", "used_phrase"]
    Clock.now += timedelta(days=2)
    timed.sweep()
    assert attempt(second.id, "a1") == "used_phrase"
