"""The judge of faces: each measure against an answer known beforehand; the whole on the held-out people themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vasa_core import assets
from vasa_core.errors import BadOption, DamagedData, MissingWeights
from vasa_core.evaluate import contact_sheets, crowd, expressions, face, held_out, pixels
from vasa_core.evaluate.disentanglement import dci, entropy
from vasa_core.evaluate.face_measures import angle_between_deg, angle_deg, opening
from vasa_core.evaluate.identity import identity_change
from vasa_core.evaluate.subjects import ASKS
from vasa_core.geometry import NECK_PIVOT_CM, rotation
from vasa_core.portrait import prepare
from vasa_core.surface import LANDMARKS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP, load_surface

SIDE = pixels.CROP_PX


@pytest.fixture(scope="module")
def surface():
    return load_surface(assets.weights("surface.safetensors"))


@pytest.fixture(scope="module")
def sitter():
    return held_out.load_sitters()[0]


# ---- pictures --------------------------------------------------------------------------------------------------------


def test_an_error_of_one_step_everywhere_is_48_db():
    picture = np.full((8, 8, 3), 100, np.uint8)
    assert pixels.psnr_db(pixels.squared_error(picture, picture + 1)) == pytest.approx(20 * math.log10(255))


def test_an_error_counts_only_where_the_mask_is():
    picture, where = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)
    other = picture.copy()
    other[0, 0], where[0, 0] = 10, True
    assert pixels.squared_error(picture, other, where) == 100
    assert pixels.squared_error(picture, other, ~where) == 0
    assert math.isnan(pixels.squared_error(picture, other, where & ~where))


def test_warping_alone_fetches_pixels_and_leaves_what_comes_from_nowhere():
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    x, y = np.meshgrid(np.arange(16, dtype=np.float32), np.arange(16, dtype=np.float32))
    backward = np.stack([x + 3, y], -1)
    backward[8:] = -1e6
    moved = pixels.moved_alone(picture, backward)
    assert np.array_equal(moved[:8, :13], picture[:8, 3:]) and np.array_equal(moved[8:], picture[8:])


def test_blur_takes_sharpness_away_and_a_copy_keeps_it():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    where = np.ones((64, 64), bool)
    soft = (noise // 2 + np.roll(noise, 1, 1) // 2).astype(np.uint8)
    assert pixels.sharpness(soft, where) < 0.6 * pixels.sharpness(noise, where)


def test_masks_that_share_a_third_overlap_by_a_third():
    one, other = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    one[:, :4], other[:, 2:] = True, True
    assert pixels.overlap(one, other) == pytest.approx(1 / 3)


def plane(shift_cm=0.0, shift_px=0.0, part=1, step_px=4, step_cm=0.3):
    """A flat patch of one part: 40 x 40 points whose canonical place grows with the pixel."""
    at = np.arange(40)
    x, y = np.meshgrid(at, at)
    places = np.stack([x, y], -1) * step_px + 100.0 + shift_px
    canonical = np.stack([x * step_cm + shift_cm, y * step_cm, np.zeros_like(x)], -1)
    return pixels.Grid(
        places=places.astype(np.float32),
        part=np.full((40, 40), part, np.uint8),
        canonical=canonical.astype(np.float32),
    )


def test_skin_that_moved_is_found_where_it_was():
    moved = pixels.same_skin(plane(shift_px=7.0), plane(), skin=1)
    assert len(moved.target) == 38 * 38
    # the outermost points are found from one side alone
    assert np.abs(moved.target - moved.source - 7).max() < 0.05


def test_skin_that_slid_by_half_a_centimetre_is_found_two_steps_further():
    slid = pixels.same_skin(plane(shift_cm=0.6), plane(), skin=1)
    inside = slid.target[:, 0] < 100 + 4 * 36
    assert slid.source[inside] - slid.target[inside] == pytest.approx(np.array([[8.0, 0.0]] * inside.sum()), abs=0.05)


def test_places_on_a_plane_are_told_exactly():
    assert pixels.place_floor_px(plane(), skin=1) < 0.05
    assert math.isnan(pixels.place_floor_px(plane(part=0), skin=1))


def test_nothing_is_hidden_from_a_frame_that_shows_the_same():
    assert not pixels.hidden(plane(), plane()).any()


def test_what_only_the_target_shows_is_hidden_and_what_the_person_left_is_uncovered():
    source, target = plane(), plane(shift_cm=3.0)  # the last ten columns lie beyond what the source shows
    assert pixels.hidden(target, source)[:, 31:].all()
    assert not pixels.hidden(target, source)[:, :28].any()
    assert pixels.hidden(plane(part=0), source).all()  # background where the person stood
    assert not pixels.hidden(plane(part=0), plane(part=0)).any()


def test_another_part_in_the_same_place_is_not_the_same():
    assert pixels.hidden(plane(part=10), plane(part=1)).all()


def test_flags_of_points_are_spread_to_the_pixels_between_them():
    flags = np.zeros((40, 40), bool)
    flags[10:20] = True
    mask = pixels.spread(flags, plane())
    rows = np.where(mask.any(1))[0]
    assert rows[0] == pytest.approx(100 + 4 * 10, abs=2)
    assert rows[-1] == pytest.approx(100 + 4 * 19, abs=2)


# ---- expressions -----------------------------------------------------------------------------------------------------


def test_each_number_answers_to_its_own_expression(surface):
    rest = surface.neutral[:LANDMARKS]
    straight = np.zeros(2, np.float32)

    def change(weights):
        moved = rest + surface.displacement(surface.dynamics_from_weights(weights))[:LANDMARKS]
        return dict(
            zip(expressions.NAMES, expressions.read(moved, straight) - expressions.read(rest, straight), strict=True)
        )

    assert change({"jawOpen": 1})["jaw drop"] > 1
    assert change({"jawOpen": 1})["lip opening"] > 1
    assert change({"mouthSmile": 1})["mouth width"] > 0.3
    assert change({"mouthSmile": 1})["corner lift"] > 0.3
    assert change({"mouthPucker": 1})["mouth width"] < -0.3
    assert change({"mouthFunnel": 1})["lip height"] > 0.3
    assert change({"eyeBlink_L": 1})["left lids"] < -0.5 < change({"eyeBlink_L": 1})["right lids"]
    assert change({"browInnerUp": 1})["inner brows"] > 0.3
    assert abs(change({"eyeBlink": 1})["jaw drop"]) < 0.02


def test_correlation_leaves_out_eyes_that_do_not_show():
    asked = np.random.default_rng(1).normal(size=(20, len(expressions.NAMES))).astype(np.float32)
    shown = 3 * asked + 1
    shown[::2] = np.array([expressions.without_gaze(row) for row in shown[::2]])
    assert expressions.correlations(asked, shown) == pytest.approx(dict.fromkeys(expressions.GROUPS, 1.0), abs=1e-5)
    assert expressions.pearson(np.arange(4.0), np.full(4, np.nan)) == 0


def test_half_of_the_numbers_wrong_is_half_of_a_groups_correlation():
    rng = np.random.default_rng(2)
    asked = rng.normal(size=(4000, len(expressions.NAMES))).astype(np.float32)
    shown = asked.copy()
    shown[:, expressions.NAMES.index("gaze pitch")] = rng.normal(size=4000)
    assert expressions.correlations(asked, shown)["gaze"] == pytest.approx(0.5, abs=0.03)


# ---- geometry of openings and turns ----------------------------------------------------------------------------------


def face_with(lips_px, lids_px, tilt=0.0):
    points = np.zeros((478, 2), np.float32)
    points[33], points[263] = (-50, 0), (50, 0)
    points[list(LOWER_LIP), 1] = lips_px
    for lower in LOWER_LIDS:
        points[list(lower), 1] = lids_px
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return (points @ turn.T).astype(np.float32)


@pytest.mark.parametrize("tilt", [0.0, 0.5, -0.4])
def test_openings_are_square_to_the_eyes_however_the_head_is_tilted(tilt):
    tilted = face_with(12, 5, tilt)
    assert opening(tilted, (UPPER_LIP,), (LOWER_LIP,)) == pytest.approx(12, abs=1e-3)
    assert opening(tilted, UPPER_LIDS, LOWER_LIDS) == pytest.approx(5, abs=1e-3)


def test_angles_between_turns():
    right, left = np.radians([0, 25, 0]).astype(np.float32), np.radians([0, -5, 0]).astype(np.float32)
    assert angle_deg(right) == pytest.approx(25, abs=1e-3)
    assert angle_between_deg(right, left) == pytest.approx(30, abs=1e-3)


def test_an_ask_turns_or_acts_or_both(surface):
    assert sum(ask.turns and not ask.acts for ask in ASKS) >= 4
    assert sum(ask.acts and not ask.turns for ask in ASKS) >= 4
    pose, dynamics = next(ask for ask in ASKS if ask.name == "right").motion(surface)
    assert np.degrees(pose[1]) == pytest.approx(25, abs=1e-3)
    assert not dynamics.any()


# ---- disentanglement -------------------------------------------------------------------------------------------------


def samples(mix=0.0, people=60, each=5):
    """Two factors of three numbers, each told by a code of its own; `mix` of the first leaks into the second's code."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, people * each, 3))
    noise = 0.02 * rng.normal(size=(2, people * each, 6))
    codes = {
        "one": np.c_[a, a @ rng.normal(size=(3, 3))] + noise[0],
        "two": np.c_[b, b @ rng.normal(size=(3, 3)) + mix * a] + noise[1],
    }
    return codes, {"a": a, "b": b}, np.repeat(np.arange(people), each)


