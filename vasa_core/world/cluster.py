"""Shards made on a cluster with Ray Data: the same work, the same bytes, on as many machines as there are.

Needs the extra `cluster`. The folder has to be one that all machines share; each shard is one row of a dataset, so that
Ray moves work and never pictures.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from vasa_core.errors import MissingWeights
from vasa_core.world import batch, shards
from vasa_core.world.batch import ONE_THREAD, Outcome, Work


def run_on_ray(work: Work, chosen: range, workers: int, address: str | None = None) -> Outcome:
    """Make what is missing of a range of shards on a Ray cluster (`address`), or on this machine without one."""
    ray = _ray()
    work.folder.mkdir(parents=True, exist_ok=True)
    left = batch.missing(work, chosen)
    begun = time.perf_counter()
    if left:
        ours = not ray.is_initialized()
        if ours:
            # one more than the actors hold, or nothing would be left to hand them their rows
            many = {} if address else {"num_cpus": workers + 1, "include_dashboard": False}
            ray.init(address=address, runtime_env={"env_vars": ONE_THREAD}, log_to_driver=False, **many)
        try:
            made = _made(ray, work, left, workers)
        finally:
            if ours:
                ray.shutdown()
        assert sorted(made) == left
    shards.write_manifest(work.folder, work.settings(), work.about())
    units = sum(work.amount(shard) for shard in left)
    return Outcome(made=len(left), kept=len(chosen) - len(left), units=units, seconds=time.perf_counter() - begun)


def _made(ray: Any, work: Any, left: list[int], workers: int) -> list[int]:
    """The numbers of the shards that Ray's workers wrote."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.from_items([{"shard": shard} for shard in left], override_num_blocks=len(left))
    somewhere = replace(work, folder=work.folder.resolve())  # workers start in folders of their own
    actors = ray.data.ActorPoolStrategy(size=min(workers, len(left)))
    done = rows.map(ShardMaker, fn_constructor_kwargs={"work": somewhere}, compute=actors, num_cpus=1)
    return [int(row["shard"]) for row in done.iter_rows()]


class ShardMaker:
    """An actor that makes one shard after the other; it keeps its renderer."""

    def __init__(self, work: Work):
        self.work = work

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row again, with the checksum of what was written."""
        record = batch.write(self.work, int(row["shard"]), lambda count: None)
        return {"shard": row["shard"], "sha256": record["sha256"]}


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as cause:
        raise MissingWeights("Ray is not installed: pip install 'vasa_core[cluster]'.") from cause
    return ray
