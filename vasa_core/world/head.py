"""A head that needs nothing from outside: our shipped surface, completed by formulas to what `FaceKit` describes.

Face, skull, teeth and tongue with their identity and expression modes come from `assets/weights/surface.safetensors`;
eyeballs are spheres with a cornea, eye sockets and the bag of the mouth are swept from the rims of their openings,
lashes stand on the lids. Coarser than FaceKit (8 thousand vertices to 27), but every name, part and unit is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy.spatial import cKDTree

from vasa_core.assets import weights
from vasa_core.surface import (
    EYE_CORNERS,
    LIP_CORNERS,
    LOWER_LIDS,
    LOWER_LIP,
    UPPER_LIDS,
    UPPER_LIP,
    Surface,
    load_surface,
)
from vasa_core.world.facekit import (
    EYE_L,
    EYE_R,
    FACE,
    GUMS,
    LASHES_L,
    LASHES_R,
    MOUTH,
    SCALP,
    SOCKET_L,
    SOCKET_R,
    TEETH,
    FaceKit,
    Number,
    facekit_path,
    smoothstep,
    unit,
)

IDENTITIES = 100  # FaceKit's number of modes; the surface knows the 80 that matter most
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149),
    *(150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
OUTLINE_68 = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389, 71, 63, 105, 66, 107, 336),
    *(296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373),
    *(380, 61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),
)
"""The landmark that lies where each of the 68 of the iBUG scheme does."""
EYEBALL_CM, CORNEA_CM = 1.505, 1.767
MATERIALS = ("M_Face", "M_BackHead", "M_GumsTongue", "M_Teeth", "M_ScleraLeft", "M_ScleraRight", "M_EyeLashes")
MATERIAL_OF = {FACE: 0, SCALP: 1, MOUTH: 0, SOCKET_L: 0, SOCKET_R: 0, GUMS: 2, TEETH: 3, EYE_L: 4, EYE_R: 5}


HEADS = ("facekit", "shipped")


def head_at_hand() -> str:
    """Which of HEADS people are built on here: FaceKit where its data is, else the shipped head."""
    return HEADS[0] if facekit_path().exists() else HEADS[1]


def load_head(name: str = "") -> FaceKit:
    """A head by name, or the one at hand."""
    return FaceKit() if (name or head_at_hand()) == HEADS[0] else shipped_head()


@dataclass
class _Mesh:
    """Pieces so far: vertices follow other vertices of the surface with their modes."""

    surface: Surface
    points: list[Array] = field(default_factory=list)
    follow: list[Array] = field(default_factory=list)  # the surface vertex whose modes each point takes
    amount: list[Array] = field(default_factory=list)  # and how much of them
    part: list[Array] = field(default_factory=list)
    uv: list[Array] = field(default_factory=list)
    faces: list[Array] = field(default_factory=list)
    count: int = 0

    def add(
        self,
        part: int,
        points: Float[Array, "vertex 3"],
        follow: Int[Array, " vertex"],
        uv: Float[Array, "vertex 2"],
        faces: Int[Array, "face 3"],
        amount: Number | Array = 1.0,
    ) -> None:
        """One more piece; `faces` count its own vertices from 0."""
        self.points.append(points)
        self.follow.append(follow)
        self.amount.append(np.broadcast_to(np.float32(amount), len(points)))
        self.part.append(np.full(len(points), part))
        self.uv.append(uv)
        self.faces.append(faces + self.count)
        self.count += len(points)

    def modes(self, basis: Float[Array, "mode vertex 3"]) -> Float[Array, "mode all 3"]:
        """The surface's modes at every vertex."""
        return basis[:, np.concatenate(self.follow)] * np.concatenate(self.amount)[:, None]


