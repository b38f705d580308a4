"""Scenes: light agrees with what is behind, a seed is a scene for ever, and a style dial at 0 is a photograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("moderngl", reason="the training world needs moderngl: pip install 'vasa_core[world]'")

from vasa_core.world.backdrops import PAINTERS, Backdrop, backdrop, disc
from vasa_core.world.darkroom import develop, to_bytes
from vasa_core.world.finishes import FINISHES
from vasa_core.world.lights import LUMINANCE, bright_side, lamp_color, on_face, panel, vivid
from vasa_core.world.people import STUDIO, Light, random_person
from vasa_core.world.places import FAMILIES, random_place, surrounded
from vasa_core.world.renderer import Shot
from vasa_core.world.scenes import Capture, Scene, compressed, finish, random_scene, sensed, styled
from vasa_core.world.style import Style, random_style

CLOTH = Backdrop(center=(0.2, 0.2, 0.2), edge=(0.1, 0.1, 0.1))
SIZE = 64


@pytest.fixture(scope="module")
def shot():
    """A grey disc of skin, lit from the left, with landmarks of a face."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) / SIZE - 0.5
    inside = (np.hypot(x, y) < 0.35).astype(np.float32)
    light = np.stack([(1.2 - 2 * x) * inside] * 3 + [inside], -1).astype(np.float32)
    albedo = np.stack([inside * tone for tone in (0.6, 0.4, 0.3)] + [inside], -1).astype(np.float32)
    other = np.stack([0 * inside] * 3 + [inside], -1).astype(np.float32)
    marks = np.random.default_rng(0).uniform(20, 44, (68, 2)).astype(np.float32)
    marks[36], marks[45] = (22, 28), (42, 28)
    return Shot(light, albedo, other, 3.0, marks)


def scene(**settings) -> Scene:
    return Scene(family="test", light=STUDIO, backdrop=CLOTH, **settings)


# ---- light -----------------------------------------------------------------------------------------------------------
def test_a_lamp_of_6500_kelvin_is_white_and_a_candle_is_red():
    assert np.allclose(lamp_color(6500), 1)
    red, green, blue = lamp_color(1900)
    assert red > 1.3 > green > 2 * blue


@pytest.mark.parametrize("kelvin", [2000, 4000, 9000])
def test_every_lamp_has_luminance_one(kelvin):
    assert lamp_color(kelvin) @ LUMINANCE == pytest.approx(1)


def test_hues_go_round_the_wheel():
    assert [int(np.argmax(vivid(hue, 1.0))) for hue in (0, 1 / 3, 2 / 3)] == [0, 1, 2]
    assert np.allclose(vivid(0.4, 0.0), 1)


def test_a_panel_from_the_right_lights_the_right():
    direction = panel(60, 0, 10, np.ones(3)).direction()
    assert direction[0] > 0.8 and bright_side(replace(STUDIO, key=panel(60, 0, 10, 3 * np.ones(3)))) > 0


def test_light_from_behind_does_not_reach_the_front():
    behind = panel(170, 0, 5, 9 * np.ones(3))
    dark = Light(key=behind, fill=behind, rim=behind, above=(0, 0, 0), below=(0, 0, 0))
    assert np.all(on_face(dark) == 0)


# ---- backdrops and places --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", list(PAINTERS))
def test_every_backdrop_is_finite_and_the_same_again(kind):
    wanted = Backdrop(center=(0.3, 0.3, 0.3), edge=(0.2, 0.2, 0.2), lamps=((1, 1, 1), (2, 1, 0)), kind=kind, blur=0.02)
    first = backdrop(48, wanted).copy()
    backdrop.cache_clear()
    assert np.isfinite(first).all() and first.min() >= 0 and first.max() > 0
    assert np.array_equal(backdrop(48, wanted), first)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_backdrop_is_lighter_on_its_bright_side(side):
    picture = backdrop(48, replace(CLOTH, mottle=0.0, side=side))
    assert side * (picture[:, 24:].mean() - picture[:, :24].mean()) > 0.01


def test_a_lens_turns_a_point_into_a_disc_and_keeps_its_light():
    kernel = disc(6.0)
    assert kernel.sum() == pytest.approx(1) and (kernel > 0.002).sum() == pytest.approx(np.pi * 36, rel=0.15)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_glow_on_a_face_has_the_hue_of_what_surrounds_it(family):
    """The place is painted red, then blue: the glow follows."""
    _, light, behind = random_place(np.random.default_rng(3), family)
    dark = ((0.0, 0.0, 0.0),)
    tinted = [replace(behind, center=c, edge=c, lamps=dark) for c in ((0.5, 0.1, 0.1), (0.1, 0.1, 0.5))]
    red, blue = (np.array(surrounded(light, b).above) for b in tinted)
    assert red[0] / red[2] > 1.2 * blue[0] / blue[2]


