"""The training world's people: what is drawn is where the truth says, and a seed always gives the same picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import REPOSITORY

pytest.importorskip("moderngl", reason="the training world needs moderngl: pip install 'vasa_core[world]'")
spatial = pytest.importorskip("scipy.spatial", reason="the training world needs scipy: pip install 'vasa_core[world]'")

from vasa_core.errors import MissingWeights  # noqa: E402
from vasa_core.world import facial_hair, hair  # noqa: E402
from vasa_core.world.cast import cast  # noqa: E402
from vasa_core.world.darkroom import SCATTER, Backdrop, develop, film, to_bytes, under_skin  # noqa: E402
from vasa_core.world.facekit import EYE_L, FaceKit, data_folder, head_rotation, pose_points, quaternion, turn  # noqa: E402
from vasa_core.world.people import STUDIO, Camera, Look, random_person  # noqa: E402

PACK = data_folder() / "facekit" / "ict_face.npz"
needs_data = pytest.mark.skipif(not PACK.exists(), reason=f"VASA_DATA: no head model at {PACK}")
SIZE = 192


@pytest.fixture(scope="module")
def kit():
    return FaceKit()


@pytest.fixture(scope="module")
def renderer(kit):
    from vasa_core.world.renderer import Renderer

    try:
        return Renderer(SIZE, kit, texture=256)
    except Exception as reason:  # moderngl raises a bare Exception where there is no EGL
        pytest.skip(f"no OpenGL here: {reason}")


@pytest.fixture(scope="module")
def bald(renderer):
    return renderer.dress(cast()["henry"].person)


@needs_data
def test_zero_coefficients_are_the_neutral_face(kit):
    assert np.array_equal(kit.shape(np.zeros(100), {}), kit.neutral)


@needs_data
def test_a_name_without_side_moves_both_halves(kit):
    both = kit.expression_weights({"mouthSmile": 0.5})
    halves = kit.expression_weights({"mouthSmile_L": 0.5, "mouthSmile_R": 0.5})
    assert np.array_equal(both, halves) and both.sum() == 1


@needs_data
def test_closing_makes_the_inner_lips_touch(kit):
    parted = kit.shape(np.zeros(100), {"jawOpen": 0.04})
    closed = kit.expression(parted, kit.expression_weights(kit.closing(parted)))
    upper, lower = kit.landmarks[[61, 62, 63]], kit.landmarks[[67, 66, 65]]
    gap = (closed[upper, 1] - closed[lower, 1]).mean()
    assert abs(gap) < 1e-4 < (parted[upper, 1] - parted[lower, 1]).mean()


def test_turning_by_the_quaternion_is_turning_by_the_matrix():
    rotation = head_rotation(20.0, -10.0, 5.0)
    point = np.array([[1.0, 2.0, 3.0]])
    assert np.allclose(turn(quaternion(rotation), point), point @ rotation.T, atol=1e-6)


def test_the_torso_stays_when_the_head_turns():
    points = np.array([[3.0, -20.0, 1.0], [0.0, 5.0, 10.0]], np.float32)
    moved = pose_points(points, np.array([0.0, 1.0], np.float32), head_rotation(30.0, 0.0, 0.0))
    assert np.allclose(moved[0], points[0]) and moved[1, 0] > 5  # yaw > 0 turns the face to the right of the picture


@needs_data
def test_every_landmark_lands_on_the_canonical_point_it_names(kit, renderer, bald):
    truth = renderer.truth(bald, Look(yaw=6), Camera())
    seen = (
        list(range(27, 36)) + list(range(17, 27)) + [48, 51, 54, 57]
    )  # nose, brows, lip corners and rims: never hidden
    column, row = truth.landmarks68[seen].astype(int).T
    error = np.linalg.norm(truth.canonical[row, column] - kit.neutral[kit.landmarks[seen]], axis=1)
    assert np.median(error) < 0.4  # a pixel is 0.2 cm here


@needs_data
def test_each_iris_is_seen_where_it_projects(renderer, bald):
    from vasa_core.world.renderer import PART_NUMBER

    truth = renderer.truth(bald, Look(gaze=(10, 0)), Camera())
    for (x, y), name in zip(truth.irises, ("eye_L", "eye_R"), strict=True):
        assert truth.part[int(y), int(x)] == PART_NUMBER[name]


@needs_data
def test_looking_to_the_right_moves_the_iris_to_the_right(renderer, bald):
    ahead, right = (renderer.truth(bald, Look(gaze=(yaw, 0.0)), Camera()).irises[:, 0] for yaw in (0.0, 15.0))
    assert (right - ahead > 1).all()


@needs_data
def test_the_same_seed_gives_the_same_picture(renderer):
    def photograph():
        person = random_person(3)
        figure = renderer.dress(replace(person, hair=replace(person.hair, density=0.02)))
        shot = renderer.shoot(figure, Look(), STUDIO, Camera(), samples=2)
        figure.release()
        return to_bytes(develop(shot, Backdrop(center=(0.2, 0.2, 0.2), edge=(0.1, 0.1, 0.1))))

    assert np.array_equal(photograph(), photograph())


@needs_data
def test_the_skin_part_is_covered_by_skin_and_the_corner_by_nobody(renderer, bald):
    shot = renderer.shoot(bald, Look(), STUDIO, Camera(), samples=2)
    truth = renderer.truth(bald, Look(), Camera())
    assert (shot.light[..., 3][truth.part == 1] > 0).mean() > 0.98
    assert shot.other[0, 0, 3] == 0 and truth.part[0, 0] == 0


@needs_data
@pytest.mark.parametrize("name", ["elena", "jonas"])
def test_no_strand_hangs_in_front_of_the_eyes(kit, name):
    person = cast()[name].person
    rest = kit.identity(person.identity)
    strands = hair.grow(
        kit, rest, kit.normals(rest), person.hair, np.random.default_rng(0), lambda x, z: np.full_like(x, -40.0)
    )
    x, y, z = np.moveaxis(strands.points, -1, 0)
    eye = kit.eyeballs["L"].center
    near = (np.hypot(np.abs(x) - eye[0], y - eye[1]) < 1.2) & (z > eye[2])
    assert len(strands.points) > 1000 and not near.any()


@needs_data
def test_lashes_are_rooted_at_the_lids(kit):
    lashes = facial_hair.grow_lashes(kit, 0.8, np.random.default_rng(0)).on(kit.neutral)
    left = lashes.points[lashes.points[:, 0, 0] > 0]
    eyeball = kit.neutral[kit.part == EYE_L]
    gap = spatial.cKDTree(eyeball).query(left[:, 0])[0]
    assert len(left) > 100 and np.median(gap) < 0.35


def test_light_under_the_skin_keeps_an_even_light_even():
    from vasa_core.world.renderer import Shot

    even = np.ones((64, 64, 4), np.float32)
    assert all(abs(sum(share for share, _ in lobes) - 1) < 1e-9 for lobes in SCATTER.values())
    assert np.allclose(under_skin(Shot(even, even, even, 26.0, np.zeros((68, 2), np.float32))), 1, atol=1e-4)


def test_film_keeps_order_black_and_white():
    ramp = np.repeat(np.linspace(0, 50, 200, dtype=np.float32)[:, None, None], 3, 2)
    shown = film(ramp)[:, 0, 0]
    assert shown[0] < 1e-3 and shown[-1] > 0.99 and (np.diff(shown) >= -1e-6).all()


def test_halton_begins_as_everybody_knows():
    from vasa_core.world.renderer import halton

    assert [halton(i, 2) for i in (1, 2, 3, 4)] == [0.5, 0.25, 0.75, 0.125]


def test_a_missing_head_model_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(MissingWeights, match="VASA_DATA"):
        FaceKit(tmp_path / "ict_face.npz")


def test_nobody_by_that_name_is_refused_before_anything_is_drawn(monkeypatch, capsys, tmp_path):
    from vasa_core.world import __main__ as command

    monkeypatch.setattr("sys.argv", ["world", "cast", "--out", str(tmp_path), "--only", "nobody"])
    assert command.main() == 2
    assert "nobody" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_every_sitter_has_a_portrait_and_a_true_line_in_the_list():
    folder = REPOSITORY / "assets" / "portraits"
    lines = (folder / "PORTRAITS.md").read_text().splitlines()
    listed = {cells[1].strip(): cells[3].strip() for cells in (line.split("|") for line in lines) if len(cells) == 7}
    for name, sitter in cast().items():
        assert (folder / f"{name}.png").is_file()
        assert listed[f"{name}.png"] == str(sitter.person.seed)


def test_ctrl_c_is_one_sentence_and_an_exit_code(monkeypatch, capsys, tmp_path):
    from vasa_core.world import __main__ as command

    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["world", "render", "--out", str(tmp_path), "--people", "1"])
    monkeypatch.setattr(command.batch, "run", pressed)
    assert command.main() == command.INTERRUPTED == 130 and "goes on from there" in capsys.readouterr().out


def test_a_graphics_device_that_is_not_there_is_one_sentence(monkeypatch):
    from vasa_core.errors import BadOption
    from vasa_core.world.renderer import egl_context

    monkeypatch.setenv("GLCONTEXT_DEVICE_INDEX", "97")
    with pytest.raises(BadOption, match=r"97.*choose another --device"):
        egl_context()
