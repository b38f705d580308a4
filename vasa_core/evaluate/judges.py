"""All judges of motion as one value, and the file they are kept in: `assets/weights/judges.safetensors`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vasa_core import assets
from vasa_core.errors import MissingWeights
from vasa_core.evaluate.capp import CappJudge
from vasa_core.evaluate.emotion import EmotionJudge
from vasa_core.evaluate.seen import GazeReading
from vasa_core.evaluate.sync import SyncJudge

FILE = "judges.safetensors"


@dataclass(frozen=True, kw_only=True)
class Judges:
    """None of them is ever part of the generator's loss."""

    sync: SyncJudge
    capp: CappJudge
    emotion: EmotionJudge
    gaze: GazeReading


def save_judges(judges: Judges, path: Path) -> None:
    """Writes all weights in half precision."""
    tensors: dict[str, Tensor] = {"gaze.weights": torch.from_numpy(judges.gaze.weights).float()}
    for name in ("sync", "capp", "emotion"):
        for key, value in getattr(judges, name).state_dict().items():
            tensors[f"{name}.{key}"] = value.detach().half().contiguous()
    save_file(tensors, path)


def load_judges(path: Path | None = None) -> Judges:
    """The judges, ready to judge; MissingWeights when they are not there or do not fit."""
    path = path or assets.weights(FILE)
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        networks: dict[str, nn.Module] = {"sync": SyncJudge(), "capp": CappJudge(), "emotion": EmotionJudge()}
        for name, network in networks.items():
            network.load_state_dict(_part(tensors, name))
        gaze = GazeReading(weights=tensors["gaze.weights"].numpy().astype(np.float64))
    except (FileNotFoundError, SafetensorError, KeyError, RuntimeError) as why:
        raise MissingWeights(f"{path} does not hold our judges: run python -m vasa_core.train.judges train.") from why
    ready: dict[str, Any] = {name: network.eval().requires_grad_(False) for name, network in networks.items()}
    return Judges(gaze=gaze, **ready)


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
