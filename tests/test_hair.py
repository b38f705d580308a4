"""Hair grows where hair grows, leaves the eyes free, is the same for the same seed and covers as much when coarse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("moderngl", reason="the training world needs moderngl: pip install 'vasa_core[world]'")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("scipy.spatial", reason="the training world needs scipy: pip install 'vasa_core[world]'")

from vasa_core.world import facial_hair, hair  # noqa: E402
from vasa_core.world.facekit import FaceKit, data_folder  # noqa: E402
from vasa_core.world.people import HAIR_COLORS, LENGTHS, Beard, Brows, Hair  # noqa: E402

PACK = data_folder() / "facekit" / "ict_face.npz"
pytestmark = pytest.mark.skipif(not PACK.exists(), reason=f"VASA_DATA: no head model at {PACK}")
COARSE_CM = 39 / 256  # a pixel of a picture of 256 pixels


@pytest.fixture(scope="module")
def kit():
    return FaceKit()


@pytest.fixture(scope="module")
def skull(kit):
    return hair.Skull(kit, kit.neutral)


def of_style(style: str, **settings) -> Hair:
    return Hair(style=style, color=HAIR_COLORS["brown"], length=float(np.mean(LENGTHS[style])), **settings)


def grown(kit, skull, wanted: Hair, pixel: float = COARSE_CM, seed: int = 0) -> hair.Strands:
    below = lambda x, z: np.full_like(x, -40.0)  # noqa: E731
    return hair.grow(
        kit, kit.neutral, kit.normals(kit.neutral), wanted, np.random.default_rng(seed), below, pixel, skull
    )


@pytest.mark.parametrize("style", hair.STYLES)
def test_no_strand_of_any_style_hangs_in_front_of_the_eyes(kit, skull, style):
    x, y, z = np.moveaxis(grown(kit, skull, of_style(style)).points, -1, 0)
    eye = kit.eyeballs["L"].center
    near = (np.hypot(np.abs(x) - eye[0], y - eye[1]) < 1.2) & (z > eye[2])
    assert len(x) > 300 and not near.any()


@pytest.mark.parametrize("style", [name for name, style in hair.STYLES.items() if style.tie is None])
def test_every_strand_starts_on_the_scalp_inside_the_hairline(kit, skull, style):
    roots = grown(kit, skull, of_style(style)).points[:, 0]
    away = roots - hair.SKULL_CENTER
    height = np.linalg.norm(away, axis=1) - skull.radius(hair.unit(away))
    assert hair.inside_hairline(roots, of_style(style)).min() > 1.01 * hair.LOWEST - 0.02 * hair.STYLES[style].rows
    assert np.quantile(np.abs(height), 0.98) < (1.0 if hair.STYLES[style].rows else 0.35)  # a braid has a thickness


def test_a_receding_hairline_leaves_the_temples_bare(kit):
    temple = np.array([[4.8, 10.6, 6.2]])
    full, bare = (hair.scalp_density(temple, of_style("short", recede=cm))[0] for cm in (0.0, 3.0))
    assert bare < 0.1 < 0.7 < full


def test_the_same_seed_grows_the_same_hair_and_another_seed_does_not(kit, skull):
    first, again, other = (grown(kit, skull, of_style("curls"), seed=seed) for seed in (1, 1, 2))
    # sums of many floats end differently by where in memory they lie: the last bit is nobody's promise
    assert np.allclose(first.points, again.points, rtol=0, atol=1e-9) and np.array_equal(first.tint, again.tint)
    assert not np.array_equal(first.points[:50], other.points[:50])


def covered(strands: hair.Strands) -> float:
    """Area in cm2 that the strands cover as seen from the front."""
    scale, picture = 16, np.zeros((960, 960), np.uint8)
    pixels = ((strands.points[..., :2] * [1, -1] + [30, 25]) * scale).astype(np.int32)
    for size in np.unique(width := np.maximum(np.round(strands.width * scale), 1).astype(int)):
        cv2.polylines(picture, list(pixels[width == size]), False, 255, int(size))
    return (picture > 0).sum() / scale**2


@pytest.mark.parametrize("style", ["sidepart", "curls", "bob"])
def test_coarse_hair_covers_as_much_with_a_fraction_of_the_strands(kit, skull, style):
    fine, coarse = (grown(kit, skull, of_style(style), pixel) for pixel in (0.06, COARSE_CM))
    assert len(coarse.points) < 0.5 * len(fine.points)
    assert covered(coarse) == pytest.approx(covered(fine), rel=0.06)


def test_strands_are_never_thinner_than_most_of_a_pixel(kit, skull):
    style, share = hair.fineness(hair.STYLES["long"], COARSE_CM)
    assert style.width == pytest.approx(hair.STRAND_PX * COARSE_CM) and share < 0.3
    assert hair.fineness(hair.STYLES["long"], 0.0) == (hair.STYLES["long"], 1.0)


def test_the_share_of_grey_hairs_is_the_share_asked_for(kit, skull):
    grey = grown(kit, skull, of_style("short", streaks=0.3)).tint >= 1
    assert grey.mean() == pytest.approx(0.3, abs=0.01)
    assert not (grown(kit, skull, of_style("short")).tint >= 1).any()


def test_the_bald_have_no_hair(kit, skull):
    assert grown(kit, skull, of_style("bald")) is None


@pytest.mark.parametrize("style", ["long", "wavy", "locs"])
def test_long_hair_passes_over_the_ears(kit, skull, style):
    """Where an ear sticks out, strands that pass there lie farther out than the ear's middle."""
    points = grown(kit, skull, of_style(style)).points
    beside = (np.abs(points[..., 1] - 1.6) < 1.5) & (np.abs(points[..., 2] + 0.1) < 1.0)
    assert np.median(np.abs(points[..., 0])[beside]) > 8.4


