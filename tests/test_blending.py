"""The compiled kernels around the network against their plain twins, and known shifts."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vasa_core.blending import (
    BLEND,
    LIGHT,
    TOLD,
    UNIT_FROM_TENTH,
    apply,
    bound,
    drawn_in,
    eyes_in,
    find,
    head_within,
    hear,
    meet,
    put_together,
    tell,
    told_of_portrait,
    unpainted_in,
    widen,
)
from vasa_core.mending import CANONICAL, Mending
from vasa_core.portrait import Portrait
from vasa_core.refinement import (
    BESIDE_PX,
    FEATURES,
    MOUTH_PAINTED,
    VOLUME,
    VOLUME_HIGH_CM,
    VOLUME_LOW_CM,
    FaceNetworks,
    bounded,
    found_at,
    shares,
)
from vasa_core.sight import CANONICAL_CM, COARSE, FINE, Sight


def smooth(rng, *shape, size=1.0):
    """Random planes [..., high, wide] without sharp edges."""
    planes = rng.normal(size=shape).astype(np.float32)
    flat = planes.reshape(-1, *shape[-2:])
    return size * np.stack([cv2.GaussianBlur(p, (0, 0), 6) * 6 for p in flat]).reshape(shape).astype(np.float32)


@pytest.fixture(scope="module")
def scene():
    """A portrait's parts, one warp and its sight, drawn at random, and networks that answer at random."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    networks = FaceNetworks().eval().requires_grad_(False)
    for head in (networks.refinement.fine_head, networks.refinement.coarse_head):
        torch.nn.init.normal_(head.weight, std=0.08)
    fine = (np.clip(smooth(rng, len(FINE), 256, 256) + 0.3, 0, 1) * 255).astype(np.uint8)
    fine[3:] *= fine[3:] > 200  # openings are small
    coarse = smooth(rng, len(COARSE), 128, 128, size=0.5)
    coarse[:2] *= 0.1
    coarse[-1] = np.clip(coarse[-1] + 0.5, 0, 1)
    picture = lambda: np.clip(smooth(rng, 3, 512, 512, size=60) + 128, 0, 255).astype(np.uint8)  # noqa: E731
    crop, warped = (np.ascontiguousarray(np.moveaxis(picture(), 0, -1)) for _ in range(2))
    matte = np.clip(smooth(rng, 512, 512) + 0.5, 0, 1)
    return networks, Sight(fine=fine, coarse=coarse), crop, warped, matte, smooth(rng, FEATURES, *VOLUME[1:])


def portrait_of(crop, matte, volume):
    """A portrait of which Mending asks no more than this."""
    none = lambda *shape: np.zeros(shape, np.float32)  # noqa: E731
    return Portrait(
        picture=crop,
        crop=crop,
        crop_from_picture=none(2, 3),
        landmarks=none(478, 2),
        matte=matte,
        background=crop,
        colour_volume=none(4, 1, 1, 1),
        appearance_volume=volume,
        activation_ranges=np.zeros((0, 2), np.float32),
        identity_code=none(80),
        head_pose=none(6),
        facial_dynamics=none(50),
        residual=none(1, 3),
        rotation=none(3, 3),
        translation=none(3),
        camera_scale=none(1),
        rest_dynamics=none(50),
        face_confidence=none(1),
        sheet_points=none(1, 3),
        sheet_head_weight=none(1),
        sheet_body_weight=none(1),
    )


def small(picture):
    done = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(done).permute(2, 0, 1)[None] / 127.5 - 1


def test_a_frame_by_kernels_is_the_frame_by_the_plain_road(scene):
    networks, sight, crop, warped, matte, plane = scene
    volume = np.repeat(plane[:, None], VOLUME[0], 1)
    mended = Mending(portrait_of(crop, matte, volume), networks)(warped, sight)
    fine, coarse = torch.from_numpy(sight.fine)[None] / 255, torch.from_numpy(sight.coarse)[None]
    features = found_at(torch.from_numpy(volume)[None], coarse[:, CANONICAL])
    answer = networks.refinement(small(warped), small(crop), fine, coarse, features)
    own = cv2.resize(matte, (256, 256), interpolation=cv2.INTER_AREA)
    answer = bounded(answer, fine, coarse, torch.from_numpy(own)[None, None])
    share = shares(answer)
    assert 0.05 < float(share[:, 1].mean()) < 0.9 and float(share[:, 2].std()) > 0.015  # every source has its part
    large = lambda x: F.interpolate(x, size=(512, 512), mode="bilinear", align_corners=False)  # noqa: E731
    rows, columns = torch.meshgrid(torch.arange(512), torch.arange(512), indexing="ij")
    at = torch.stack([columns, rows]) + 2 * large(answer.flow)[0]
    grid = torch.stack([(2 * at[0] + 1) / 512 - 1, (2 * at[1] + 1) / 512 - 1], -1)[None]
    first = lambda x: torch.from_numpy(x).permute(2, 0, 1)[None].float()  # noqa: E731
    lit = F.grid_sample(first(warped), grid, align_corners=False, padding_mode="border")
    lit = lit * (1 + large(fine[:, :1]) * (large(answer.gain.exp()) - 1))  # light falls on the person alone
    share, painted = large(share), (large(answer.painted) + 1) * 127.5
    expected = share[:, :1] * lit + share[:, 1:2] * first(crop) + share[:, 2:] * painted
    error = expected[0].permute(1, 2, 0).clamp(0, 255).numpy() - mended
    assert np.abs(error).max() < 4 and np.sqrt((error**2).mean()) < 0.6


