"""Ground truth: poses, gazes and closures that were asked for, and two roads to every place. On the shipped head."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("moderngl", reason="the training world needs moderngl: pip install 'vasa_core[world]'")
pytest.importorskip("scipy.spatial", reason="the training world needs scipy: pip install 'vasa_core[world]'")

from vasa_core.mouth import FORWARD_CM, HIDE_CM, SHOW_CM
from vasa_core.surface import LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP
from vasa_core.world import check, frames, shards
from vasa_core.world.detail import coarse_triangles, detail_for, sparser
from vasa_core.world.facekit import FACE, GUMS, NECK_PIVOT, TEETH, head_rotation
from vasa_core.world.facial_hair import BROW_DROP_CM, BROWS, Rooted, brow_line
from vasa_core.world.head import load_head, shipped_head
from vasa_core.world.looks import Contact, babble, contact, performed_looks, random_looks, settled
from vasa_core.world.people import Camera, Look, random_person
from vasa_core.world.performer import EXPRESSION_NAMES
from vasa_core.world.renderer import PART_NUMBER, seated
from vasa_core.world.truth import ALL_LANDMARKS, bind_landmarks, canonical_landmarks, closest_shares

SIZE = 128
LOOK = Look(expression={"jawOpen": 0.2, "mouthSmile": 0.3}, yaw=18.0, pitch=-7.0, roll=5.0, gaze=(12.0, -6.0))


@pytest.fixture(scope="module")
def kit():
    return shipped_head()


@pytest.fixture(scope="module")
def binding(kit):
    return bind_landmarks(kit, canonical_landmarks())


@pytest.fixture(scope="module")
def renderer(kit):
    from vasa_core.world.renderer import Renderer

    try:
        return Renderer(SIZE, kit, texture=64, detail=detail_for(SIZE))
    except Exception as reason:  # moderngl raises a bare Exception where there is no EGL
        pytest.skip(f"no OpenGL here: {reason}")


@pytest.fixture(scope="module")
def plain(renderer):
    """The average head, bald and bare."""
    person = random_person(5)
    bare = {name: None for name in ("beard", "glasses", "earrings", "hat", "scarf") if hasattr(person, name)}
    hair = replace(person.hair, style="bald")
    return renderer.dress(replace(person, identity=np.zeros(100, np.float32), hair=hair, **bare))


@pytest.fixture(scope="module")
def truth(renderer, plain):
    return renderer.truth(plain, LOOK, Camera(x=0.7, y=-2.0, distance=90.0, view=34.0))


# ---- the head --------------------------------------------------------------------------------------------------------
def test_the_shipped_head_has_what_facekit_has(kit):
    assert tuple(kit.expression_names) == EXPRESSION_NAMES and len(kit.identity_modes) == 100
    assert np.array_equal(kit.shape(np.zeros(100), {}), kit.neutral)
    assert set(kit.part) == {0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16} and len(kit.landmarks) == 68
    assert all(abs(eye.apex - 1.767) < 0.02 for eye in kit.eyeballs.values())
    left, right = kit.eyeballs["L"], kit.eyeballs["R"]
    assert left.center[0] > 0 > right.center[0] and min(left.axis[2], right.axis[2]) > 0.98


def test_its_skin_faces_outwards(kit):
    normals = kit.normals(kit.neutral)
    nose, crown = kit.landmarks[30], kit.neutral[:, 1].argmax()
    assert normals[nose, 2] > 0.6 and normals[crown, 1] > 0.5


def test_a_head_is_loaded_by_name():
    assert len(load_head("shipped").neutral) < 12000


# ---- landmarks -------------------------------------------------------------------------------------------------------
def test_the_nearest_point_of_a_triangle():
    triangle = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
    places = np.array([[0.5, 0.5, 3.0], [-1.0, -1.0, 0.0], [2.0, 2.0, 0.0], [1.0, -5.0, 0.0]])
    expected = [[0.5, 0.25, 0.25], [1, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0]]  # inside, corner, slope, lower edge
    assert np.allclose(closest_shares(np.stack([triangle] * 4), places), expected, atol=1e-9)


def test_landmarks_lie_where_they_are_on_the_average_head(kit, binding):
    gap = np.linalg.norm(binding.on(kit.neutral) - canonical_landmarks(), axis=1)
    assert gap.max() < 0.01 and np.allclose(binding.shares.sum(1), 1, atol=1e-5)


def test_lips_and_lids_stay_on_their_own_side(kit, binding):
    opened = binding.on(kit.shape(np.zeros(100), {"jawOpen": 0.5})) - binding.on(kit.neutral)
    assert (opened[list(LOWER_LIP[2:7]), 1] < -1).all() and (opened[list(UPPER_LIP[2:7]), 1] > -0.4).all()
    shut = binding.on(kit.shape(np.zeros(100), {"eyeBlink": 1.0})) - binding.on(kit.neutral)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        assert (shut[list(upper[2:5]), 1] < -0.5).all() and (np.abs(shut[list(lower[2:5]), 1]) < 0.2).all()


@pytest.mark.parametrize("seed", range(4))
def test_lips_and_lids_meet_on_every_face(kit, binding, seed):
    rest = kit.identity(np.random.default_rng(seed).normal(0, 0.8, 100).astype(np.float32))
    touch = contact(kit, binding, rest)

    def gaps(named: dict[str, float]) -> tuple[float, float]:
        look = settled(Look(expression={f"{n}{s}": v for n, v in named.items() for s in sides(n)}), touch)
        marks = binding.on(kit.expression(rest, kit.expression_weights(look.expression)))
        lips = (marks[list(UPPER_LIP[2:7]), 1] - marks[list(LOWER_LIP[2:7]), 1]).mean()
        return lips, np.mean(
            [marks[list(u[2:5]), 1] - marks[list(v[2:5]), 1] for u, v in zip(UPPER_LIDS, LOWER_LIDS, strict=True)]
        )

    def sides(name: str) -> tuple[str, ...]:
        return ("_L", "_R") if name == "eyeBlink" else ("",)

    lips, lids = gaps({})
    assert abs(lips) < 0.06 and lids > 0.4
    lips, lids = gaps({"eyeBlink": 1.0, "jawOpen": 0.3})
    assert lips > 0.6 and abs(lids) < 0.02


# ---- frames ----------------------------------------------------------------------------------------------------------
def test_the_pose_is_the_one_asked_for(truth):
    rigid = truth.landmarks_head[:, 1] > -4  # above the neck all follows the head
    a, b = (p[rigid] - p[rigid].mean(0) for p in (truth.landmarks_head, truth.landmarks_cm))
    u, _, vt = np.linalg.svd(b.T @ a)
    assert np.allclose(u @ vt, head_rotation(18.0, -7.0, 5.0), atol=1e-3)
    assert np.allclose(truth.pose, (18, -7, 5)) and np.linalg.det(u @ vt) > 0


def test_the_gaze_is_the_one_asked_for(kit, truth):
    for iris, side in ((468, "R"), (473, "L")):
        toward = truth.landmarks_head[iris] - kit.eyeballs[side].center
        right, up = (
            np.degrees(np.arctan2(toward[0], toward[2])),
            np.degrees(np.arcsin(toward[1] / np.linalg.norm(toward))),
        )
        assert abs(right - 12) < 0.5 and abs(up - 6) < 0.5  # pitch is positive downwards


def test_irises_come_with_right_top_left_and_bottom(truth):
    for start in (468, 473):
        center, right, top, left, bottom = truth.landmarks[start : start + 5]
        assert right[0] > center[0] > left[0] and top[1] < center[1] < bottom[1]


def test_the_camera_matrix_projects_the_landmarks(truth):
    projected = np.c_[truth.landmarks_cm, np.ones(ALL_LANDMARKS)] @ truth.pixel_from_world.T
    assert np.allclose(projected[:, :2] / projected[:, 2:], truth.landmarks, atol=1e-3)


def unprojected(truth) -> tuple[np.ndarray, np.ndarray]:
    """World places [n, 3] of the skin pixels, by depth and camera; and the pixels' rows and columns."""
    row, column = np.nonzero(truth.part == 1)
    depth = truth.depth[row, column].astype(np.float64)
    rays = np.stack([(column + 0.5) * depth, (row + 0.5) * depth, depth], 1)
    camera = truth.pixel_from_world.astype(np.float64)
    return np.linalg.solve(camera[:, :3], (rays - camera[:, 3]).T).T, np.stack([row, column], 1)


