"""Rotations, camera and rasteriser against answers known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vasa_core.geometry import Camera, empty_depth, rasterise, rotation, rotation_vector, vertex_normals


def test_signs_of_rotation_are_those_of_the_latents():
    forward = np.array([0, 0, 1.0])
    assert (rotation(np.array([0.3, 0, 0])) @ forward)[1] < 0, "positive pitch looks down"
    assert (rotation(np.array([0, 0.3, 0])) @ forward)[0] > 0, "positive yaw turns to image right"


def test_rotation_vector_undoes_rotation():
    vector = np.array([0.2, -0.5, 0.1])
    np.testing.assert_allclose(rotation_vector(rotation(vector)), vector, atol=1e-6)
    assert not rotation_vector(np.eye(3, dtype=np.float32)).any()


def test_unproject_undoes_project():
    camera = Camera(scale_px=15.0, centre_px=(256.0, 200.0))
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) * 6
    seen = camera.project(points)
    np.testing.assert_allclose(camera.unproject(seen[:, :2], seen[:, 2]), points, atol=1e-4)


def test_nearer_things_look_larger_and_up_is_up():
    camera = Camera(scale_px=10.0, centre_px=(0.0, 0.0))
    far, near = camera.project(np.array([[1, 1, 0], [1, 1, 20]], np.float32))
    assert far[0] == pytest.approx(10) and near[0] == pytest.approx(10 / (1 - 20 / 80))
    assert far[1] < 0


def test_rasteriser_interpolates_and_keeps_the_nearer():
    corners = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [9, 9, 0]], np.float32)
    square = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    depth, out = empty_depth(10, 10), np.zeros((10, 10, 2), np.float32)
    rasterise(corners, square, corners[:, :2].copy(), depth, out)
    yy, xx = np.mgrid[0:10, 0:10]
    np.testing.assert_allclose(out, np.stack([xx, yy], -1), atol=1e-4)  # attributes were the positions themselves
    behind = corners - np.array([0, 0, 1], np.float32)
    rasterise(behind, square, np.full((4, 2), 99, np.float32), depth, out)
    assert out.max() < 10


def test_normals_of_a_floor_point_up():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(vertex_normals(points, np.array([[0, 1, 2]])), [[0, 0, 1]] * 3)
