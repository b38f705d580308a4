"""The training voices: utterances whose phones and their times are known, real and synthetic, in many languages.

Real recordings (speechocean762) are aligned by pocketsphinx; espeak-ng, flite and festival say themselves when each
phone begins; the vocoder makes other speakers, manners and songs of them. Another language's sound becomes the phone
of `PHONES` whose mouth looks most like it.

    python -m vasa_core.world.voices --out runs/world/utterances
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.audio import load_sound
from vasa_core.clock import SAMPLE_RATE_HZ
from vasa_core.errors import BadInput, BadOption, VasaError
from vasa_core.speech import PHONES
from vasa_core.world.curves import VOWELS
from vasa_core.world.festival import VOICES as FESTIVAL_VOICES
from vasa_core.world.festival import festival_utterances
from vasa_core.world.singing import sung
from vasa_core.world.sound_stage import Manner, said_otherwise
from vasa_core.world.texts import SENTENCES, random_text
from vasa_core.world.throats import random_throat, with_throats
from vasa_core.world.utterances import (
    SILENCE,
    Phone,
    Utterance,
    load_utterances,
    phones_from_starts,
    with_silence,
    write_shard,
)
from vasa_core.world.vocoder import FRAMES_PER_S, pitch

__all__ = ["Espeak", "Phone", "Utterance", "align", "espeak_utterances", "load_utterances", "make_utterances"]

# fmt: off
IPA_BY_MOUTH = {
    # spread and open lips
    "IY": "i", "IH": "ɪ ɨ ɯ ɘ ᵻ", "EY": "e eɪ", "EH": "ɛ", "AE": "æ", "AA": "a ɑ", "AH": "ʌ ə ɐ ɤ",
    "AY": "aɪ", "AW": "aʊ",
    # rounded lips: front rounded vowels look like back ones
    "AO": "ɔ ɒ", "OW": "o oʊ əʊ", "OY": "ɔɪ ɔø", "UH": "ʊ ɵ ʏ ø", "UW": "u ʉ y", "ER": "ɜ ɚ ɝ œ", "W": "w ɥ ʍ",
    # closed lips; lip on teeth; tongue on teeth
    "P": "p", "B": "b ɓ", "M": "m", "F": "f ɸ", "V": "v ʋ ɱ β", "TH": "θ", "DH": "ð", "S": "s", "Z": "z",
    # tip of the tongue: a tapped or trilled r has no rounded lips, so it is no English R
    "T": "t ʈ", "D": "d ɖ ɗ ɾ ɽ", "N": "n ɳ", "L": "l ɭ ɫ ɬ r", "R": "ɹ ɻ", "Y": "j ʝ",
    "SH": "ʃ ɕ ʂ", "ZH": "ʒ ʑ ʐ", "CH": "tʃ tɕ tʂ tS", "JH": "dʒ dʑ dʐ",
    # back of the mouth: nothing to see at the lips
    "K": "k c q", "G": "ɡ g ɟ ɣ ʁ", "NG": "ŋ ɴ", "HH": "h ɦ x χ ħ ʕ ç ʔ",
    # two in a row
    "N Y": "ɲ", "L Y": "ʎ", "T S": "ts", "D Z": "dz", "P F": "pf",
}
# fmt: on
"""Phones and the IPA symbols of all languages that look most like them; marks such as ː ʲ ̃ are ignored."""

NEAREST_PHONES = {ipa: tuple(phones.split()) for phones, symbols in IPA_BY_MOUTH.items() for ipa in symbols.split()}

FLITE_PHONES = {"ax": "AH", "axr": "ER", "pau": SILENCE, "h#": SILENCE, "brth": SILENCE, "ix": "IH", "dx": "D"}
"""flite's names that are not ARPAbet in lower case."""

_SYMBOLS = sorted(NEAREST_PHONES, key=len, reverse=True)
_SHORTEST_PAUSE_S = 0.045
"""espeak-ng marks both pauses and swallowed vowels with an empty name; shorter ones belong to the phone before."""


def phones_from_ipa(symbols: str) -> tuple[str, ...]:
    """The phones of `PHONES` whose mouths look most like these IPA symbols; empty where nothing is known of them."""
    found: list[str] = []
    while symbols:
        match = next((symbol for symbol in _SYMBOLS if symbols.startswith(symbol)), None)
        found += NEAREST_PHONES[match] if match else ()
        symbols = symbols[len(match) if match else 1 :]
    return tuple(found)


