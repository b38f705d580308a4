"""Trains the speech encoder on the training voices, spoiled in every way a microphone, a room and a song can.

    python -m vasa_core.world.voices --out runs/world/utterances
    python -m vasa_core.train.speech --out runs/speech --minutes 22 --seed 0

The run is resumable; it leaves `speech.safetensors`, and in `log.jsonl` the phone accuracy on speakers and languages
that were never trained on, clean and under each condition. Truth, at 100 Hz: phone, voicing, energy and F0 of the clean
sound.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from vasa_core.audio import FLOOR, HOP, MEL_RATE_HZ, log_mel, mel_filters
from vasa_core.clock import SAMPLE_RATE_HZ, exact_div
from vasa_core.errors import VasaError
from vasa_core.speech import F0_CENTRE_HZ, HALF_RATE_HZ, PHONES, Heard, SpeechEncoder, save_speech_encoder
from vasa_core.train.together import ALONE, Together, joined
from vasa_core.world.voices import Utterance, load_utterances

CROP_S = 4
CROP = CROP_S * SAMPLE_RATE_HZ
HALVES_PER_CROP = CROP_S * HALF_RATE_HZ
HELD_OUT_LANGUAGES = ("it", "ko")
HELD_OUT_PEOPLE = frozenset("0001 0075 0739 1092 1419 2129 2380 3021 3837 6010 8585 9613 9639".split())
HELD_OUT_VOICES = ("espeak-m7-man", "espeak-f5-woman", "espeak-f5-child", "espeak-Michael-man")
CLOSED_LIPS = ("P", "B", "M")
_SHAPES = ("SIL", "P B M", "F V", "W UW OW UH OY", "AO AA AW AY", "AE EH AH ER EY", "IY IH Y", "CH JH SH ZH R")
MOUTH_SHAPE = torch.tensor(
    [next((at for at, group in enumerate(_SHAPES) if phone in group.split()), len(_SHAPES)) for phone in PHONES]
)
"""Nine mouth shapes, the last for consonants made behind open teeth."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is known of one utterance, or of a batch of crops, moment by moment."""

    phone: Int[Tensor, "*batch moment"]
    voiced: Float[Tensor, "*batch moment"]
    loudness: Float[Tensor, "*batch moment"]
    melody: Float[Tensor, "*batch moment"]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """An utterance with its truth at 100 Hz."""

    utterance: Utterance
    truth: Truth


