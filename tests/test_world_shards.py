"""Shards: what is read is what was written, damage is noticed, and however work is shared the bytes are the same."""

from __future__ import annotations

import io
import os
import signal
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vasa_core.errors import BadOption, DamagedData, VasaError

shards = pytest.importorskip("vasa_core.world.shards")
batch = pytest.importorskip("vasa_core.world.batch")

SIZE, FRAMES, MODES = 24, 3, 57


def group_of(key: str, seed: int) -> Any:
    """A group of random numbers in the ranges of real ones."""
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 4, (FRAMES, SIZE, SIZE), np.uint8)
    known = part > 0

    def number(*shape: int) -> np.ndarray:
        return rng.normal(size=(FRAMES, *shape)).astype(np.float32)

    normals = number(SIZE, SIZE, 3)
    return shards.Group(
        key=key,
        picture=rng.integers(0, 256, (FRAMES, SIZE, SIZE, 3), np.uint8),
        alpha=rng.integers(0, 256, (FRAMES, SIZE, SIZE), np.uint8),
        part=part,
        canonical=(known[..., None] * rng.uniform(-30, 30, (FRAMES, SIZE, SIZE, 3))).astype(np.float32),
        depth=(known * rng.uniform(60, 300, (FRAMES, SIZE, SIZE))).astype(np.float32),
        normals=known[..., None] * normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        landmarks=number(478, 2),
        landmarks_cm=number(478, 3),
        landmarks_head=number(478, 3),
        visible=rng.random((FRAMES, 478)) < 0.5,
        landmarks68=number(68, 2),
        pose=number(3),
        gaze=number(2),
        expression=number(MODES),
        pixel_from_world=number(3, 4),
        irises=number(2, 2),
        identity=number(100)[0],
        light=number(24)[0],
        camera=number(5)[0],
        drawn={"person": {"seed": seed}},
    )


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Work whose groups are random numbers; the process that first meets `dies_at` is killed, as by a lost machine."""

    folder: Path
    people: int = 5
    dies_at: int = -1
    unit: str = "frame"

    def settings(self) -> dict[str, Any]:
        return {"people": self.people}

    def about(self) -> dict[str, Any]:
        return {"parts": ["background"]}

    def count(self) -> int:
        return -(-self.people // 2)

    def groups(self, shard: int) -> range:
        return range(2 * shard, min(2 * shard + 2, self.people))

    def amount(self, shard: int) -> int:
        return FRAMES * len(self.groups(shard))

    def make(self, shard: int, tick: Any) -> Iterator[list[tuple[str, bytes]]]:
        for number in self.groups(shard):
            died = self.folder / "died"
            if number == self.dies_at and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield shards.group_files(group_of(f"{number:07d}", number))
            tick(FRAMES)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    work = Numbers(folder=folder)
    assert batch.run(work, range(3), workers=1, progress=False).made == 3
    return folder


def test_a_group_comes_back_within_its_steps(tmp_path):
    group = group_of("0000007", 7)
    path = tmp_path / "shard-000000.tar"
    shards.write_shard(path, [shards.group_files(group)], {}, FRAMES)
    (back,) = shards.read_shard(path, check=True)
    for exact in ("picture", "alpha", "part", "landmarks", "visible", "expression", "identity", "light", "camera"):
        assert np.array_equal(getattr(back, exact), getattr(group, exact)), exact
    assert back.key == group.key and back.drawn == group.drawn and len(back) == FRAMES
    assert np.abs(back.canonical - group.canonical).max() <= 0.0005 + 1e-4
    assert np.abs(back.depth - group.depth).max() <= 0.0025 + 1e-4
    assert np.abs(back.normals - group.normals).max() <= 0.5 / 127.5 + 1e-4


def test_frames_are_samples_as_webdataset_groups_them(whole):
    with tarfile.open(whole / "shard-000000.tar") as tar:
        keys = [name.split(".", 1)[0] for name in tar.getnames()]
    assert list(dict.fromkeys(keys)) == [f"000000{g}-0{f}" for g in (0, 1) for f in range(FRAMES)]
    assert keys == sorted(keys)  # files of a sample are neighbours


def test_a_killed_worker_costs_its_shard_alone_and_the_bytes_are_the_same(whole, tmp_path):
    work = Numbers(folder=tmp_path, dies_at=3)
    with pytest.raises(VasaError, match="again"):
        batch.run(work, range(3), workers=1, progress=False)
    assert list(contents(tmp_path)) == ["shard-000000.json", "shard-000000.tar"]
    outcome = batch.run(work, range(3), workers=1, progress=False)
    assert (outcome.made, outcome.kept) == (2, 1)
    assert contents(tmp_path) == contents(whole) and not list(tmp_path.glob(".*part"))


def test_two_machines_make_what_one_makes(whole, tmp_path):
    for chosen in (range(2, 3), range(2)):
        batch.run(Numbers(folder=tmp_path), chosen, workers=2, progress=False)
    assert contents(tmp_path) == contents(whole)
    assert (tmp_path / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()


def test_a_finished_folder_is_left_alone(whole):
    before = {path: path.stat().st_mtime_ns for path in whole.glob("shard-*")}
    assert batch.run(Numbers(folder=whole), range(3), workers=1, progress=False).made == 0
    assert {path: path.stat().st_mtime_ns for path in whole.glob("shard-*")} == before


def test_more_people_keep_the_whole_shards(whole, tmp_path):
    batch.run(Numbers(folder=tmp_path), range(3), workers=1, progress=False)
    (tmp_path / "shard-000002.tar").write_bytes((tmp_path / "shard-000002.tar").read_bytes()[:-512])
    assert batch.missing(Numbers(folder=tmp_path), range(3)) == [2]  # cut short


def test_other_settings_are_not_mixed_in(whole):
    with pytest.raises(BadOption, match="other settings"):
        batch.missing(replace(Numbers(folder=whole), people=6), range(3))


def test_one_flipped_bit_is_noticed(whole, tmp_path):
    for name, content in contents(whole).items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "shard-000001.tar"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DamagedData, match="delete it"):
        list(shards.read_shard(path, check=True))
    shards.write_manifest(tmp_path, Numbers(folder=tmp_path).settings(), {})
    with pytest.raises(DamagedData):
        shards.check_folder(tmp_path, lambda line: None)
    assert shards.check_folder(whole, lambda line: None) == 3


def test_something_else_than_a_tar_is_refused(tmp_path):
    path = tmp_path / "shard-000000.tar"
    path.write_bytes(b"not a tar at all")
    with pytest.raises(DamagedData):
        list(shards.read_shard(path))


@pytest.mark.parametrize(
    ("text", "expected"), [(":", range(9)), ("2:4", range(2, 4)), ("7:", range(7, 9)), ("3", range(3, 4))]
)
def test_ranges_of_shards(text, expected):
    assert batch.shard_range(text, 9) == expected


@pytest.mark.parametrize("text", ["4:2", "0:99", "a:b", "-1:3"])
def test_impossible_ranges_are_refused(text):
    with pytest.raises(BadOption):
        batch.shard_range(text, 9)


def test_equal_arrays_are_equal_bytes_and_numpy_reads_them():
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}
    assert shards.npz(arrays) == shards.npz(dict(arrays))
    back = np.load(io.BytesIO(shards.npz(arrays)))
    assert all(np.array_equal(back[name], values) for name, values in arrays.items())


def test_the_code_has_a_hash_that_follows_its_text(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    before = batch.source_hash(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert batch.source_hash(tmp_path) != before