# ---------------------------------------------------------------------------------------------------------------------
# espeak-ng, through its shared library: it calls back with samples and the sample at which each phoneme begins.


def installed_data() -> Path:
    """Where espeak-ng keeps its voices, as it says itself."""
    said = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return Path(said.split("Data at:")[1].strip())


class _Event(ctypes.Structure):  # espeak_EVENT of espeak-ng/speak_lib.h
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_SYNCHRONOUS, _PHONEME_EVENTS_IN_IPA, _PHONEME, _UTF8 = 2, 1 | 2, 7, 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER


class Espeak:
    """espeak-ng as a function from text to samples and phoneme times; one per process, the library is global.

    With `throats` (texts of voice files by name) its variants are these instead of the installed ones.
    """

    def __init__(self, throats: dict[str, str] | None = None) -> None:
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as why:
            raise BadOption("espeak-ng is missing: install the system package espeak-ng.") from why
        path = None
        if throats:
            self._data = tempfile.TemporaryDirectory()  # kept while voices are read from it
            path = str(with_throats(installed_data(), Path(self._data.name), throats)).encode()
        self._rate_hz: int = self._library.espeak_Initialize(_SYNCHRONOUS, 500, path, _PHONEME_EVENTS_IN_IPA)
        self._samples: list[np.ndarray] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _Callback(self._hear)  # kept, or ctypes frees it
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
        if samples and count:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        at = 0
        while events[at].type:
            if events[at].type == _PHONEME:
                self._events.append((events[at].sample, events[at].name.decode("utf8", "ignore")))
            at += 1
        return 0

    def say(
        self, text: str, voice: str, *, words_per_minute: int = 165, pitch: int = 50, pitch_range: int = 50
    ) -> tuple[Float[Tensor, " sample"], tuple[Phone, ...]]:
        """What the voice (such as `fr+f2`) says, pitch and range from 0 to 99."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise BadOption(f"espeak-ng has no voice {voice}: see espeak-ng --voices.")
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, int(value), 0)
        self._samples, self._events, spoken = [], [], text.encode()
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        sound = np.concatenate(self._samples).astype(np.float32) / 32768
        duration_s = len(sound) / self._rate_hz
        starts = [(sample / self._rate_hz, name) for sample, name in self._events]
        phones = phones_from_starts(list(_with_pauses(starts, duration_s)), duration_s)
        return torch.from_numpy(soxr.resample(sound, self._rate_hz, SAMPLE_RATE_HZ)), phones


def _with_pauses(starts: list[tuple[float, str]], duration_s: float) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Phones for each phoneme's start, silence for each nameless one that is long enough."""
    ends_s = [start_s for start_s, _ in starts[1:]] + [duration_s]
    for (start_s, name), end_s in zip(starts, ends_s, strict=True):
        silent = not name and end_s - start_s >= _SHORTEST_PAUSE_S
        yield start_s, (SILENCE,) if silent else () if name.startswith("(") else phones_from_ipa(name)


# variant of the voice: (name, who, pitch from, pitch to) with espeak-ng's pitch scale
ESPEAK_VARIANTS = (
    *((f"m{number}", "man", 25, 55) for number in (1, 2, 3, 4, 6, 7, 8)),
    *((f"f{number}", "woman", 40, 70) for number in (1, 2, 3, 4, 5)),
    *((name, "man", 30, 55) for name in ("Andy", "Michael", "max", "klatt", "klatt2", "klatt3", "klatt6")),
    *((name, "woman", 40, 65) for name in ("Annie", "linda", "steph", "belinda", "klatt4")),
    *((name, "child", 75, 99) for name in ("f2", "f4", "f5", "steph2")),
    ("whisper", "man", 30, 60),
    ("whisperf", "woman", 40, 65),
)


def espeak_utterances(language: str, count: int, rng: np.random.Generator) -> Iterator[Utterance]:
    """Random texts of one language said by random men, women and children at random speeds and melodies."""
    espeak = Espeak()
    for _ in range(count):
        variant, who, low, high = ESPEAK_VARIANTS[rng.integers(len(ESPEAK_VARIANTS))]
        sound, phones = espeak.say(
            random_text(language, rng),
            f"{language}+{variant}",
            words_per_minute=int(rng.integers(100, 300)),
            pitch=int(rng.integers(low, high)),
            pitch_range=int(rng.integers(10, 100)),
        )
        spoken = Utterance(
            sound=sound, phones=phones, speaker=f"espeak-{variant}-{who}", language=language, source="espeak-ng"
        )
        yield with_silence(spoken, *rng.uniform(0.05, 0.9, size=2))


