from __future__ import annotations

import binascii
from dataclasses import replace

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.evaluate.attacks import (
    as_video,
    at_15_fps,
    cropped,
    luma,
    resized_and_back,
    trimmed,
    uploaded_again,
    x264,
)
from vasa_core.pictures import load_picture
from vasa_core.render import resized
from vasa_core.trust import codeword, watermark
from vasa_core.trust.release import recompressed
from vasa_core.trust.watermark import VIDEO_RANGE, layout, mark_for, read

KEY, OTHER_KEY = b"a key of the tests".ljust(32), b"another one".ljust(32)
PAYLOAD = 0xC0FFEE123456


@pytest.fixture(scope="module")
def portrait():
    return resized(load_picture(assets.FOLDER / "portraits" / "mei.png"), 512)


@pytest.fixture(scope="module")
def detailed():
    """A woman before detail everywhere: one of four of the cast whose mark a re-upload used to take."""
    return resized(load_picture(assets.FOLDER / "portraits" / "ines.png"), 512)


def swaying(portrait, count):
    """A head that moves a little, before a wall that does not."""
    wall = np.full_like(portrait, 120)
    for index in range(count):
        shift = round(4 * np.sin(index / 6))
        frame = wall.copy()
        frame[:, 60:452] = np.roll(portrait, shift, axis=1)[:, 60:452]
        yield frame


@pytest.fixture(scope="module")
def marked(portrait):
    """Two seconds of video as it leaves us: marked in its luma, then crf 18."""
    clip = [as_video(frame) for frame in swaying(portrait, 50)]
    for frame in clip:
        mark_for(PAYLOAD, KEY, 512, 512).into_luma(luma(frame))
    return x264(18)(clip)


# ---- the code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [0, 1, PAYLOAD, (1 << 48) - 1])
def test_a_payload_comes_back_from_its_own_codeword(payload):
    sure = 1.0 - 2.0 * codeword.encoded(codeword.message(payload))
    assert codeword.payload_in(codeword.decoded(sure)) == (payload, True)


def test_the_code_is_linear_and_far_apart():
    """Free distance 24: two messages that differ in one bit differ in 24 coded bits or more."""
    zero = codeword.encoded(np.zeros(64, bool))
    assert not zero.any()
    one = np.zeros(64, bool)
    for place in (0, 1, 31, 63):  # also around the circle's seam
        single = one.copy()
        single[place] = True
        assert codeword.encoded(single).sum() >= 24
    some, others = (np.random.default_rng(seed).random(64) < 0.5 for seed in (1, 2))
    assert (codeword.encoded(some ^ others) == codeword.encoded(some) ^ codeword.encoded(others)).all()


def test_the_crc_is_the_standard_one():
    """CRC-16/CCITT-FALSE of the six bytes "123456" is 0x2EF4, by another implementation (binascii, from 0xFFFF)."""
    payload = int.from_bytes(b"123456")
    bits = codeword.message(payload)
    crc = int("".join("1" if bit else "0" for bit in bits[48:]), 2)
    assert crc == binascii.crc_hqx(b"123456", 0xFFFF) == 0x2EF4
    assert codeword.payload_in(bits) == (payload, True)
    bits[5] ^= True
    assert not codeword.payload_in(bits)[1]


def test_soft_decoding_corrects_noise_as_strong_as_the_signal():
    """3 dB per message bit at rate 1/4 is a standard deviation of 1 a coded bit; one hard decision in six is wrong."""
    random, right = np.random.default_rng(0), 0
    for payload in random.integers(0, 1 << 48, 40):
        sent = 1.0 - 2.0 * codeword.encoded(codeword.message(int(payload)))
        right += codeword.payload_in(codeword.decoded(sent + random.normal(0, 1, 256))) == (int(payload), True)
    assert right >= 39


def test_noise_alone_hardly_ever_fits():
    random = np.random.default_rng(1)
    fits = sum(codeword.payload_in(codeword.decoded(random.normal(0, 1, 256)))[1] for _ in range(400))
    assert fits <= 1


def test_a_payload_of_more_bits_is_refused():
    with pytest.raises(ValueError, match="48 bits"):
        codeword.message(1 << 48)


# ---- the mark -----------------------------------------------------------------------------------------------------


