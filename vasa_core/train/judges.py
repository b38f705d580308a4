"""Trains the judges of motion, on other voices and other performances than the generator's, each in minutes.

    python -m vasa_core.train.judges lines      # assets/judging/lines.npz: what motion is judged by
    python -m vasa_core.train.judges train      # assets/weights/judges.safetensors, by way of runs/judges

Three sets of voices that do not meet: those of `world.voices` (the generator's), `JUDGES_VOICES` here (the judges'),
and `LINE_VOICES` in languages of their own (the lines). Recordings of people are taken from speakers that the generator
held out. A stopped run goes on where it was; `log.jsonl` grows a line every half minute of processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from vasa_core import assets, closeup, following
from vasa_core.audio import MELS_PER_FRAME
from vasa_core.clock import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from vasa_core.controls import EMOTIONS
from vasa_core.evaluate import capp, sync
from vasa_core.evaluate import seen as looks
from vasa_core.evaluate.emotion import OPEN_LIDS, EmotionJudge, emotion_loss, signs_of
from vasa_core.evaluate.judges import FILE, Judges, save_judges
from vasa_core.evaluate.lines import SHIPPED, SITTERS, Line, write_lines
from vasa_core.evaluate.seen import GazeReading, Mesh, Stage
from vasa_core.latents import GAZE, Motion
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.surface import LOWER_LIDS, UPPER_LIDS, Surface, load_surface
from vasa_core.train.motion import HELD_OUT
from vasa_core.train.takes import cached, fingerprint
from vasa_core.world.measures import track_of
from vasa_core.world.performer import Mood, Performance
from vasa_core.world.scripts import Script, performed, random_mood, scripts_from
from vasa_core.world.texts import SENTENCES, random_text
from vasa_core.world.utterances import Phone, Utterance, load_utterances, with_silence
from vasa_core.world.voices import Espeak

JUDGES_VOICES = (
    "Alex Denis Gene Henrique Lee Marco Mike antonio benjamin boris caleb david ed gustave john marcelo michel miguel "
    "pablo paul pedro rob robert sandro travis zac grandma grandpa aunty shelby steph3"
).split()
"""espeak-ng's voices that speak to the judges alone."""

LINE_VOICES = ("quincy", "Alicia", "edward", "Andrea", "Diogo", "adam", "anika", "victor", "Hugo", "norbert", "Jacky")
"""espeak-ng's voices that nobody is trained on."""

LINES: tuple[tuple[str, str, str], ...] = (
    (
        "en-us",
        "The meeting was moved to Tuesday because the speaker missed her early train.",
        "Could you put the small table by the window before our guests arrive?",
    ),
    (
        "en-gb-x-gbclan",
        "Every summer we drive along the coast and stop for lunch by the harbour.",
        "He found a picture of his brother between the pages of the book.",
    ),
    (
        "nl",
        "Morgen gaan we met de bus naar mijn ouders in het zuiden.",
        "Het regende zo hard dat bijna niemand buiten durfde te spelen.",
    ),
    (
        "sv",
        "Vi sitter ofta vid köksbordet och pratar om dagen som har gått.",
        "I morgon bitti tar jag bussen till min syster i Uppsala.",
    ),
    (
        "ro",
        "Fratele meu lucrează la o bancă din centrul orașului.",
        "Dacă nu plouă, mâine ieșim cu toții la plimbare pe deal.",
    ),
    (
        "fi",
        "Huomenna aamulla lähdemme junalla isoäidin luokse.",
        "Kissa nukkui koko päivän ikkunan alla lämpimässä huoneessa.",
    ),
    ("cs", "Zítra ráno pojedeme vlakem na výlet do hor.", "Moje sestra má ráda dlouhé procházky podél řeky."),
    (
        "da",
        "I morgen tager vi bussen til min søster i Odense.",
        "Han glemte sin paraply på kontoret, så han blev helt våd.",
    ),
    ("hu", "Holnap reggel busszal megyünk a tengerhez.", "A bátyám minden este olvas egy mesét a kislányának."),
    ("el", "Αύριο το πρωί θα πάμε με το τρένο στη θάλασσα.", "Ο αδερφός μου δουλεύει σε ένα μικρό βιβλιοπωλείο."),
    ("id", "Adik saya suka membaca buku cerita sebelum tidur.", "Kemarin sore hujan turun sangat deras di kota kami."),
)
"""Language and two sentences of our own each; none of them is a language of `world.texts` but English.

Of their phones 9 to 11 % are P, B or M, as in ordinary talk: in a text full of them lips are shut so often that any
random moment would pass as a closure."""

