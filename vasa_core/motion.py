"""The motion diffusion transformer (paper section 3.2): from a noisy window of motion to the clean one.

A transformer encoder over K past frames and W noisy ones, [past X^pre | noisy X^t]. Audio features A, main gaze g,
head distance d and emotion e are added frame by frame, so each may change over time; t enters by adaptive norms (DiT).
Inside, motion is standardised by the statistics in the checkpoint, and z is counted from the distance asked for.
Each condition can be absent: a learned null stands for it, as training drops it now and then.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vasa_core.controls import EMOTIONS
from vasa_core.diffusion import cosine, spread
from vasa_core.errors import MissingWeights
from vasa_core.latents import MOTION, POSE

CONDITIONS = ("audio", "past", "gaze", "distance", "emotion")
TRANSLATION_Z = POSE - 1

LIPS = 8
"""Directions of the motion in which lips move; beyond them it shows less than a tenth of what the first shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionConfig:
    """Shape of the transformer. The paper has depth 8, hidden 512; its W and K are not published."""

    audio_features: int
    window: int = 50  # frames: 2 s
    past: int = 10  # frames: 0.4 s
    hidden: int = 192
    depth: int = 5
    heads: int = 6
    audio_reach: int = 4  # frames to either side mixed into one before the transformer: coarticulation is local

    def __post_init__(self) -> None:
        if min(self.audio_features, self.window, self.past, self.hidden, self.depth, self.heads) < 1:
            raise ValueError("every size of the motion transformer must be at least 1")
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden {self.hidden} must be a multiple of twice the heads {self.heads}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """C = [X^pre, A^pre; A, g, d, e]. Motion here is raw (rad, cm); a frame without sound is marked in `heard`."""

    audio: Float[Tensor, "batch window audio"]
    heard: Bool[Tensor, "batch window"]
    past_audio: Float[Tensor, "batch past audio"]
    past_motion: Float[Tensor, "batch past motion=56"]
    gaze: Float[Tensor, "batch window 2"]
    head_distance: Float[Tensor, "batch window"]
    emotion: Float[Tensor, "batch window emotions=8"]
    listening: Float[Tensor, "batch window"]
    """1 where the voice is somebody else's."""
    present: Bool[Tensor, "batch conditions=5"]

    def repeated(self, without: tuple[str | None, ...]) -> Conditions:
        """One copy per entry along the batch, each lacking the condition named there."""
        copies = {name: torch.cat([getattr(self, name)] * len(without)) for name in self.__slots__}
        lacking = torch.tensor([[name == gone for name in CONDITIONS] for gone in without], device=self.audio.device)
        present = copies["present"] & ~lacking.repeat_interleave(len(self.audio), dim=0)
        return replace(Conditions(**copies), present=present)


