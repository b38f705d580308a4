"""The learned half of the decoder: an appearance volume lifted from the portrait, and the network that mends the warp.

`Appearance` turns the portrait's crop into features and carries them into canonical space where the surface says they
lie (the paper's V^app, section 3.1; MegaPortraits' appearance encoder): what one side of the face shows, the other may
borrow. `Refinement` sees the bare warp, the unmoved portrait, the sight of the geometry and the features found at each
pixel's canonical place; it answers with a blend of three sources, warped, unmoved and painted, a small residual flow,
and a gain that follows the light. Pictures inside are 256 pixels, -1 to 1; the blend is done at full resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vasa_core.errors import MissingWeights
from vasa_core.geometry import CAMERA_DISTANCE_CM
from vasa_core.landmarks import CROP_PX
from vasa_core.sight import CANONICAL_CM, COARSE, FINE
from vasa_core.sight import MOVED_PX as SIGHT_MOVED_PX

FEATURES = 16
VOLUME = (16, 32, 32)
"""Depth, height, width of the appearance volume."""

VOLUME_LOW_CM = (-11.0, -13.0, -9.0)
VOLUME_HIGH_CM = (11.0, 13.0, 13.5)
SHELL_CM = 1.8
"""A voxel this far before or behind what the portrait shows takes e^-1 of its features."""

WIDTHS = (32, 72, 128, 160)
"""Channels at 128, 64, 32 and 16 pixels."""

FLOW_PX = 6.0
"""The residual flow reaches this far, in pixels of 256."""

GAIN = 0.6
WARP_FIRST = 2.0
"""Logit by which the warp leads before anything is learned."""

OVERPAINTED = 2.0
"""Logits taken from painting where the warp has the portrait's own skin."""

MOUTH_PAINTED = 0.5
"""Between lips that part little the network may have this share: the other half is the mouth that geometry draws."""

WIDE_PX, WIDE_FROM, WIDE_TO = 17, 0.3, 0.5
"""Where a window of so many pixels of 256 lies this far between the lips they part widely; so near that nothing is
painted, corners of the mouth included."""

STILL_PX, MOVED_PX = 1.5, 6.0
FACE_STILL_PX, FACE_MOVED_PX = 0.5, 1.5
"""On the crop: a displacement up to the first leaves the portrait in place, from the second on it has moved; faces are
looked at more closely."""

BESIDE_PX = 2
"""So far beside a person, in pixels of 256, the network may paint: farther off it left a haze of skin along turned
heads, where it cannot know what is head and what background."""

