"""Where the engine computes: on the processor by compiled code, or in torch on a graphics card."""

from __future__ import annotations

import torch

from vasa_core.errors import BadOption

CPU, CUDA, TRIAL = "cpu", "cuda", "torch-cpu"


def device_named(name: str) -> torch.device | None:
    """The device that torch computes on, or None for the processor's own compiled code.

    `cuda` is the first graphics card, `cuda:1` the second; `torch-cpu` runs the graphics card's code on the processor:
    slow, but it shows what a card would make.
    """
    if name == CPU:
        return None
    if name == TRIAL:
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != CUDA or (number and not number.isdecimal()):
        raise BadOption(f"there is no device '{name}': choose {CPU}, {CUDA}, {CUDA}:1 and so on, or {TRIAL}.")
    if not torch.cuda.is_available():
        raise BadOption(f"torch finds no graphics card for CUDA here: use --device {CPU}, or install torch with CUDA.")
    if int(number or 0) >= torch.cuda.device_count():
        raise BadOption(f"there is no graphics card {number}: this machine has {torch.cuda.device_count()}.")
    return torch.device(kind, int(number or 0))