def lesson(utterance: Utterance) -> Lesson:
    """The truth of an utterance: phones from its labels, the rest measured on its clean sound."""
    moments = -(-len(utterance.sound) // HOP)
    phone = torch.zeros(moments, dtype=torch.long)
    for spoken in utterance.phones:
        phone[round(spoken.start_s * MEL_RATE_HZ) : round(spoken.end_s * MEL_RATE_HZ)] = PHONES.index(spoken.label)
    energy = log_mel(utterance.sound).exp().mean(-1).clamp_min(FLOOR).log()
    loudness = ((energy - energy.max()) / math.log(1e6)).clamp_min(-1)  # -1 is 60 dB below the loudest
    f0_hz, periodicity = measured_f0(utterance.sound)
    voiced = ((periodicity > 0.55) & (loudness > -0.7) & (phone > 0)).float()
    melody = torch.where(voiced > 0, (f0_hz / F0_CENTRE_HZ).log2(), 0.0)
    return Lesson(utterance=utterance, truth=Truth(phone=phone, voiced=voiced, loudness=loudness, melody=melody))


def measured_f0(
    sound: Float[Tensor, " sample"], lowest_hz: int = 65, highest_hz: int = 650
) -> tuple[Float[Tensor, " moment"], Float[Tensor, " moment"]]:
    """F0 in Hz and periodicity in [0, 1] every 10 ms: the highest peak of the window-corrected autocorrelation."""
    window, fft = 1024, 2048
    moments = -(-len(sound) // HOP)
    margin = (window - HOP) // 2
    frames = functional.pad(sound, (margin, margin + moments * HOP - len(sound))).unfold(0, window, HOP)
    taper = torch.hann_window(window)
    spectrum = torch.fft.rfft((frames - frames.mean(-1, keepdim=True)) * taper, n=fft)
    correlation = torch.fft.irfft(spectrum.abs().square(), n=fft)
    own = torch.fft.irfft(torch.fft.rfft(taper, n=fft).abs().square(), n=fft)
    first, last = SAMPLE_RATE_HZ // highest_hz, SAMPLE_RATE_HZ // lowest_hz
    periodic = correlation[:, :last] / correlation[:, :1].clamp_min(1e-9) / (own[:last] / own[0])
    candidates = periodic[:, first:] - 0.0004 * torch.arange(last - first)  # of equal peaks the shortest period
    lag = candidates.argmax(-1) + first
    return SAMPLE_RATE_HZ / lag, periodic.gather(1, lag[:, None])[:, 0].clamp(0, 1)


def crop(lessons: list[Lesson], rng: np.random.Generator, speed: float) -> tuple[np.ndarray, Truth]:
    """Four seconds of one utterance after another, played `speed` times faster (raising pitch and formants)."""
    samples: list[np.ndarray] = []
    truths, wanted = [], int(CROP * speed) + HOP
    while sum(len(piece) for piece in samples) < wanted:
        picked = lessons[rng.integers(len(lessons))]
        moment = int(rng.integers(0, max(1, len(picked.truth.phone) - 50))) if not samples else 0
        level = 10 ** rng.uniform(-0.5, 0)
        samples.append(picked.utterance.sound[moment * HOP :].numpy() * level)
        samples[-1] = np.pad(samples[-1], (0, -len(samples[-1]) % HOP))
        truths.append([value[moment:] for value in vars(picked.truth).values()])
    sound = np.interp(np.arange(CROP) * speed, np.arange(wanted), np.concatenate(samples)[:wanted])
    at = ((np.arange(HALVES_PER_CROP) + 0.5) * speed * exact_div(MEL_RATE_HZ, HALF_RATE_HZ)).astype(int)
    phone, voiced, loudness, melody = (torch.cat(values)[at] for values in zip(*truths, strict=True))
    melody = melody + math.log2(speed) * voiced
    return sound.astype(np.float32), Truth(phone=phone, voiced=voiced, loudness=loudness, melody=melody)


# ---------------------------------------------------------------------------------------------------------------------
# Spoiling: each takes a batch of sounds [batch, sample] and returns one of the same shape.


def coloured_noise(shape: tuple[int, int], generator: torch.Generator) -> Float[Tensor, "batch sample"]:
    """Noise whose power falls with frequency as f^-a, a from 0 (hiss) to 2 (rumble), of unit power."""
    spectrum = torch.fft.rfft(torch.randn(shape, generator=generator))
    slope = torch.rand(shape[0], 1, generator=generator)
    hertz = torch.linspace(0, SAMPLE_RATE_HZ / 2, spectrum.shape[1]).clamp_min(40)
    return _unit_power(torch.fft.irfft(spectrum * hertz**-slope, n=shape[1]))


def music(shape: tuple[int, int], generator: torch.Generator) -> Float[Tensor, "batch sample"]:
    """Plucked chords on a beat, with overtones, of unit power: enough of a song to be in the way."""
    batch, samples = shape
    seconds = torch.arange(samples) / SAMPLE_RATE_HZ
    sound = torch.zeros(shape)
    for row in range(batch):
        beat_s = 0.25 + 0.5 * torch.rand(1, generator=generator).item()
        overtones = int(torch.randint(2, 7, (1,), generator=generator))
        decay = 0.5 + 5 * torch.rand(1, generator=generator).item()
        for beat in range(int(samples / SAMPLE_RATE_HZ / beat_s) + 1):
            begin = int(beat * beat_s * SAMPLE_RATE_HZ)
            since_s = seconds[: samples - begin]
            notes = torch.randint(0, 36, (3,), generator=generator)
            for hertz in (65.4 * 2 ** (notes / 12)).tolist():
                for k in range(1, overtones):
                    ring = torch.sin(2 * math.pi * hertz * k * since_s)
                    sound[row, begin:] += math.exp(-0.6 * k) * ring * torch.exp(-decay * since_s)
    return _unit_power(sound + 0.03 * torch.randn(shape, generator=generator))


def room(shape: tuple[int, int], generator: torch.Generator) -> Float[Tensor, "batch sample"]:
    """Room answers: the direct sound, then noise that dies away by 60 dB in 0.1 to 0.8 s (Polack's model)."""
    batch, samples = shape
    reverberation_s = 0.1 + 0.7 * torch.rand(batch, 1, generator=generator)
    seconds = torch.arange(samples) / SAMPLE_RATE_HZ
    tail = torch.randn(shape, generator=generator) * torch.exp(-6.9 * seconds / reverberation_s)
    wet = 10 ** (-1.2 * torch.rand(batch, 1, generator=generator) + 0.3)
    answer = tail / tail.square().sum(-1, keepdim=True).sqrt() * wet
    answer[:, 0] += 1
    return answer


def convolved(
    sound: Float[Tensor, "batch sample"], answer: Float[Tensor, "batch tap"]
) -> Float[Tensor, "batch sample"]:
    """The sound heard through each row's answer."""
    length = 2 ** math.ceil(math.log2(sound.shape[1] + answer.shape[1]))
    spectrum = torch.fft.rfft(sound, n=length) * torch.fft.rfft(answer, n=length)
    return torch.fft.irfft(spectrum, n=length)[:, : sound.shape[1]]


def band_limited(
    sound: Float[Tensor, "batch sample"], low_hz: Float[Tensor, " batch"], high_hz: Float[Tensor, " batch"]
) -> Float[Tensor, "batch sample"]:
    """A telephone, a cheap microphone, a low bit rate: nothing outside the band."""
    hertz = torch.linspace(0, SAMPLE_RATE_HZ / 2, sound.shape[1] // 2 + 1)
    gate = torch.sigmoid((hertz - low_hz[:, None]) / 20) * torch.sigmoid((high_hz[:, None] - hertz) / 60)
    return torch.fft.irfft(torch.fft.rfft(sound) * gate, n=sound.shape[1])


def companded(sound: Float[Tensor, "batch sample"], steps: int = 64) -> Float[Tensor, "batch sample"]:
    """Few steps on a logarithmic scale (mu-law), as old codecs sound."""
    peak = sound.abs().amax(-1, keepdim=True).clamp_min(1e-5)
    squeezed = torch.sign(sound) * torch.log1p(255 * (sound / peak).abs()) / math.log(256)
    rough = (squeezed * steps).round() / steps
    return torch.sign(rough) * torch.expm1(rough.abs() * math.log(256)) / 255 * peak


def mixed(
    sound: Float[Tensor, "batch sample"], other: Float[Tensor, "batch sample"], ratio_db: Float[Tensor, " batch"]
) -> Float[Tensor, "batch sample"]:
    """The sound with something else under it, `ratio_db` quieter than the voice's own power."""
    power = sound.square().mean(-1, keepdim=True).clamp_min(1e-9)
    return sound + _unit_power(other) * power.sqrt() * 10 ** (-ratio_db[:, None] / 20)


def _unit_power(sound: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
    return sound / sound.square().mean(-1, keepdim=True).clamp_min(1e-12).sqrt()


class Spoiler:
    """Random spoiling of batches; noise, music and rooms are drawn from a pool made once, as making them is slow."""

    def __init__(self, generator: torch.Generator, pool: int = 96) -> None:
        self.generator = generator
        self._noise = coloured_noise((pool, CROP), generator)
        self._music = music((pool, CROP), generator)
        self._rooms = room((pool, SAMPLE_RATE_HZ), generator)

    def __call__(self, sound: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
        """The batch, spoiled: about one sound in seven stays as it was but for its loudness."""
        babble = sound.roll(1, 0) + 0.7 * sound.roll(2, 0) + 0.5 * sound.roll(3, 0)
        sound = self._some(sound, 0.4, lambda sound: convolved(sound, self._drawn(self._rooms, len(sound))))
        sound = self._some(sound, 0.15, lambda sound: mixed(sound, *self._bed(babble, len(sound), 5, 25)))
        sound = self._some(sound, 0.25, lambda sound: mixed(sound, *self._bed(self._music, len(sound), -2, 25)))
        sound = self._some(sound, 0.55, lambda sound: mixed(sound, *self._bed(self._noise, len(sound), 0, 45)))
        sound = self._some(sound, 0.25, self._through_a_band)
        sound = self._some(sound, 0.1, companded)
        sound = self._some(sound, 0.1, lambda sound: sound.clamp(-0.4, 0.4))
        peak = sound.abs().amax(-1, keepdim=True).clamp_min(1e-4)
        return sound / peak * 10 ** (self._between(len(sound), -35, 0)[:, None] / 20)

    def _some(
        self, sound: Float[Tensor, "batch sample"], share: float, spoil: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "batch sample"]:
        """Spoils a random share of the batch."""
        chosen = torch.rand(len(sound), generator=self.generator) < share
        if chosen.any():
            sound = sound.clone()
            sound[chosen] = spoil(sound[chosen])
        return sound

    def _through_a_band(self, sound: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
        return band_limited(sound, self._between(len(sound), 20, 350), self._between(len(sound), 2800, 7500))

    def _bed(
        self, pool: Float[Tensor, "pool sample"], count: int, low_db: float, high_db: float
    ) -> tuple[Float[Tensor, "batch sample"], Float[Tensor, " batch"]]:
        turned = self._drawn(pool, count).roll(int(torch.randint(CROP, (1,), generator=self.generator)), -1)
        return turned, self._between(count, low_db, high_db)

    def _drawn(self, pool: Float[Tensor, "pool sample"], count: int) -> Float[Tensor, "batch sample"]:
        return pool[torch.randint(len(pool), (count,), generator=self.generator)]

    def _between(self, count: int, low: float, high: float) -> Float[Tensor, " batch"]:
        return low + (high - low) * torch.rand(count, generator=self.generator)


# ---------------------------------------------------------------------------------------------------------------------
# Learning and judging.


def loss_of(heard: Heard, truth: Truth, phone_weight: Float[Tensor, " phone"]) -> Float[Tensor, ""]:
    """Cross-entropy on phones (closed lips count double) and voicing, absolute error on loudness and melody."""
    phones = functional.cross_entropy(heard.phone_logits.transpose(1, 2), truth.phone, weight=phone_weight)
    voicing = functional.binary_cross_entropy_with_logits(heard.voicing_logit, truth.voiced)
    loudness = (heard.loudness - truth.loudness).abs().mean()
    melody = ((heard.melody - truth.melody).abs() * truth.voiced).sum() / truth.voiced.sum().clamp_min(1)
    return phones + 0.3 * voicing + 0.5 * loudness + 0.5 * melody


def hushed(truth: Truth) -> tuple[np.ndarray, Truth]:
    """Nobody says anything: with noise or music over it, the encoder learns that not every sound is a voice."""
    nothing = torch.zeros_like(truth.voiced)
    return np.zeros(CROP, dtype=np.float32), Truth(
        phone=torch.zeros_like(truth.phone), voiced=nothing, loudness=nothing - 1, melody=nothing
    )


def batch_of(
    lessons: list[Lesson], size: int, rng: np.random.Generator, fastest: float = 1.22, silent: float = 0.0
) -> tuple[Float[Tensor, "batch sample"], Truth]:
    """Random crops at random speeds, a share of them silent."""
    speeds = fastest ** rng.uniform(-1, 1, size)
    crops = [crop(lessons, rng, speed) for speed in speeds]
    sounds, truths = zip(
        *(hushed(truth) if rng.random() < silent else (sound, truth) for sound, truth in crops), strict=True
    )
    stacked = {name: torch.stack([getattr(truth, name) for truth in truths]) for name in vars(truths[0])}
    return torch.from_numpy(np.stack(sounds)), Truth(**stacked)


def conditions(generator: torch.Generator) -> dict[str, Callable[[Tensor], Tensor]]:
    """The fixed conditions every encoder is judged under."""

    def bed(make: Callable[..., Tensor], ratio_db: float) -> Callable[[Tensor], Tensor]:
        return lambda sound: mixed(sound, make(tuple(sound.shape), generator), torch.full((len(sound),), ratio_db))

    return {
        "clean": lambda sound: sound,
        "quiet (-40 dB)": lambda sound: 0.01 * sound,
        "noise 10 dB": bed(coloured_noise, 10.0),
        "noise 0 dB": bed(coloured_noise, 0.0),
        "music 5 dB": bed(music, 5.0),
        "room": lambda sound: convolved(sound, room((len(sound), SAMPLE_RATE_HZ), generator)),
        "telephone": lambda sound: band_limited(
            sound, torch.full([len(sound)], 300.0), torch.full([len(sound)], 3400.0)
        ),
    }


@torch.inference_mode()
def judged(encoder: SpeechEncoder, sound: Float[Tensor, "batch sample"], truth: Truth) -> dict[str, float]:
    """Shares of halves: right phone, right mouth shape, closed lips found and closed lips rightly claimed."""
    heard = encoder.eval()(log_mel(sound))
    said, meant = heard.phone_logits.argmax(-1), truth.phone
    closed = torch.tensor([PHONES.index(phone) for phone in CLOSED_LIPS])
    said_closed, meant_closed = torch.isin(said, closed), torch.isin(meant, closed)
    both = (said_closed & meant_closed).sum()
    voiced = truth.voiced > 0
    return {
        "phone": (said == meant).float().mean().item(),
        "phone_in_speech": (said == meant)[meant > 0].float().mean().item(),
        "mouth_shape": (MOUTH_SHAPE[said] == MOUTH_SHAPE[meant]).float().mean().item(),
        "lips_closed_recall": (both / meant_closed.sum().clamp_min(1)).item(),
        "lips_closed_precision": (both / said_closed.sum().clamp_min(1)).item(),
        "voicing": ((heard.voicing_logit > 0) == voiced).float().mean().item(),
        "f0_error_semitones": 12 * (heard.melody - truth.melody).abs()[voiced].median().item(),
    }


def split(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """Training and three held-out sets: real speakers, synthetic voices, languages."""
    sets: dict[str, list[Utterance]] = {"training": [], "real speakers": [], "voices": [], "languages": []}
    for utterance in utterances:
        if utterance.language in HELD_OUT_LANGUAGES:
            sets["languages"].append(utterance)
        elif utterance.speaker in HELD_OUT_VOICES:
            sets["voices"].append(utterance)
        else:
            sets["real speakers" if utterance.speaker in HELD_OUT_PEOPLE else "training"].append(utterance)
    return sets


def report(encoder: SpeechEncoder, sets: dict[str, list[Lesson]], size: int = 32) -> dict[str, dict[str, float]]:
    """Every held-out set under every condition, always the same crops."""
    generator = torch.Generator().manual_seed(1)
    table = {}
    for name, lessons in sets.items():
        sound, truth = batch_of(lessons, size, np.random.default_rng(1), fastest=1.0)
        for condition, spoil in conditions(generator).items():
            table[f"{name}, {condition}"] = judged(encoder, spoil(sound), truth)
    return table


class Trainer:
    """One resumable run: encoder, its running average, optimiser, and the time spent."""

    def __init__(
        self, lessons: list[Lesson], seed: int, minutes: float, batch: int, together: Together = ALONE
    ) -> None:
        self.lessons, self.minutes, self.batch = lessons, minutes, together.share(batch)
        self.seed, self.together = seed, together
        torch.manual_seed(seed)  # initial weights
        self.encoder = SpeechEncoder()
        self.average = SpeechEncoder()
        self.average.load_state_dict(self.encoder.state_dict())
        self.optimiser = torch.optim.AdamW(self.encoder.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
        self.rng = np.random.default_rng(seed) if together.leads else self._others_rng(0)
        self.spoil = Spoiler(torch.Generator().manual_seed(seed + together.rank))
        self.seconds, self.steps = 0.0, 0
        self.weight = torch.ones(len(PHONES))
        self.weight[[PHONES.index(phone) for phone in CLOSED_LIPS]] = 2.0

    def _others_rng(self, steps: int) -> np.random.Generator:
        """Each process draws its own share of a batch; only the first one's place in the dice is stored."""
        return np.random.default_rng([self.seed, self.together.rank, steps])

    @property
    def progress(self) -> float:
        return min(1.0, self.seconds / 60 / self.minutes)

    def step(self) -> float:
        """One batch; the learning rate rises over 200 steps and falls along a cosine over the run's minutes."""
        began = time.monotonic()
        rate = 2e-3 * min(1.0, (self.steps + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        sound, truth = batch_of(self.lessons, self.batch, self.rng, silent=0.08)
        tract = float(self.rng.choice([0.85, 0.92, 1.0, 1.0, 1.08, 1.16]))  # vocal tract length, apart from pitch
        heard = self.encoder.train()(log_mel(self.spoil(sound), mel_filters(tract)))
        loss = loss_of(heard, truth, self.weight)
        self.optimiser.zero_grad()
        loss.backward()
        self.together.average(self.encoder)
        nn.utils.clip_grad_norm_(self.encoder.parameters(), 1.0)
        self.optimiser.step()
        self._average()
        self.steps += 1
        self.seconds = self.together.agreed(self.seconds + time.monotonic() - began)
        return loss.item()

    @torch.no_grad()
    def _average(self) -> None:
        kept = min(0.998, self.steps / (self.steps + 10))
        for mean, now in zip(self.average.parameters(), self.encoder.parameters(), strict=True):
            mean.lerp_(now, 1 - kept)

    def save(self, folder: Path) -> None:
        """Everything needed to go on, and the averaged weights as a file to use."""
        state = {
            "encoder": self.encoder.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": json.dumps(self.rng.bit_generator.state),
            "seconds": self.seconds,
            "steps": self.steps,
        }
        torch.save(state, folder / "state.partial")
        (folder / "state.partial").replace(folder / "state.pt")
        save_speech_encoder(self.average, folder / "speech.safetensors")

    def resume(self, folder: Path) -> None:
        """Goes on where a run in this folder stopped."""
        if (folder / "state.pt").is_file():
            state = torch.load(folder / "state.pt", weights_only=True)
            self.encoder.load_state_dict(state["encoder"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.seconds, self.steps = state["seconds"], state["steps"]
            self.rng.bit_generator.state = json.loads(state["rng"])
            if not self.together.leads:
                self.rng = self._others_rng(self.steps)


def train(
    utterances: list[Utterance],
    folder: Path,
    *,
    minutes: float,
    seed: int,
    batch: int,
    save_every_s: float,
    together: Together = ALONE,
) -> None:
    """Trains for this many minutes of work, saving and judging now and then."""
    folder.mkdir(parents=True, exist_ok=True)
    sets = {name: [lesson(utterance) for utterance in members] for name, members in split(utterances).items()}
    trainer = Trainer(sets.pop("training"), seed, minutes, batch, together)
    trainer.resume(folder)
    losses, saved_s = [], trainer.seconds
    while trainer.progress < 1:
        losses.append(trainer.step())
        if trainer.seconds - saved_s > save_every_s or trainer.progress >= 1:
            if together.leads:
                trainer.save(folder)
                _log(folder, trainer, float(np.mean(losses)), report(trainer.average, sets))
            losses, saved_s = [], trainer.seconds


def _log(folder: Path, trainer: Trainer, loss: float, table: dict[str, dict[str, float]]) -> None:
    entry = {"steps": trainer.steps, "minutes": trainer.seconds / 60, "loss": loss, "held_out": table}
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    clean = {name: round(values["phone"], 3) for name, values in table.items() if "clean" in name}
    print(f"{trainer.steps} steps, {trainer.seconds / 60:.1f} min, loss {loss:.3f}, {clean}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m vasa_core.train.speech", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/speech"))
    parser.add_argument("--utterances", type=Path, nargs="+", default=[Path("runs/world/utterances")])
    parser.add_argument("--minutes", type=float, default=22)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--save-every-s", type=float, default=180)
    parser.add_argument("--threads", type=int, default=1, help="more only where cores are idle: waiting threads spin")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    together = joined()
    try:
        train(
            [utterance for folder in chosen.utterances for utterance in load_utterances(folder)],
            chosen.out,
            minutes=chosen.minutes,
            seed=chosen.seed,
            batch=chosen.batch,
            save_every_s=chosen.save_every_s,
            together=together,
        )
    except VasaError as why:
        raise SystemExit(f"{why}") from None
    together.part()


if __name__ == "__main__":
    main()
