"""Learns the deforming surface from FaceKit shapes: `python -m vasa_core.train.surface` (about ten seconds, no
randomness).

FaceKit (ICT, MIT licence) is a mean head, 100 identity and 57 expression deltas; correspondences say which of its
vertices lies under each MediaPipe landmark. Every template vertex is bound to FaceKit points, its deltas read there,
and the codes are the leading right singular directions of those deltas: the optimum of a linear autoencoder, so there
is nothing to iterate.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from vasa_core.geometry import empty_depth, rasterise
from vasa_core.latents import EXPRESSION, IDENTITY
from vasa_core.surface import LANDMARKS, LIP_CORNERS, LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP

FACE, HEAD, SOCKETS = 0, 1, (7, 8)
TEETH = "M_Teeth"
PRECISE = 4.0
"""Lip and lid vertices count this much in the learned dynamics: a millimetre there is seen, on the cheek it is not."""


@dataclass(frozen=True)
class FaceKit:
    """The face model's arrays: mean, deltas, topology, and which part each vertex belongs to."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    names: tuple[str, ...]
    triangles: np.ndarray
    part: np.ndarray
    material: np.ndarray

    def delta(self, name: str) -> np.ndarray:
        return self.expression[self.names.index(name)]


@dataclass(frozen=True)
class Piece:
    """A part of the template with its deltas: vertices [n, 3], deltas [100 or 57, n, 3], triangles, weights,
    coordinates."""

    neutral: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    triangles: np.ndarray
    head_weight: np.ndarray
    arch: np.ndarray


def load_facekit(path: Path) -> FaceKit:
    d = np.load(path)
    names = [str(s) for s in d["mat_names"]]
    material = np.array([names[k] for k in d["fmat"]])
    return FaceKit(
        d["neutral"].astype(np.float64),
        d["ident"].astype(np.float64),
        d["expr"].astype(np.float64),
        tuple(str(s) for s in d["expr_names"]),
        d["fv"].astype(np.int32),
        d["part"],
        material,
    )


# --- the face: landmarks, their triangles, one smooth subdivision -----------------------------------------------------


def landmark_triangles(edges: set[tuple[int, int]]) -> np.ndarray:
    """The 852 triangles whose edges MediaPipe publishes: every three-clique but the two that merely surround a
    triangle."""
    neighbours = defaultdict(set)
    for a, b in edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    cliques = sorted({tuple(sorted((a, b, c))) for a, b in edges for c in neighbours[a] & neighbours[b]})
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for t in cliques:
        for e in _edges(t):
            shared[e] += 1
    real = [t for t in cliques if min(shared[e] for e in _edges(t)) < 3]
    return np.array(real, np.int32)


def _edges(t: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(min(a, b), max(a, b)) for a, b in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))]


