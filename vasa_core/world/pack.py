"""Packs ICT-FaceKit as this project reads it: a folder of OBJ files in, one npz of arrays out.

FaceKit (MIT, University of Southern California) is at github.com/ICT-VGL/ICT-FaceKit; its folder `FaceXModel` holds a
neutral mesh and, with the same vertices, one mesh an identity mode and one an expression mode. Lengths are cm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from vasa_core.errors import BadOption

NEUTRAL, IDENTITIES = "generic_neutral_mesh.obj", "identity*.obj"
VERTICES = 26719
PART_STARTS = (
    0,
    9409,
    11248,
    13294,
    13678,
    14062,
    17039,
    21451,
    23021,
    24591,
    24795,
    24999,
    25023,
    25047,
    25199,
    25351,
    26035,
)
"""First vertex of each part, in the order of `facekit`'s part numbers, as FaceKit's own page lists them."""
IBUG_68 = (
    *(1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493),
    *(1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542),
    *(1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461),
    *(5518, 5957, 5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966),
)
JAW_LINE = (
    *(1280, 1278, 1275, 1272, 1248, 12, 820, 1834, 1902, 243, 844, 781, 1673, 2199, 801, 1447, 800, 3041, 3661, 3042),
    *(4390, 3880, 3022, 3085, 2484, 4102, 4036, 3061, 2253, 3466, 3490, 3493, 3496, 3498),
)


@dataclass(frozen=True)
class Obj:
    """What an OBJ file says: vertices, texture corners, triangles of both (quads split), and their materials."""

    vertices: Float[Array, "vertex 3"]
    corners: Float[Array, "corner 2"]
    triangles: Int[Array, "triangle 3"]
    corner_triangles: Int[Array, "triangle 3"]
    material: Int[Array, " triangle"]
    materials: tuple[str, ...]


def read_obj(text: str) -> Obj:
    """A mesh of triangles, quads or larger fans."""
    vertices, corners, triangles, corner_triangles, material, materials = [], [], [], [], [], []  # type: ignore[var-annotated]
    for kind, *words in (line.split() for line in text.splitlines() if line.strip()):
        if kind == "v":
            vertices.append([float(w) for w in words[:3]])
        elif kind == "vt":
            corners.append([float(w) for w in words[:2]])
        elif kind == "usemtl":
            materials.append(words[0])
        elif kind == "f":
            pairs = [[int(n or 0) - 1 for n in [*word.split("/"), ""][:2]] for word in words]
            for b, c in zip(pairs[1:], pairs[2:], strict=False):  # noqa: RUF007 (a fan)
                triangles.append([pairs[0][0], b[0], c[0]])
                corner_triangles.append([pairs[0][1], b[1], c[1]])
                material.append(len(materials) - 1)
    return Obj(
        np.array(vertices, np.float64).reshape(-1, 3),
        np.array(corners, np.float64).reshape(-1, 2),
        np.array(triangles, np.int32).reshape(-1, 3),
        np.array(corner_triangles, np.int32).reshape(-1, 3),
        np.array(material, np.int64),
        tuple(materials),
    )


def deltas(paths: list[Path], neutral: Float[Array, "vertex 3"]) -> Float[Array, "mode vertex 3"]:
    """What each mode adds to the neutral mesh."""
    shapes = [
        read_obj("\n".join(line for line in path.read_text().splitlines() if line.startswith("v "))) for path in paths
    ]
    return np.stack([shape.vertices - neutral for shape in shapes]).astype(np.float16)


def packed(folder: Path) -> dict[str, Array]:
    """The arrays of `facekit.FaceKit` from the folder FaceXModel."""
    if not (folder / NEUTRAL).exists():
        raise BadOption(f"{folder / NEUTRAL} is missing: give the folder FaceXModel of a copy of ICT-FaceKit.")
    mesh = read_obj((folder / NEUTRAL).read_text())
    if len(mesh.vertices) != VERTICES:
        raise BadOption(
            f"{folder / NEUTRAL} has {len(mesh.vertices)} vertices instead of {VERTICES}: take FaceKit as it is."
        )
    identities = sorted(folder.glob(IDENTITIES))
    expressions = sorted(set(folder.glob("*.obj")) - {*identities, folder / NEUTRAL})
    return {
        "neutral": mesh.vertices.astype(np.float32),
        "ident": deltas(identities, mesh.vertices),
        "expr": deltas(expressions, mesh.vertices),
        "expr_names": np.array([path.stem for path in expressions]),
        "uv": mesh.corners.astype(np.float32),
        "fv": mesh.triangles,
        "ft": mesh.corner_triangles,
        "fmat": mesh.material.astype(np.uint8),
        "mat_names": np.array(mesh.materials),
        "part": (np.searchsorted(PART_STARTS, np.arange(VERTICES), "right") - 1).astype(np.uint8),
        "lm68": np.array(IBUG_68),
        "jaw": np.array(JAW_LINE),
    }


def pack(folder: Path, out: Path) -> None:
    """Write the npz that `facekit` reads."""
    arrays = packed(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, **arrays)