def test_codes_that_keep_apart_are_disentangled():
    told = dci(*samples(), np.random.default_rng(0))
    assert told.total > 0.98
    assert (told.informativeness > 0.95).all()
    assert told.importance[0, 0] > 100 * told.importance[0, 1]


def test_a_code_that_holds_both_factors_is_not():
    codes, factors, person = samples()
    both = {"both": np.concatenate(list(codes.values()), 1), "nothing": np.zeros((len(person), 2))}
    told = dci(both, factors, person, np.random.default_rng(0))
    assert told.total < 0.02
    assert (told.completeness > 0.98).all()


def test_a_factor_that_no_code_tells_is_not_informed_of():
    codes, factors, person = samples()
    factors["unseen"] = np.random.default_rng(5).normal(size=(len(person), 2))
    told = dci(codes, factors, person, np.random.default_rng(0))
    assert told.informativeness[2] < 0.1


def test_entropy_of_shares():
    assert entropy(np.array([[1.0, 0, 0], [1, 1, 1], [0, 0, 0]])) == pytest.approx([0, 1, 1])


def test_light_from_the_left_is_brighter_on_the_left():
    parameters = np.zeros(24, np.float32)
    parameters[:6] = (-60, 0, 10, 1, 1, 1)  # azimuth, elevation, size, colour
    parameters[18:] = 0.1
    assert crowd.irradiance(parameters, crowd.SIDEWAYS * (-1, 1, 1)) > 3 * crowd.irradiance(parameters, crowd.SIDEWAYS)