def oriented(triangles: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The same triangles, all counter-clockwise seen from outside: neighbours agree, and the whole faces +z."""
    by_edge = defaultdict(list)
    for k, t in enumerate(triangles):
        for e in _edges(tuple(t)):
            by_edge[e].append(k)
    out, seen, queue = triangles.copy(), {0}, deque([0])
    while queue:
        k = queue.popleft()
        directed = {(out[k][i], out[k][(i + 1) % 3]) for i in range(3)}
        for e in _edges(tuple(out[k])):
            for n in by_edge[e]:
                if n in seen:
                    continue
                if directed & {(out[n][i], out[n][(i + 1) % 3]) for i in range(3)}:
                    out[n] = out[n][::-1]
                seen.add(n)
                queue.append(n)
    a, b, c = (positions[out[:, k]] for k in range(3))
    return out if np.cross(b - a, c - a)[:, 2].sum() > 0 else out[:, ::-1].copy()


def butterfly(triangles: np.ndarray, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """One step of interpolating butterfly subdivision (Dyn, Levin, Gregory 1990): a matrix [new, old] and the
    triangles."""
    opposite, loop = defaultdict(list), defaultdict(list)
    for t in triangles:
        for k in range(3):
            opposite[tuple(sorted((t[k], t[(k + 1) % 3])))].append(t[(k + 2) % 3])
    for (a, b), ends in opposite.items():
        if len(ends) == 1:
            loop[a].append(b)
            loop[b].append(a)
    edges = sorted(opposite)
    index = {e: vertices + k for k, e in enumerate(edges)}
    matrix = np.zeros((vertices + len(edges), vertices))
    matrix[:vertices] = np.eye(vertices)
    for (a, b), row in zip(edges, matrix[vertices:], strict=True):
        row[[a, b]] += 0.5
        if len(opposite[a, b]) == 1:  # a contour: the four-point rule along it, so lips stay smooth curves
            for here, there in ((a, b), (b, a)):
                row[here] += 1 / 16
                row[next((v for v in loop[here] if v != there), here)] -= 1 / 16
            continue
        for c in opposite[a, b]:
            row[c] += 1 / 8
            for end in (a, b):
                wing = [v for v in opposite[tuple(sorted((end, c)))] if v not in (a, b)]
                row[wing[0] if wing else c] -= 1 / 16
    split = []
    for a, b, c in triangles:
        ab, bc, ca = (index[tuple(sorted(e))] for e in ((a, b), (b, c), (c, a)))
        split += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    return matrix, np.array(split, np.int32)


def bind_landmarks(kit: FaceKit, measured: np.ndarray) -> np.ndarray:
    """FaceKit vertex of each landmark: the measured nearest ones, but lips and lids on their own side of the opening.

    The measured table was read off closed mouths, where the nearest vertex to a lower-lip landmark may be on the
    upper lip.
    """
    vertex = measured[:LANDMARKS].copy()
    face = np.where(kit.part == FACE)[0]
    jaw, blink = kit.delta("jawOpen")[:, 1], kit.delta("eyeBlink_L")[:, 1] + kit.delta("eyeBlink_R")[:, 1]
    middle = (kit.neutral[vertex[list(UPPER_LIP)]] + kit.neutral[vertex[list(LOWER_LIP)]]) / 2
    # the seam as seen from the front: slightly behind the most forward lip points
    for seam, up, low in zip(middle, UPPER_LIP, LOWER_LIP, strict=True):
        near = face[np.linalg.norm((kit.neutral[face] - seam) * (1.5, 1, 0.5), axis=1) < 0.45]
        split = (jaw[near].max() + jaw[near].min()) / 2
        for landmark, side in ((up, near[jaw[near] > split]), (low, near[jaw[near] <= split])):
            vertex[landmark] = side[np.linalg.norm(kit.neutral[side] - seam, axis=1).argmin()]
    for uppers, lowers in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        for landmark, sign in [(u, 1) for u in uppers] + [(v, -1) for v in lowers]:
            here = kit.neutral[vertex[landmark]]
            near = face[np.linalg.norm(kit.neutral[face] - here, axis=1) < 0.25]
            moving = blink[near] < 0.5 * blink[near].min()
            side = near[moving] if sign > 0 else near[~moving]
            if len(side):
                vertex[landmark] = side[np.linalg.norm(kit.neutral[side] - here, axis=1).argmin()]
    return vertex


def face_piece(kit: FaceKit, measured: np.ndarray, edges: set[tuple[int, int]]) -> Piece:
    vertex = bind_landmarks(kit, measured)
    triangles = oriented(landmark_triangles(edges), kit.neutral[vertex])
    matrix, triangles = butterfly(triangles, LANDMARKS)
    n = len(matrix)
    return Piece(
        matrix @ kit.neutral[vertex],
        np.einsum("vl,klc->kvc", matrix, kit.identity[:, vertex]),
        np.einsum("vl,klc->kvc", matrix, kit.expression[:, vertex]),
        triangles,
        np.ones(n),
        np.zeros((n, 2)),
    )


# --- the shell, the mouth, the eyes -----------------------------------------------------------------------------------


def neck_weight(p: np.ndarray) -> np.ndarray:
    """How far a point follows the head: 0 on the shoulders, 1 on the skull, smooth along the slanted neck."""
    t = np.clip((p[:, 1] + 0.2857 * p[:, 2] + 14.5) / 8.5, 0, 1)
    return t * t * (3 - 2 * t)


def shell_piece(kit: FaceKit, rows: int = 56, columns: int = 72, axis_z: float = -1.0) -> Piece:
    """The head's outside on a grid of height and angle about a vertical axis, by casting rays outwards."""
    triangles = kit.triangles[np.isin(kit.part[kit.triangles[:, 0]], (FACE, HEAD))]
    p = kit.neutral
    angle, radius = np.arctan2(p[:, 0], p[:, 2] - axis_z), np.hypot(p[:, 0], p[:, 2] - axis_z)
    x, y = (angle / (2 * np.pi) + 0.5) * (columns - 1), (14.2 - p[:, 1]) / 33.0 * (rows - 1)
    screen = np.stack([x, y, radius], 1).astype(np.float32)
    triangles = triangles[np.ptp(screen[triangles][:, :, 0], axis=1) < columns / 2]  # not across the seam at the back
    depth = empty_depth(rows, columns)
    rasterise(screen, triangles, np.zeros((len(p), 1), np.float32), depth, np.zeros((rows, columns, 1), np.float32))
    cells = np.argwhere(depth > 0)
    for row, column in np.argwhere(
        depth <= 0
    ):  # rays through the back seam and past the crown take their neighbour's radius
        depth[row, column] = depth[tuple(cells[np.abs(cells - (row, column)).sum(1).argmin()])]
    heights, angles = np.meshgrid(
        14.2 - np.arange(rows) * 33.0 / (rows - 1), np.linspace(-np.pi, np.pi, columns), indexing="ij"
    )
    points = np.stack([depth * np.sin(angles), heights, depth * np.cos(angles) + axis_z], -1).reshape(-1, 3)
    used = np.unique(triangles)
    near = np.array([used[np.argpartition(((p[used] - at) ** 2).sum(1), 3)[:3]] for at in points])
    a = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([a[:-1, :-1], a[1:, :-1], a[:-1, 1:], a[1:, 1:]], -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [2, 1, 3]]]).astype(np.int32)
    return _bound(kit, points, near, faces, neck_weight(points), np.zeros((len(points), 2)))