FRAMES_SEEN = 6  # of each rendered performance
UNSEEN = 960  # performances seen only through the tracker's learned way of seeing
SPOILT = 0.5  # share of windows with a floor of noise under them, so that the judges do not lean on silence


@dataclass(frozen=True, kw_only=True)
class Performed:
    """Takes as the judges take them in: end to end, each with its sound, lips and turns at the same frames."""

    mel: Float[Tensor, "mel_frame mel"]
    lips: Float[Tensor, "frame lips"]
    turns_deg: Float[Tensor, "frame 3"]
    starts: list[int]
    lengths: list[int]


def judges_voices(count: int, rng: np.random.Generator) -> Iterator[Utterance]:
    """Random texts in many languages by voices that speak to the judges alone."""
    espeak, languages = Espeak(), list(SENTENCES)
    for _ in tqdm(range(count), unit="utterance", desc="voices"):
        language, voice = str(rng.choice(languages)), str(rng.choice(JUDGES_VOICES))
        sound, phones = espeak.say(
            random_text(language, rng),
            f"{language}+{voice}",
            words_per_minute=int(rng.integers(110, 260)),
            pitch=int(rng.integers(25, 75)),
            pitch_range=int(rng.integers(15, 99)),
        )
        spoken = Utterance(sound=sound, phones=phones, speaker=f"judge-{voice}", language=language, source="espeak-ng")
        yield with_silence(spoken, *rng.uniform(0.05, 0.6, size=2))


def held_out_people(folder: Path) -> list[Utterance]:
    """Recordings of the speakers whom the generator held out."""
    return [u for u in load_utterances(folder) if u.speaker in HELD_OUT and u.source == "speechocean762"]


def performances_of(scripts: Sequence[Script], surface: Surface, ways: int, rng: np.random.Generator) -> Performed:
    """Every script performed in so many ways and moods."""
    mels, lips, turns, lengths = [], [], [], []
    for script in tqdm(scripts, unit="take", desc="performances"):
        for _ in range(ways):
            done = performed(script, random_mood(rng), rng)
            track = track_of(done.motion(surface.dynamics_from_expression), surface)
            mels.append(sync.heard(script.sound, len(done)).half())
            lips.append(sync.lip_shapes(track).half())
            turns.append(torch.from_numpy(track.turns_deg).float())
            lengths.append(len(done))
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    return Performed(
        mel=torch.cat(mels), lips=torch.cat(lips), turns_deg=torch.cat(turns), starts=starts, lengths=lengths
    )


def drawn(takes: Performed, length: int, count: int, rng: np.random.Generator) -> list[int]:
    """First frames of so many windows, each of another take that is long enough."""
    long_enough = [k for k, frames in enumerate(takes.lengths) if frames >= length]
    chosen = rng.choice(long_enough, size=count, replace=count > len(long_enough))
    return [takes.starts[k] + int(rng.integers(0, takes.lengths[k] - length + 1)) for k in chosen]


