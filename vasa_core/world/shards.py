"""Shards: groups of frames in tar files that WebDataset readers know, with checksums; resumable and exactly repeatable.

One sample is one frame; its files share the key `GROUP-FRAME`, and the frames of a group follow one another:

    0000012-03.picture.png    8 bit RGB                        sRGB
    0000012-03.alpha.png      8 bit                            coverage of the person, 255 = all
    0000012-03.part.png       8 bit                            number in `parts` of the manifest
    0000012-03.canonical.png  16 bit RGB = x, y, z             0.001 cm a step, 32768 = 0
    0000012-03.depth.png      16 bit                           0.005 cm a step along the optical axis, 0 = nobody
    0000012-03.normals.png    8 bit RGB = x, y, z              127.5 a unit, 127.5 = 0
    0000012-03.numbers.npz    arrays by the names of `Group`   float32 (visible: bool)
    0000012-03.json           what the group was drawn from: person, scene, seed

`read_shard` gives them back as arrays; it needs numpy and OpenCV alone. A finished shard has a `.json` beside its tar.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray as Array

from vasa_core.errors import BadOption, DamagedData

FORMAT = 1
CANONICAL_STEP_CM = 0.001
DEPTH_STEP_CM = 0.005
ZERO = 32768
FRAME_NUMBERS = (
    "landmarks landmarks_cm landmarks_head visible landmarks68 pose gaze expression pixel_from_world irises".split()
)
GROUP_NUMBERS = ("identity", "light", "camera")
MANIFEST = "manifest.json"
Files = list[tuple[str, bytes]]  # name and content


@dataclass(frozen=True, kw_only=True)
class Group:
    """Frames of one person in one light before one camera, who differ in expression, gaze and pose.

    Pictures are 0 where nobody is (`picture` shows the backdrop). The meaning of each array is told at `truth.Truth`.
    """

    key: str
    picture: UInt8[Array, "frame size size 3"]  # sRGB
    alpha: UInt8[Array, "frame size size"]  # coverage, 255 = all
    part: UInt8[Array, "frame size size"]
    canonical: Float[Array, "frame size size 3"]  # cm
    depth: Float[Array, "frame size size"]  # cm from the eye along the optical axis
    normals: Float[Array, "frame size size 3"]  # unit, world axes
    landmarks: Float[Array, "frame landmark=478 2"]  # px, MediaPipe's numbering
    landmarks_cm: Float[Array, "frame landmark=478 3"]  # world
    landmarks_head: Float[Array, "frame landmark=478 3"]  # head space, without pose
    visible: Bool[Array, "frame landmark=478"]
    landmarks68: Float[Array, "frame outline=68 2"]  # px
    pose: Float[Array, "frame angle=3"]  # degrees: yaw, pitch, roll
    gaze: Float[Array, "frame angle=2"]  # degrees in the head: yaw, pitch
    expression: Float[Array, "frame mode"]  # weights of the head's modes
    pixel_from_world: Float[Array, "frame 3 4"]
    irises: Float[Array, "frame eye=2 2"]  # px, apexes of the corneas, L then R
    identity: Float[Array, " coefficient"]
    light: Float[Array, " parameter"]  # `light_parameters` of the manifest names them
    camera: Float[Array, " parameter=5"]  # cm: distance, view, x, y, lens
    drawn: dict[str, Any]  # what it was drawn from

    def __len__(self) -> int:
        return len(self.picture)


# ---- one group as files ----------------------------------------------------------------------------------------------
def png(picture: Array) -> bytes:
    """A picture [row, column] or [row, column, 3] as PNG; fast rather than small."""
    done, data = cv2.imencode(
        ".png", picture[..., ::-1] if picture.ndim == 3 else picture, [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    if not done:
        raise BadOption("A picture could not be packed as PNG: choose another size.")
    return data.tobytes()


def unpng(data: bytes) -> Array:
    """The picture in a PNG."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise DamagedData("A picture in a shard cannot be read: delete that shard and run the same command again.")
    return np.ascontiguousarray(picture[..., ::-1]) if picture.ndim == 3 else picture


def npz(arrays: dict[str, Array]) -> bytes:
    """Arrays as an uncompressed npz without times, so that equal arrays are equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, values in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue())
    return out.getvalue()


def stepped(values: Array, step: float, zero: int) -> Array:
    return np.clip(np.round(values / step) + zero, 0, 65535).astype(np.uint16)


def frame_files(group: Group, frame: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files of one frame."""
    key, known = f"{group.key}-{frame:02d}", group.part[frame] > 0
    canonical = stepped(group.canonical[frame], CANONICAL_STEP_CM, ZERO)
    yield f"{key}.picture.png", png(group.picture[frame])
    yield f"{key}.alpha.png", png(group.alpha[frame])
    yield f"{key}.part.png", png(group.part[frame])
    yield f"{key}.canonical.png", png(np.where(known[..., None], canonical, 0).astype(np.uint16))
    yield f"{key}.depth.png", png(stepped(group.depth[frame], DEPTH_STEP_CM, 0))
    normals = np.round(group.normals[frame] * 127.5 + 127.5).astype(np.uint8)
    yield f"{key}.normals.png", png(np.where(known[..., None], normals, 0).astype(np.uint8))
    numbers = {name: getattr(group, name)[frame] for name in FRAME_NUMBERS}
    yield f"{key}.numbers.npz", npz(numbers | {name: getattr(group, name) for name in GROUP_NUMBERS})
    yield f"{key}.json", json.dumps({"frame": frame, "frames": len(group)} | group.drawn).encode()


