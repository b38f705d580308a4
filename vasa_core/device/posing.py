"""Where every vertex is, for a batch of moments at once: the decoder's deformation, pose and sheet in torch.

Constants are taken from a `Decoder`, which works them out once on the processor; each function here is the twin of the
method it names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vasa_core.contact import FORWARD_CM, LASH_SHARE, OVERLAP_SHARE, SHUT_SHARE, WIDEST_LIDS, Contact
from vasa_core.decoder import Decoder
from vasa_core.geometry import CAMERA_DISTANCE_CM, NECK_PIVOT_CM
from vasa_core.latents import EXPRESSION
from vasa_core.smiles import KNEE


@dataclass(frozen=True, kw_only=True)
class Poses:
    """`decoder.Pose` for a batch of moments: canonical (cm), in front of the camera (cm), on the crop (px, px, cm)."""

    facial_dynamics: Float[Tensor, "batch dynamics=50"]
    turn: Float[Tensor, "batch 3 3"]
    canonical: Float[Tensor, "batch vertex 3"]
    posed: Float[Tensor, "batch vertex 3"]
    projected: Float[Tensor, "batch vertex 3"]
    sheet: Float[Tensor, "batch sheet 3"]
    shift: Float[Tensor, "batch 1 3"]
    """The head's (cm)."""


def on(device: torch.device, value: np.ndarray | float) -> Tensor:
    """An array of the decoder's on the device: whole numbers as indices, others in single precision."""
    array = np.ascontiguousarray(value)
    kind = torch.int64 if array.dtype.kind in "iu" else torch.float32
    return torch.from_numpy(array).to(device, kind)


def enlarged(points: Float[Tensor, "*n axis"], zoom: float) -> Float[Tensor, "*n axis"]:
    """Crop pixels as pixels of the crop `zoom` times as large (or as small); the twin of `plates.at_size`."""
    if zoom == 1:
        return points
    return torch.cat([(points[..., :2] + 0.5) * zoom - 0.5, points[..., 2:]], -1)


def rotations(vectors: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3 3"]:
    """Rotation matrices of rotation vectors (rad); the twin of `geometry.rotation`."""
    exact = vectors.double()
    angle = exact.norm(dim=1).clamp(min=1e-12)[:, None, None]
    x, y, z = exact.unbind(1)
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], 1).view(-1, 3, 3)
    still = torch.eye(3, device=vectors.device, dtype=exact.dtype)
    matrix = still + torch.sin(angle) / angle * cross + (1 - torch.cos(angle)) / angle.square() * (cross @ cross)
    return matrix.float()


class Normals:
    """Unit normals of a mesh, area-weighted; the twin of `geometry.vertex_normals`."""

    def __init__(self, triangles: np.ndarray, vertices: int, device: torch.device) -> None:
        corners = triangles.T.ravel()
        order = np.argsort(corners, kind="stable")
        counts = np.bincount(corners, minlength=vertices)
        around = np.full((vertices, counts.max()), len(triangles))  # a triangle of no area fills the table up
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        around[corners[order], place] = order % len(triangles)
        self.triangles, self.around = on(device, triangles), on(device, around)

    def __call__(self, points: Float[Tensor, "batch vertex 3"]) -> Float[Tensor, "batch vertex 3"]:
        a, b, c = (points[:, self.triangles[:, k]] for k in range(3))
        faces = torch.linalg.cross(b - a, c - a)
        faces = torch.cat([faces, torch.zeros_like(faces[:, :1])], 1)
        normals = faces[:, self.around].sum(2)
        return normals / normals.norm(dim=-1, keepdim=True).clamp(min=1e-9)


