"""Shards made on a cluster with Ray Data: the same work, the same bytes, on as many machines as there are.

Needs the extra `cluster`. The folder has to be one that all machines share; each shard is one row of a dataset, so that
Ray moves work and never pictures.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

from vasa_core import cluster
from vasa_core.world import batch, shards
from vasa_core.world.batch import ONE_THREAD, Outcome, Work


def run_on_ray(work: Work, chosen: range, workers: int, address: str | None = None) -> Outcome:
    """Make what is missing of a range of shards on a Ray cluster (`address`), or on this machine without one."""
    work.folder.mkdir(parents=True, exist_ok=True)
    left = batch.missing(work, chosen)
    begun = time.perf_counter()
    if left:
        somewhere: Any = replace(cast("Any", work), folder=work.folder.resolve())  # workers start in their own folders
        with cluster.joined(workers, address, ONE_THREAD) as ray:
            made = [row["number"] for row in cluster.done_by(ray, ShardMaker, {"work": somewhere}, left, workers)]
        assert sorted(made) == left
    shards.write_manifest(work.folder, work.settings(), work.about())
    units = sum(work.amount(shard) for shard in left)
    return Outcome(made=len(left), kept=len(chosen) - len(left), units=units, seconds=time.perf_counter() - begun)


class ShardMaker:
    """An actor that makes one shard after the other; it keeps its renderer."""

    def __init__(self, work: Work):
        self.work = work

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row again, with the checksum of what was written."""
        record = batch.write(self.work, int(row["number"]), lambda count: None)
        return {"number": row["number"], "sha256": record["sha256"]}