def test_every_chip_is_used_once_and_keys_have_nothing_in_common():
    ours, others = layout(KEY), layout(OTHER_KEY)
    used = np.concatenate([ours.known, ours.carriers.ravel()])
    assert len(used) == len(set(used.tolist())) == watermark.LATTICE**2
    likeness = (ours.tile(PAYLOAD) * others.tile(PAYLOAD)).mean()
    assert abs(likeness) < 4 / watermark.LATTICE


def test_a_flat_wall_changes_by_at_most_two_values():
    wall = np.full((512, 512), 100, np.uint8)
    mark_for(PAYLOAD, KEY, 512, 512).into_luma(wall)
    change = wall.astype(int) - 100
    assert set(np.unique(change)) == {-2, -1, 0, 1, 2}
    assert abs(change.mean()) < 0.1
    assert 10 * np.log10(255**2 / (change**2).mean()) > 46


def test_texture_hides_more_than_a_wall_and_an_edge_no_more():
    rough = np.random.default_rng(0).integers(60, 180, (512, 512), dtype=np.uint8)
    edge = np.where(np.arange(512) < 257, 60, 180).astype(np.uint8) * np.ones((512, 1), np.uint8)
    changes = []
    for plane in (rough, edge):
        before = plane.astype(int)
        mark_for(PAYLOAD, KEY, 512, 512).into_luma(plane)
        changes.append(np.abs(plane - before))
    assert changes[0].max() >= 3
    assert changes[1].max() <= 2


@pytest.mark.parametrize("limits", [VIDEO_RANGE, watermark.FULL_RANGE])
def test_black_and_white_stay_within_the_range(limits):
    for value in limits:
        plane = np.full((64, 64), value, np.uint8)
        mark_for(PAYLOAD, KEY, 64, 64).into_luma(plane, limits)
        assert limits[0] <= plane.min() <= plane.max() <= limits[1]


def test_a_mark_is_bold_only_where_detail_is_everywhere(portrait, detailed):
    mark = mark_for(PAYLOAD, KEY, 512, 512)
    wall = np.full((512, 512), 100, np.uint8)
    suited = [mark.suited_to(plane, recompressed).bold for plane in (wall, grey(portrait), grey(detailed))]
    assert suited == [False, False, True]
    before = grey(detailed).astype(float)
    bold = grey(detailed)
    mark.suited_to(bold, recompressed).into_luma(bold)
    assert 10 * np.log10(255**2 / ((bold - before) ** 2).mean()) > 42
    assert (before == grey(detailed)).all(), "the trial marks a copy"


def test_a_bold_mark_is_no_bolder_on_a_wall():
    gentle, bold = (np.full((256, 256), 90, np.uint8) for _ in range(2))
    mark = mark_for(PAYLOAD, KEY, 256, 256)
    mark.into_luma(gentle)
    replace(mark, bold=True).into_luma(bold)
    assert (gentle == bold).all()


def grey(picture):
    return luma(as_video(picture)).copy()


def test_it_does_not_flicker():
    """The same picture is marked the same way in every frame."""
    first, second = (np.full((256, 256), 90, np.uint8) for _ in range(2))
    for plane in (first, second):
        mark_for(PAYLOAD, KEY, 256, 256).into_luma(plane)
    assert (first == second).all()


def test_hue_stays():
    picture = np.full((128, 128, 3), (180, 120, 90), np.uint8)
    change = mark_for(PAYLOAD, KEY, 128, 128).onto(picture).astype(int) - picture
    assert (change == change[..., :1]).all()
    assert change.any()
    assert (picture == (180, 120, 90)).all()


def test_quality_is_above_42_db_in_every_frame(portrait):
    plane = luma(as_video(portrait)).copy()
    before = plane.astype(float)
    mark_for(PAYLOAD, KEY, 512, 512).into_luma(plane)
    assert 10 * np.log10(255**2 / ((plane - before) ** 2).mean()) > 43


# ---- reading ------------------------------------------------------------------------------------------------------

