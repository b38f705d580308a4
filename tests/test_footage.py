"""Watching videos: what is found in them when, and every way in which one cannot serve."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from filmed import film, turned_a_quarter

from vasa_core import assets
from vasa_core.errors import BadVideo
from vasa_core.footage import stills, watch
from vasa_core.pictures import load_picture

SIDE = 320


@pytest.fixture(scope="module")
def face():
    return cv2.resize(load_picture(assets.FOLDER / "portraits" / "mei.png"), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def moved(face, right=0, down=0):
    return cv2.warpAffine(
        face, np.float32([[1, 0, right], [0, 1, down]]), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE
    )


def test_landmarks_move_with_the_face_at_the_times_of_the_pictures(face, tmp_path):
    seconds = (0.0, 0.04, 0.2, 0.31, 0.5)  # as uneven as a phone's
    video = film(tmp_path / "uneven.mp4", [moved(face, 6 * k) for k in range(5)], seconds)
    footage = watch(video)
    np.testing.assert_allclose(footage.seconds, seconds, atol=2e-3)
    drift = footage.landmarks[:, :468].mean(1) - footage.landmarks[0, :468].mean(0)
    np.testing.assert_allclose(drift, [(6 * k, 0) for k in range(5)], atol=1.5)


def test_a_phone_s_turned_video_is_seen_upright(face, tmp_path):
    video = turned_a_quarter(film(tmp_path / "phone.mp4", [np.rot90(face).copy()] * 2, (0.0, 0.04)))
    picture = next(stills(video)).picture
    assert np.abs(picture.astype(int) - face).mean() < 4
    assert len(watch(video).seconds) == 2


def test_time_runs_on_the_clock_of_the_sound(face, tmp_path):
    video = film(tmp_path / "late.mp4", [face] * 2, (0.5, 0.54), sound=np.zeros(16_000, np.float32))
    assert next(stills(video)).second == pytest.approx(0.5, abs=0.07)  # the encoder's own delay is in it


def test_a_short_absence_is_bridged(face, tmp_path):
    grey = np.full_like(face, 128)
    video = film(tmp_path / "blink.mp4", [face, face, grey, face], (0.0, 0.1, 0.2, 0.4))
    np.testing.assert_allclose(watch(video).seconds, (0.0, 0.1, 0.4), atol=2e-3)


def refused(video):
    with pytest.raises(BadVideo) as refusal:
        watch(video)
    sentence = str(refusal.value)
    assert sentence.count("\n") == 0
    return sentence


def test_what_is_no_video_is_refused_by_name(tmp_path, face):
    assert "no video at" in refused(tmp_path / "missing.mp4")
    assert "no moving pictures" in refused(assets.FOLDER / "portraits" / "mei.png")
    assert "no moving pictures" in refused(assets.FOLDER / "voices" / "english.flac")
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"\0\0\0\x20ftypisom" + bytes(200))
    assert "cannot be read" in refused(damaged)


def test_faces_that_cannot_drive_are_refused_by_name(tmp_path, face):
    grey = np.full_like(face, 128)
    assert "no face was found" in refused(film(tmp_path / "none.mp4", [grey] * 2, (0.0, 0.04)))
    assert "from 0.1 to 1.4 s" in refused(film(tmp_path / "gap.mp4", [face, face, grey, face], (0, 0.1, 0.2, 1.4)))
    both = np.hstack([face, face[:, ::-1]])
    assert "two faces" in refused(film(tmp_path / "two.mp4", [both] * 3, (0.0, 0.3, 0.6)))
    small = cv2.copyMakeBorder(cv2.resize(face, (160, 160)), 80, 80, 80, 80, cv2.BORDER_REPLICATE)
    assert "pixels across" in refused(film(tmp_path / "small.mp4", [small] * 2, (0.0, 0.04)))
    wide = np.full((SIDE, 3 * SIDE, 3), 128, np.uint8)
    left, right = wide.copy(), wide.copy()
    left[:, :SIDE], right[:, -SIDE:] = face, face
    assert "cuts at 0.1 s" in refused(film(tmp_path / "cut.mp4", [left, left, right, right], (0.0, 0.04, 0.08, 0.12)))
