"""What two processes do together in `test_train_together.py`, and one alone: `torchrun ... two_trainers.py FOLDER`.

Everything is in full precision, or rounding would hide what is compared.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import numpy as np
import torch
from test_motion import TINY

from vasa_core import assets
from vasa_core.latents import MOTION
from vasa_core.sight import COARSE, FINE
from vasa_core.surface import load_surface
from vasa_core.train import face, motion, speech
from vasa_core.train.takes import Takes, random_windows
from vasa_core.train.together import Together, joined
from vasa_core.world.voices import Phone, Utterance

STEPS, BATCH = 3, 8


def some_takes() -> Takes:
    """Four takes of chance."""
    generator = torch.Generator().manual_seed(5)
    lengths = torch.tensor([40, 30, 50, 40])
    starts = lengths.cumsum(0) - lengths
    return Takes(
        features=torch.randn(160, TINY.audio_features, generator=generator),
        motion=torch.randn(160, MOTION, generator=generator),
        starts=starts,
        lengths=lengths,
        feature_starts=starts,
        gaze=torch.zeros(4, 2),
        head_distance=torch.ones(4),
        emotion=torch.zeros(4, 8),
        listening=torch.zeros(4),
    )


def motion_parameters(folder: Path, together: Together, batch: int = BATCH) -> torch.Tensor:
    """Parameters of a tiny motion model after some steps, a stop, and as many steps again."""
    takes, readout = some_takes(), motion.LipsAndLids(load_surface(assets.weights("surface.safetensors")))
    torch.manual_seed(0)
    for _ in range(2):
        run = motion.started(TINY, takes, folder, together)
        generator = torch.Generator().manual_seed(run.steps)
        for _ in range(STEPS):
            clean, conditions = random_windows(takes, batch, TINY.window, TINY.past, generator)
            parts = motion.step(run, clean, conditions, readout, generator, 1e-3)
        run.log(**together.mean({name: part.item() for name, part in parts.items()}))
        run.save()
        together.mean({"saved": 1.0})  # nobody reads before it is written
    return flat(run.model)


def some_sample(seed: int, px: int = 64) -> dict[str, np.ndarray]:
    """A portrait and two windows of chance, shaped like what `face.sample` draws."""
    rng = np.random.default_rng(seed)

    def picture(*shape: int) -> np.ndarray:
        return rng.uniform(-1, 1, shape).astype(np.float32)

    return {
        "crop": picture(3, 256, 256),
        "matte": abs(picture(1, 256, 256)),
        "depth": picture(1, 128, 128),
        "rotation": np.eye(3, dtype=np.float32),
        "translation": np.zeros(3, np.float32),
        "scale_px": np.float32(13.0),
        **{name: picture(2, 3, px, px) for name in ("portrait", "warped", "truth")},
        "own matte": abs(picture(2, 1, px, px)),
        "fine": abs(picture(2, len(FINE), px, px)),
        "coarse": picture(2, len(COARSE), px // 2, px // 2),
    }


def face_parameters(together: Together, contest: bool) -> torch.Tensor:
    """Parameters of the face networks and the discriminator, which may join in, after a step of two portraits."""
    trainer = face.Trainer(face.Recipe(most_steps=4, adversarial_from=-1.0 if contest else 2.0), together=together)
    both, share = [some_sample(k) for k in range(2)], together.share(2)
    trainer.step(face.batch_of(both[together.rank * share : (together.rank + 1) * share]))
    return torch.cat([flat(trainer.networks), flat(trainer.judge)])


def speech_parameters(together: Together) -> torch.Tensor:
    """Parameters of the speech encoder after two steps on a hummed vowel; each process draws its own crops."""
    hum = torch.sin(torch.arange(16_000) * 0.08) * 0.3
    phone = Phone(label="AA", start_s=0.1, end_s=0.9)
    lessons = [speech.lesson(Utterance(sound=hum, phones=(phone,), speaker="hum", language="en", source="test"))]
    trainer = speech.Trainer(lessons, seed=1, minutes=1.0, batch=2, together=together)
    for _ in range(2):
        trainer.step()
    return flat(trainer.encoder)


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@contextlib.contextmanager
def full_precision():
    """No bfloat16 in here."""
    kept = torch.autocast
    torch.autocast = lambda *_, **__: contextlib.nullcontext()
    try:
        yield
    finally:
        torch.autocast = kept


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    together = joined()
    with full_precision():
        made = {
            "motion": motion_parameters(folder, together),
            "face": face_parameters(together, contest=False),
            "contest": face_parameters(together, contest=True),
            "speech": speech_parameters(together),
            "agreed": torch.tensor(together.agreed(100.0 + together.rank)),
        }
    torch.save(made, folder.with_name(f"{together.rank}.pt"))
    together.part()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