class _Block(nn.Module):
    """Self-attention and a feed-forward layer, both scaled, shifted and gated by the diffusion time (DiT's adaLN)."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(hidden, elementwise_affine=False) for _ in range(2))
        self.into_attention = nn.Linear(hidden, 3 * hidden)
        self.from_attention = nn.Linear(hidden, hidden)
        self.feed = nn.Sequential(
            nn.Linear(hidden, 4 * hidden), nn.GELU(approximate="tanh"), nn.Linear(4 * hidden, hidden)
        )
        self.modulation = nn.Linear(hidden, 6 * hidden)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(time)[:, None].chunk(6, dim=-1)
        x = x + (1 + gate) * self.attend(self.norms[0](x) * (1 + scale) + shift)
        return x + (1 + gate2) * self.feed(self.norms[1](x) * (1 + scale2) + shift2)

    def attend(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.into_attention(x).chunk(3, dim=-1)
        )  # [batch, head, frame, channel]
        return self.from_attention(
            nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        )


class MotionTransformer(nn.Module):
    """H of the paper: predicts the clean window X^0 from the noisy one, its time and the conditions."""

    mean: Tensor
    std: Tensor
    lips: Tensor
    frequencies: Tensor

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.config = config
        hidden, length = config.hidden, config.past + config.window
        self.register_buffer("mean", torch.zeros(MOTION))
        self.register_buffer("std", torch.ones(MOTION))
        self.register_buffer("lips", torch.zeros(MOTION, LIPS))  # columns of length 1, standardised; 0: not told
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(200), hidden // 2)), persistent=False)
        self.from_motion = nn.Linear(MOTION, hidden)
        self.from_audio = nn.Sequential(
            nn.LayerNorm(config.audio_features), nn.Linear(config.audio_features, hidden), nn.GELU(approximate="tanh")
        )
        self.mix_audio = nn.Conv1d(hidden, hidden, 2 * config.audio_reach + 1, padding=config.audio_reach)
        self.from_gaze = nn.Linear(2, hidden)
        self.from_distance = nn.Linear(1, hidden)
        self.from_emotion = nn.Linear(len(EMOTIONS), hidden)
        self.from_listening = nn.Linear(1, hidden, bias=False)
        self.nulls = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(hidden)) for name in CONDITIONS})
        self.unheard = nn.Parameter(0.02 * torch.randn(hidden))
        self.places = nn.Parameter(0.02 * torch.randn(length, hidden))
        self.from_time = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(hidden, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(hidden)
        self.to_motion = nn.Linear(hidden, MOTION)
        nn.init.zeros_(self.to_motion.weight)
        nn.init.zeros_(self.to_motion.bias)

    def standardised(self, motion: Float[Tensor, "*frame motion=56"]) -> Float[Tensor, "*frame motion=56"]:
        """Motion in units of the training set's spread, channel by channel."""
        return (motion - self.mean) / self.std

    def restored(self, standard: Float[Tensor, "*frame motion=56"]) -> Float[Tensor, "*frame motion=56"]:
        """The motion whose `standardised` this is."""
        return standard * self.std + self.mean

    def lips_stilled(self, noise: Float[Tensor, "*frame motion=56"], kept: float) -> Float[Tensor, "*frame motion=56"]:
        """Standardised motion, or noise, with only this share of it left in the directions that move the lips."""
        return noise - (1 - kept) * (noise @ self.lips) @ self.lips.T

    def forward(
        self, noisy: Float[Tensor, "batch window motion=56"], time: Float[Tensor, " batch"], conditions: Conditions
    ) -> Float[Tensor, "batch window motion=56"]:
        """The clean window; noisy and clean are standardised. Noise must come from the `cosine` schedule.

        A window may be shorter than the configuration's: places count from the past on.
        """
        frames = torch.cat([self._past(conditions), self.from_motion(noisy)], dim=1)
        x = frames + self._sound(conditions) + self._wishes(conditions) + self.places[: frames.shape[1]]
        clock = self.from_time(self._time_code(time))
        for block in self.blocks:
            x = block(x, clock)
        guess = self.to_motion(self.norm(x[:, self.config.past :]))
        alpha, sigma = cosine(time)
        # where little noise is left the answer is the input itself: alpha x + sigma F (Karras 2022, unit variance)
        return spread(alpha, noisy) * noisy + spread(sigma, noisy) * guess

    def answering(self, conditions: Conditions) -> Callable[[Tensor, Tensor, tuple[str | None, ...]], Tensor]:
        """This network under fixed conditions, as `sampler.guided` wants it: several lacking passes in one batch."""
        prepared: dict[tuple[str | None, ...], Conditions] = {}

        def denoise(noisy: Tensor, time: Tensor, without: tuple[str | None, ...]) -> Tensor:
            if without not in prepared:
                prepared[without] = conditions.repeated(without)
            return self(noisy, time, prepared[without])

        return denoise

    def _time_code(self, time: Float[Tensor, " batch"]) -> Float[Tensor, "batch hidden"]:
        angle = time[:, None] * self.frequencies
        return torch.cat([torch.sin(angle), torch.cos(angle)], dim=-1)

    def _or_null(self, name: str, tokens: Tensor, conditions: Conditions) -> Tensor:
        there = conditions.present[:, CONDITIONS.index(name), None, None]
        return torch.where(there, tokens, self.nulls[name])

    def _past(self, conditions: Conditions) -> Float[Tensor, "batch past hidden"]:
        return self._or_null("past", self.from_motion(self.standardised(conditions.past_motion)), conditions)

    def _sound(self, conditions: Conditions) -> Float[Tensor, "batch past_and_window hidden"]:
        """Audio of past and window, each frame mixed with its neighbours."""
        past = self._or_null("past", self.from_audio(conditions.past_audio), conditions)
        now = torch.where(conditions.heard[..., None], self.from_audio(conditions.audio), self.unheard)
        heard = torch.cat([past, self._or_null("audio", now, conditions)], dim=1)
        return heard + self.mix_audio(heard.transpose(1, 2)).transpose(1, 2)

    def _wishes(self, conditions: Conditions) -> Float[Tensor, "batch past_and_window hidden"]:
        """Gaze, distance, emotion and whose voice it is, for the frames to come; nothing for the past."""
        wishes = (
            self._or_null("gaze", self.from_gaze(4 * conditions.gaze), conditions)
            + self._or_null("distance", self.from_distance(4 * (conditions.head_distance[..., None] - 1)), conditions)
            + self._or_null("emotion", self.from_emotion(conditions.emotion), conditions)
            + self.from_listening(conditions.listening[..., None])
        )
        return nn.functional.pad(wishes, (0, 0, self.config.past, 0))


def save_motion_model(model: MotionTransformer, path: Path) -> None:
    """Writes the weights in half precision with the config inside; statistics stay exact."""
    exact = {"mean", "std", "lips"}
    tensors = {k: v.detach().cpu().contiguous() if k in exact else v.detach().cpu().half().contiguous()
               for k, v in model.state_dict().items()}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"motion": json.dumps(asdict(model.config))})


def load_motion_model(path: Path) -> MotionTransformer:
    """The trained transformer in evaluation mode, or MissingWeights when the file is absent or made for other code."""
    try:
        with safe_open(str(path), framework="pt") as file:
            config = MotionConfig(**json.loads(file.metadata()["motion"]))
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        model = MotionTransformer(config)
        model.load_state_dict({"lips": model.lips, **tensors})  # files of before know nothing of lips
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, RuntimeError) as cause:
        raise MissingWeights(f"{path} is not a motion model of ours: restore it from the repository.") from cause
    return model.eval().requires_grad_(False)
