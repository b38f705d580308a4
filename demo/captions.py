"""WebVTT captions for a clip whose sentence is known: the words in lines that can be read, shown while they are said.

No times of words are known, so each line gets its share of the voiced time by its letters; silence before and after
the speech stays empty. Good to a few tenths of a second, which is what captions need.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.requests import ClipRequest

SAMPLE_WORDS = {
    "english": "Maybe my mother may bring home a bag of plums and a big bowl of blueberry porridge, "
    "if the bus comes before five.",
    "french": "Bonjour à tous, je m'appelle Paloma. "
    "Aimez-vous les pommes, le beurre et les promenades au bord de la mer ?",
    "catalan": "Bon dia a tothom, em dic Mariona i avui parlarem del mar, de la pluja i de la bona música.",
}
"""What our sample voices say (assets/voices/VOICES.md), and in which language below."""

SAMPLE_LANGUAGES = {"english": "en", "french": "fr", "catalan": "ca"}

LANGUAGES = {
    "en": "English",
    "es": "Español", "fr": "Français", "de": "Deutsch", "it": "Italiano", "pt": "Português",
    "ca": "Català", "nl": "Nederlands", "pl": "Polski", "sv": "Svenska", "tr": "Türkçe", "cs": "Čeština",
    "el": "Ελληνικά", "ru": "Русский", "uk": "Українська", "hi": "हिन्दी",
    "cmn": "中文", "ja": "日本語", "ar": "العربية",
}  # fmt: skip
"""Those that can be spoken here, in their own words."""

LINE_LETTERS = 42
"""As broadcasters' guidelines: longer lines are not read in time."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A line and when it is shown, in seconds."""

    start_s: float
    end_s: float
    text: str


def webvtt(words: str, start_s: float, end_s: float) -> str:
    """A WebVTT file that shows these words between two times of a clip."""
    rows = [
        f"{_time(cue.start_s)} --> {_time(cue.end_s)}\n{_escaped(cue.text)}\n" for cue in cues(words, start_s, end_s)
    ]
    return "\n".join(["WEBVTT\n", *rows])


def cues(words: str, start_s: float, end_s: float) -> list[Cue]:
    """The words as lines in a row, each shown for its share of the letters."""
    lines = _lines(words)
    letters = sum(map(len, lines))
    if not letters or end_s <= start_s:
        return []
    shown, said = [], 0
    for line in lines:
        begin = start_s + (end_s - start_s) * said / letters
        said += len(line)
        shown.append(Cue(begin, start_s + (end_s - start_s) * said / letters, line))
    return shown


def _lines(words: str) -> list[str]:
    """Broken at sentences first, then at the line's width; a lone short word joins the line before."""
    sentences = re.split(r"(?<=[.!?…。！？])\s+", " ".join(words.split()))
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, LINE_LETTERS)]
    joined: list[str] = []
    for line in lines:
        if joined and len(line) < 8 and len(joined[-1]) + len(line) < LINE_LETTERS + 12:
            joined[-1] = f"{joined[-1]} {line}"
        else:
            joined.append(line)
    return joined


def _time(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{thousandths // 1000:02d}.{thousandths % 1000:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def language_of(request: ClipRequest) -> str | None:
    """The language of a clip: a sample voice speaks its own, whatever was asked for."""
    return SAMPLE_LANGUAGES.get(request.voice or "", request.language)


def words_of(request: Mapping[str, Any]) -> str | None:
    """The words of a clip, where they are known: typed ones, or a sample voice's."""
    return request.get("text") or SAMPLE_WORDS.get(request.get("voice") or "")