def shipped_head() -> FaceKit:
    """The shipped surface as a head."""
    surface = load_surface(weights("surface.safetensors"))
    mesh = _Mesh(surface)
    _face(mesh)
    _skull(mesh)
    for sign in (-1, 1):
        _ear(mesh, sign)
    _mouth(mesh)
    for number, part in enumerate((SOCKET_R, SOCKET_L)):
        _socket(mesh, number, part)
    _teeth_and_tongue(mesh)
    for number, part in enumerate((EYE_R, EYE_L)):
        _eyeball(mesh, number, part)
    for number, part in enumerate((LASHES_R, LASHES_L)):
        for card in range(6):
            _lash_card(mesh, number, part, upper=card < 3, bend=0.06 * (card % 3 - 1))
    return FaceKit(pack=_packed(mesh))


def _packed(mesh: _Mesh) -> dict[str, Array]:
    """The arrays that FaceKit's own file holds."""
    surface, part, faces = mesh.surface, np.concatenate(mesh.part), np.concatenate(mesh.faces)
    expression = np.tensordot(surface.dynamics_from_expression.T, surface.dynamics_basis, 1)
    unknown = ((0, IDENTITIES - len(surface.identity_basis)), (0, 0), (0, 0))
    part_of_face = part[faces[:, 0]]
    return {
        "neutral": np.concatenate(mesh.points).astype(np.float32),
        "ident": np.pad(mesh.modes(surface.identity_basis), unknown),
        "expr": mesh.modes(expression) * (np.isin(part, (EYE_L, EYE_R)) == 0)[:, None],
        "expr_names": np.array(surface.expression_names),
        "uv": np.concatenate(mesh.uv).astype(np.float32),
        "fv": faces.astype(np.int32),
        "ft": faces.astype(np.int32),
        "fmat": np.array([MATERIAL_OF.get(int(p), len(MATERIALS) - 1) for p in part_of_face], np.uint8),
        "mat_names": np.array(MATERIALS),
        "part": part.astype(np.uint8),
        "lm68": np.array(OUTLINE_68),
        "jaw": np.array(OUTLINE_68[:17]),
    }  # fmt: skip


# ---- skin ------------------------------------------------------------------------------------------------------------
def _face(mesh: _Mesh) -> None:
    span = mesh.surface.parts["face"]
    points = mesh.surface.neutral[span]
    uv = np.stack([points[:, 0] / 19 + 0.5, (points[:, 1] + 10) / 22], 1)
    mesh.add(FACE, points, np.arange(span.start, span.stop), uv, mesh.surface.triangles["face"] - span.start)


def _skull(mesh: _Mesh) -> None:
    """The shell but for what lies behind the face, its two edges at the back of the head sewn together."""
    span, rim = mesh.surface.parts["shell"], mesh.surface.neutral[list(FACE_OVAL), :2]
    points = mesh.surface.neutral[span].copy()
    columns, numbers = _columns(points), np.arange(len(points))
    reach, front = _reach(points[:, :2], rim), points[:, 2] > 0
    sunk = 0.18 * smoothstep(1.15, 0.94, reach) * front  # below the face, or the two would flicker
    points -= sunk[:, None] * unit(points * (1, 0, 1))
    points[:columns] *= (0.02, 1, 0.02)  # the crown is closed
    sewn = numbers.copy()
    sewn[columns - 1 :: columns] = numbers[::columns]
    faces = mesh.surface.triangles["shell"] - span.start
    behind = (reach[faces] < 0.94).all(1) & front[faces].all(1)
    faces = sewn[faces[~behind]]
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    row, column = numbers // columns, numbers % columns
    uv = np.stack([1.005 + 0.99 * column / (columns - 1), 1 - row * columns / len(points)], 1)
    mesh.add(SCALP, points, np.arange(span.start, span.stop), uv, faces[whole])