def test_depth_and_pose_lead_where_the_canonical_map_says(renderer, plain):
    truth = renderer.truth(plain, Look(yaw=18.0, pitch=-7.0, roll=5.0), Camera())  # no expression: head is canonical
    world, pixels = unprojected(truth)
    head = (world - NECK_PIVOT) @ head_rotation(18.0, -7.0, 5.0).astype(np.float64) + NECK_PIVOT
    canonical = truth.canonical[pixels[:, 0], pixels[:, 1]]
    rigid = canonical[:, 1] > -4
    error = np.linalg.norm(head - canonical, axis=1)[rigid]
    assert rigid.sum() > 1500 and np.median(error) < 0.005 and np.percentile(error, 95) < 0.05


def test_normals_are_the_slope_of_depth(truth):
    world, pixels = unprojected(truth)
    place = np.full((SIZE, SIZE, 3), np.nan)
    place[pixels[:, 0], pixels[:, 1]] = world
    across, down = (np.roll(place, -1, axis) - np.roll(place, 1, axis) for axis in (1, 0))
    slope = np.cross(down, across)
    slope /= np.linalg.norm(slope, axis=2, keepdims=True)
    angle = np.degrees(np.arccos(np.clip((slope * truth.normals).sum(2), -1, 1)))
    assert np.nanmedian(angle) < 5 and (truth.normals[truth.part == 1, 2] > -0.05).mean() > 0.97


