"""Random throats for espeak-ng: voices whose formants, breath and glottis nobody chose.

espeak-ng ships some eighty voices; who learns from those alone takes an M of a throat shaped otherwise for an N. Here a
throat is drawn at random: its length, each formant's own place, strength and width, loudness of consonants, breath,
roughness, pitch. The settings and what they mean: espeak-ng's docs/voices.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FORMANTS = 9


def random_throat(name: str, rng: np.random.Generator) -> str:
    """The text of one voice file; two in five sound through one of Klatt's models, the rest through formants alone."""
    length = float(np.clip(rng.normal(1.08, 0.13), 0.82, 1.4))  # above 1 shorter than the built-in man's
    pitch_hz = int(85 * length**3 * 2 ** rng.normal(0, 0.2))
    lines = ["language variant", f"name {name}", f"pitch {pitch_hz} {int(pitch_hz * rng.uniform(1.2, 1.7))}"]
    if rng.random() < 0.4:
        lines += [f"klatt {rng.integers(1, 7)}"]
    lines += [_formant(at, length, rng) for at in range(FORMANTS)]
    lines += [f"consonants {rng.integers(35, 130)} {rng.integers(25, 120)}", f"voicing {rng.integers(45, 150)}"]
    lines += [f"roughness {rng.integers(0, 5)}", f"flutter {rng.integers(0, 8)}"]
    if rng.random() < 0.35:
        strengths = " ".join(str(value) for value in rng.integers(0, 6, 8))
        lines += [f"breath {strengths}"]
    if rng.random() < 0.6:
        low, middle, high = rng.integers(100, 256, 3)
        lines += [f"tone 600 {low} {rng.integers(1000, 1600)} {middle} {rng.integers(2000, 5000)} {high}"]
    return "\n".join(lines) + "\n"


def _formant(at: int, length: float, rng: np.random.Generator) -> str:
    """Place, strength and width of one formant in hundredths; the lowest three, which tell phones apart, stray less."""
    place = 100 * length * float(np.clip(rng.normal(1, 0.07 if at < 4 else 0.1), 0.72, 1.3))
    strength = rng.integers(55, 150) if at < 4 else rng.integers(20, 140)
    return f"formant {at} {place:.0f} {strength} {rng.integers(75, 160)}"


def with_throats(installed: Path, folder: Path, throats: dict[str, str]) -> Path:
    """A copy of espeak-ng's data folder made of links, with these throats for its variants; returns what to start with.

    :param installed: the installed `espeak-ng-data`.
    :param folder: an empty folder for the copy.
    :param throats: the text of each voice file by its name.
    """
    data = folder / "espeak-ng-data"
    voices = data / "voices" / "!v"
    voices.mkdir(parents=True)
    for place, inside in ((installed, data), (installed / "voices", data / "voices")):
        for entry in place.iterdir():
            if not (inside / entry.name).exists():
                (inside / entry.name).symlink_to(entry)
    for name, text in throats.items():
        (voices / name).write_text(text)
    return folder