FRINGE_PX = 4
"""So far beyond its matte, in pixels of 256, a portrait may still show hair."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a portrait shows and under which camera, for a batch of portraits."""

    crop: Float[Tensor, "batch 3 256 256"]
    matte: Float[Tensor, "batch 1 256 256"]
    depth: Float[Tensor, "batch 1 128 128"]  # cm towards the camera
    rotation: Float[Tensor, "batch 3 3"]
    translation: Float[Tensor, "batch 3"]
    scale_px: Float[Tensor, " batch"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a frame is put together from its three sources."""

    logits: Float[Tensor, "batch 3 high wide"]
    painted: Float[Tensor, "batch 3 high wide"]
    flow: Float[Tensor, "batch 2 quarter_high quarter_wide"]  # pixels of 256
    gain: Float[Tensor, "batch 3 quarter_high quarter_wide"]  # logarithm
    unmoved_within: Float[Tensor, "batch 1 high wide"]  # how much of its share each of these may have, 0 to 1
    painted_within: Float[Tensor, "batch 1 high wide"]


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x)))), starting as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class Appearance(nn.Module):
    """Portrait to appearance volume; once a portrait."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(64, 48, 3, 1, 1), Residual(48), nn.Conv2d(48, FEATURES, 3, 1, 1)
        )
        self.complete = nn.Sequential(
            nn.Conv3d(2 * (FEATURES + 1), 24, 3, 1, 1), nn.SiLU(), nn.Conv3d(24, FEATURES, 3, 1, 1)
        )
        self.register_buffer("voxels", _voxels(), persistent=False)

    def forward(self, seen: Seen) -> Float[Tensor, "batch feature deep high wide"]:
        features = self.encode(torch.cat([seen.crop, seen.matte], 1)).float()
        lifted = self.lift(features, seen)
        both = torch.cat([lifted, lifted.flip(-1)], 1)  # faces are nearly symmetric
        return self.complete(both).float() + lifted[:, :FEATURES]

    def lift(
        self, features: Float[Tensor, "batch feature 64 64"], seen: Seen
    ) -> Float[Tensor, "batch lifted=17 deep high wide"]:
        """Features at the voxels that the portrait shows, and how well it shows them."""
        points = self.voxels @ seen.rotation.transpose(1, 2) + seen.translation[:, None]
        scale = seen.scale_px[:, None] / (1 - points[..., 2] / CAMERA_DISTANCE_CM)
        half = CROP_PX / 2
        grid = torch.stack([scale * points[..., 0], -scale * points[..., 1]], -1)[:, None] / half
        depth = F.grid_sample(seen.depth, grid, align_corners=False, padding_mode="border")[:, 0, 0]
        shown = torch.exp(-(((points[..., 2] - depth) / SHELL_CM) ** 2)) * (grid[:, 0].abs() < 1).all(-1)
        values = F.grid_sample(features, grid, align_corners=False, padding_mode="border")[:, :, 0]
        lifted = torch.cat([values * shown[:, None], shown[:, None]], 1)
        return lifted.reshape(len(lifted), FEATURES + 1, *VOLUME)


def _voxels() -> Float[Tensor, "voxel 3"]:
    """Middles of the voxels (cm), width fastest; height runs downwards."""
    axes = [
        torch.linspace(low, high, n) for low, high, n in zip(VOLUME_LOW_CM, VOLUME_HIGH_CM, VOLUME[::-1], strict=True)
    ]
    z, y, x = torch.meshgrid(axes[2], axes[1].flip(0), axes[0], indexing="ij")
    return torch.stack([x, y, z], -1).reshape(-1, 3)


def found_at(
    volume: Float[Tensor, "batch feature deep high wide"], canonical: Float[Tensor, "batch 3 high2 wide2"]
) -> Float[Tensor, "batch feature high2 wide2"]:
    """Features of the volume at canonical places (in units of CANONICAL_CM), clamped at its walls."""
    low = torch.tensor(VOLUME_LOW_CM, device=volume.device) / CANONICAL_CM
    high = torch.tensor(VOLUME_HIGH_CM, device=volume.device) / CANONICAL_CM
    grid = (canonical.permute(0, 2, 3, 1) - low) / (high - low) * 2 - 1
    grid = grid * torch.tensor([1.0, -1.0, 1.0], device=volume.device)
    return F.grid_sample(volume, grid[:, None], align_corners=True, padding_mode="border")[:, :, 0]