def test_visible_landmarks_lie_at_the_depth_of_their_pixel(truth):
    column, row = truth.landmarks.astype(int).T
    far = truth.pixel_from_world[2, 2] * truth.landmarks_cm[:, 2] + truth.pixel_from_world[2, 3]
    gap = np.abs(truth.depth[row, column] - far)[truth.visible]
    assert 0.6 < truth.visible.mean() <= 1 and np.median(gap) < 0.08
    assert truth.visible[1] and not truth.visible[127 if LOOK.yaw < 0 else 356]  # the nose; the ear turned away


def test_nobody_is_where_the_picture_is_empty(truth):
    empty = truth.part == 0
    assert empty.any() and not truth.depth[empty].any() and not truth.canonical[empty].any()


# ---- looks -----------------------------------------------------------------------------------------------------------
def test_looks_follow_their_seed_and_stay_within_their_limits():
    looks, again = (random_looks(24, np.random.default_rng(3)) for _ in range(2))
    assert looks == again and len(looks) == 24
    assert max(abs(look.yaw) for look in looks) <= 42 and max(abs(look.pitch) for look in looks) <= 24
    known = {*EXPRESSION_NAMES}
    assert all(set(look.expression) <= known for look in looks)
    assert max(look.expression.get("jawOpen", 0) for look in looks) > 0.15


def test_a_performed_look_turns_as_the_performance_does():
    looks = performed_looks(6, np.random.default_rng(0))
    assert len({(look.yaw, look.pitch) for look in looks}) == 6 and all(abs(look.yaw) < 40 for look in looks)


def test_babble_is_in_order_and_as_long_as_asked():
    phones, sound = babble(2.0, np.random.default_rng(0))
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in pairwise(phones)) and len(sound) == 32000


def test_settling_leaves_an_open_mouth_its_own_opening():
    look = settled(Look(expression={"jawOpen": 0.4}), Contact(0.03, {"L": 1.0, "R": 1.0}))
    assert look.expression == {"jawOpen": 0.4, "mouthClose": 0.03, "eyeBlink_L": 0.0, "eyeBlink_R": 0.0}


# ---- groups ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def group(renderer):
    return frames.shoot_group(renderer, frames.Recipe(seed=2, frames=2, size=SIZE, passes=1), 0)


def test_a_group_is_the_same_again_and_shares_person_light_and_camera(renderer, group):
    again = frames.shoot_group(renderer, frames.Recipe(seed=2, frames=2, size=SIZE, passes=1), 0)
    assert shards.group_files(again) == shards.group_files(group)
    assert np.array_equal(group.pixel_from_world[0], group.pixel_from_world[1])
    assert not np.array_equal(group.expression[0], group.expression[1])
    assert group.picture.shape == (2, SIZE, SIZE, 3) and (group.alpha[0] > 250).mean() > 0.1


def test_light_parameters_name_every_number(group):
    assert len(group.light) == len(frames.LIGHT_PARAMETERS) and len(group.camera) == len(frames.CAMERA_PARAMETERS)
    scene = group.drawn["scene"]["light"]
    assert np.allclose(group.light[0], scene["key"]["azimuth"]) and np.allclose(group.light[-3:], scene["below"])


def test_another_group_is_another_person(renderer):
    recipe = frames.Recipe()
    (first, scene), (second, other) = frames.who(recipe, 0), frames.who(recipe, 1)
    assert first.seed != second.seed and scene.seed != other.seed
    assert frames.number_of(0, 1, frames.PERSON) != frames.number_of(1, 0, frames.PERSON)