def test_the_network_is_told_as_it_was_trained(scene):
    _, sight, crop, warped, _, _ = scene
    told = told_of_portrait(crop)
    tell(warped, sight.fine, sight.coarse, told)
    pictures = torch.cat([small(warped), small(crop), torch.from_numpy(sight.fine)[None] / 255], 1)
    expected = torch.cat([F.pixel_unshuffle(pictures, 2), torch.from_numpy(sight.coarse)[None]], 1)
    assert told.shape[-1] == TOLD == expected.shape[1] + FEATURES
    found = torch.from_numpy(told)[..., :-FEATURES].permute(2, 0, 1)[None]
    torch.testing.assert_close(found, expected, atol=1 / 127, rtol=0)  # one level, where a mean ends in a half


def test_the_volume_gives_back_what_lies_at_a_place():
    sides = zip(VOLUME_LOW_CM, VOLUME_HIGH_CM, VOLUME[::-1], strict=True)
    x, y, z = (torch.linspace(low, high, n) for low, high, n in sides)
    deep, high, wide = torch.meshgrid(z, y.flip(0), x, indexing="ij")
    volume = torch.stack([wide, high, deep])[None]  # each voxel holds its own place
    places = torch.tensor([[1.0, 2.0, 3.0], [-9.0, -12.5, 13.0], [0.0, 0.0, -8.0]])
    found = found_at(volume, places.T.reshape(1, 3, 1, 3) / CANONICAL_CM)
    torch.testing.assert_close(found[0, :, 0].T, places, atol=1e-3, rtol=0)
    coarse = (places.T.reshape(3, 1, 3) / CANONICAL_CM).numpy()
    again = np.zeros((1, 3, 5), np.float32)
    find(np.ascontiguousarray(volume[0].permute(1, 2, 3, 0).numpy()), coarse, *UNIT_FROM_TENTH, again)
    assert np.abs(again[0, :, 2:] - places.numpy()).max() < 1e-3
    assert not again[0, :, :2].any()
    assert [COARSE[k] for k in range(*CANONICAL.indices(12))] == ["canonical x", "canonical y", "canonical z"]


def test_two_equal_words_meet_in_the_same_word_moved_by_exactly_the_shift():
    rng = np.random.default_rng(1)
    planes, free, out = (
        smooth(rng, 5, 256, 256),
        np.ones((2, 256, 256), np.float32),
        np.empty((5, 256, 256), np.float32),
    )
    planes[1] = np.abs(planes[1]) + 0.1
    within, still = np.empty_like(free), np.zeros((2, 128, 128), np.float32)
    meet(planes, free, still, planes, free, still, free, 1, out, within)
    np.testing.assert_allclose(out, planes, atol=1e-6)
    assert (within == 1).all()
    shift = still.copy()
    shift[0], shift[1] = 6.0, -4.0  # pixels of 512: three columns to the right, two rows up
    meet(planes, free, shift, planes, free, shift, free, 1, out, within)
    np.testing.assert_allclose(out[:, 2:, :-3], planes[:, :-2, 3:], atol=1e-5)


def test_a_word_counts_as_far_as_it_was_free_and_nothing_forbidden_comes_back():
    one, other = np.full((5, 256, 256), 0.2, np.float32), np.full((5, 256, 256), 0.6, np.float32)
    free, bound_now = np.ones((2, 256, 256), np.float32), np.ones((2, 256, 256), np.float32)
    held, still = np.zeros((2, 256, 256), np.float32), np.zeros((2, 128, 128), np.float32)
    out, within = np.empty_like(one), np.empty_like(free)
    meet(one, free, still, other, free, still, free, 1, out, within)
    assert np.allclose(out, 0.4)
    meet(one, held, still, other, free, still, free, 1, out, within)
    assert np.allclose(out, 0.6, atol=1e-3) and (within == 1).all()
    meet(one, held, still, other, held, still, free, 1, out, within)
    assert (within == 0).all()
    bound_now[:, :100] = 0
    meet(one, free, still, other, free, still, bound_now, 1, out, within)
    assert (within[:, :100] == 0).all() and (within[:, 100:] == 1).all()


