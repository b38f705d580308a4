from __future__ import annotations

import os
import resource
import time
import wave
import weakref
from contextlib import contextmanager
from datetime import date, timedelta

import av
import numpy as np
import pytest
from PIL import Image

from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.errors import BadOption, BadSound, ConsentRefused, VasaError
from vasa_core.ledger import Ledger
from vasa_core.trust.label import label_for
from vasa_core.trust.release import Released, check_output, release_still, release_video

SIZE = 128


def flat(count, value=90, size=SIZE, width=None):
    for _ in range(count):
        yield np.full((size, width or size, 3), value, np.uint8)


def clicks(seconds, rate=SAMPLE_RATE_HZ):
    """Silence with a click at each whole second but the first."""
    sound = np.zeros(round(seconds * rate), np.float32)
    for second in range(1, int(seconds)):
        sound[second * rate : second * rate + rate // 400] = 0.9
    return sound


def probe(path):
    with av.open(str(path)) as file:
        video, audio = file.streams.best("video"), file.streams.best("audio")
        pictures = [f.to_ndarray(format="rgb24") for f in file.decode(video)]
        facts = {
            "codec": video.codec_context.name,
            "format": video.codec_context.pix_fmt,
            "fps": float(video.average_rate),
            "size": (video.width, video.height),
            "video_s": float(video.duration * video.time_base),
            "audio_s": float(audio.duration * audio.time_base) if audio else None,
            "audio": (audio.codec_context.name, audio.rate, audio.codec_context.channels) if audio else None,
            "metadata": dict(file.metadata),
        }
    return pictures, facts


def heard(path):
    """The sound of a video as mono samples at 48 kHz, from its presentation time zero."""
    with av.open(str(path)) as file:
        blocks = [(f.time, f.to_ndarray().mean(axis=0)) for f in file.decode(file.streams.best("audio"))]
    start = round(blocks[0][0] * 48_000)
    sound = np.concatenate([samples for _, samples in blocks])
    return sound[-start:] if start < 0 else np.pad(sound, (start, 0))


def test_a_video_is_h264_and_aac_of_the_right_length(tmp_path, grant, house):
    released = release_video(flat(75), clicks(3), FRAME_RATE_HZ, tmp_path / "v.mp4", grant(), house=house)
    pictures, facts = probe(released.path)
    assert (released.frames, released.duration_s) == (75, 3.0)
    assert len(pictures) == 75
    assert (facts["codec"], facts["format"], facts["fps"], facts["size"]) == ("h264", "yuv420p", 25.0, (SIZE, SIZE))
    assert facts["audio"] == ("aac", 48_000, 1)
    assert facts["video_s"] == pytest.approx(3.0, abs=0.001)
    assert facts["audio_s"] == pytest.approx(3.0, abs=0.04)


def test_the_index_comes_first_so_that_browsers_start_at_once(tmp_path, grant, house):
    released = release_video(flat(10), None, 25, tmp_path / "v.mp4", grant(), house=house)
    bytes_ = released.path.read_bytes()
    assert 0 < bytes_.find(b"moov") < bytes_.find(b"mdat")


@pytest.mark.parametrize("fps", [24, 25, 30, 60])
def test_any_frame_rate_keeps_its_length(tmp_path, grant, house, fps):
    _, facts = probe(release_video(flat(2 * fps), clicks(2), fps, tmp_path / "v.mp4", grant(), house=house).path)
    assert facts["fps"] == fps
    assert facts["video_s"] == pytest.approx(2.0, abs=0.001)


def test_sound_and_picture_are_in_sync(tmp_path, grant, house):
    frames = (np.full((SIZE, SIZE, 3), 235 if i and i % 25 == 0 else 16, np.uint8) for i in range(100))
    released = release_video(frames, clicks(4), 25, tmp_path / "v.mp4", grant(), house=house)
    pictures, _ = probe(released.path)
    flashes = [i / 25 for i, p in enumerate(pictures) if p[64:, :64].mean() > 128]
    loud = np.abs(heard(released.path)) > 0.3
    starts = [
        np.flatnonzero(loud[int((s - 0.5) * 48_000) : int((s + 0.5) * 48_000)])[0] / 48_000 + s - 0.5 for s in (1, 2, 3)
    ]
    assert flashes == [1.0, 2.0, 3.0]
    assert starts == pytest.approx(flashes, abs=0.005)


def stereo_file(path, seconds, rate=44_100):
    left = (clicks(seconds, rate) * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.stack([left, left], axis=1).tobytes())
    return path


def test_a_sound_file_keeps_its_own_quality_and_time(tmp_path, grant, house):
    sound = stereo_file(tmp_path / "s.wav", 3)
    released = release_video(flat(75), sound, 25, tmp_path / "v.mp4", grant(), house=house)
    _, facts = probe(released.path)
    assert facts["audio"] == ("aac", 48_000, 2)
    loud = np.flatnonzero(np.abs(heard(released.path)) > 0.3) / 48_000
    assert loud[0] == pytest.approx(1.0, abs=0.005)
    assert facts["audio_s"] == pytest.approx(3.0, abs=0.04)


def test_sound_that_outlasts_the_pictures_is_cut(tmp_path, grant, house):
    _, facts = probe(release_video(flat(25), clicks(10), 25, tmp_path / "v.mp4", grant(), house=house).path)
    assert facts["audio_s"] == pytest.approx(1.0, abs=0.04)


def test_pictures_may_outlast_the_sound(tmp_path, grant, house):
    pictures, facts = probe(release_video(flat(50), clicks(1), 25, tmp_path / "v.mp4", grant(), house=house).path)
    assert len(pictures) == 50
    assert facts["audio_s"] == pytest.approx(1.0, abs=0.04)


def test_odd_sides_become_even(tmp_path, grant, house):
    _, facts = probe(
        release_video(flat(5, size=101, width=77), None, 25, tmp_path / "v.mp4", grant(), house=house).path
    )
    assert facts["size"] == (78, 102)


def test_colours_survive(tmp_path, grant, house):
    colour = np.zeros((SIZE, SIZE, 3), np.uint8)
    colour[:] = (200, 120, 60)
    release_video([colour] * 5, None, 25, tmp_path / "v.mp4", grant(), house=house)
    with av.open(str(tmp_path / "v.mp4")) as file:
        frame = next(file.decode(video=0))
        assert frame.colorspace == 1  # BT.709
        back = frame.to_ndarray(format="rgb24", src_colorspace="ITU709")
    assert np.abs(back[64:].mean((0, 1)) - (200, 120, 60)).max() <= 3  # the watermark's chips cancel out


def test_every_frame_carries_the_label(tmp_path, grant, house):
    pictures, _ = probe(release_video(flat(50, value=200), None, 25, tmp_path / "v.mp4", grant(), house=house).path)
    label = label_for(SIZE, SIZE)
    height, width, _ = label.colour.shape
    for frame in pictures:
        region = frame[label.top : label.top + height, label.left : label.left + width]
        assert region.mean() < 150  # the dark backing
        assert region.max() > 200  # the light ink
        assert frame[SIZE // 2 :].mean() == pytest.approx(200, abs=3)


def test_the_metadata_says_what_it_is(tmp_path, grant, house):
    given = grant()
    _, facts = probe(release_video(flat(5), None, 25, tmp_path / "v.mp4", given, house=house).path)
    assert "AI-generated" in facts["metadata"]["title"]
    assert "AI-generated" in facts["metadata"]["comment"]
    assert given.grant_id in facts["metadata"]["comment"]
    assert "vasa_core" in facts["metadata"]["comment"]


def test_a_failure_leaves_nothing_and_harms_nothing(tmp_path, grant, house):
    out = tmp_path / "v.mp4"
    out.write_bytes(b"precious")

    def breaks():
        yield from flat(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        release_video(breaks(), clicks(1), 25, out, grant(), house=house)
    assert out.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["v.mp4"]


def test_no_frames_at_all_is_an_error_and_leaves_nothing(tmp_path, grant, house):
    with pytest.raises(BadSound, match="not a single frame"):
        release_video([], None, 25, tmp_path / "v.mp4", grant(), house=house)
    assert os.listdir(tmp_path) == []


@contextmanager
def small_disk():
    """No file may grow beyond 20 kB, as on a disk that runs full; over before pytest writes to a log of its own."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("count", [10, 400])  # found out at the end, and in the midst
def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, grant, house, count):
    noise = np.random.default_rng(0).integers(0, 255, (count, 64, 64, 3), dtype=np.uint8)
    with small_disk(), pytest.raises(VasaError, match="is the disk full"):
        release_video(noise, None, 25, tmp_path / "v.mp4", grant(), house=house)
    assert os.listdir(tmp_path) == []


def test_an_error_in_the_making_of_frames_is_passed_on(tmp_path, grant, house):
    def vanish():
        yield from flat(3)
        raise OSError(5, "The portrait's disk is gone")

    with pytest.raises(OSError, match="portrait's disk"):
        release_video(vanish(), None, 25, tmp_path / "v.mp4", grant(), house=house)
    assert os.listdir(tmp_path) == []


def test_missing_folders_are_made(tmp_path, grant, house):
    released = release_video(flat(2), None, 25, tmp_path / "a" / "b" / "v.mp4", grant(), house=house)
    assert released.path.is_file()


def test_an_output_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadOption, match="cannot be written"):
        check_output(tmp_path / "file" / "v.mp4")
    with pytest.raises(BadOption, match=r"must end in \.mp4"):
        check_output(tmp_path / "v.avi")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(BadOption, match="is a folder"):
        check_output(tmp_path / "folder.mp4")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.mp4"]


def test_nothing_leaves_without_the_right_grant(tmp_path, grant, house, statement, picture):
    with pytest.raises(ConsentRefused, match="not for 'speak'"):
        release_video(flat(2), None, 25, tmp_path / "v.mp4", grant("look"), house=house)
    with pytest.raises(ConsentRefused, match="not for 'look'"):
        release_still(picture, tmp_path / "p.png", grant("speak"), house=house)
    from vasa_core.trust.consent import grant_for

    past = date.today() - timedelta(days=9)
    ran_out = grant_for(picture, None, "speak", statement(date=past, expiry=past), on=past)
    with pytest.raises(ConsentRefused, match="ran out"):
        release_video(flat(2), None, 25, tmp_path / "v.mp4", ran_out, house=house)
    assert os.listdir(tmp_path) == []


def test_a_released_cannot_be_made_by_hand(tmp_path):
    with pytest.raises(TypeError):
        Released(path=tmp_path, frames=1, duration_s=1.0, seconds={}, seal=None)


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.webp"])
def test_a_still_carries_label_and_metadata(tmp_path, grant, house, picture, name):
    given = grant("look")
    released = release_still(picture, tmp_path / name, given, house=house)
    with Image.open(released.path) as image:
        pixels = np.asarray(image.convert("RGB"))
        told = str(image.info.get("Comment", "")) + str(image.getexif().get(0x010E))
    assert pixels.shape == picture.shape
    assert given.grant_id in told
    assert np.abs(pixels[48:].astype(int) - picture[48:]).mean() < 4
    assert np.abs(pixels[:20, 64:].astype(int) - picture[:20, 64:]).mean() > 10


def test_progress_and_time_are_reported(tmp_path, grant, house):
    ledger, steps = Ledger(), []
    released = release_video(
        ledger.timed("render", flat(10)),
        None,
        25,
        tmp_path / "v.mp4",
        grant(),
        house=house,
        ledger=ledger,
        progress=steps.append,
    )
    assert steps == [1] * 10
    assert set(released.seconds) == {"render", "encode", "mark", "sign"}
    assert released.seconds["encode"] > 0


def test_memory_does_not_grow_with_length(tmp_path, grant, house):
    """Frames are encoded as they come: never are more than a few alive at once."""
    alive, most = 0, 0

    def gone():
        nonlocal alive
        alive -= 1

    def counted():
        nonlocal alive, most
        for frame in flat(300, size=64):
            weakref.finalize(frame, gone)
            alive += 1
            most = max(most, alive)
            yield frame

    release_video(counted(), clicks(12), 25, tmp_path / "v.mp4", grant(), house=house)
    assert most <= 4


def test_nested_stages_are_not_counted_twice():
    ledger = Ledger()
    with ledger.stage("outer"):
        time.sleep(0.02)
        with ledger.stage("inner"):
            time.sleep(0.05)
    assert ledger.seconds["inner"] == pytest.approx(0.05, abs=0.03)
    assert ledger.seconds["outer"] == pytest.approx(0.02, abs=0.03)