ATTACKS = {
    "as released": lambda clip: clip,
    "one frame": lambda clip: clip[20:21],
    "crf 28": x264(28),
    "three quarters and back": resized_and_back,
    "cropped": lambda clip: x264(23)(cropped(clip, 0.1, 1.0, 0.3)),
    "15 fps": at_15_fps,
    "trimmed": trimmed,
    "uploaded again": uploaded_again,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_payload_is_read_bit_for_bit_after(marked, name):
    reading = read(map(luma, ATTACKS[name](marked)), KEY)
    assert (reading.payload, reading.fits) == (PAYLOAD, True)
    assert reading.false_alarm < 1e-9
    assert reading.scale == pytest.approx(1 / 0.9 if name == "cropped" else 1, abs=0.006)


def test_before_detail_everywhere_it_survives_a_re_upload(detailed):
    clip = []
    for index in range(25):
        frame, shift = detailed.copy(), round(3 * np.sin(index / 6))
        frame[80:400, 160:352] = np.roll(detailed, shift, axis=1)[80:400, 160:352]
        clip.append(as_video(frame))
    mark = mark_for(PAYLOAD, KEY, 512, 512).suited_to(luma(clip[0]), recompressed)
    for frame in clip:
        mark.into_luma(luma(frame))
    reading = read(map(luma, uploaded_again(x264(18)(clip))), KEY)
    assert (reading.payload, reading.fits, reading.scale) == (PAYLOAD, True, 1.0)


def test_a_mirror_image_is_read(marked):
    reading = read((luma(frame)[:, ::-1] for frame in marked), KEY)
    assert (reading.payload, reading.fits) == (PAYLOAD, True)


def test_without_the_key_or_without_the_mark_nothing_is_found(marked, portrait):
    for lumas, key in (([luma(f) for f in marked], OTHER_KEY), ([luma(as_video(portrait))], KEY)):
        reading = read(lumas, key)
        assert not reading.fits
        assert reading.known < watermark.score_asked_for()
        assert reading.false_alarm > watermark.BELIEVABLE


def test_any_shape_of_picture_bears_it(portrait):
    for height, width in ((512, 300), (300, 512), (128, 128), (1024, 1024)):
        shape = np.ascontiguousarray(resized(portrait, max(height, width))[:height, :width])
        marked = mark_for(PAYLOAD, KEY, height, width).onto(shape)
        reading = read([luma(as_video(marked)).copy()], KEY)
        assert (reading.payload, reading.fits) == (PAYLOAD, True), (height, width)


def test_no_frames_no_reading():
    assert read([], KEY) is None


def test_black_frames_are_read_without_complaint():
    reading = read([np.zeros((360, 640), np.uint8)] * 3, KEY)
    assert not reading.fits


def test_what_is_asked_for_follows_from_the_false_alarms_allowed():
    """Two roads: the score asked for, and the chance that a score has."""
    asked = watermark.score_asked_for()
    assert watermark.chance(asked) == pytest.approx(watermark.BELIEVABLE, rel=1e-3)
    assert 12 * watermark.BELIEVABLE < 1e-6, "twelve looks at a long video stay below one in a million"
    assert watermark.chance(asked + 1) < watermark.chance(asked) < watermark.chance(asked - 1)
    whole = watermark.score_asked_for(whole=True)
    assert whole < asked - 1.5, "a place that is one of few needs less to be believed"
    assert watermark.chance(whole, whole=True) == pytest.approx(watermark.BELIEVABLE_WHOLE, rel=1e-3)
    assert 12 * (watermark.BELIEVABLE + watermark.BELIEVABLE_WHOLE) < 1e-6, "both ways together"


def test_a_whole_picture_scores_where_it_was_written(marked, portrait):
    lumas = [luma(frame) for frame in marked]
    asked = watermark.score_asked_for(whole=True)
    assert watermark.whole_score(lumas, KEY) > asked
    assert watermark.whole_score([plane[:, ::-1] for plane in lumas], KEY) > asked
    assert watermark.whole_score(lumas, OTHER_KEY) < asked > watermark.whole_score([luma(as_video(portrait))], KEY)
    assert watermark.whole_score([], KEY) == 0


@pytest.mark.parametrize("colour", [(255, 120, 0), (0, 0, 0), (255, 255, 255), (0, 255, 0), (1, 0, 254)])
def test_saturated_colours_move_no_further_than_others(colour):
    rng = np.random.default_rng(0)
    grain = rng.integers(0, 12, (160, 160, 1))
    picture = np.clip(np.array(colour) + grain - 6, 0, 255).astype(np.uint8)
    marked = mark_for(0x123456789ABC, b"key", 160, 160).onto(picture)
    assert np.abs(marked.astype(int) - picture.astype(int)).max() <= np.ceil(watermark.TEXTURE_STRENGTH) + 1
