"""The cluster makes what one machine makes: two Ray workers, byte for byte."""

from __future__ import annotations

import pytest

pytest.importorskip("moderngl", reason="the training world needs moderngl: pip install 'vasa_core[world]'")
pytest.importorskip("ray", reason="the cluster needs Ray: pip install 'vasa_core[cluster]'")

from vasa_core.errors import NoCluster
from vasa_core.world import batch, cluster, shards
from vasa_core.world.frames import Recipe, RenderWork, renderer_for


@pytest.mark.gl
@pytest.mark.timeout(200)  # typically 20 s on two idle cores; Ray itself gives up on actors after 180 s
def test_two_workers_on_ray_make_the_bytes_of_one_process(tmp_path):
    recipe = Recipe(seed=4, frames=1, size=48, passes=1)
    try:
        renderer_for(48, "shipped")
    except Exception as reason:  # moderngl raises a bare Exception where there is no EGL
        pytest.skip(f"no OpenGL here: {reason}")
    here, there = (
        RenderWork(folder=tmp_path / name, recipe=recipe, people=2, per_shard=1, head="shipped")
        for name in ("here", "there")
    )
    batch.run(here, range(2), workers=1, progress=False)
    try:
        done = cluster.run_on_ray(there, range(2), workers=2)
    except NoCluster as reason:
        pytest.skip(str(reason))
    assert (done.made, done.kept, done.units) == (2, 0, 2)
    for name in ("shard-000000.tar", "shard-000001.tar"):
        assert (here.folder / name).read_bytes() == (there.folder / name).read_bytes()
    assert shards.check_folder(there.folder, lambda line: None) == 2
    assert cluster.run_on_ray(there, range(2), workers=2).made == 0