class Refinement(nn.Module):
    """Bare warp, portrait, sight and features in; how to put the frame together out."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = nn.Conv2d(4 * (6 + len(FINE)) + len(COARSE) + FEATURES, a, 3, 1, 1)
        self.down = nn.ModuleList([nn.Conv2d(m, n, 3, 2, 1) for m, n in ((a, b), (b, c), (c, d))])
        self.enter = nn.ModuleList([Residual(n) for n in (a, b, c)])
        self.middle = nn.Sequential(Residual(d), Residual(d))
        self.up = nn.ModuleList([nn.Conv2d(m, n, 1) for m, n in ((d, c), (c, b), (b, a))])
        self.leave = nn.ModuleList([Residual(n) for n in (c, b, a)])
        self.fine_head = nn.Conv2d(a, 24, 3, 1, 1)
        self.coarse_head = nn.Conv2d(b, 5, 3, 1, 1)
        for head, size in ((self.fine_head, 0.1), (self.coarse_head, 0.0)):
            head.weight.data *= size
            nn.init.zeros_(head.bias)

    def forward(
        self,
        warped: Float[Tensor, "batch 3 high wide"],
        portrait: Float[Tensor, "batch 3 high wide"],
        fine: Float[Tensor, "batch fine high wide"],
        coarse: Float[Tensor, "batch coarse half_high half_wide"],
        features: Float[Tensor, "batch feature half_high half_wide"],
    ) -> Answer:
        unfolded = F.pixel_unshuffle(torch.cat([warped, portrait, fine], 1), 2)
        fine_said, coarse_said = self.heads(torch.cat([unfolded, coarse, features], 1))
        fine_out, coarse_out = F.pixel_shuffle(fine_said, 2).float(), coarse_said.float()
        lead = torch.tensor([WARP_FIRST, 0.0, 0.0], device=fine_out.device).view(1, 3, 1, 1)
        return Answer(
            logits=fine_out[:, :3] + lead,
            painted=fine_out[:, 3:],
            flow=FLOW_PX * torch.tanh(0.2 * coarse_out[:, :2]),
            gain=GAIN * torch.tanh(0.5 * coarse_out[:, 2:]),
            unmoved_within=torch.ones_like(fine_out[:, :1]),
            painted_within=torch.ones_like(fine_out[:, :1]),
        )

    def heads(
        self, told: Float[Tensor, "batch told half_high half_wide"]
    ) -> tuple[Float[Tensor, "batch 24 half_high half_wide"], Float[Tensor, "batch 5 quarter_high quarter_wide"]]:
        """All that is learned: the numbers from which an answer is made."""
        x = self.stem(told.to(self.stem.weight.dtype))
        levels = []
        for enter, down in zip(self.enter, self.down, strict=True):
            levels.append(enter(x))
            x = down(levels[-1])
        x = self.middle(x)
        ends = []
        for up, leave, level in zip(self.up, self.leave, levels[::-1], strict=True):
            x = leave(F.interpolate(up(x), scale_factor=2.0, mode="nearest") + level)
            ends.append(x)
        return self.fine_head(F.silu(ends[2])), self.coarse_head(F.silu(ends[1]))


def bounded(
    answer: Answer,
    fine: Float[Tensor, "batch fine high wide"],
    coarse: Float[Tensor, "batch coarse half_high half_wide"],
    matte: Float[Tensor, "batch 1 high wide"],
) -> Answer:
    """The answer within what the geometry knows; `matte` is the unmoved portrait's.

    Left to itself the network leaves ghosts of the unmoved head and a haze of skin beside a turned one, moves lips a
    little, and paints mouths as they are on average. So it may light what is drawn between the lips, and paint over
    half of it.
    """
    face, shown = fine[:, 1:2], fine[:, 2:3]
    mouth, eyes = (F.max_pool2d(fine[:, k : k + 1], 3, 1, 1) for k in (3, 4))
    drawn = torch.maximum(mouth, eyes)
    person = F.max_pool2d(fine[:, :1], 2 * BESIDE_PX + 1, 1, BESIDE_PX)
    around = F.avg_pool2d(fine[:, 3:4], WIDE_PX, 1, WIDE_PX // 2)
    wide = ((around - WIDE_FROM) / (WIDE_TO - WIDE_FROM)).clamp(0, 1)
    wide = F.max_pool2d(wide, 2 * WIDE_PX - 1, 1, WIDE_PX - 1)
    moved = coarse[:, :2].norm(dim=1, keepdim=True) * SIGHT_MOVED_PX
    gone = _gone(moved, STILL_PX, MOVED_PX) * coarse[:, -1:]
    gone, gone_face = (
        F.interpolate(x, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        for x in (gone, _gone(moved, FACE_STILL_PX, FACE_MOVED_PX))
    )
    head = (2 * F.max_pool2d(matte, 2 * FRINGE_PX + 1, 1, FRINGE_PX)).clamp(
        max=1
    )  # with the hair that the matte misses
    return Answer(
        logits=answer.logits - torch.cat([0 * shown, 0 * shown, OVERPAINTED * shown], 1),
        painted=answer.painted,
        flow=answer.flow * (1 - F.avg_pool2d(torch.maximum(shown, drawn), 4)),
        gain=answer.gain * (1 - F.max_pool2d(eyes, 4)),
        unmoved_within=1 - torch.stack([gone * head, gone_face * face, drawn]).amax(0),
        painted_within=1 - torch.stack([eyes, (1 - MOUTH_PAINTED * (1 - wide)) * mouth, 1 - person]).amax(0),
    )


def _gone(moved: Tensor, still_px: float, moved_px: float) -> Tensor:
    """0 where the portrait is still in place, 1 where it has moved on."""
    return ((moved - still_px) / (moved_px - still_px)).clamp(0, 1)


def shares(answer: Answer) -> Float[Tensor, "batch 3 high wide"]:
    """How much of each pixel is warped, unmoved, painted; what others may not have is the warp's."""
    share = torch.softmax(answer.logits, 1)
    unmoved, painted = share[:, 1:2] * answer.unmoved_within, share[:, 2:] * answer.painted_within
    return torch.cat([1 - unmoved - painted, unmoved, painted], 1)