def frame_arrays(files: dict[str, bytes]) -> dict[str, Any]:
    """The arrays of one frame from its files, in the units of `Group`."""
    kinds = ("picture", "alpha", "part", "canonical", "depth", "normals")
    pictures = {kind: unpng(files[f"{kind}.png"]) for kind in kinds}
    known = (pictures["part"] > 0)[..., None]
    numbers = np.load(io.BytesIO(files["numbers.npz"]), allow_pickle=False)
    return {
        **{name: pictures[name] for name in ("picture", "alpha", "part")},
        "canonical": known * (pictures["canonical"].astype(np.float32) - ZERO) * np.float32(CANONICAL_STEP_CM),
        "depth": pictures["depth"] * np.float32(DEPTH_STEP_CM),
        "normals": known * (pictures["normals"].astype(np.float32) / np.float32(127.5) - 1),
        **{name: numbers[name] for name in (*FRAME_NUMBERS, *GROUP_NUMBERS)},
    }


# ---- shards ----------------------------------------------------------------------------------------------------------
def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.tar"


def group_files(group: Group) -> Files:
    """Name and content of all files of a group, frame after frame."""
    return [file for frame in range(len(group)) for file in frame_files(group, frame)]


def write_shard(path: Path, groups: Iterable[Files], settings: dict[str, Any], units: int) -> dict[str, Any]:
    """Write a shard under another name, then its record, then rename both: what has its name is whole.

    Returns the record: name, bytes, sha256, groups, units (frames, say), and the settings it was made with.
    """
    half, count = path.with_name(f".{path.name}.{os.getpid()}.part"), 0
    with tarfile.open(half, "w", format=tarfile.USTAR_FORMAT) as tar:
        for count, files in enumerate(groups, 1):  # noqa: B007 (counted)
            for name, content in files:
                entry = tarfile.TarInfo(name)  # owner and time stay zero, so equal files are equal bytes
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    record = {"name": path.name, "bytes": half.stat().st_size, "sha256": sha256(half), "groups": count, "units": units}
    half.replace(path)
    write_json(path.with_suffix(".json"), record | {"settings": settings})
    return record


def write_json(path: Path, content: dict[str, Any]) -> None:
    """The content as a file that is never seen half written."""
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    half.write_text(json.dumps(content, indent=1) + "\n")
    half.replace(path)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def finished(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The record of a shard that is whole and made with these settings; None where it has to be made.

    A shard of other settings is refused: two data sets in one folder would be neither.
    """
    record_path = path.with_suffix(".json")
    if not (path.exists() and record_path.exists()):
        return None
    record = json.loads(record_path.read_text())
    if record["settings"] != settings:
        raise BadOption(f"{path} was made with other settings: choose another folder, or delete the old shards.")
    return record if path.stat().st_size == record["bytes"] else None


def check_shard(path: Path) -> None:
    """Refuse a shard whose bytes are not those that were written."""
    record = json.loads(path.with_suffix(".json").read_text())
    if path.stat().st_size != record["bytes"] or sha256(path) != record["sha256"]:
        raise DamagedData(f"{path} is damaged: delete it and run the same command again.")


def read_shard(path: Path, check: bool = False) -> Iterator[Group]:
    """The groups of a shard, one after the other; `check` compares the checksum first."""
    if check:
        check_shard(path)
    for key, frames in groupby(read_samples(path), key=lambda sample: sample[0].rsplit("-", 1)[0]):
        files = [content for _, content in frames]
        arrays = [frame_arrays(content) for content in files]
        stacked = {name: np.stack([frame[name] for frame in arrays]) for name in arrays[0] if name not in GROUP_NUMBERS}
        shared = {name: arrays[0][name] for name in GROUP_NUMBERS}
        drawn = {k: v for k, v in json.loads(files[0]["json"]).items() if k not in ("frame", "frames")}
        yield Group(key=key, **stacked, **shared, drawn=drawn)


def read_samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and files (by what follows the first dot) of each sample, as WebDataset understands a tar."""
    try:
        with tarfile.open(path) as tar:
            entries = ((entry.name.split(".", 1), tar.extractfile(entry)) for entry in tar)
            read = ((key, kind, file.read()) for (key, kind), file in entries if file)
            for key, files in groupby(read, key=lambda entry: entry[0]):
                yield key, {kind: content for _, kind, content in files}
    except tarfile.TarError as cause:
        raise DamagedData(f"{path} is damaged: delete it and run the same command again.") from cause


# ---- the whole folder ------------------------------------------------------------------------------------------------
def write_manifest(folder: Path, settings: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """Gather the records of the folder's finished shards: run by whoever finishes last, or again after copying."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("shard-*.json"))]
    records = [record for record in records if record["settings"] == settings]
    shards = [{name: record[name] for name in ("name", "bytes", "sha256", "groups", "units")} for record in records]
    manifest = {
        "format": FORMAT, **about, "settings": settings, "groups": sum(s["groups"] for s in shards),
        "units": sum(s["units"] for s in shards), "shards": shards,
    }  # fmt: skip
    write_json(folder / MANIFEST, manifest)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of shards."""
    path = folder / MANIFEST
    if not path.exists():
        raise BadOption(f"{path} is missing: run the render command again, it finishes what is left.")
    return json.loads(path.read_text())


def check_folder(folder: Path, report: Callable[[str], None] = print) -> int:
    """Compare every shard of a manifest with its checksum; how many there are."""
    shards = read_manifest(folder)["shards"]
    for shard in shards:
        path = folder / shard["name"]
        if not path.exists() or sha256(path) != shard["sha256"]:
            raise DamagedData(f"{path} is damaged or missing: delete it and run the same command again.")
        report(f"{path.name}: {shard['units']} units, as written")
    return len(shards)