def _ear(mesh: _Mesh, sign: Number) -> None:
    """A cup with a raised rim, leaning out from the side of the head."""
    rings, count = 9, 28
    out, around = np.meshgrid(np.linspace(0.05, 1.0, rings), np.arange(count) / count * 2 * np.pi, indexing="ij")
    y, z = 1.55 + 3.3 * out * np.sin(around), 0.15 + (1.55 + 0.25 * np.sin(around)) * out * np.cos(around)
    cup = 0.25 + 0.95 * smoothstep(0.35, 0.8, out) - 0.35 * smoothstep(0.85, 1.0, out)
    x = 7.35 + cup - 0.35 * (z - 0.15)  # its front is fixed to the head, its back stands off
    points = np.stack([sign * x, y, z], -1).reshape(-1, 3)
    span = mesh.surface.parts["shell"]
    follow = span.start + cKDTree(mesh.surface.neutral[span]).query(points)[1]
    uv = np.stack([0.5 + 0.47 * sign - 0.02 * z, (y + 10) / 22], -1).reshape(-1, 2)
    faces = _facing(points, _tube(rings, count), (sign, 0, 0))
    mesh.add(FACE, points, follow, uv, np.concatenate([faces, faces[:, ::-1]]))


def _columns(points: Array) -> int:
    """How many vertices a row of the shell has: the first row ends where height first changes."""
    return int(np.nonzero(np.abs(np.diff(points[:, 1])) > 1e-3)[0][0]) + 1


def _reach(points: Float[Array, "point 2"], rim: Float[Array, "rim 2"]) -> Float[Array, " point"]:
    """How far out points lie in a star-shaped outline: 0 in its middle, 1 on the rim."""
    middle = rim.mean(0)
    angle, distance = _polar(rim - middle)
    order = np.argsort(angle)
    here, away = _polar(points - middle)
    return away / np.interp(here, angle[order], distance[order], period=2 * np.pi)


def _polar(away: Array) -> tuple[Array, Array]:
    return np.arctan2(away[:, 1], away[:, 0]), np.linalg.norm(away, axis=1)


# ---- openings --------------------------------------------------------------------------------------------------------
def _swept(rim: Array, rings: Sequence[tuple[Number, Number, Number]], middle: Array) -> Array:
    """Rings [ring, n, 3] behind a closed rim: each with its scale across, its scale upwards and its depth (cm)."""
    away = rim - middle
    return np.stack([middle + away * (across, up, 1) - np.array([0, 0, depth]) for across, up, depth in rings])


def _tube(rings: int, count: int) -> Array:
    """Triangles between rings of so many vertices."""
    row, column = np.arange(rings - 1)[:, None] * count, np.arange(count)[None]
    a, b = row + column, row + (column + 1) % count
    return np.stack([a, a + count, b, b, a + count, b + count], -1).reshape(-1, 3)


def _mouth(mesh: _Mesh) -> None:
    """A bag behind the lips that opens and shuts with them."""
    loop = np.array([LIP_CORNERS[0], *UPPER_LIP, LIP_CORNERS[1], *LOWER_LIP[::-1]])
    rim = mesh.surface.neutral[loop]
    rings = [(1.0, 1.0, 0.15), (1.15, 4.0, 0.5), (1.25, 14.0, 1.6), (1.2, 18.0, 4.0), (0.8, 12.0, 7.0), (0.1, 1.0, 8.0)]
    points = _swept(rim, rings, rim.mean(0))
    amount = np.repeat([1.0, 1.0, 0.95, 0.8, 0.5, 0.3], len(loop))
    uv = np.tile([1.1, 0.9], (points.shape[0] * points.shape[1], 1))
    mesh.add(MOUTH, points.reshape(-1, 3), np.tile(loop, len(rings)), uv, _tube(len(rings), len(loop)), amount)


def _eye_loop(number: int) -> Array:
    outer, inner = EYE_CORNERS[number]
    return np.array([outer, *UPPER_LIDS[number], inner, *LOWER_LIDS[number][::-1]])


def _socket(mesh: _Mesh, number: int, part: int) -> None:
    """From the lids back around the eyeball."""
    loop = _eye_loop(number)
    rim = mesh.surface.neutral[loop]
    rings = [(1.0, 1.0, 0.02), (1.1, 1.35, 0.35), (1.15, 2.6, 1.2), (1.1, 3.0, 2.4), (0.1, 0.1, 3.2)]
    points = _swept(rim, rings, rim.mean(0))
    amount = np.repeat([1.0, 1.0, 0.6, 0.3, 0.0], len(loop))
    uv = np.tile([1.8, 0.9], (points.shape[0] * points.shape[1], 1))
    mesh.add(part, points.reshape(-1, 3), np.tile(loop, len(rings)), uv, _tube(len(rings), len(loop)), amount)


