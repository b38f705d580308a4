"""FaceKit's files read: quads are split, corners and materials kept; another mesh is refused."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core.errors import BadOption
from vasa_core.world.facekit import facekit_path
from vasa_core.world.pack import IBUG_68, JAW_LINE, PART_STARTS, VERTICES, deltas, packed, read_obj

QUAD = """# a quad and a triangle
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0.5
vt 0 0
vt 1 0
vt 1 1
usemtl M_Face
f 1/1 2/2 3/3 4/1
usemtl M_Teeth
f 1/3 3/2 4/1
"""


def test_a_quad_is_two_triangles_and_keeps_its_corners_and_material():
    mesh = read_obj(QUAD)
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 2, 3]]
    assert mesh.corner_triangles.tolist() == [[0, 1, 2], [0, 2, 0], [2, 1, 0]]
    assert mesh.material.tolist() == [0, 0, 1] and mesh.materials == ("M_Face", "M_Teeth")
    assert mesh.vertices[3].tolist() == [0, 1, 0.5] and mesh.corners.shape == (3, 2)


def test_a_mode_is_the_difference_to_the_neutral_mesh(tmp_path):
    (tmp_path / "jawOpen.obj").write_text(QUAD.replace("v 0 1 0.5", "v 0 1 0.75"))
    moved = deltas([tmp_path / "jawOpen.obj"], read_obj(QUAD).vertices)
    assert moved.shape == (1, 4, 3) and moved.sum() == 0.25 and moved[0, 3, 2] == 0.25


def test_another_mesh_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(BadOption, match="FaceXModel"):
        packed(tmp_path)
    (tmp_path / "generic_neutral_mesh.obj").write_text(QUAD)
    with pytest.raises(BadOption, match="4 vertices"):
        packed(tmp_path)


def test_the_tables_are_those_of_the_packed_model():
    if not facekit_path().exists():
        pytest.skip(f"VASA_DATA: no head model at {facekit_path()}")
    known = np.load(facekit_path())
    assert known["lm68"].tolist() == list(IBUG_68) and known["jaw"].tolist() == list(JAW_LINE)
    part = np.searchsorted(PART_STARTS, np.arange(VERTICES), "right") - 1
    assert np.array_equal(known["part"], part)