def throat_utterances(language: str, count: int, rng: np.random.Generator, throats: int = 60) -> Iterator[Utterance]:
    """Random texts of one language said by random throats."""
    named = {f"throat{at:02d}": random_throat(f"throat{at:02d}", rng) for at in range(throats)}
    espeak = Espeak(named)
    for _ in range(count):
        name = str(rng.choice(list(named)))
        sound, phones = espeak.say(
            random_text(language, rng),
            f"{language}+{name}",
            words_per_minute=int(rng.integers(100, 280)),
            pitch=int(rng.integers(25, 80)),
            pitch_range=int(rng.integers(10, 100)),
        )
        sound = sound / max(1.0, 1.05 * float(sound.abs().max()))
        spoken = Utterance(
            sound=sound, phones=phones, speaker=f"{name}-{language}", language=language, source="espeak-ng"
        )
        yield with_silence(spoken, *rng.uniform(0.05, 0.9, size=2))


# ---------------------------------------------------------------------------------------------------------------------
# flite: American and Scottish voices modelled on recordings; it prints each phone and the time it ends.


def flite_utterance(text: str, voice: str, *, stretch: float = 1.0, pitch_hz: float | None = None) -> Utterance:
    """What a flite voice (slt, rms, awb, kal16) says of an English text; `stretch` > 1 is slower."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        settings = ["--setf", f"duration_stretch={stretch}"]
        settings += ["--setf", f"int_f0_target_mean={pitch_hz}"] if pitch_hz else []
        command = ["flite", "-voice", voice, *settings, "-t", text, "-psdur", "-o", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        sound = _read_wave(path)
    names, ends_s = zip(*(item.rsplit(":", 1) for item in printed.split()), strict=True)
    starts_s = [0.0, *map(float, ends_s[:-1])]
    starts = [(start_s, (_flite_phone(name),)) for start_s, name in zip(starts_s, names, strict=True)]
    phones = phones_from_starts(starts, len(sound) / SAMPLE_RATE_HZ)
    return Utterance(sound=sound, phones=phones, speaker=f"flite-{voice}", language="en-us", source="flite")


def _flite_phone(name: str) -> str:
    return FLITE_PHONES.get(name, name.upper())


def _read_wave(path: Path) -> Float[Tensor, " sample"]:
    """16-bit mono PCM without a decoder's padding, resampled when the voice has another rate."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16).astype(np.float32) / 32768
        return torch.from_numpy(soxr.resample(samples, file.getframerate(), SAMPLE_RATE_HZ))


def flite_utterances(count: int, rng: np.random.Generator) -> Iterator[Utterance]:
    """Random English texts said by flite's four voices at random speeds and pitches."""
    for _ in range(count):
        voice, pitch_hz = [("slt", 175), ("rms", 100), ("awb", 125), ("kal16", 105)][rng.integers(4)]
        text = random_text(str(rng.choice(["en-us", "en-gb-x-rp"])), rng)
        spoken = flite_utterance(
            text, voice, stretch=rng.uniform(0.8, 1.3), pitch_hz=pitch_hz * 2 ** rng.uniform(-0.25, 0.35)
        )
        yield with_silence(spoken, *rng.uniform(0.0, 0.5, size=2))


# ---------------------------------------------------------------------------------------------------------------------
# Real recordings, aligned.


def real_utterances(folder: Path, part: int, parts: int) -> Iterator[Utterance]:
    """The recordings of every `parts`-th speaker, aligned to their transcripts; what cannot be trusted is left out."""
    from pocketsphinx import Config, Decoder

    texts, speakers = _table(folder / "transcripts.tsv"), _table(folder / "utt2spk")
    decoder = Decoder(Config(lm=None, samprate=SAMPLE_RATE_HZ, loglevel="FATAL"))
    mine = set(sorted(set(speakers.values()))[part::parts])
    for name, speaker in speakers.items():
        if speaker in mine:
            sound = load_sound(folder / "opus" / f"{name}.opus")
            phones = align(sound, texts[name], decoder)
            if phones and doubts(sound, phones) == "":
                yield Utterance(sound=sound, phones=phones, speaker=speaker, language="en", source="speechocean762")