def composed(
    answer: Answer, warped: Float[Tensor, "batch 3 high wide"], portrait: Float[Tensor, "batch 3 high wide"]
) -> tuple[Float[Tensor, "batch 3 high wide"], Float[Tensor, "batch 3 high wide"]]:
    """The frame at the network's own size, and the warp after flow and gain."""
    size = warped.shape[-2:]
    high, wide = size
    enlarged = [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in (answer.flow, answer.gain)]
    flow, gain = enlarged
    rows, columns = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
    at = torch.stack([columns, rows]).to(flow) + flow
    grid = torch.stack([(2 * at[:, 0] + 1) / wide - 1, (2 * at[:, 1] + 1) / high - 1], -1)
    moved = F.grid_sample(warped, grid, align_corners=False, padding_mode="border")
    lit = (moved + 1) * torch.exp(gain) - 1
    share = shares(answer)
    return share[:, :1] * lit + share[:, 1:2] * portrait + share[:, 2:] * answer.painted, lit


class FaceNetworks(nn.Module):
    """Both networks: one weight file."""

    def __init__(self) -> None:
        super().__init__()
        self.eight_bit = False  # whether refinement may run in 8 bits
        self.appearance = Appearance()
        self.refinement = Refinement()


def load_networks(path: Path, *, exact: bool = False) -> FaceNetworks:
    """The networks in a weight file, ready to run, or MissingWeights when it is absent or made for other code; `exact`:
    in full precision, what the fast ones are measured by."""
    networks = FaceNetworks()
    try:
        networks.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (FileNotFoundError, SafetensorError, RuntimeError) as cause:
        raise MissingWeights(f"{path} is not a face decoder of ours: restore it from the repository.") from cause
    networks.refinement.to(torch.float32 if exact else fast_kind()).to(memory_format=torch.channels_last)
    networks.eight_bit = not exact and counts_in_eight_bits()
    return networks.eval().requires_grad_(False)


def counts_in_eight_bits() -> bool:
    """Whether this processor multiplies 8-bit numbers itself and torch brings the kernels (`eightbit`)."""
    native = getattr(torch.cpu, "_is_vnni_supported", lambda: False)  # torch has no public question for it yet
    return bool(native()) and hasattr(torch.ops.onednn, "qconv2d_pointwise")


def fast_kind() -> torch.dtype:
    """bfloat16 where the processor multiplies it itself (half the time, no visible difference), else float32."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)  # torch has no public question for it yet
    return torch.bfloat16 if native() else torch.float32