@pytest.mark.parametrize("kind", ["full", "goatee", "moustache"])
def test_a_beard_leaves_lips_and_cheekbones_free(kit, kind):
    beard = facial_hair.grow_beard(
        kit, kit.neutral, kit.normals(kit.neutral), Beard(kind=kind), np.random.default_rng(0)
    )
    roots = beard.on(kit.neutral).points[:, 0]
    lips = (np.hypot(roots[:, 0] / 2.0, (roots[:, 1] + 3.0) / 0.8) < 1) & (roots[:, 2] > 7)
    assert len(roots) > 1000 and not lips.any() and roots[:, 1].max() < 3.5


def test_the_shade_of_brows_lies_where_the_brows_are(kit):
    normals, side = kit.normals(kit.neutral), 256
    shades = []
    for density in (0.6, 1.0):
        brows = Brows(color=HAIR_COLORS["brown"], density=density)
        rooted = facial_hair.grow_brows(kit, kit.neutral, normals, brows, np.random.default_rng(0))
        shades.append(facial_hair.brow_shadow(kit, kit.neutral, rooted, side))
    corner = {int(v): uv for v, uv in zip(kit.split_vertex, kit.split_uv, strict=True) if uv[0] < 1}
    skin = np.array(list(corner))
    drop = np.array([0.0, facial_hair.BROW_DROP_CM, 0.0])
    for landmark, dark in ((19, True), (24, True), (30, False), (8, False)):
        meant = kit.neutral[kit.landmarks[landmark]] - drop * dark  # hair grows below the landmarks of brows
        vertex = skin[np.linalg.norm(kit.neutral[skin] - meant, axis=1).argmin()]
        column, row = (corner[int(vertex)] * side).astype(int)
        assert (shades[1][row - 2 : row + 3, column - 2 : column + 3].max() > 90) == dark
    assert 0.005 < (shades[1] > 90).mean() < 0.06


def test_a_thinner_head_of_hair_has_fewer_strands(kit, skull):
    full = of_style("short")
    count = [len(grown(kit, skull, replace(full, density=density)).points) for density in (1.0, 0.5)]
    assert count[1] == pytest.approx(0.5 * count[0], rel=0.02)


def test_a_beard_shades_the_chin_beneath_it_and_nothing_else(kit):
    beard = facial_hair.grow_beard(
        kit, kit.neutral, kit.normals(kit.neutral), Beard(kind="goatee"), np.random.default_rng(0)
    )
    side = 256
    shade = facial_hair.beard_shadow(kit, kit.neutral, beard, side)
    corner = {int(v): uv for v, uv in zip(kit.split_vertex, kit.split_uv, strict=True) if uv[0] < 1}
    skin = np.array(list(corner))
    for place, dark in (((0, -7.2, 10), True), ((0, 7, 10), False), ((5, 0, 7), False)):
        vertex = skin[np.linalg.norm(kit.neutral[skin] - place, axis=1).argmin()]
        column, row = (corner[int(vertex)] * side).astype(int)
        assert (shade[row - 1 : row + 2, column - 1 : column + 2].max() > 90) == dark
