"""Several processes that train one model, on one machine or on many: batches shared out, gradients averaged.

    torchrun --nproc-per-node 2 -m vasa_core.train.motion --out runs/motion

Accelerate finds the other processes, their graphics cards and the way to talk (the extra `train`). A process alone
needs none of it, and computes what it always computed: every function here then gives back what it was given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vasa_core.errors import BadOption, MissingExtra

Whole = TypeVar("Whole")

PATIENCE = timedelta(hours=6)
"""So long processes wait for one that prepares data or judges; the usual half hour is soon over."""

CPU, GPU = "cpu", "cuda"


@dataclass(frozen=True, kw_only=True)
class Together:
    """This process among those that train together; by default it is alone."""

    rank: int = 0
    count: int = 1
    device: str = CPU
    accelerator: Any = None
    """Accelerate's; None in a process that is alone."""

    @property
    def leads(self) -> bool:
        """Whether this one logs, judges and saves."""
        return self.rank == 0

    def mine(self, whole: Whole) -> Whole:
        """This process's share of a batch that all have drawn alike: a tensor, or a dataclass of tensors."""
        if is_dataclass(whole) and not isinstance(whole, type):
            return replace(whole, **{field.name: self.mine(getattr(whole, field.name)) for field in fields(whole)})
        assert isinstance(whole, Tensor)
        share = self.share(len(whole))
        return whole[self.rank * share : (self.rank + 1) * share].to(self.device)

    def share(self, batch: int) -> int:
        """How much of a batch is this process's; BadOption where it cannot be shared out evenly."""
        if batch % self.count:
            raise BadOption(
                f"A batch of {batch} cannot be shared by {self.count} processes: choose a multiple of them."
            )
        return batch // self.count

    def average(self, *modules: nn.Module) -> None:
        """Gives every process the mean of their gradients. All must have gradients for the same parameters."""
        if self.count == 1:
            return
        gradients = [p.grad for module in modules for p in module.parameters() if p.grad is not None]
        mean = self.accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
        for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, numbers: dict[str, float]) -> dict[str, float]:
        """Of each number the mean of what the processes say; they must name the same."""
        if self.count == 1:
            return numbers
        told = torch.tensor(list(numbers.values()), dtype=torch.float32, device=self.device)
        return dict(zip(numbers, self.accelerator.reduce(told, "mean").tolist(), strict=True))

    def agreed(self, number: float) -> float:
        """What the first process says: clocks differ, and learning rates and ends that hang on them must not."""
        if self.count == 1:
            return number
        told = torch.tensor([number], dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(told, 0)
        return float(told)

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """The first process goes through the block, then the others, who find what it has written."""
        with self.accelerator.main_process_first() if self.accelerator else nullcontext():
            yield

    def part(self) -> None:
        """Says good-bye, once all have come so far."""
        if self.accelerator:
            self.accelerator.wait_for_everyone()
            self.accelerator.end_training()


ALONE = Together()


def joined(device: str = CPU) -> Together:
    """Joins the processes that `torchrun` has started; on `cuda` each has a graphics card of its own."""
    if device == GPU and not torch.cuda.is_available():
        raise BadOption("There is no graphics card that torch can use here: train on the processor instead.")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Together(device=device)
    try:
        from accelerate import Accelerator, InitProcessGroupKwargs
    except ImportError as cause:
        raise MissingExtra(
            "Several processes need Accelerate to train together: pip install 'vasa_core[train]'."
        ) from cause
    threads = torch.get_num_threads()
    accelerator = Accelerator(cpu=device == CPU, kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)])
    torch.set_num_threads(threads)  # it takes what it finds for its own
    return Together(
        rank=accelerator.process_index,
        count=accelerator.num_processes,
        device=CPU if accelerator.device.type == CPU else str(accelerator.device),  # torch.load knows no "cpu:0"
        accelerator=accelerator,
    )
