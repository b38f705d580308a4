"""festival's voices: diphones, joined units and statistical models, in four languages; it knows when each phone ends.

Five voices that Debian ships: American men and women, Catalan, Hindi, Russian. One process says many texts.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vasa_core.audio import load_sound
from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import BadOption
from vasa_core.world.texts import random_text
from vasa_core.world.utterances import SILENCE, Phone, Utterance, phones_from_starts, with_silence

VOICES = {
    "kal_diphone": "en-us",
    "cmu_us_slt_arctic_hts": "en-us",
    "hindi_NSK_diphone": "hi",
    "msu_ru_nsh_clunits": "ru",
    "upc_ca_ona_hts": "ca",
}

# fmt: off
_ENGLISH = {"ax": "AH", "axr": "ER", "ix": "IH", "dx": "D", "el": "AH L", "em": "AH M", "en": "AH N", "hv": "HH",
            "nx": "N", "pau": SILENCE, "h#": SILENCE, "brth": SILENCE}
_RUSSIAN = {
    "ii": "IY", "i": "IH", "yy": "IH", "y": "IH", "ee": "EH", "e": "EH", "ae": "EH", "ay": "IH", "aa": "AA", "a": "AH",
    "oo": "AO", "uu": "UW", "u": "UH", "ur": "UH", "c": "T S", "ch": "CH", "sh": "SH", "sch": "SH", "zh": "ZH",
    "r": "L", "j": "Y", "h": "HH", "pau": SILENCE,
}
_CATALAN = {
    "a": "AA", "e": "EY", "E": "EH", "i": "IY", "o": "OW", "O": "AO", "u": "UW", "ax": "AH", "j": "Y", "w": "W",
    "r": "L", "rr": "L", "L": "L Y", "J": "N Y", "N": "NG", "S": "SH", "Z": "ZH", "tS": "CH", "dZ": "JH", "x": "HH",
    "B": "V", "D": "DH", "G": "G", "T": "TH", "ts": "T S", "dz": "D Z", "pau": SILENCE, "#": SILENCE,
}
_HINDI = {
    "a": "AH", "aa": "AA", "ih": "IH", "iy": "IY", "uh": "UH", "uw": "UW", "eh": "EY", "ee": "EY", "ay": "EH",
    "oh": "OW", "oo": "OW", "aw": "AO", "T": "T", "D": "D", "N": "N", "R": "L", "L": "L", "r": "L", "th": "T",
    "dh": "D", "td": "T", "tth": "T", "ddh": "D", "kh": "K", "gh": "G", "bh": "B", "ph": "F", "v": "V", "x": "HH",
    "ksh": "K SH", "sri": "S L IY", "@": "AH", "pau": SILENCE, "h": "HH", "y": "Y", "w": "W", "jh": "JH", "j": "JH",
}
# fmt: on
_MAPS = {"en-us": _ENGLISH, "hi": _HINDI, "ru": _RUSSIAN, "ca": _CATALAN}

_SCHEME = """
(define (say_it voice sentence stretch path)
  (eval (list voice))
  (Parameter.set 'Duration_Stretch stretch)
  (set! said (eval (list 'Utterance 'Text sentence)))
  (utt.synth said)
  (utt.save.wave said path 'riff)
  (mapcar (lambda (s) (format t "%s:%f " (item.name s) (item.feat s 'end))) (utt.relation.items said 'Segment))
  (format t "\\n"))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What one voice is to say, and how slowly."""

    voice: str
    text: str
    stretch: float = 1.0


def phone_labels(name: str, language: str) -> tuple[str, ...]:
    """The phones of `PHONES` for one of festival's; palatal doubles and stressed vowels are as their plain ones."""
    known, plain = _MAPS[language], name.rstrip("1") if language == "ca" else name
    if language == "ru" and len(plain) == 2 and plain[0] == plain[1] and plain not in known:
        plain = plain[0]
    return tuple(known.get(plain, plain.upper()).split())


def said(lines: Sequence[Line]) -> list[Utterance]:
    """The lines in festival's voices; one that cannot be said ends the process and is left out."""
    spoken: list[Utterance] = []
    while len(lines):
        done = _batch(lines)
        spoken += done
        lines = lines[len(done) + 1 :]  # some scripts crash on some words: skip that line and go on
    return spoken


def _batch(lines: Sequence[Line]) -> list[Utterance]:
    """What festival says of these lines before it ends or fails."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "lines.scm"
        paths = [Path(folder) / f"{at}.wav" for at in range(len(lines))]
        calls = [
            f'(say_it \'voice_{line.voice} {json.dumps(line.text, ensure_ascii=False)} {line.stretch:.3f} "{path}")'
            for line, path in zip(lines, paths, strict=True)
        ]
        script.write_text(_SCHEME + "\n".join(calls) + "\n", encoding="utf-8")
        try:
            ran = subprocess.run(["festival", "--batch", str(script)], capture_output=True, text=True, check=False)
        except FileNotFoundError as why:
            raise BadOption("festival is missing: install the system package festival.") from why
        printed = [row for row in ran.stdout.splitlines() if ":" in row]
        return [
            _utterance(line, row, path) for line, row, path in zip(lines, printed, paths, strict=False) if path.exists()
        ]


def _utterance(line: Line, printed: str, path: Path) -> Utterance:
    language = VOICES[line.voice]
    items = [item.rsplit(":", 1) for item in printed.split()]
    ends_s = [float(end) for _, end in items]
    starts = list(zip([0.0, *ends_s[:-1]], (phone_labels(name, language) for name, _ in items), strict=True))
    sound = load_sound(path)
    phones: tuple[Phone, ...] = phones_from_starts(starts, len(sound) / SAMPLE_RATE_HZ)
    speaker = f"festival-{line.voice}"
    return Utterance(sound=sound, phones=phones, speaker=speaker, language=language, source="festival")


def festival_utterances(voice: str, count: int, rng: np.random.Generator) -> Iterator[Utterance]:
    """Random texts in one of the voices, at random speeds."""
    lines = [
        Line(voice=voice, text=random_text(VOICES[voice], rng), stretch=float(rng.uniform(0.8, 1.3)))
        for _ in range(count)
    ]
    for spoken in said(lines):
        yield with_silence(spoken, *rng.uniform(0.0, 0.5, size=2))