def test_size_is_no_part_of_who_somebody_is():
    shape = np.random.default_rng(0).normal(size=(2, 30, 3))
    assert crowd.unsized(3 * shape + 5) == pytest.approx(crowd.unsized(shape), abs=1e-9)


# ---- the held-out people ---------------------------------------------------------------------------------------------


def test_sitters_differ_where_their_roles_say_and_nowhere_else(sitter):
    truth = sitter.truth
    calm = truth.pose[held_out.CALM]
    assert abs(truth.pose[held_out.TURNED, 0] - calm[0]) == pytest.approx(held_out.TURN_DEG, abs=0.1)
    for role in (held_out.STRONG, held_out.BLINK):
        assert truth.pose[role] == pytest.approx(calm, abs=1e-3)
    assert truth.landmarks_head[held_out.TURNED] == pytest.approx(truth.landmarks_head[held_out.CALM], abs=0.005)
    lids = [expressions.read(truth.landmarks_head[k][:LANDMARKS], truth.gaze[k])[5:7] for k in (0, held_out.BLINK)]
    assert (np.abs(lids[1]) < 0.15).all()
    assert (lids[0] > 0.4).all()


def test_truth_fits_the_pictures(sitter):
    """The canonical map puts the tip of the nose where the landmark is, and the person covers it."""
    x, y = sitter.landmarks[held_out.CALM][4].astype(int)
    assert sitter.part[held_out.CALM, y, x] == 1
    place = sitter.canonical[held_out.CALM, y // held_out.CANONICAL_SHARE, x // held_out.CANONICAL_SHARE]
    average = load_surface(assets.weights("surface.safetensors")).neutral[4]
    assert np.linalg.norm(place - average) < 1.0


def test_the_held_out_people_are_light_and_enough():
    sitters, many = held_out.load_sitters(), held_out.load_crowd()
    assert len(sitters) >= 10
    assert len(many.pictures) == len(many.truth) == len(many.person)
    assert len(set(many.person.tolist())) >= 50
    assert sum(path.stat().st_size for path in held_out.folder().iterdir()) < 6_000_000


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(MissingWeights, match="held-out"):
        held_out.load_sitters(tmp_path)
    with pytest.raises(MissingWeights, match="crowd"):
        held_out.load_crowd(tmp_path)
    (tmp_path / f"crowd{held_out.SUFFIX}").write_bytes(b"nothing of the kind")
    with pytest.raises(DamagedData, match="crowd"):
        held_out.load_crowd(tmp_path)


def test_what_is_written_is_read_again(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    path = tmp_path / f"one{held_out.SUFFIX}"
    held_out._write(path, {"numbers": numbers}, np.zeros((16, 32, 3), np.uint8), 90)
    assert held_out._arrays(path)["numbers"] == pytest.approx(numbers)
    assert held_out._picture(path).shape == (16, 32, 3)


# ---- who is seen -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portrait(sitter, surface):
    return prepare(sitter.pictures[held_out.CALM], surface)


def landmarks_of(portrait, surface, change, motion):
    """Where the landmarks of somebody whose identity code differs by `change` lie under a motion, in pixels."""
    pose, dynamics = motion
    rest = surface.vertices(portrait.identity_code + change, portrait.rest_dynamics)[:LANDMARKS]
    rest += portrait.residual[:LANDMARKS] + surface.displacement(dynamics)[:LANDMARKS]
    pivot = portrait.posed(NECK_PIVOT_CM[None])[0]
    points = (portrait.posed(rest) - pivot) @ rotation(pose[:3]).T + pivot + pose[3:]
    return portrait.camera.project(points.astype(np.float32))[:, :2]


def canonical(portrait, surface, motion):
    rest = surface.vertices(portrait.identity_code, portrait.rest_dynamics)[:LANDMARKS]
    return rest + portrait.residual[:LANDMARKS] + surface.displacement(motion[1])[:LANDMARKS]


def test_somebody_who_only_moves_stays_who_they_are(portrait, surface):
    motion = next(ask for ask in ASKS if ask.turns and ask.acts).motion(surface)
    seen = landmarks_of(portrait, surface, np.zeros(80, np.float32), motion)
    change = identity_change(
        portrait, surface, motion, canonical(portrait, surface, motion), seen, np.full(LANDMARKS, 0.05, np.float32)
    )
    assert np.linalg.norm(change) < 0.25  # the prior of the expression pulls a little; people are about 4 apart


def test_somebody_else_in_the_same_motion_is_told(portrait, surface):
    motion = next(ask for ask in ASKS if ask.turns).motion(surface)
    other = np.random.default_rng(4).normal(size=80).astype(np.float32)
    seen = landmarks_of(portrait, surface, other, motion)
    change = identity_change(
        portrait, surface, motion, canonical(portrait, surface, motion), seen, np.full(LANDMARKS, 0.02, np.float32)
    )
    assert np.corrcoef(change, other)[0, 1] > 0.6
    assert np.linalg.norm(change) > 0.5 * np.linalg.norm(other)


# ---- the whole -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """One sitter driven by itself: every measure but the crowd's."""
    sheets = tmp_path_factory.mktemp("sheets")
    return face.done(face.Task(sitters=(1,), sheets=sheets)), sheets


def test_every_measure_takes_its_samples(notes):
    samples, sheets = notes
    assert len(samples[f"drift {face.HELD_OUT}"]) + len(samples.get("lost", [])) == len(ASKS)
    assert len(samples["change"]) == len(held_out.ROLES) - 1
    assert all(np.isfinite(value) for value in samples["driven psnr whole"])
    assert sorted(path.stem.split("-")[-1] for path in sheets.iterdir()) == ["asked", "driven", "transfer"]


def test_a_portrait_under_its_own_motion_is_nearly_itself(notes):
    assert notes[0][f"self psnr {face.HELD_OUT}"][0] > 35


def test_the_portraits_skin_is_fetched_from_near_its_place(notes):
    assert np.median(notes[0]["places px"]) < 6  # of 512; a frame left as it is would be off by more than ten in turns


def test_closed_lids_look_closed_and_truth_changes(notes):
    assert max(notes[0][f"shut lids {face.HELD_OUT}"]) < 0.1
    blink = notes[0]["change"][held_out.BLINK - 1]
    assert blink[expressions.NAMES.index("left lids")] < -0.3


def test_a_picture_without_a_face_is_named_and_stops_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    assert "notes.txt, refused" in face.done(face.Task(portrait=tmp_path / "notes.txt", sitters=(0,)))["lost"][0]
    with pytest.raises(BadOption, match="no folder"):
        face.measure(True, tmp_path / "nowhere", processes=0, progress=False)


def test_figures_that_could_not_be_measured_are_not_in_the_json():
    figures = (face.Figure(name="a", value=math.nan, meaning=""), face.Figure(name="b", value=1, meaning="", floor=2))
    told = dci(*samples(), np.random.default_rng(0))
    report = face.Report(figures=figures, worst={}, lost=(), dci=told, seconds=1.0)
    assert report.numbers() == {"b": 1, "b_floor": 2}
    assert "| `b` | 1 | 2 |" in face.markdown(report)


def test_a_figure_knows_whether_its_bar_is_met():
    assert face.Figure(name="a", value=3, meaning="", bar=2, at_least=True).met is True
    assert face.Figure(name="a", value=3, meaning="", bar=2).met is False
    assert face.Figure(name="a", value=3, meaning="").met is None


def test_work_is_shared_without_anybody_twice():
    quick = face.tasks(quick=True)
    assert sorted(k for task in quick for k in task.sitters) == sorted(face.QUICK_SITTERS)
    assert sorted(k for task in quick for k in task.crowd) == list(range(face.QUICK_CROWD))
    assert {len(task.sitters) for task in quick if task.sitters} == {face.AT_ONCE}


def test_a_sheet_has_a_cell_for_each_frame_and_the_label():
    frames = [np.full((64, 64, 3), value, np.uint8) for value in (10, 20, 30)]
    made = contact_sheets.sheet(frames, columns=2, cell_px=96)
    assert made.shape == (192, 192, 3)
    assert (made[150, 20] == 30).all()
    assert made[:40, 120:].max() > 200  # the label's letters