def align(sound: Float[Tensor, " sample"], text: str, decoder: Any, seed: int = 0) -> tuple[Phone, ...]:
    """The phones of a known text and their times by forced alignment; empty when the sound does not seem to say it.

    Silence to start in helps (74 % of recordings align with 0.2 s of it, 60 % without); other lengths help the rest.
    """
    for margin_s in (0.2, 0.5, 0.0):
        phones = _aligned(sound, text, decoder, round(margin_s * SAMPLE_RATE_HZ), seed)
        if phones:
            return phones
    return ()


def _aligned(sound: Float[Tensor, " sample"], text: str, decoder: Any, margin: int, seed: int) -> tuple[Phone, ...]:
    dither = np.random.default_rng(seed).normal(0, 8, len(sound) + 2 * margin)
    pcm = (np.pad(sound.numpy() * 32767, margin) + dither).clip(-32768, 32767).astype(np.int16).tobytes()
    try:
        decoder.set_align_text(text.lower())
        _listen(decoder, pcm)
        decoder.set_alignment()
        _listen(decoder, pcm)
        alignment = decoder.get_alignment()
    except RuntimeError:
        return ()
    starts = [(phone.start / 100 - margin / SAMPLE_RATE_HZ, (phone.name,)) for word in alignment for phone in word]
    duration_s = len(sound) / SAMPLE_RATE_HZ
    starts = [(max(start_s, 0.0), labels) for start_s, labels in starts if start_s < duration_s]
    return phones_from_starts(starts, duration_s) if all(labels[0] in PHONES for _, labels in starts) else ()


def doubts(sound: Float[Tensor, " sample"], phones: Sequence[Phone]) -> str:
    """What speaks against an alignment, or nothing.

    The transcript is forced upon the sound, so the sound must agree by itself: at least three vowels in five are
    voiced and vowels are 6 dB louder than the pauses. No more than a third of the phones may have the aligner's least
    length of 30 ms, no more than one in twelve may be longer than 0.45 s.
    """
    vowels = [phone for phone in phones if phone.label in VOWELS]
    spoken = [phone for phone in phones if phone.label != SILENCE]
    if not vowels:
        return "no vowel"
    f0_hz = pitch(sound.numpy())
    steps = [slice(int(p.start_s * FRAMES_PER_S), int(p.end_s * FRAMES_PER_S) + 1) for p in vowels]
    if np.mean([bool((f0_hz[step] > 0).any()) for step in steps]) < 0.6:
        return "vowels without voice"
    lengths = np.array([phone.end_s - phone.start_s for phone in spoken])
    if (lengths < 0.035).mean() > 1 / 3 or (lengths > 0.45).mean() > 1 / 12:
        return "phones too short or too long"
    pauses = [p for p in phones if p.label == SILENCE and p.end_s - p.start_s > 0.12]
    if pauses and _level_db(sound, vowels) - _level_db(sound, pauses) < 6:
        return "vowels as quiet as pauses"
    return ""


def _level_db(sound: Float[Tensor, " sample"], phones: Sequence[Phone]) -> float:
    """Median level of the middles of these phones."""
    middles = [(phone.start_s + phone.end_s) / 2 * SAMPLE_RATE_HZ for phone in phones]
    powers = [float(sound[max(0, int(at) - 200) : int(at) + 200].square().mean()) for at in middles]
    return float(10 * np.log10(np.median(powers) + 1e-9))


