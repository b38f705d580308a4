"""Listening: what a face does while somebody else's voice is heard: nods, small smiles, eyes on the speaker, no word.

Nods and smiles answer the other's speech: most at the ends of phrases and in pauses, some on accents within (what the
literature calls backchannels; their places follow Ward and Tsukahara 2000, about 0.7 s after the cue or at the pause).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from vasa_core.world.articulation import tongue_curves
from vasa_core.world.curves import CURVE_RATE_HZ, Phone, Style, accents_of, loudness, phrases_of, pulse
from vasa_core.world.glances import blink_curve, fixations, gaze_curves, head_share
from vasa_core.world.performer import Face, Mood, Performance, emote, filmed, head_curves, shut_lips, steps_for


def listen(
    other: Sequence[Phone], sound: Float[ndarray, " sample"], mood: Mood, rng: np.random.Generator
) -> Performance:
    """One way of listening to what somebody else says; `mood.gaze` is where that person is."""
    steps = steps_for(sound)
    time = (np.arange(steps) + 0.5) / CURVE_RATE_HZ
    style = Style.drawn(rng)
    style = replace(style, head=0.7 * style.head, aversion=0.6 * style.aversion)
    quiet = np.zeros(steps)
    cues = backchannel_cues(other, loudness(sound, steps), rng)
    head = head_curves((), time, quiet, quiet, (), mood, style, rng)
    head[:, 0] += np.deg2rad(nods(time, cues, rng))
    target = fixations(steps, style, rng)
    head[:, :2] += head_share(target, time)
    gaze = gaze_curves(head[:, :2], np.array(mood.gaze) + target)
    face = Face(steps)
    emote(face, mood, style, rng)
    _answer(face, time, cues, mood, rng)
    shut_lips(face, 1.0, 0.0, 0.0)
    ends = np.zeros(steps)
    for start, end, _ in phrases_of(other):
        ends[(time > start) & (time < end)] = 1  # people blink at the ends of what they hear as of what they say
    return filmed(face, head, gaze, blink_curve(gaze, ends, style, rng), mood, tongue_curves((), time, style))


def backchannel_cues(
    other: Sequence[Phone], loud: Float[ndarray, " step"], rng: np.random.Generator
) -> list[tuple[float, float]]:
    """(time, strength) of the moments that ask for an answer: two phrase ends in three, one accent in ten."""
    ends = [(end + rng.uniform(0.05, 0.5), rng.uniform(0.6, 1.0)) for _, end, _ in phrases_of(other, 0.18)]
    accents = [(moment + rng.uniform(0.4, 0.9), 0.6 * strength) for moment, strength in accents_of(other, loud)]
    chosen = [cue for cue in ends if rng.random() < 0.67] + [cue for cue in accents if rng.random() < 0.10]
    return sorted(chosen)


def nods(time: ndarray, cues: Sequence[tuple[float, float]], rng: np.random.Generator) -> Float[ndarray, " step"]:
    """Degrees down: at each cue one to four nods, the first the deepest, about two and a half a second."""
    degrees = np.zeros(len(time))
    for moment, strength in cues:
        if rng.random() < 0.75:
            size, half = strength * min(rng.lognormal(1.3, 0.4), 8.0), rng.uniform(0.15, 0.23)
            for repeat in range(int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))):
                bump = pulse(time, moment + repeat * 2.05 * half, half, 0.0, half)
                degrees += size * 0.75**repeat * bump
    return degrees


def _answer(
    face: Face, time: ndarray, cues: Sequence[tuple[float, float]], mood: Mood, rng: np.random.Generator
) -> None:
    """Smiles that come up slowly and stay a while, raised brows of interest, at some of the cues."""
    warmth = 0.4 if mood.emotion in ("sad", "angry", "disgusted", "afraid") else 1.0
    smiles, brows = np.zeros(len(time)), np.zeros(len(time))
    for moment, strength in cues:
        if rng.random() < 0.45:
            rise, hold, fall = rng.uniform(0.3, 0.6), rng.uniform(0.4, 1.6), rng.uniform(0.6, 1.4)
            bump = pulse(time, moment - 0.2, rise, hold, fall)
            smiles = np.maximum(smiles, warmth * strength * rng.uniform(0.15, 0.5) * bump)
        if rng.random() < 0.35:
            brows = np.maximum(brows, strength * rng.uniform(0.2, 0.6) * pulse(time, moment - 0.1, 0.2, 0.3, 0.5))
    face.add("mouthSmile", smiles)
    face.add("cheekSquint", 0.5 * smiles)
    face.add("browInnerUp", brows)
    face.add("browOuterUp", 0.8 * brows)