def test_light_and_backdrop_are_bright_on_the_same_side_by_far_more_often_than_not():
    agree = []
    for seed in range(120):
        family, light, behind = random_place(np.random.default_rng(seed))
        if family not in ("low key", "golden hour", "sunny street", "screen") and abs(behind.side) > 0.1:
            agree.append(bright_side(light) * behind.side > 0)
    assert len(agree) > 40 and np.mean(agree) > 0.95


def test_a_window_is_seen_on_the_side_that_it_lights():
    for seed in range(6):
        _, light, behind = random_place(np.random.default_rng(seed), "window")
        picture = backdrop(48, behind)
        right = picture[:, 24:].mean() - picture[:, :24].mean()
        assert right * light.key.azimuth > 0


def test_all_families_come_up_evenly():
    names = [random_scene(seed, random_person(0)).family for seed in range(80)]
    counts = [names.count(name) for name in FAMILIES]
    assert min(counts) >= 1 and max(counts) <= 14  # 5 each on average


# ---- scenes ----------------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_scene_and_another_another():
    person = random_person(3)
    assert random_scene(5, person) == random_scene(5, person) != random_scene(6, person)


def test_dark_skin_is_exposed_longer_than_light_skin():
    people = sorted((random_person(seed) for seed in range(12)), key=lambda p: p.skin.darkness)
    light, dark = (random_scene(9, person).capture.exposure for person in (people[0], people[-1]))
    assert dark > 1.2 * light


def test_styles_are_photographs_as_often_as_asked():
    rng = np.random.default_rng(0)
    share = np.mean([random_style(rng, 0.6).amount == 0 for _ in range(500)])
    assert 0.53 < share < 0.67


def test_the_style_dial_at_zero_leaves_the_photograph_alone(shot):
    plain = scene(style=Style(amount=0.0, finish="oil"))
    assert np.array_equal(styled(shot, plain), develop(shot, CLOTH))
    assert np.array_equal(finish(shot, plain), to_bytes(develop(shot, CLOTH)))


def test_the_dial_passes_from_photograph_over_painted_and_drawn_to_cartoon():
    hands = [Style(amount=amount).hand for amount in (0.0, 0.2, 0.4, 0.55, 0.8, 1.0)]
    assert hands == ["photograph", "oil", "watercolour", "pencil", "ink", "cel"]


@pytest.mark.parametrize("hand", [*FINISHES, "cel"])
def test_every_finish_changes_the_picture_and_is_the_same_again(shot, hand):
    drawn = scene(style=Style(amount=1.0, finish=hand), seed=4)
    first = finish(shot, drawn)
    assert np.array_equal(first, finish(shot, drawn))
    assert np.abs(first.astype(int) - to_bytes(develop(shot, CLOTH))).mean() > 1.0


def test_a_cel_has_few_tones_of_skin(shot):
    drawn = finish(shot, scene(style=Style(amount=1.0, finish="cel")))
    middle = drawn[16:48, 16:48].astype(int)
    flat = np.abs(np.diff(middle, axis=1)).max(-1) <= 3
    assert flat.mean() > 0.8


def test_a_perfect_camera_leaves_the_picture_alone():
    picture = np.random.default_rng(0).random((SIZE, SIZE, 3)).astype(np.float32)
    assert np.array_equal(sensed(picture, Capture()), picture)


def test_noise_is_as_strong_as_asked_and_new_in_every_frame():
    grey, capture = np.full((256, 256, 3), 0.44, np.float32), Capture(noise=0.02)
    one, two = (sensed(grey, capture, 1, frame) for frame in (0, 1))
    assert 0.008 < (one - grey).std() < 0.03 and not np.array_equal(one, two)
    assert np.array_equal(one, sensed(grey, capture, 1, 0))


def test_jpeg_of_low_quality_is_further_from_the_picture():
    picture = (np.random.default_rng(0).random((SIZE, SIZE, 3)) * 255).astype(np.uint8)
    poor, good = (np.abs(compressed(picture, q).astype(int) - picture).mean() for q in (40, 95))
    assert poor > good > 0 and compressed(picture, 100) is picture


def test_a_vignette_darkens_corners_and_not_the_middle():
    grey = np.full((65, 65, 3), 0.5, np.float32)
    seen = sensed(grey, Capture(vignette=0.4))
    assert seen[32, 32, 0] == pytest.approx(0.5, abs=1e-3) and seen[0, 0, 0] == pytest.approx(0.3, abs=1e-3)