def _listen(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _table(path: Path) -> dict[str, str]:
    """A two-column text file as a dictionary."""
    if not path.is_file():
        raise BadInput(f"There is no {path}: set VASA_DATA to the folder of the training data.")
    return dict(line.split(maxsplit=1) for line in path.read_text().splitlines())


# ---------------------------------------------------------------------------------------------------------------------
# The whole set.


def make_utterances(folder: Path, data: Path, *, seed: int, scale: float, workers: int) -> None:
    """Fills the folder with shards; those already there are kept, so a stopped run goes on."""
    jobs = all_jobs(data, scale)
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        todo = {name: job for name, job in jobs.items() if not (folder / f"{name}.npz").exists()}
        seeds = np.random.SeedSequence(seed).spawn(len(jobs))
        numbered = {name: seeds[at] for at, name in enumerate(jobs)}
        paths, chosen = [folder / f"{name}.npz" for name in todo], [numbered[name] for name in todo]
        for path, hours in zip(paths, pool.map(_write_job, paths, todo.values(), chosen), strict=True):
            print(f"{path.name}: {hours * 60:.1f} minutes", flush=True)
    (folder / "DONE").touch()


Job = Callable[[np.random.Generator], Iterator[Utterance]]
_REAL_PARTS = 10


def all_jobs(data: Path, scale: float) -> dict[str, Job]:
    """Each file of the set and what makes it: voices as they are, said in other manners, and sung."""
    jobs: dict[str, Job] = {f"espeak_{language}": Espoken(language, round(90 * scale)) for language in SENTENCES}
    jobs |= {f"throats_{language}": Throats(language, round(70 * scale)) for language in SENTENCES}
    jobs |= {f"flite_{part}": Flitten(round(120 * scale)) for part in range(4)}
    jobs |= {f"festival_{voice}": Festive(voice, round(70 * scale)) for voice in FESTIVAL_VOICES}
    jobs |= {f"real_{part:02d}": Recorded(data / "speech", part) for part in range(_REAL_PARTS)}
    for language in SENTENCES:
        jobs[f"manner_{language}"] = Recast(Espoken(language, round(30 * scale)))
        jobs[f"sung_{language}"] = Sung(Espoken(language, round(24 * scale)))
    jobs |= {"manner_flite": Recast(Flitten(round(120 * scale))), "sung_flite": Sung(Flitten(round(90 * scale)))}
    for voice in FESTIVAL_VOICES:
        jobs[f"manner_{voice}"] = Recast(Festive(voice, round(30 * scale)))
        jobs[f"sung_{voice}"] = Sung(Festive(voice, round(24 * scale)))
    # other throats for the real recordings: their speakers are few
    jobs |= {f"manner_real_{part:02d}": Recast(Recorded(data / "speech", part)) for part in range(_REAL_PARTS)}
    return jobs


@dataclass(frozen=True)
class Espoken:
    """espeak-ng in one language."""

    language: str
    count: int

    def __call__(self, rng: np.random.Generator) -> Iterator[Utterance]:
        return espeak_utterances(self.language, self.count, rng)


@dataclass(frozen=True)
class Throats:
    """espeak-ng in one language, by throats drawn at random."""

    language: str
    count: int

    def __call__(self, rng: np.random.Generator) -> Iterator[Utterance]:
        return throat_utterances(self.language, self.count, rng)


@dataclass(frozen=True)
class Flitten:
    """flite's four voices."""

    count: int

    def __call__(self, rng: np.random.Generator) -> Iterator[Utterance]:
        return flite_utterances(self.count, rng)


@dataclass(frozen=True)
class Festive:
    """One of festival's voices."""

    voice: str
    count: int

    def __call__(self, rng: np.random.Generator) -> Iterator[Utterance]:
        return festival_utterances(self.voice, self.count, rng)


@dataclass(frozen=True)
class Recorded:
    """A share of the real recordings."""

    folder: Path
    part: int

    def __call__(self, rng: np.random.Generator) -> Iterator[Utterance]:
        return real_utterances(self.folder, self.part, _REAL_PARTS)


@dataclass(frozen=True)
class Recast:
    """Another job's utterances in other manners: higher, lower, smaller, larger, whispered, loud, fast, slow.

    A changed voice is a speaker of its own, and stays with the speaker it was made from when speakers are held out.
    """

    base: Job

    def __call__(self, rng: np.random.Generator) -> Iterator[Utterance]:
        for utterance in self.base(rng):
            yield said_otherwise(utterance, Manner.drawn(rng), rng)


@dataclass(frozen=True)
class Sung:
    """Another job's utterances, sung."""

    base: Job

    def __call__(self, rng: np.random.Generator) -> Iterator[Utterance]:
        for utterance in self.base(rng):
            if utterance.duration_s < 7:
                yield sung(utterance, rng)[0]


def _write_job(path: Path, job: Job, seed: np.random.SeedSequence) -> float:
    """Runs one job in this process and stores what it makes; hours of sound."""
    utterances = list(job(np.random.default_rng(seed)))
    partial = path.with_name(f".{path.name}")
    write_shard(partial, utterances)
    partial.replace(path)  # a shard is there as a whole or not at all
    return sum(utterance.duration_s for utterance in utterances) / 3600


def main(arguments: list[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m vasa_core.world.voices", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/world/utterances"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("VASA_DATA", "../shared/data")))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="how many synthetic utterances, 1 is about 4 hours")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(arguments)
    try:
        make_utterances(chosen.out, chosen.data, seed=chosen.seed, scale=chosen.scale, workers=chosen.workers)
    except VasaError as why:
        raise SystemExit(f"{why}") from None


if __name__ == "__main__":
    main()