def test_who_sits_for_two_scenes_is_one_person_in_two_lights():
    recipe = frames.Recipe(scenes=2)
    (first, scene), (second, other), (third, _) = (frames.who(recipe, group) for group in range(3))
    assert first.seed == second.seed != third.seed and np.array_equal(first.identity, second.identity)
    assert scene.seed != other.seed
    assert frames.RenderWork(folder=Path(), recipe=recipe, people=5, per_shard=4, head="clay").count() == 3


def test_one_frame_seen_through_another_is_the_same_skin(renderer):
    (pair,) = check.turned_pairs(renderer, 3, 1, passes=3)
    found = check.reprojection(pair, 0, 1)
    assert found.pixels > 400 and found.place_px < 0.15 and found.there_and_back_px < 0.15


# ---- detail ----------------------------------------------------------------------------------------------------------
def test_fewer_strands_cover_as_much(kit):
    count = 4000
    rng = np.random.default_rng(0)
    rooted = Rooted(
        corners=np.zeros((count, 6, 3), int),
        weights=np.ones((count, 6, 3)) / 3,
        offsets=np.zeros((count, 6, 3)),
        normals=np.zeros((count, 6, 3)),
        tint=rng.random(count),
        width=rng.uniform(0.015, 0.025, count),
    )
    thin = sparser(rooted, 0.08, 3, rng)
    assert thin.offsets.shape[1] == 4 and abs(thin.width.sum() / rooted.width.sum() - 1) < 0.03


def test_coarse_triangles_keep_the_outline(kit):
    skin = kit.faces[kit.face_part == FACE]
    coarse = coarse_triangles(kit.neutral, skin, 1.0)
    assert len(coarse) < 0.6 * len(skin) and set(np.unique(coarse)) <= set(np.unique(skin))
    assert np.allclose(
        np.ptp(kit.neutral[coarse].reshape(-1, 3), 0), np.ptp(kit.neutral[skin].reshape(-1, 3), 0), atol=1.0
    )
    assert coarse_triangles(kit.neutral, skin, 0) is skin


# ---- what shows of a mouth -------------------------------------------------------------------------------------------
def test_teeth_of_the_average_head_stand_where_run_time_seats_them(kit):
    moved = seated(kit, kit.neutral) - kit.neutral
    front, upper = (kit.part == TEETH) & (kit.neutral[:, 2] > 9.0), kit.neutral[:, 1] > -3.2
    assert np.allclose(moved[front & upper], (0, -SHOW_CM, FORWARD_CM), atol=1e-4)
    assert np.allclose(moved[front & (kit.neutral[:, 1] < -3.8)], (0, -HIDE_CM, FORWARD_CM), atol=1e-4)
    assert not moved[(kit.part != TEETH) & (kit.part != GUMS)].any()


@pytest.mark.parametrize("jaw, yaw, shows", [(0.5, 0.0, True), (0.5, 35.0, True), (0.0, 0.0, False)])
def test_teeth_show_between_open_lips_and_nowhere_else(renderer, plain, jaw, yaw, shows):
    rolled = {"jawOpen": jaw, "mouthRollUpper": 0.8, "mouthRollLower": 0.8} if not jaw else {"jawOpen": jaw}
    truth = renderer.truth(plain, Look(expression=rolled, yaw=yaw), Camera(view=14, y=-3.5, lens=0))
    outline = np.zeros((SIZE, SIZE), np.uint8)
    lips = truth.landmarks[[*UPPER_LIP, *reversed(LOWER_LIP)]]
    cv2.fillPoly(outline, [lips.round().astype(np.int32)], 1)
    teeth = truth.part == PART_NUMBER["teeth"]
    assert not (teeth & ~cv2.dilate(outline, np.ones((5, 5), np.uint8)).astype(bool)).any()
    assert bool(teeth.sum() > 4) == shows  # turned away and so small, few pixels are left


def test_brows_grow_below_the_landmarks_on_the_skin(kit):
    low, high = (brow_line(kit, replace(random_person(5).brows, arch=0.0, height=h), BROWS[1])[1] for h in (0.0, 0.3))
    at = kit.neutral[kit.landmarks[list(BROWS[1])]]
    assert np.allclose(np.interp(at[:, 0], low[:, 0], low[:, 1]), at[:, 1] - BROW_DROP_CM, atol=0.02)
    assert np.allclose(high[:, 1] - low[:, 1], 0.3, atol=1e-6)
    skin = kit.neutral[kit.part == FACE]
    assert np.linalg.norm(low[:, None] - skin[None], axis=2).min(1).max() < 0.6
