"""What people wear sits where it belongs: glasses before the eyes, hats on the crown, cloth outside the body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("moderngl", reason="the training world needs moderngl: pip install 'vasa_core[world]'")
spatial = pytest.importorskip("scipy.spatial", reason="the training world needs scipy: pip install 'vasa_core[world]'")

from vasa_core.world import clothes, hair, materials, people, worn  # noqa: E402
from vasa_core.world.detail import detail_for  # noqa: E402
from vasa_core.world.facekit import FaceKit, data_folder  # noqa: E402
from vasa_core.world.people import Camera, Earrings, Glasses, Hat, Look, Scarf, random_person  # noqa: E402

PACK = data_folder() / "facekit" / "ict_face.npz"
needs_data = pytest.mark.skipif(not PACK.exists(), reason=f"VASA_DATA: no head model at {PACK}")
BLACK = (0.01, 0.01, 0.01)


@pytest.fixture(scope="module")
def kit():
    return FaceKit()


@pytest.fixture(scope="module")
def average(kit):
    return worn.Head(kit, kit.neutral)


@pytest.fixture(scope="module")
def tailor(kit):
    somebody = people.Clothes(neckline="crew", color=BLACK)
    return clothes.tailor_for(kit, kit.neutral, somebody, np.random.default_rng(0), pixel=0.15)


# ---- glasses ---------------------------------------------------------------------------------------------------------
@needs_data
@pytest.mark.parametrize("frame", worn.FRAMES)
def test_glasses_rest_evenly_before_the_eyes_and_behind_nothing(kit, average, frame):
    rims, lenses = worn.spectacles(average, Glasses(frame=frame, color=BLACK))
    points = rims.mesh.points
    gap = spatial.cKDTree(points).query(points * [-1, 1, 1])[0]
    assert gap.max() < 0.05  # what is on the left is on the right
    for side, eye in average.apex.items():
        lens = lenses.mesh.points[lenses.mesh.points[:, 0] * (1 if side == "L" else -1) > 0]
        assert np.abs(lens[:, :2].mean(0) - eye[:2]).max() < 0.9 and lens[:, 2].min() > kit.eyeballs[side].center[2]
        before = lens[np.linalg.norm(lens[:, :2] - eye[:2], axis=1) < 1]
        assert before[:, 2].min() > eye[2] + 0.5
    front = points[(points[:, 2] > 8) & (np.abs(points[:, 0]) < 5)]
    assert (front[:, 2] > average.depth(front[:, 0], front[:, 1]) - 0.08).all()


@needs_data
def test_the_arms_of_glasses_run_outside_the_head_to_the_ears(average):
    points = worn.spectacles(average, Glasses(frame="square", color=BLACK))[0].mesh.points
    arm = points[(points[:, 0] > 0) & (points[:, 2] < 6)]
    assert (arm[:, 0] > average.breadth(arm[:, 1], arm[:, 2]) - 0.05).all()
    assert np.linalg.norm(arm - average.ear_top, axis=1).min() < 1.2


@needs_data
def test_what_is_worn_knows_its_place_on_the_average_head(kit, average):
    person = replace(
        random_person(4), glasses=Glasses(frame="round", color=BLACK), hat=Hat(kind="cap", color=BLACK), earrings=None
    )
    own = worn.put_on(kit, person, kit.identity(person.identity), average)
    reference = worn.put_on(kit, person, kit.neutral, average)
    for mine, mean in zip(own, reference, strict=True):
        assert np.array_equal(mine.mesh.canonical, mean.mesh.points)
        assert np.allclose(mean.mesh.canonical, mean.mesh.points)
    assert np.abs(own[0].mesh.points - own[0].mesh.canonical).max() > 0.05


@needs_data
@pytest.mark.parametrize("kind", ["stud", "hoop", "drop"])
def test_earrings_hang_from_both_lobes(average, kind):
    points = worn.joined(
        [piece.mesh for piece in worn.earrings(average, Earrings(kind=kind, size=2.0, color=BLACK))]
    ).points
    for sign in (-1, 1):
        side = points[points[:, 0] * sign > 0]
        assert np.linalg.norm(side - average.lobe * [sign, 1, 1], axis=1).min() < 1.0
        assert side[:, 1].max() < average.lobe[1] + 1.2


# ---- hats ------------------------------------------------------------------------------------------------------------
@needs_data
@pytest.mark.parametrize("kind", worn.HATS)
def test_a_hat_covers_the_crown_and_leaves_the_eyes(kit, average, kind):
    points = worn.joined([p.mesh for p in worn.HATS[kind](average, Hat(kind=kind, color=BLACK, seed=3))]).points
    crown = kit.neutral[(kit.part <= 1) & (kit.neutral[:, 1] > 11)]
    upper = points[points[:, 1] > 9]
    near = spatial.cKDTree(upper[:, [0, 2]]).query(crown[:, [0, 2]])[1]
    assert points[:, 1].max() > crown[:, 1].max() + 0.3
    away = upper[near] - hair.SKULL_CENTER
    assert (np.linalg.norm(away, axis=1) > average.skull.radius(hair.unit(away)) - 0.05).mean() > 0.97
    eye = average.apex["L"]
    hidden = (np.hypot(np.abs(points[:, 0]) - eye[0], points[:, 1] - eye[1]) < 1.5) & (points[:, 2] > eye[2])
    assert not hidden.any()


@needs_data
@pytest.mark.parametrize("kind", ["beanie", "cap", "brimmed"])
def test_hair_under_a_hat_stays_under_it(kit, average, kind):
    wanted = people.Hair(style="afro", color=BLACK, length=5.0)
    arguments = kit, kit.neutral, kit.normals(kit.neutral), wanted, np.random.default_rng(0)
    loose = hair.grow(*arguments, lambda x, z: np.full_like(x, -40.0), 0.15, average.skull)
    held = worn.Cover(kind, average.skull).pressed(loose)
    away = held.points - hair.SKULL_CENTER
    rim = worn.rim_height(kind, np.arctan2(away[..., 0], away[..., 2]))
    above = held.points[..., 1] > rim + 0.5
    room = np.linalg.norm(away, axis=-1) - average.skull.radius(hair.unit(away))
    assert 0 < len(held.points) < len(loose.points) and room[above].max() < worn.HAT_LIFT[kind]


@needs_data
@pytest.mark.parametrize("kind", worn.HIDING)
def test_a_wrapped_head_shows_no_hair(average, kind):
    few = hair.Strands(np.ones((3, 4, 3)), np.ones((3, 4, 3)), np.ones(3), np.ones(3), np.ones(3))
    assert worn.Cover(kind, average.skull).pressed(few) is None


# ---- clothes ---------------------------------------------------------------------------------------------------------
@needs_data
@pytest.mark.parametrize("kind", clothes.GARMENTS)
def test_every_garment_lies_on_the_body_below_the_face(kit, tailor, kind):
    trunk = tailor.trunk
    tree, flat = spatial.cKDTree(trunk.points.reshape(-1, 3)), trunk.points.reshape(-1, 3)
    for neckline in sorted(set(people.GARMENT_NECKLINES[kind])):
        garment = people.Clothes(kind=kind, neckline=neckline, color=BLACK)
        pieces = clothes.sew(tailor, garment)
        assert {piece.part for piece in pieces} == {"cloth"}
        mesh = worn.joined([piece.mesh for piece in pieces])
        assert np.isfinite(mesh.points).all() and np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-3)
        body = pieces[0].mesh.points
        near = tree.query(body)[1]
        outside = ((body - flat[near]) * trunk.normals.reshape(-1, 3)[near]).sum(1)
        assert (outside > -0.1).mean() > 0.995
        before = mesh.points[mesh.points[:, 2] > 4]
        assert before[:, 1].max() < -7.5  # the chin is at -7.6


@needs_data
def test_necklines_stand_as_high_as_their_names_say(tailor):
    front = {name: tailor.along(edge, 0.0)[0][0, 1] for name, edge in clothes.EDGES.items()}
    assert front["turtle"] > front["crew"] > front["vneck"] > front["jacket"]
    assert front["crew"] > front["scoop"] > -21


@needs_data
def test_a_scarf_goes_all_around_the_neck(tailor):
    points = worn.scarf_pieces(tailor, Scarf(color=BLACK, hanging=False))[0].mesh.points
    azimuth = np.degrees(np.arctan2(points[:, 0], points[:, 2] - clothes.AXIS_Z))
    assert np.diff(np.sort(azimuth)).max() < 6 and points[:, 1].max() < -6
    inner = np.hypot(points[:, 0], points[:, 2] - clothes.AXIS_Z).min()
    assert 4.0 < inner < 8.0


@needs_data
def test_the_same_seed_cuts_the_same_folds(kit):
    somebody = people.Clothes(neckline="crew", color=BLACK)
    cut = [
        clothes.sew(clothes.tailor_for(kit, kit.neutral, somebody, np.random.default_rng(seed), 0.15), somebody)[0]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(cut[0].mesh.points, cut[1].mesh.points)
    assert not np.array_equal(cut[0].mesh.points, cut[2].mesh.points)


# ---- who wears what --------------------------------------------------------------------------------------------------
def test_glasses_earrings_hats_and_scarves_are_as_common_as_they_should_be():
    rng, count = np.random.default_rng(0), 4000
    drawn = [(people.random_worn(rng, feminine, age), feminine) for feminine, age in rng.random((count, 2))]
    rate = lambda name: np.mean([wear[name] is not None for wear, _ in drawn])  # noqa: E731
    assert rate("glasses") == pytest.approx(0.21, abs=0.025)
    assert rate("hat") == pytest.approx(0.11, abs=0.02) and rate("scarf") == pytest.approx(0.07, abs=0.02)
    women = np.mean([wear["earrings"] is not None for wear, feminine in drawn if feminine > 0.5])
    assert women == pytest.approx(0.35, abs=0.04)
    dark = np.mean([wear["glasses"].tint > 0 for wear, _ in drawn if wear["glasses"]])
    assert 0.03 < dark < 0.12


def test_everybody_is_drawn_from_what_can_be_made():
    crowd = [random_person(seed) for seed in range(400)]
    for person in crowd:
        assert person.hair.style in {*hair.STYLES, hair.BALD} and person.clothes.kind in clothes.GARMENTS
        assert person.clothes.neckline in clothes.EDGES and person.clothes.fabric in materials.WEAVES
        assert person.clothes.pattern in materials.PATTERNS
        assert person.glasses is None or person.glasses.frame in worn.FRAMES
        assert person.hat is None or (person.hat.kind in worn.HATS and person.hat.fabric in materials.WEAVES)
    assert {person.hair.style for person in crowd} >= set(hair.STYLES)
    assert {person.clothes.kind for person in crowd} == set(clothes.GARMENTS)
    assert random_person(7).clothes == random_person(7).clothes and random_person(7).glasses == random_person(7).glasses


# ---- ground truth ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def renderer(kit):
    from vasa_core.world.renderer import Renderer

    try:
        return Renderer(128, kit, texture=64, detail=detail_for(128))
    except Exception as reason:  # moderngl raises a bare Exception where there is no EGL
        pytest.skip(f"no OpenGL here: {reason}")


@needs_data
def test_ground_truth_tells_worn_things_apart_and_sees_through_clear_lenses(renderer, average):
    from vasa_core.world.renderer import PART_NUMBER

    person = replace(
        random_person(4),
        hair=people.Hair(style="bald", color=BLACK),
        beard=None,
        glasses=Glasses(frame="square", color=BLACK, rim=0.4),
        earrings=Earrings(kind="hoop", size=4.0, color=BLACK),
        hat=Hat(kind="cap", color=BLACK),
        scarf=Scarf(color=BLACK),
    )
    figure = renderer.dress(person)
    truth = renderer.truth(figure, Look(), Camera())
    for name in ("glasses", "jewellery", "hat", "scarf", "cloth"):
        assert (truth.part == PART_NUMBER[name]).sum() > 3, name
    shown = truth.canonical[truth.part == PART_NUMBER["glasses"]]
    places = worn.spectacles(average, person.glasses)[0].mesh.points
    assert np.median(spatial.cKDTree(places).query(shown)[0]) < 0.2
    turned = renderer.truth(figure, Look(yaw=15), Camera())
    center = [np.argwhere(t.part == PART_NUMBER["glasses"])[:, 1].mean() for t in (truth, turned)]
    assert center[1] > center[0] + 3  # they turn with the head
    x, y = truth.irises[0].astype(int)
    assert truth.part[y, x] == PART_NUMBER["eye_L"]
    figure.release()
    figure = renderer.dress(replace(person, glasses=replace(person.glasses, tint=0.9)))
    assert renderer.truth(figure, Look(), Camera()).part[y, x] == PART_NUMBER["glasses"]
    figure.release()


@needs_data
@pytest.mark.parametrize("jaw", [0.3, 0.75])
def test_a_headscarf_goes_along_with_the_jaw_and_is_never_seen_in_the_mouth(renderer, jaw):
    from vasa_core.world.renderer import PART_NUMBER

    scarf = Hat(kind="headscarf", color=BLACK)
    person = replace(random_person(4), beard=None, glasses=None, scarf=None, hat=scarf)
    figure = renderer.dress(person)
    truth = renderer.truth(figure, Look(expression={"jawOpen": jaw}), Camera(view=16, y=-4.0))
    upper, lower = truth.landmarks[13], truth.landmarks[14]
    row, column = np.mgrid[int(upper[1]) : int(lower[1]), int(upper[0]) - 2 : int(upper[0]) + 3]
    assert lower[1] - upper[1] > 8 and (truth.part == PART_NUMBER["hat"]).sum() > 500
    assert not (truth.part[row, column] == PART_NUMBER["hat"]).any()
    figure.release()