def mel_windows(takes: Performed, first: Sequence[int], length: int, rng: np.random.Generator) -> Tensor:
    """The sound of these windows, under half of them a floor of noise."""
    mel = torch.stack([takes.mel[f * MELS_PER_FRAME : (f + length) * MELS_PER_FRAME] for f in first]).float()
    spoilt = torch.from_numpy(np.flatnonzero(rng.random(len(first)) < SPOILT))
    floor = torch.from_numpy(rng.uniform(-2.2, 0.2, (len(spoilt), 1, 1)).astype(np.float32))
    tilt = torch.from_numpy(rng.normal(0, 0.4, (len(spoilt), 1, 1)).astype(np.float32)) * torch.linspace(-1, 1, 80)
    grain = 0.15 * torch.from_numpy(rng.standard_normal((len(spoilt), *mel.shape[1:]), dtype=np.float32))
    mel[spoilt] = torch.logaddexp(4 * mel[spoilt], 4 * (floor + tilt + grain)) / 4
    return mel


def sync_batch(takes: Performed, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """12 clips of 4 s; lips a little larger or smaller, elsewhere and trembling, as trackers and people differ."""
    length = 4 * FRAME_RATE_HZ
    first = drawn(takes, length, 12, rng)
    lips = torch.stack([takes.lips[f : f + length] for f in first]).float()
    size = torch.from_numpy(rng.uniform(0.75, 1.3, (len(first), 1, 1)).astype(np.float32))
    place = 0.01 * torch.from_numpy(rng.standard_normal((len(first), 1, lips.shape[2]), dtype=np.float32))
    tremble = 0.003 * torch.from_numpy(rng.standard_normal(lips.shape, dtype=np.float32))
    middle = lips.mean(1, keepdim=True)
    return mel_windows(takes, first, length, rng), middle + size * (lips - middle) + place + tremble


def capp_batch(takes: Performed, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """24 takes, 4 windows of 3 s of each at different moments: what is near in time is the hardest to tell apart."""
    reach, length = 60, capp.WINDOW
    first: list[int] = []
    for base in drawn(takes, length + reach, 24, rng):
        first += [base + int(step) for step in rng.choice(np.arange(0, reach + 1, 3), 4, replace=False)]
    turns = torch.stack([takes.turns_deg[f : f + length] for f in first])
    return mel_windows(takes, first, length, rng), turns


@dataclass
class Run:
    """One judge being trained, with everything that must survive a stop; what learned from other data begins anew."""

    name: str
    judge: nn.Module
    folder: Path
    key: str
    minutes: float = 0.0
    steps: int = 0
    optimiser: torch.optim.AdamW = field(init=False)

    def __post_init__(self) -> None:
        self.optimiser = torch.optim.AdamW(self.judge.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.02)
        if (self.folder / f"{self.name}.pt").is_file():
            state = torch.load(self.folder / f"{self.name}.pt", weights_only=True)
            if state.get("key") == self.key:
                self.judge.load_state_dict(state["judge"])
                self.optimiser.load_state_dict(state["optimiser"])
                self.minutes, self.steps = state["minutes"], state["steps"]

    def save(self) -> None:
        state = {"judge": self.judge.state_dict(), "optimiser": self.optimiser.state_dict(),
                 "minutes": self.minutes, "steps": self.steps, "key": self.key}  # fmt: skip
        unfinished = self.folder / f"{self.name}.part"
        torch.save(state, unfinished)
        unfinished.replace(self.folder / f"{self.name}.pt")

    def log(self, **entry: object) -> None:
        line = json.dumps({"judge": self.name, "steps": self.steps, "minutes": round(self.minutes, 2), **entry})
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


Loss = Callable[[np.random.Generator], Tensor]


def trained(run: Run, loss: Loss, minutes: float, seed: int, held_out: Loss | None = None) -> None:
    """Steps until the run has had this much processor time; saved and logged every half minute.

    `held_out` is told beside the loss: what has been learned by heart (six minutes on four hours of takes) rises there.
    """
    begun, before, losses, told = time.process_time(), run.minutes, [], run.minutes
    run.judge.train()
    while run.minutes < minutes:
        rate = 1e-3 * min(1.0, (run.steps + 1) / 100) * (0.03 + 0.97 * np.cos(np.pi / 2 * run.minutes / minutes) ** 2)
        for group in run.optimiser.param_groups:
            group["lr"] = float(rate)
        error = loss(np.random.default_rng([seed, run.steps]))
        run.optimiser.zero_grad(set_to_none=True)
        error.backward()
        torch.nn.utils.clip_grad_norm_(run.judge.parameters(), 1.0)
        run.optimiser.step()
        losses.append(float(error.detach()))
        run.steps += 1
        run.minutes = before + (time.process_time() - begun) / 60
        if run.minutes - told >= 0.5:
            run.log(loss=round(float(np.mean(losses)), 4), **tested(run.judge, held_out))
            run.save()
            losses, told = [], run.minutes
    run.save()
    run.judge.eval()


def tested(judge: nn.Module, held_out: Loss | None, batches: int = 4) -> dict[str, float]:
    """The mean loss on takes kept out of training, the same ones each time."""
    if held_out is None:
        return {}
    judge.eval()
    with torch.no_grad():
        found = [float(held_out(np.random.default_rng(number))) for number in range(batches)]
    judge.train()
    return {"held_out": round(float(np.mean(found)), 4)}


def parted(takes: Performed, ways: int = 2) -> tuple[Performed, Performed]:
    """Nine tenths of the scripts to learn from and the last tenth to be tested by."""
    cut = len(takes.lengths) // ways * 9 // 10 * ways
    parts = ((takes.starts[:cut], takes.lengths[:cut]), (takes.starts[cut:], takes.lengths[cut:]))
    learned, kept = (replace(takes, starts=starts, lengths=lengths) for starts, lengths in parts)
    return learned, kept


def train_sync(takes: Performed, folder: Path, minutes: float, seed: int) -> sync.SyncJudge:
    """The sync judge, trained or taken up again."""
    torch.manual_seed(seed)
    judge = sync.SyncJudge()
    judge.lip_mean.copy_(takes.lips.float().mean(0))
    judge.lip_std.copy_(takes.lips.float().std(0).clamp_min(0.004))
    run = Run("sync", judge, folder, f"{seed} {minutes} {sum(takes.lengths)}")
    learned, kept = parted(takes)
    trained(run, lambda rng: sync.sync_loss(judge, *sync_batch(learned, rng)), minutes, seed,
            lambda rng: sync.sync_loss(judge, *sync_batch(kept, rng)))  # fmt: skip
    return judge


def train_capp(takes: Performed, folder: Path, minutes: float, seed: int) -> capp.CappJudge:
    """The CAPP judge, trained or taken up again."""
    torch.manual_seed(seed + 1)
    judge = capp.CappJudge()
    run = Run("capp", judge, folder, f"{seed} {minutes} {sum(takes.lengths)}")
    learned, kept = parted(takes)
    trained(run, lambda rng: capp.capp_loss(judge, *capp_batch(learned, rng)), minutes, seed + 1,
            lambda rng: capp.capp_loss(judge, *capp_batch(kept, rng)))  # fmt: skip
    return judge


# --------------------------------------------------------------------------- what is seen of a face


def watched_clips(sitter: Path, count: int, surface: Surface, rng: np.random.Generator) -> dict[str, Tensor]:
    """Performances rendered on one sitter and looked at: signs of the mood a clip, readings of the gaze a frame."""
    scripts = [script for script in scripts_from(list(judges_voices(count, rng)), rng) if script.language != "none"]
    signs, meant, named, readings, gazes = [], [], [], [], []
    with Mesh() as mesh:
        stage = Stage(prepare(load_picture(sitter), surface), surface, mesh)
        for number in tqdm(range(count), unit="clip", desc=sitter.stem):
            label = number % len(EMOTIONS)
            motion = mooded(scripts[number % len(scripts)], label, rng).motion(surface.dynamics_from_expression)
            begun = min(1.5 * FRAME_RATE_HZ, len(motion) / 2)
            which = np.linspace(begun, len(motion) - 1, FRAMES_SEEN).round().astype(int)
            seen = stage.watched(motion, which)
            if seen.frames:
                signs.append(signs_of(seen))
                meant.append(meant_signs(motion, seen.frames, surface))
                named.append(label)
                open_eyes = (seen.lids > OPEN_LIDS) & seen.eyes_shown
                readings.append(seen.readings[open_eyes])
                gazes.append(motion.facial_dynamics.numpy()[np.array(seen.frames)[open_eyes], -GAZE:])
    return {
        "signs": torch.from_numpy(np.array(signs)).float(),
        "meant": torch.from_numpy(np.array(meant)).float(),
        "named": torch.tensor(named),
        "readings": torch.from_numpy(np.concatenate(readings)).float(),
        "gazes": torch.from_numpy(np.concatenate(gazes)).float(),
    }


def meant_signs(motion: Motion, frames: Sequence[int], surface: Surface) -> Float[np.ndarray, " signs=49"]:
    """What a perfect eye would read where `emotion.signs_of` reads: the mean code and how wide the eyes are."""
    code = motion.facial_dynamics[list(frames), :-GAZE].double().numpy()
    gaps = [
        (surface.dynamics_basis[:, upper, 1] - surface.dynamics_basis[:, lower, 1]).mean(1)
        / (surface.neutral[list(upper), 1] - surface.neutral[list(lower), 1]).mean()
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True)
    ]
    lids = 1 + code @ np.mean(gaps, axis=0)
    awake = lids > OPEN_LIDS if (lids > OPEN_LIDS).any() else np.ones(len(lids), bool)
    return np.concatenate([code[awake].mean(0), [lids[awake].mean() - 1]])


@dataclass(frozen=True, kw_only=True)
class Imagined:
    """How a tracker would see performances that were never rendered: seen = meant A + b + an error once made."""

    weights: Float[np.ndarray, "signs_and_one signs"]
    errors: Float[np.ndarray, "clip signs"]

    def signs(self, meant: Float[np.ndarray, "clip signs"], rng: np.random.Generator) -> np.ndarray:
        """Signs of these performances."""
        seen = np.c_[meant, np.ones(len(meant))] @ self.weights
        return np.asarray(seen + self.errors[rng.integers(0, len(self.errors), len(meant))])


def imagining(seen: dict[str, dict[str, Tensor]]) -> Imagined:
    """The tracker's way of seeing, learned from the rendered clips (ridge regression)."""
    meant, signs = (torch.cat([clips[name] for clips in seen.values()]).double().numpy() for name in ("meant", "signs"))
    rows = np.c_[meant, np.ones(len(meant))]
    weights = np.linalg.solve(rows.T @ rows + 0.5 * np.eye(rows.shape[1]), rows.T @ signs)
    return Imagined(weights=weights, errors=signs - rows @ weights)


def unseen_clips(folder: Path, seed: int) -> dict[str, Tensor]:
    """What a perfect eye would read of many performances that are not rendered, and their moods; kept once made."""
    stored = folder / "unseen.pt"
    if not stored.is_file():
        rng = np.random.default_rng([seed, 2])
        surface = load_surface(assets.weights("surface.safetensors"))
        scripts = [s for s in scripts_from(list(judges_voices(UNSEEN // 6, rng)), rng) if s.language != "none"]
        meant, named = [], []
        for number in tqdm(range(UNSEEN), unit="clip", desc="unseen"):
            label = number % len(EMOTIONS)
            motion = mooded(scripts[number % len(scripts)], label, rng).motion(surface.dynamics_from_expression)
            frames = rng.integers(min(FRAME_RATE_HZ, len(motion) // 2), len(motion), FRAMES_SEEN)
            meant.append(meant_signs(motion, frames.tolist(), surface))
            named.append(label)
        torch.save({"meant": torch.from_numpy(np.array(meant)).float(), "named": torch.tensor(named)}, stored)
    return torch.load(stored, weights_only=True)


def mooded(script: Script, label: int, rng: np.random.Generator) -> Performance:
    """A performance in this mood, at half strength to full, looking wherever it likes."""
    strength = float(rng.uniform(0.5, 1)) * (label > 0)
    return performed(script, replace(random_mood(rng), emotion=EMOTIONS[label], intensity=strength), rng)


def sightings(folder: Path, clips: int, seed: int) -> dict[str, dict[str, Tensor]]:
    """What was seen of every sitter who is not judged later; each is kept until the sitter or the looking changes."""
    weights, seen = assets.weights("surface.safetensors"), {}
    surface = load_surface(weights)
    looking = [Path(str(module.__file__)) for module in (closeup, following, looks)]
    for number, sitter in enumerate(path for path in assets.portraits() if path.stem not in SITTERS):
        key = f"{seed} {clips} {fingerprint(sitter, weights, *looking)}"
        rng = np.random.default_rng([seed, number])
        watch = partial(watched_clips, sitter, clips, surface, rng)
        seen[sitter.stem] = cached(folder / f"seen_{sitter.stem}.pt", key, watch)
    return seen


def gaze_reading(seen: dict[str, dict[str, Tensor]]) -> GazeReading:
    """The linear reading of the eyes that fits these looks best, large errors (half-closed eyes) counting less."""
    readings, gazes = (
        torch.cat([clips[name] for clips in seen.values()]).double().numpy() for name in ("readings", "gazes")
    )
    trust = np.ones(len(gazes))
    for _ in range(10):
        weights = np.linalg.lstsq(readings * trust[:, None], gazes * trust[:, None], rcond=None)[0]
        error = np.linalg.norm(readings @ weights - gazes, axis=1)
        trust = 1 / np.sqrt(1 + (error / np.deg2rad(4)) ** 2)
    return GazeReading(weights=weights)


def train_emotion(
    seen: dict[str, dict[str, Tensor]], unseen: dict[str, Tensor], folder: Path, minutes: float, seed: int
) -> EmotionJudge:
    """The emotion judge, on rendered clips and on many imagined ones, half and half; all signs tremble a little."""
    torch.manual_seed(seed + 2)
    rendered = tuple(torch.cat([clips[name] for clips in seen.values()]) for name in ("signs", "named"))
    signs = imagining(seen).signs(unseen["meant"].double().numpy(), np.random.default_rng(seed + 2))
    imagined = torch.from_numpy(signs).float(), unseen["named"]
    judge = EmotionJudge()
    judge.sign_mean.copy_(rendered[0].mean(0))
    judge.sign_std.copy_(rendered[0].std(0).clamp_min(0.02))

    def loss(rng: np.random.Generator) -> Tensor:
        halves = [(signs[at], named[at]) for signs, named in (rendered, imagined)
                  for at in [torch.from_numpy(rng.integers(0, len(signs), 128))]]  # fmt: skip
        signs, named = (torch.cat(part) for part in zip(*halves, strict=True))
        noise = torch.from_numpy(rng.standard_normal(signs.shape, dtype=np.float32))
        return emotion_loss(judge, signs + 0.15 * judge.sign_std * noise, named)

    key = f"{seed} {minutes} {float(rendered[0].sum()):.4f} {float(imagined[0].sum()):.4f}"
    trained(Run("emotion", judge, folder, key), loss, minutes, seed + 2)
    return judge


def left_out(
    seen: dict[str, dict[str, Tensor]], unseen: dict[str, Tensor], folder: Path, minutes: float, seed: int
) -> dict[str, float]:
    """How well a third of the sitters are read by what the others taught: moods (accuracy), gaze (median error)."""
    names = sorted(seen)
    others, mine = ({k: seen[k] for k in names if (k in names[::3]) == out} for out in (False, True))
    judge, reading = train_emotion(others, unseen, folder, minutes, seed), gaze_reading(others)
    signs, named, readings, gazes = (
        torch.cat([clips[k] for clips in mine.values()]) for k in ("signs", "named", "readings", "gazes")
    )
    with torch.no_grad():
        right = (judge(signs).argmax(-1) == named).float().mean()
    error = np.linalg.norm(reading(readings.double().numpy()) - gazes.numpy(), axis=1)
    return {"emotion_accuracy": float(right), "gaze_error_deg": float(np.rad2deg(np.median(error)))}


# --------------------------------------------------------------------------- the lines


def made_lines(seed: int) -> list[Line]:
    """The lines: two sentences with pauses around them in each language, and one take without a word."""
    espeak, surface = Espeak(), load_surface(assets.weights("surface.safetensors"))
    lines = []
    for (language, *texts), voice, sequence in zip(
        LINES, LINE_VOICES, np.random.SeedSequence(seed).spawn(len(LINES)), strict=True
    ):
        rng = np.random.default_rng(sequence)
        said = [
            espeak.say(text, f"{language}+{voice}", words_per_minute=int(rng.integers(140, 180)), pitch_range=60)
            for text in texts
        ]
        sound, phones = _with_pauses(said, rng)
        lines.append(_performed_line(sound, phones, f"line-{voice}", language, surface, rng))
    rng = np.random.default_rng([seed, 1])
    idle = 10**-3.3 * rng.standard_normal(6 * SAMPLE_RATE_HZ).astype(np.float32)
    silence = (Phone(label="SIL", start_s=0.0, end_s=6.0),)
    return [*lines, _performed_line(idle, silence, "line-nobody", "none", surface, rng)]


def _with_pauses(
    said: Sequence[tuple[Tensor, tuple[Phone, ...]]], rng: np.random.Generator
) -> tuple[np.ndarray, tuple[Phone, ...]]:
    """Sentences at one loudness with silence before, between and after, over a faint hiss."""
    pieces: list[np.ndarray] = []
    phones: list[Phone] = []
    now = 0.0
    for sound, spoken in [*said, (torch.zeros(0), ())]:
        pause = round(rng.uniform(0.7, 1.1) * SAMPLE_RATE_HZ)
        for phone in (Phone(label="SIL", start_s=0.0, end_s=pause / SAMPLE_RATE_HZ), *_after(spoken, pause)):
            moved = Phone(label=phone.label, start_s=now + phone.start_s, end_s=now + phone.end_s)
            if phones and phones[-1].label == moved.label == "SIL":
                moved = Phone(label="SIL", start_s=phones.pop().start_s, end_s=moved.end_s)
            phones.append(moved)
        loud = float(sound.abs().max()) if len(sound) else 1.0
        pieces += [np.zeros(pause, np.float32), 0.6 * sound.numpy() / loud]
        now += (pause + len(sound)) / SAMPLE_RATE_HZ
    sound = np.concatenate(pieces)
    hiss = 10 ** rng.uniform(-4.3, -3.0) * rng.standard_normal(len(sound))
    return (sound + hiss).astype(np.float32), tuple(phones)


def _after(phones: Sequence[Phone], samples: int) -> Iterator[Phone]:
    """The phones so many samples later."""
    for phone in phones:
        late_s = samples / SAMPLE_RATE_HZ
        yield Phone(label=phone.label, start_s=phone.start_s + late_s, end_s=phone.end_s + late_s)


def _performed_line(
    sound: np.ndarray,
    phones: tuple[Phone, ...],
    speaker: str,
    language: str,
    surface: Surface,
    rng: np.random.Generator,
) -> Line:
    script = Script(sound=torch.from_numpy(sound), phones=phones, speaker=speaker, language=language)
    truths = tuple(performed(script, Mood(), rng).motion(surface.dynamics_from_expression) for _ in range(2))
    return Line(sound=script.sound, phones=phones, speaker=speaker, language=language, truths=truths)


# --------------------------------------------------------------------------- command line


def material(chosen: argparse.Namespace) -> Performed:
    """Sounds and performances for the judges of lips and heads, kept in the folder for a run that goes on."""
    stored, key = chosen.out / "material.pt", f"{chosen.seed} {chosen.utterances} {chosen.people}"
    if stored.is_file():
        kept = torch.load(stored, weights_only=True)
        if kept.pop("key") == key:
            return Performed(**kept)
    rng = np.random.default_rng(chosen.seed)
    utterances = list(judges_voices(chosen.utterances, rng))
    utterances += held_out_people(chosen.people) if chosen.people.is_dir() else []
    people = sorted({u.speaker for u in utterances if u.source == "speechocean762"})
    print(f"{len(utterances)} utterances; recordings of {len(people)} people", flush=True)
    surface = load_surface(assets.weights("surface.safetensors"))
    scripts = [script for script in scripts_from(utterances, rng) if script.language != "none"]
    takes = performances_of(scripts, surface, 2, rng)
    torch.save({"key": key, **vars(takes)}, stored)
    return takes


def run_lines(chosen: argparse.Namespace) -> None:
    """Writes the lines that motion is judged by."""
    lines = made_lines(chosen.seed)
    write_lines(lines, SHIPPED)
    print(f"{SHIPPED}: {sum(line.seconds for line in lines):.0f} s, {SHIPPED.stat().st_size / 1e6:.2f} MB")


def run_train(chosen: argparse.Namespace) -> None:
    """Trains what is asked for and packs all judges that are there."""
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    if {"sync", "capp"} & set(chosen.judges):
        takes = material(chosen)
    if "sync" in chosen.judges:
        train_sync(takes, chosen.out, chosen.minutes, chosen.seed)
    if "capp" in chosen.judges:
        train_capp(takes, chosen.out, chosen.minutes, chosen.seed)
    if "emotion" in chosen.judges:
        seen = sightings(chosen.out, chosen.clips, chosen.seed)
        (chosen.out / "left_out").mkdir(exist_ok=True)
        unseen = unseen_clips(chosen.out, chosen.seed)
        told = left_out(seen, unseen, chosen.out / "left_out", 0.1, chosen.seed)
        print(json.dumps({"sitters left out": told}), flush=True)
        train_emotion(seen, unseen, chosen.out, 0.15, chosen.seed)
        (chosen.out / "gaze.json").write_text(json.dumps(gaze_reading(seen).weights.tolist()))
    pack(chosen.out)


def pack(folder: Path) -> None:
    """Writes the shipped file once all judges of a folder are there."""
    missing = [name for name in ("sync.pt", "capp.pt", "emotion.pt", "gaze.json") if not (folder / name).is_file()]
    if missing:
        print(f"not packed yet: {folder} lacks {', '.join(missing)}")
        return
    networks: dict[str, Any] = {"sync": sync.SyncJudge(), "capp": capp.CappJudge(), "emotion": EmotionJudge()}
    for name, network in networks.items():
        network.load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True)["judge"])
    reading = GazeReading(weights=np.array(json.loads((folder / "gaze.json").read_text())))
    path = assets.FOLDER / "weights" / FILE
    save_judges(Judges(gaze=reading, **networks), path)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def main(arguments: list[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m vasa_core.train.judges", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    lines = commands.add_parser("lines", help="make the lines that motion is judged by")
    lines.add_argument("--seed", type=int, default=2024)
    lines.set_defaults(run=run_lines)
    train = commands.add_parser("train", help="train the judges")
    train.add_argument("--out", type=Path, default=Path("runs/judges"))
    train.add_argument(
        "--people", type=Path, default=Path("runs/world/utterances"), help="recordings, if there are any"
    )
    train.add_argument("--utterances", type=int, default=1600, help="synthetic ones")
    train.add_argument("--judges", nargs="+", default=["sync", "capp", "emotion"], help="which of them")
    train.add_argument("--minutes", type=float, default=4.0, help="processor time for each judge")
    train.add_argument("--clips", type=int, default=10, help="rendered performances of each sitter")
    train.add_argument("--seed", type=int, default=7)
    train.set_defaults(run=run_train)
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen.run(chosen)


if __name__ == "__main__":
    main()
