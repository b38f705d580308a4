"""From 48 bits of payload to 256 coded bits and back: a CRC-16 and a tail-biting convolutional code, decoded softly.

The code has rate 1/4 and 256 states. "Soft" means that the decoder is told how sure each coded bit is: next to deciding
each bit first and mending afterwards, as Reed-Solomon does, that is worth about 2 dB of watermark.
"""

from __future__ import annotations

from functools import lru_cache
from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Bool, Float, Float32

PAYLOAD_BITS = 48
CRC_BITS = 16
MESSAGE_BITS = PAYLOAD_BITS + CRC_BITS

MEMORY = 8  # bits that the encoder remembers
GENERATORS = (0o463, 0o535, 0o733, 0o745)
"""The code of rate 1/4 and constraint length 9 with the largest free distance, 24 (Proakis, Digital Communications)."""

CODED_BITS = MESSAGE_BITS * len(GENERATORS)


def message(payload: int) -> Bool[np.ndarray, " bit"]:
    """The payload's 48 bits, most significant first, and their CRC."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError(f"A payload has {PAYLOAD_BITS} bits")
    return _bits(payload << CRC_BITS | _crc(payload), MESSAGE_BITS)


def payload_in(bits: Bool[np.ndarray, " bit"]) -> tuple[int, bool]:
    """The payload in a message, and whether its CRC fits."""
    whole = int("".join("1" if bit else "0" for bit in bits), 2)
    payload, crc = whole >> CRC_BITS, whole & (1 << CRC_BITS) - 1
    return payload, crc == _crc(payload)


def payload_bits(payload: int) -> Bool[np.ndarray, " bit"]:
    """The payload alone as bits, most significant first."""
    return _bits(payload, PAYLOAD_BITS)


def _bits(number: int, count: int) -> Bool[np.ndarray, " bit"]:
    return np.array([number >> k & 1 for k in reversed(range(count))], bool)


def _crc(payload: int) -> int:
    """CRC-16/CCITT-FALSE; it starts at all ones, so that an empty message does not fit."""
    register = 0xFFFF
    for byte in payload.to_bytes(PAYLOAD_BITS // 8, "big"):
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ (0x1021 if register & 0x8000 else 0)) & 0xFFFF
    return register


def encoded(bits: Bool[np.ndarray, " bit"]) -> Bool[np.ndarray, " coded"]:
    """The message under the code. The encoder starts in the state it will end in, so that no bits go into a tail."""
    state = int("".join("1" if bit else "0" for bit in bits[: -MEMORY - 1 : -1]), 2)  # the newest bit stands highest
    coded = []
    for bit in bits:
        register = int(bit) << MEMORY | state
        coded += [(register & generator).bit_count() & 1 for generator in GENERATORS]
        state = register >> 1
    return np.array(coded, bool)


def decoded(soft: Float[np.ndarray, " coded"]) -> Bool[np.ndarray, " bit"]:
    """The likeliest message, told how much each coded bit looks like 0 (> 0) or like 1 (< 0)."""
    return _viterbi(soft.astype(np.float32).reshape(MESSAGE_BITS, len(GENERATORS)), _emitted())


@lru_cache(maxsize=1)
def _emitted() -> Float32[np.ndarray, "register generator"]:
    """What the encoder emits for each content of its register (next bit and state): +1 for 0, -1 for 1."""
    parities = [[(register & g).bit_count() & 1 for g in GENERATORS] for register in range(2 << MEMORY)]
    return 1 - 2 * np.array(parities, np.float32)


@no_type_check
@numba.njit(cache=True, nogil=True)
def _viterbi(soft, emitted):
    """The best path three times around the circle; the middle round is read: there the unknown start is forgotten."""
    steps, states = soft.shape[0], emitted.shape[0] // 2
    score = np.zeros(states, np.float32)
    fresh = np.zeros(states, np.float32)
    came = np.zeros((3 * steps, states), np.int16)
    for step in range(3 * steps):
        fresh[:] = -np.inf
        for register in range(2 * states):
            state, there = register & (states - 1), register >> 1
            reached = score[state]
            for k in range(soft.shape[1]):
                reached += soft[step % steps, k] * emitted[register, k]
            if reached > fresh[there]:
                fresh[there] = reached
                came[step, there] = state
        score[:] = fresh
    state = np.argmax(score)
    bits = np.zeros(steps, np.bool_)
    for step in range(3 * steps - 1, steps - 1, -1):
        if step < 2 * steps:
            bits[step - steps] = state >= states // 2
        state = came[step, state]
    return bits