@pytest.mark.parametrize("times", [2, 8])
def test_rows_are_widened_as_opencv_does(times):
    rng = np.random.default_rng(2)
    planes, out = smooth(rng, 2, 5, 64), np.empty((2, 5, 64 * times), np.float32)
    widen(planes, out)
    for plane, wide in zip(planes, out, strict=True):
        np.testing.assert_allclose(wide, cv2.resize(plane, (64 * times, 5)), atol=1e-5)


def test_each_source_alone_is_that_source(scene):
    _, _, crop, warped, _, _ = scene
    blend, light = np.zeros((len(BLEND), 256, 256), np.float32), np.zeros((len(LIGHT), 64, 64), np.float32)
    light[2:] = 1
    out = np.empty_like(crop)
    put_together(warped, crop, blend, light, out)
    assert np.array_equal(out, warped)
    light[0] = 3.0
    put_together(warped, crop, blend, light, out)
    assert np.array_equal(out[:, :-3], warped[:, 3:])
    blend[0] = 1.0
    put_together(warped, crop, blend, light, out)
    assert np.array_equal(out, crop)
    blend[0], blend[1], blend[2:] = 0.0, 1.0, 77.0
    put_together(warped, crop, blend, light, out)
    assert (out == 77).all()


def test_light_falls_on_the_person_alone(scene):
    _, _, crop, warped, _, _ = scene
    blend, light = np.zeros((len(BLEND) + 1, 256, 256), np.float32), np.zeros((len(LIGHT), 64, 64), np.float32)
    light[2:] = 0.5
    blend[-1, :, 128:] = 1.0
    out = np.empty_like(crop)
    put_together(warped, crop, blend, light, out)
    np.testing.assert_array_equal(out[:, :250], warped[:, :250])
    np.testing.assert_allclose(out[:, 260:], warped[:, 260:] / 2, atol=0.51)


def test_between_lids_nothing_but_the_drawing_is_left_and_between_lips_no_portrait(scene):
    _, sight, _, _, matte, _ = scene
    within, light_within = np.empty((2, 256, 256), np.float32), np.empty((2, 64, 64), np.float32)
    drawn, eyes = drawn_in(sight.fine), eyes_in(sight.fine)
    bound(
        sight.fine, drawn, eyes, unpainted_in(sight.fine, eyes), sight.coarse, head_within(matte), within, light_within
    )
    assert (eyes == 255).any() and within[:, eyes == 255].max() < 1e-6
    assert (drawn == 255).any() and within[0, drawn == 255].max() < 1e-6
    assert within[1, drawn == 255].max() <= MOUTH_PAINTED + 1e-6
    blend, light = np.ones((5, 256, 256), np.float32), np.ones((5, 64, 64), np.float32)
    apply(blend, within, light, light_within, blend, light)
    assert blend[:2, eyes == 255].max() < 1e-6
    for mask, planes, left in ((drawn, light[:2], 0), (eyes, light[2:], 1)):
        assert np.allclose(planes[:, mask.reshape(64, 4, 64, 4).min((1, 3)) == 255], left, atol=1e-6)


def test_a_mouth_wide_open_is_not_painted_over():
    """Two mouths, five and thirty pixels of 256 high."""
    fine = np.zeros((5, 256, 256), np.uint8)
    fine[0], fine[3, 60:65, 80:130], fine[3, 140:170, 80:130] = 255, 255, 255
    unpainted = unpainted_in(fine, eyes_in(fine))
    assert unpainted[62, 105] == pytest.approx(1 - MOUTH_PAINTED, abs=0.02)
    assert unpainted[155, 105] == pytest.approx(1)
    assert unpainted[100, 105] == 0


def test_beside_a_person_nothing_is_painted():
    fine = np.zeros((5, 256, 256), np.uint8)
    fine[0, :, :100] = 255
    unpainted = unpainted_in(fine, eyes_in(fine))
    assert not unpainted[:, : 100 + BESIDE_PX].any() and (unpainted[:, 100 + BESIDE_PX :] == 1).all()


def test_an_undecided_network_leads_with_the_warp():
    said, blend, light = (
        np.zeros((128, 128, 24), np.float32),
        np.empty((5, 256, 256), np.float32),
        np.empty((5, 64, 64), np.float32),
    )
    hear(said, np.zeros((64, 64, 5), np.float32), np.zeros((5, 256, 256), np.uint8), blend, light)
    expected = torch.softmax(torch.tensor([2.0, 0.0, 0.0]), 0)
    assert np.allclose(blend[0], expected[1], atol=1e-6) and np.allclose(blend[1], expected[2], atol=1e-6)
    assert np.allclose(blend[2:], 127.5) and not light.any()
