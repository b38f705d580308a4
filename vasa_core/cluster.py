"""Ray, for work on many machines: a cluster joined, or started here, and numbered pieces of work done by its workers.

Needs the extra `cluster`. Work and results are numbers and words; files lie in folders that all machines share.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vasa_core.errors import MissingExtra, NoCluster

ACTORS_WITHIN_S = 180  # a busy machine takes a minute to start Python twice
MOST_BLOCKS = 1000
"""Ray keeps books for each block of work; more than this slow it down."""


@contextmanager
def joined(workers: int, address: str | None = None, environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Ray, connected to the cluster at this address; without one, to workers on this machine that end with the block.

    `environment` is set for the workers before they start; it is shown on Ray's pages, so nothing secret goes there.
    """
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        _start(ray, workers, address, environment or {})
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def done_by(
    ray: Any, maker: type, arguments: Mapping[str, Any], numbers: list[int], workers: int, *, card: bool = False
) -> Iterator[dict]:
    """What `maker(**arguments)({"number": n})` answers for each number, as it is done, in any order.

    Each worker makes its maker once, and has a core and, where `card`, a graphics card of its own. One that dies is
    replaced, and its number given out again.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells its plans
    context.wait_for_min_actors_s = ACTORS_WITHIN_S  # or it would wait for ever for actors that cannot start
    blocks = min(len(numbers), MOST_BLOCKS)
    rows = ray.data.from_items([{"number": number} for number in numbers], override_num_blocks=blocks)
    actors = ray.data.ActorPoolStrategy(size=min(workers, len(numbers)))
    made = rows.map(
        maker, fn_constructor_kwargs=dict(arguments), compute=actors, num_cpus=1, num_gpus=1 if card else None
    )
    yield from made.iter_rows()


def _start(ray: Any, workers: int, address: str | None, environment: Mapping[str, str]) -> None:
    # one more than the actors hold, or nothing would be left to hand them their rows
    many = {} if address else {"num_cpus": workers + 1, "include_dashboard": False}
    try:
        told = {"log_to_driver": False, "logging_level": logging.ERROR}
        ray.init(address=address, runtime_env={"env_vars": dict(environment)}, **told, **many)
    except Exception as cause:  # Ray raises many kinds, plain ones among them
        raise NoCluster(f"Ray could not start ({cause}): check the address, or work without a cluster.") from cause


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    try:
        import ray
        import ray.data
    except ImportError as cause:
        raise MissingExtra("Ray is not installed: pip install 'vasa_core[cluster]'.") from cause
    return ray