def _bound(kit: FaceKit, neutral, vertex, triangles, weight, arch) -> Piece:
    """A piece at `neutral` whose deltas are the mean of its FaceKit vertices' [n, k]."""
    return Piece(
        neutral,
        kit.identity[:, vertex].mean(2),
        kit.expression[:, vertex].mean(2),
        triangles,
        weight,
        arch,
    )


def arch_piece(kit: FaceKit, upper: bool, columns: int = 41, rows: int = 7) -> Piece:
    """One dental arch as a curved sheet: arch coordinate u in cm from the middle, v from -1 (gum) through 0 (neck) to
    1 (edge)."""
    teeth = np.unique(kit.triangles[kit.material == TEETH])
    low = np.linalg.norm(kit.delta("jawOpen")[teeth], axis=1) > 0.5
    teeth = teeth[~low] if upper else teeth[low]
    p = kit.neutral[teeth]
    outer = p[p[:, 2] > _arch_depth(p, np.abs(p[:, 0])) - 0.35]
    curve = np.polynomial.polynomial.polyfit(outer[:, 0] ** 2, outer[:, 2], 3)
    x = np.linspace(-2.95, 2.95, 2001)
    z = np.polynomial.polynomial.polyval(x**2, curve)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    at = np.linspace(0, length[-1], columns)
    xs, zs, u = np.interp(at, length, x), np.interp(at, length, z), at - length[-1] / 2
    edge = -3.42 + 0.025 * xs**2 if upper else -3.3 + 0.03 * xs**2
    neck = edge + (0.95 - 0.03 * np.abs(xs)) * (1 if upper else -1)
    v = np.linspace(-1, 1, rows)
    y = np.where(v[:, None] > 0, neck + (edge - neck) * v[:, None], neck + (neck - edge) * -v[:, None])
    # the sheet bulges at the necks and falls back at gum and edge, as teeth do
    zz = zs[None] - 0.12 * v[:, None] ** 2 - (0.25 if not upper else 0.0)
    points = np.stack([np.broadcast_to(xs, y.shape), y, zz], -1).reshape(-1, 3)
    grid = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]], -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [2, 1, 3]]]).astype(np.int32)
    near = teeth[np.argsort(((points[:, None] - p[None]) ** 2).sum(-1), axis=1)[:, :24]]
    arch = np.stack([np.broadcast_to(u, y.shape), np.broadcast_to(v[:, None], y.shape)], -1).reshape(-1, 2)
    return _bound(kit, points, near, faces, np.ones(len(points)), arch)


