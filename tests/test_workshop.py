"""What the workshop measures, against answers known beforehand; faces and figures are looked at by eye."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from vasa_core.errors import BadOption, ConsentRefused
from vasa_core.evaluate import detector, workshop
from vasa_core.evaluate.detector import Exhibit, Sitting
from vasa_core.trust.consent import grant_for


def skin(seed=0, deviation=0.0):
    """A smooth gradient of one colour, as a cheek is, with grain."""
    y, x = np.mgrid[0:512, 0:512]
    plain = np.stack([150 + y / 20, 120 + x / 20, 100 + (x + y) / 40], axis=-1).astype(np.uint8)
    return detector.grainy(plain, np.random.default_rng(seed), deviation)


def exhibit(picture):
    return Exhibit(picture=picture, face=(100, 100, 400, 420))


# ---- the fingerprint ---------------------------------------------------------------------------------------------


def test_grain_is_as_strong_as_was_asked():
    plain = np.full((512, 512, 3), 128, np.uint8)
    noise = detector.grainy(plain, np.random.default_rng(1), 5.0).astype(float) - plain
    assert noise.std() == pytest.approx(5.0, rel=0.02)
    assert abs(noise.mean()) < 0.05
    assert (detector.grainy(plain, np.random.default_rng(1), 0.0) == plain).all()


def test_fresh_grain_looks_alike_in_no_direction_and_mixed_grain_does():
    """Half a pixel to the right mixes two neighbours in equal parts: correlation 1/2 there, none in the next row."""
    fresh = skin(deviation=6.0)
    mixed = ((fresh.astype(np.float32) + np.roll(fresh, 1, axis=1)) / 2).round().astype(np.uint8)
    before, after = (detector.fingerprint(exhibit(picture)) for picture in (fresh, mixed))
    right, below = 1 + detector.NEIGHBOURS.index((0, 1)), 1 + detector.NEIGHBOURS.index((1, 0))
    assert after[right] - before[right] > 0.25
    assert abs(after[below] - before[below]) < 0.1
    assert after[0] < before[0], "a mixture has less of it"


def test_more_grain_is_more_and_a_codec_leaves_less():
    strengths = [detector.fingerprint(exhibit(skin(deviation=d)))[0] for d in (1.0, 3.0, 6.0)]
    assert strengths == sorted(strengths)
    noisy = exhibit(skin(deviation=3.0))
    assert detector.fingerprint(detector.compressed(noisy, 35))[0] < detector.fingerprint(noisy)[0]


def test_an_honest_turn_mixes_grain_as_a_decoder_does():
    noisy = exhibit(skin(deviation=6.0))
    before, after = detector.fingerprint(noisy), detector.fingerprint(detector.straightened(noisy))
    right, below = 1 + detector.NEIGHBOURS.index((0, 1)), 1 + detector.NEIGHBOURS.index((1, 0))
    assert after[right] > before[right] + 0.1 and after[below] > before[below] + 0.1


def test_fresh_grain_over_a_picture_is_the_same_each_time():
    one, other = (detector.regrained(exhibit(skin()), 4.0) for _ in range(2))
    assert (one.picture == other.picture).all()
    assert one.face == other.face == (100, 100, 400, 420)


def test_the_painted_are_left_out():
    names = detector.photographed()
    assert "mei" in names and len(names) >= 8
    assert not set(names) & set(detector.DRAWN_AS_INK)


# ---- the quiz ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quiz():
    def grey(value):
        return np.full((512, 512, 3), value, np.uint8)

    people = [
        Sitting(
            name=str(k), photograph=grey(0), true=(grey(10 + k), grey(20 + k)), refined=(grey(110 + k), grey(120 + k))
        )
        for k in range(8)
    ]
    return workshop.Quiz.of(people, seed=5)


def test_the_quiz_shows_what_its_coins_say(quiz):
    for k, (picture, moved, role) in enumerate(zip(quiz.pictures, quiz.moved, workshop.ROLES, strict=True)):
        assert picture[0, 0, 0] == 100 * moved + 10 * (1 + role) + k
    assert 2 <= sum(quiz.moved) <= 6, "a quiz wants both kinds"


def test_answers_are_counted(quiz, capsys):
    right = [letter for letter, moved in zip(workshop.LETTERS, quiz.moved, strict=True) if moved]
    assert quiz.right(right) == 8
    assert quiz.right([letter for letter in workshop.LETTERS if letter not in right]) == 0
    assert quiz.right(right[1:]) == 7
    quiz.tell([])
    assert "right" not in capsys.readouterr().out, "nothing is given away before anything is chosen"
    assert "<details>" in quiz.answers().data


# ---- consent -----------------------------------------------------------------------------------------------------


def test_the_statement_allows_what_it_says_and_nothing_else(capsys):
    picture, today = skin(1), date.today()
    agreed = workshop.statement(picture, today)
    assert grant_for(picture, None, "look", workshop.changed(agreed), emotions=["happy"]).purpose == "look"
    for changes, purpose, code in (
        ({}, "speak", "other_purpose"),
        ({"date": today + timedelta(1)}, "look", "not_yet"),
        ({"portrait_sha256": "0" * 64}, "look", "other_portrait"),
    ):
        with pytest.raises(ConsentRefused) as refusal:
            grant_for(picture, None, purpose, workshop.changed(agreed, **changes))
        assert refusal.value.code == code
        workshop.ask(lambda p=purpose, c=changes: grant_for(picture, None, p, workshop.changed(agreed, **c)))
        assert capsys.readouterr().out.startswith(f"no [{code}]: ")
    workshop.ask(lambda: grant_for(picture, None, "look", workshop.changed(agreed)))
    assert capsys.readouterr().out == "yes: consent statement\n"


# ---- judging -----------------------------------------------------------------------------------------------------


def test_a_perfect_a_useless_and_a_perverse_detector():
    low, high = np.linspace(0, 0.4, 50), np.linspace(0.6, 1, 50)
    assert (workshop.judged(low, high).auc, workshop.judged(low, high).eer) == (1.0, 0.0)
    assert workshop.judged(low, high).caught == 1.0
    assert workshop.judged(high, low).auc == 0.0
    same = workshop.judged(low, low)
    assert same.auc == pytest.approx(0.5) and same.eer == pytest.approx(0.5, abs=0.02)


def test_the_figures_of_two_normal_distributions():
    """Scores N(0, 1) and N(d, 1): AUC is Φ(d/√2), EER Φ(-d/2), TPR at 1 % FPR Φ(d - 2.326)."""
    from scipy.stats import norm

    random, d = np.random.default_rng(0), 1.5
    verdict = workshop.judged(random.normal(size=40_000), random.normal(d, size=40_000))
    assert verdict.auc == pytest.approx(norm.cdf(d / 2**0.5), abs=0.005)
    assert verdict.eer == pytest.approx(norm.cdf(-d / 2), abs=0.005)
    assert verdict.caught == pytest.approx(norm.cdf(d - norm.isf(0.01)), abs=0.02)


def test_alarms_by_counting():
    """A million videos, a thousand fake: 950 right alarms and 9,990 wrong ones."""
    assert workshop.right_alarms(0.95, 0.01, 0.001) == pytest.approx(950 / (950 + 9990))


def test_silence_before_a_sound():
    sound = np.concatenate([0.01 * np.ones(8000), np.sin(np.arange(4000))]).astype(np.float32)
    assert workshop.leading_silence_s(sound) == pytest.approx(0.5, abs=0.001)
    assert workshop.leading_silence_s(sound[8000:]) < 0.001


def test_attacks_change_what_they_say():
    from vasa_core.evaluate.attacks import as_video

    clip = [as_video(skin(k, 4.0)) for k in range(2)]
    for kind, strengths in workshop.ATTACKS.items():
        harmed = workshop.attack(kind, strengths[-1])(clip)
        assert len(harmed) == 2
        assert (harmed[0].width < 512) == kind.startswith("crop")


def test_a_figure_needs_words():
    from matplotlib import pyplot as plt

    from vasa_core import showing

    with pytest.raises(BadOption):
        showing.described(plt.figure(), "a plot")
    plt.close("all")