class Touch:
    """Lips that close and lids that shut; the twin of `contact.Contact`."""

    def __init__(self, contact: Contact, device: torch.device) -> None:
        self.rest = on(device, contact.rest)
        self.lids = []
        for lids in contact.lids:
            parts = (lids.upper, lids.under, lids.below, lids.opening, lids.reach, *lids.lashes)
            self.lids.append([on(device, part) for part in (*parts, lids.above, lids.rise, lids.lower_reach)])
        self.upper, self.lower = (on(device, side) for side in contact.lips)
        self.lip_gap = on(device, contact.lip_gap)
        self.lip_reach = on(device, contact.upper_reach), on(device, contact.lower_reach)

    def __call__(self, displacement: Float[Tensor, "batch face 3"]) -> Float[Tensor, "batch face 3"]:
        """The displacement with shut lids shut and closed lips closed."""
        moved = displacement
        for upper, under, below, opening, reach, lash, edge, fold, above, rise, lower_reach in self.lids:
            change = displacement[:, upper, 1] - (below @ displacement[:, under])[..., 1]
            share = ((1 + change / opening - SHUT_SHARE) / (1 - SHUT_SHARE)).clamp(0, WIDEST_LIDS)
            kept = torch.where(share < 1, share * (1 + OVERLAP_SHARE) - OVERLAP_SHARE, share)
            shut = (1 - share).clamp(0, 1)
            up = rise * (shut @ above.T)
            raised = torch.stack([torch.zeros_like(up), up, torch.zeros_like(up)], -1)
            floor = below @ self.rest[under]
            gap = self.rest[upper] - floor
            wanted = below @ (displacement[:, under] + raised) + floor + kept[..., None] * gap - self.rest[upper]
            wanted = torch.cat([wanted[..., :2], wanted[..., 2:] + FORWARD_CM * shut[..., None]], -1)
            moved = moved + reach @ (wanted - displacement[:, upper]) + lower_reach @ raised
            lashes = LASH_SHARE * moved[:, edge] + (1 - LASH_SHARE) * moved[:, fold]
            moved = moved.index_copy(1, lash, lashes)
        overlap = (self.lip_gap + displacement[:, self.upper, 1] - displacement[:, self.lower, 1]).clamp(max=0)
        none = torch.zeros_like(overlap)
        half = torch.stack([none, -overlap / 2, none], -1)
        return moved + self.lip_reach[0] @ half - self.lip_reach[1] @ half