def _arch_depth(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The most forward z of the arch at each |x|, binned."""
    bins = np.digitize(x, np.arange(0, 3.4, 0.2))
    front = {k: p[bins == k, 2].max() for k in np.unique(bins)}
    return np.array([front[k] for k in bins])


def tongue_piece(kit: FaceKit, columns: int = 17, rows: int = 13) -> Piece:
    """A low dome behind the lower teeth that rides on the jaw."""
    s, t = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(0, 1, rows))
    width = 1.75 * np.sqrt(np.clip(1 - (0.15 + 0.85 * t) ** 6, 0, 1))
    x = s * width
    z = 5.0 + 4.6 * t
    y = -3.05 - 0.25 * t - 0.75 * s**2 - 1.3 * np.clip(t - 0.72, 0, 1) ** 2 * 8 - 0.18 * np.exp(-((s / 0.14) ** 2))
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    grid = np.arange(rows * columns).reshape(rows, columns)
    quads = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]], -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [2, 1, 3]]]).astype(np.int32)
    teeth = np.unique(kit.triangles[kit.material == TEETH])
    teeth = teeth[np.linalg.norm(kit.delta("jawOpen")[teeth], axis=1) > 0.5]
    near = teeth[np.argsort(((points[:, None] - kit.neutral[teeth][None]) ** 2).sum(-1), axis=1)[:, :200]]
    arch = np.stack([s, t], -1).reshape(-1, 2)
    piece = _bound(kit, points, near, faces, np.ones(len(points)), arch)
    # the tongue's body lags behind the jaw: it is held from above as well
    return Piece(piece.neutral, piece.identity, 0.75 * piece.expression, faces, piece.head_weight, arch)


def eye_piece(kit: FaceKit) -> Piece:
    """The two eyeball centres, picture-left eye first: sphere fits that move with the identity only."""
    centres, bound = [], []
    for part in reversed(SOCKETS):
        vertex = np.where(kit.part == part)[0]
        p = kit.neutral[vertex]
        back = p[p[:, 2] < p[:, 2].max() - 0.9]
        solution = np.linalg.lstsq(np.c_[2 * back, np.ones(len(back))], (back**2).sum(1), rcond=None)[0]
        centres.append(solution[:3])
        bound.append(vertex[:: len(vertex) // 400][:400])
    piece = _bound(kit, np.array(centres), np.array(bound), np.zeros((0, 3), np.int32), np.ones(2), np.zeros((2, 2)))
    return Piece(piece.neutral, piece.identity, piece.expression * 0, piece.triangles, piece.head_weight, piece.arch)


# --- the codes --------------------------------------------------------------------------------------------------------


def leading(deltas: np.ndarray, size: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Encoder [size, named], decoder [size, vertex, 3] of the best linear code, and its relative error (root mean
    square)."""
    flat = (deltas * weight[:, None]).reshape(len(deltas), -1)
    u, s, _ = np.linalg.svd(flat, full_matrices=False)
    encoder = u[:, :size].T
    decoder = np.einsum("kn,nvc->kvc", encoder, deltas)
    return encoder, decoder, float(np.sqrt((s[size:] ** 2).sum() / (s**2).sum()))


def precision_weight(vertices: int, faces: int) -> np.ndarray:
    """Face vertices count, lips and lids count more, the inside of the mouth and the shell follow."""
    weight = np.full(vertices, 0.2)
    weight[:faces] = 1.0
    contour = [*UPPER_LIP, *LOWER_LIP, *LIP_CORNERS, *(v for lids in (*UPPER_LIDS, *LOWER_LIDS) for v in lids)]
    weight[contour] = PRECISE
    return weight


def learn(kit: FaceKit, measured: np.ndarray, edges: set[tuple[int, int]], report: Callable[[str], None]) -> dict:
    """All arrays of the weight file."""
    pieces = {
        "face": face_piece(kit, measured, edges),
        "shell": shell_piece(kit),
        "upper_teeth": arch_piece(kit, upper=True),
        "lower_teeth": arch_piece(kit, upper=False),
        "tongue": tongue_piece(kit),
        "eyes": eye_piece(kit),
    }
    starts = np.cumsum([0] + [len(p.neutral) for p in pieces.values()])
    parts = {name: (int(a), int(b)) for name, a, b in zip(pieces, starts, starts[1:], strict=False)}
    joined = {
        f: np.concatenate([getattr(p, f) for p in pieces.values()], 0) for f in ("neutral", "head_weight", "arch")
    }
    identity = np.concatenate([p.identity for p in pieces.values()], 1)
    expression = np.concatenate([p.expression for p in pieces.values()], 1)
    weight = precision_weight(len(joined["neutral"]), parts["face"][1])
    _, identity_basis, identity_error = leading(identity, IDENTITY, np.minimum(weight, 1.0))
    encoder, dynamics_basis, dynamics_error = leading(expression, EXPRESSION, weight)
    report(f"{len(weight)} vertices; relative error: identity {identity_error:.4f}, dynamics {dynamics_error:.4f}")
    arrays = {
        "neutral": joined["neutral"].astype(np.float32),
        "identity_basis": identity_basis.astype(np.float16),
        "dynamics_basis": dynamics_basis.astype(np.float16),
        "head_weight": joined["head_weight"].astype(np.float32),
        "arch_coordinates": joined["arch"].astype(np.float32),
        "dynamics_from_expression": encoder.astype(np.float32),
    }
    for name, piece in pieces.items():
        arrays[f"triangles_{name}"] = (piece.triangles + parts[name][0]).astype(np.int32)
    return {"arrays": arrays, "meta": {"parts": parts, "expression_names": kit.names}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("assets/weights/surface.safetensors"))
    arguments = parser.parse_args()
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    folder = Path(os.environ.get("VASA_DATA", "../shared/data")) / "facekit"
    edges = {tuple(sorted(e)) for e in FACEMESH_TESSELATION}
    measured = np.load(folder / "mediapipe_to_facekit.npz")["vid"]
    learned = learn(load_facekit(folder / "ict_face.npz"), measured, edges, print)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    # safetensors writes memory as it lies, so a transposed view would be saved scrambled
    save_file(
        {k: np.ascontiguousarray(v) for k, v in learned["arrays"].items()},
        arguments.out,
        {"surface": json.dumps(learned["meta"])},
    )
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
