"""Shards made on a cluster with Ray Data: the same work, the same bytes, on as many machines as there are.

Needs the extra `cluster`. The folder has to be one that all machines share; each shard is one row of a dataset, so that
Ray moves work and never pictures.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from vasa_core.errors import MissingWeights, NoCluster
from vasa_core.world import batch, shards
from vasa_core.world.batch import ONE_THREAD, Outcome, Work

ACTORS_WITHIN_S = 180  # a busy machine takes a minute to start Python twice


def run_on_ray(work: Work, chosen: range, workers: int, address: str | None = None) -> Outcome:
    """Make what is missing of a range of shards on a Ray cluster (`address`), or on this machine without one."""
    ray = _ray()
    work.folder.mkdir(parents=True, exist_ok=True)
    left = batch.missing(work, chosen)
    begun = time.perf_counter()
    if left:
        ours = not ray.is_initialized()
        if ours:
            _start(ray, workers, address)
        try:
            made = _made(ray, work, left, workers)
        finally:
            if ours:
                ray.shutdown()
        assert sorted(made) == left
    shards.write_manifest(work.folder, work.settings(), work.about())
    units = sum(work.amount(shard) for shard in left)
    return Outcome(made=len(left), kept=len(chosen) - len(left), units=units, seconds=time.perf_counter() - begun)


def _start(ray: Any, workers: int, address: str | None) -> None:
    # one more than the actors hold, or nothing would be left to hand them their rows
    many = {} if address else {"num_cpus": workers + 1, "include_dashboard": False}
    try:
        ray.init(address=address, runtime_env={"env_vars": ONE_THREAD}, log_to_driver=False, **many)
    except Exception as cause:  # Ray raises many kinds, plain ones among them
        raise NoCluster(f"Ray could not start ({cause}): check the address, or render without --cluster.") from cause


def _made(ray: Any, work: Any, left: list[int], workers: int) -> list[int]:
    """The numbers of the shards that Ray's workers wrote."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.wait_for_min_actors_s = ACTORS_WITHIN_S  # or it would wait for ever for actors that cannot start
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