class Posing:
    """Vertices under motion, for one portrait."""

    def __init__(self, decoder: Decoder, device: torch.device) -> None:
        portrait = decoder.portrait
        held = lambda value: on(device, value)  # noqa: E731
        self.face = decoder.face
        self.basis = held(decoder.surface.dynamics_basis).flatten(1)
        self.rest = held(decoder.rest)
        self.touch = Touch(decoder.contact, device)
        smile = decoder.smile
        assert smile is not None
        self.smile = [held(part) for part in (smile.across, smile.own_width, smile.full, smile.code)]
        self.broad = [held(part) for part in (smile.smiling, smile.own, smile.room, smile.full_smile)]
        self.rotation, self.translation = held(portrait.rotation), held(portrait.translation)
        self.pivot = held(portrait.posed(NECK_PIVOT_CM[None])[0])
        self.scale_px, self.centre_px = decoder.camera.scale_px, decoder.camera.centre_px
        self.oval, self.residual = held(decoder.oval), held(decoder.residual_at_rest[decoder.oval])
        self.sheet_points, self.sheet_px = held(portrait.sheet_points), held(decoder.sheet_px)
        self.head_weight = held(portrait.sheet_head_weight)[:, None]
        self.body_weight = held(portrait.sheet_body_weight)[:, None]
        self.rims, self.rim_radius = held(decoder.rims), held(decoder.rim_radius)
        self.source_oval = held(decoder.source_px[decoder.oval])
        reaches = (decoder.rim_share, decoder.expression_reach, decoder.swing, decoder.lean, decoder.rim_reach)
        self.rim_share, self.expression_reach, self.swing, self.lean, self.rim_reach = (held(x) for x in reaches)

    def __call__(
        self,
        head_pose: Float[Tensor, "batch pose=6"],
        facial_dynamics: Float[Tensor, "batch dynamics=50"],
        trailing: Float[Tensor, "batch pose=6"],
    ) -> Poses:
        """Every vertex under each of these motions; the twin of `Decoder.pose`."""
        canonical = self._deformed(facial_dynamics)
        turn = rotations(head_pose[:, :3])
        posed = self.moved(canonical @ self.rotation.T + self.translation, turn, head_pose[:, None, 3:])
        projected = self.project(posed)
        return Poses(
            facial_dynamics=facial_dynamics,
            turn=turn,
            canonical=canonical,
            posed=posed,
            projected=projected,
            sheet=self._sheet(canonical, projected, turn, head_pose, trailing),
            shift=head_pose[:, None, 3:],
        )

    def seen(self, canonical: Float[Tensor, "batch point 3"], poses: Poses) -> Float[Tensor, "batch point 3"]:
        """Canonical points on the crop; the twin of `Decoder._seen`."""
        return self.project(self.moved(canonical @ self.rotation.T + self.translation, poses.turn, poses.shift))

    def moved(
        self,
        points: Float[Tensor, "*batch point 3"],
        turn: Float[Tensor, "batch 3 3"],
        shift: Float[Tensor, "batch 1 3"] | None = None,
    ) -> Float[Tensor, "batch point 3"]:
        """Camera-space points turned about the neck and shifted."""
        turned = (points - self.pivot) @ turn.mT + self.pivot
        return turned if shift is None else turned + shift

    def project(self, points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Pixel x, pixel y, and depth in cm; the twin of `Camera.project`."""
        scale = self.scale_px / (1 - points[..., 2] / CAMERA_DISTANCE_CM)
        x, y = self.centre_px
        return torch.stack([x + scale * points[..., 0], y - scale * points[..., 1], points[..., 2]], -1)

    def _deformed(self, facial_dynamics: Tensor) -> Float[Tensor, "batch vertex 3"]:
        across, own_width, full, smile = self.smile
        narrowed = ((own_width - facial_dynamics @ across) / full).clamp(0, 1)
        smiling, own, room, full_smile = self.broad
        beyond, rest = (facial_dynamics @ smiling - own - KNEE * room).clamp(min=0), (1 - KNEE) * room
        surplus = beyond - rest * (1 - torch.exp(-beyond / rest))
        # the twin of `smiles.Smile.yielding`
        yielding = facial_dynamics - narrowed[:, None] * smile - surplus[:, None] * full_smile
        displacement = (yielding[:, :EXPRESSION] @ self.basis).unflatten(1, (-1, 3))
        stop = self.face.stop
        return self.rest + torch.cat([self.touch(displacement[:, :stop]), displacement[:, stop:]], 1)

    def _sheet(
        self, canonical: Tensor, projected: Tensor, turn: Tensor, head_pose: Tensor, trailing: Tensor
    ) -> Float[Tensor, "batch sheet 3"]:
        rim = (canonical[:, self.oval] - self.rest[self.oval] + self.residual) @ self.rotation.T
        points = self.sheet_points + self.expression_reach * (self.rim_share @ rim)
        turned = self.moved(points, turn)
        turned = turned + self.swing * (self.moved(points, rotations(trailing[:, :3])) - turned)
        turned = turned + come_round(self.rims @ turn.mT, self.rim_radius)
        shift = head_pose[:, None, 3:] + self.lean * (trailing - head_pose)[:, None, 3:]
        far = self.project(points + self.head_weight * (turned - points) + self.body_weight * shift)
        near = self.sheet_px + self.rim_share @ (projected[:, self.oval, :2] - self.source_oval)
        return torch.cat([far[..., :2] * (1 - self.rim_reach) + near * self.rim_reach, far[..., 2:]], -1)


def come_round(
    turned: Float[Tensor, "batch point 3"], radius: Float[Tensor, "point 1"]
) -> Float[Tensor, "batch point 3"]:
    """How far points by the outline move, once their rims have turned; the twin of `outline.come_round`."""
    out = turned[..., :2] * (radius / turned[..., :2].norm(dim=-1, keepdim=True).clamp(min=1e-6) - 1)
    return torch.cat([out, -turned[..., 2:]], -1)
