"""A spoken one-time phrase: six words drawn at random, and whether a voice said them.

pocketsphinx listens for the words of the list alone, in any order (a JSGF grammar), and what it heard is compared with
what was asked for. A recording made before does not know the words.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import MissingExtra

if TYPE_CHECKING:
    from pocketsphinx import Decoder

WORDS = tuple(
    """
    banana butterfly camera candle coffee computer dinosaur doctor eagle elephant family garden guitar hammer holiday
    hospital island kitchen lemon library mountain orange paper potato rabbit river silver telephone umbrella village
    window zebra
""".split()
)
LENGTH = 6
ENOUGH, MOST_HEARD = 4, 10
"""A voice passes that says this many of the words in order, and not all sorts of words besides."""

SHORTEST_S, LONGEST_S = 1.0, 30.0
QUIETEST = 1e-4
HISS = 0.003
"""A little noise under every recording: the acoustic model knows rooms, and a silence of zeros confuses it (43 % of
noise-free synthetic phrases pass without it)."""


def draw(rng: random.Random) -> str:
    """A new phrase, no word twice: one of 652 million."""
    return " ".join(rng.sample(WORDS, LENGTH))


def heard(samples: Float[np.ndarray, " sample"]) -> tuple[str, ...]:
    """The words of the list that a voice said, in order; samples in -1..1 at the engine's rate."""
    if not SHORTEST_S <= len(samples) / SAMPLE_RATE_HZ <= LONGEST_S:
        return ()
    loudest = float(np.abs(samples).max())
    if loudest < QUIETEST:
        return ()
    hiss = HISS * np.random.default_rng(0).normal(size=len(samples))
    sound = 0.6 * samples / loudest + hiss
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw((sound * 32767).clip(-32768, 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return tuple(hypothesis.hypstr.split()) if hypothesis else ()


def matching(phrase: str, said: tuple[str, ...]) -> int:
    """How many words of the phrase were said in its order (the longest common subsequence)."""
    wanted = phrase.split()
    lengths = [0] * (len(wanted) + 1)
    for word in said:
        before = lengths[:]
        for place, asked in enumerate(wanted):
            lengths[place + 1] = before[place] + 1 if word == asked else max(lengths[place], before[place + 1])
    return lengths[-1]


def passes(matched: int, words: int) -> bool:
    """Whether that is enough of a phrase, and nothing but the phrase."""
    return matched >= ENOUGH and words <= MOST_HEARD


@cache
def _decoder() -> Decoder:
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise MissingExtra("Hearing a spoken phrase needs pocketsphinx: install this package's extra 'app'.") from None
    decoder = Decoder(samprate=SAMPLE_RATE_HZ, lm=None, cmn="batch", loglevel="FATAL")
    grammar = f"#JSGF V1.0; grammar phrase; public <said> = ({' | '.join(WORDS)})+;"
    decoder.add_jsgf_string("phrase", grammar)
    decoder.activate_search("phrase")
    return decoder