def _teeth_and_tongue(mesh: _Mesh) -> None:
    """The two arches, gums above the necks of the teeth, and the tongue, facing out."""
    surface = mesh.surface
    for name in ("upper_teeth", "lower_teeth"):
        span, faces = surface.parts[name], surface.triangles[name]
        gum = (surface.arch_coordinates[faces, 1] <= 1e-6).all(1)
        for part, chosen, tile in ((GUMS, faces[gum], 2.5), (TEETH, faces[~gum], 3.5)):
            points = surface.neutral[span]
            uv = np.tile([tile, 0.5], (len(points), 1))
            out = _facing(points, chosen - span.start, (0, 0, 1))
            mesh.add(part, points, np.arange(span.start, span.stop), uv, out)
    span = surface.parts["tongue"]
    points, faces = surface.neutral[span], surface.triangles["tongue"] - span.start
    uv = np.tile([2.5, 0.5], (len(points), 1))
    mesh.add(GUMS, points, np.arange(span.start, span.stop), uv, _facing(points, faces, (0, 1, 0)))


def _facing(points: Array, faces: Array, direction: Sequence[Number]) -> Array:
    """The triangles turned to face a direction on the whole."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    return faces if (np.cross(b - a, c - a) @ np.array(direction)).sum() > 0 else faces[:, ::-1]


# ---- eyes ------------------------------------------------------------------------------------------------------------
def _eyeball(mesh: _Mesh, number: int, part: int) -> None:
    """A sphere with a cornea; its texture has the pupil in the middle."""
    vertex = mesh.surface.parts["eyes"].start + number
    rings, count = 24, 32
    away, around = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, rings), np.arange(count) / count * 2 * np.pi, indexing="ij"
    )
    toward = np.stack([np.sin(away) * np.cos(around), np.sin(away) * np.sin(around), np.cos(away)], -1).reshape(-1, 3)
    from_axis = np.degrees(away).reshape(-1, 1)
    radius = EYEBALL_CM + (CORNEA_CM - EYEBALL_CM) * smoothstep(27.0, 5.0, from_axis)
    spread = (0.5 * away / np.pi).reshape(-1, 1)
    uv = 0.5 + spread * np.stack([np.cos(around), np.sin(around)], -1).reshape(-1, 2)
    points = mesh.surface.neutral[vertex] + toward * radius
    faces = _facing_out(points, _tube(rings, count), mesh.surface.neutral[vertex])
    mesh.add(part, points, np.full(len(points), vertex), uv, faces)


def _facing_out(points: Array, faces: Array, center: Array) -> Array:
    a, b, c = (points[faces[:, i]] for i in range(3))
    return faces if (np.cross(b - a, c - a) * (a - center)).sum() > 0 else faces[:, ::-1]


def _lash_card(mesh: _Mesh, number: int, part: int, upper: bool, bend: Number) -> None:
    """A strip along a lid: u along it, v from the tips (0) to the lid (1)."""
    outer, inner = EYE_CORNERS[number]
    lid = np.array([outer, *(UPPER_LIDS if upper else LOWER_LIDS)[number], inner])
    rim, rows = mesh.surface.neutral[lid], 4
    out = np.array([0, 0.10 if upper else -0.25, 0.9 if upper else 0.5]) + np.array([0, bend, 0])
    reach = np.linspace(1, 0, rows)
    points = (rim[None] + reach[:, None, None] * out).reshape(-1, 3)
    u = np.broadcast_to(np.linspace(0, 1, len(lid)), (rows, len(lid)))
    v = np.broadcast_to(np.linspace(0, 1, rows)[:, None], (rows, len(lid)))
    grid = np.arange(rows * len(lid)).reshape(rows, -1)
    quads = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]], -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [2, 1, 3]]])
    mesh.add(part, points, np.tile(lid, rows), np.stack([u, v], -1).reshape(-1, 2), faces)
