"""Makes the picture at the top of the README: four of our sitters, and two moments of one sentence on each face.

python assets/teaser.py
"""

from __future__ import annotations

import numpy as np
import torch

from vasa_core import assets
from vasa_core.audio import load_sound
from vasa_core.clock import FRAME_RATE_HZ
from vasa_core.controls import Controls
from vasa_core.render import render_frames
from vasa_core.stream import generate_motion
from vasa_core.studio import Studio
from vasa_core.trust.release import release_still

SITTERS = ("kofi", "zola", "omar", "clara")
MOMENTS_S = (1.9, 3.1)
TILE_PX = 256


def main() -> None:
    studio = Studio()
    portraits = [studio.portrait(assets.FOLDER / "portraits" / f"{name}.png") for name in SITTERS]
    features = studio.speech_encoder.encode(load_sound(assets.FOLDER / "voices" / "english.flac"))
    motion = generate_motion(features, Controls(), studio.motion_model, torch.Generator().manual_seed(0))
    moments = [motion[round(s * FRAME_RATE_HZ) : round(s * FRAME_RATE_HZ) + 1] for s in MOMENTS_S]
    strips = []
    for person in portraits:
        moved = render_frames(person, moments, studio.surface, TILE_PX, studio.face_networks)
        strips.append(np.hstack([studio.look(person, size=TILE_PX), *moved]))
    picture = np.vstack([np.hstack(strips[:2]), np.hstack(strips[2:])])
    grant = studio.grant(assets.FOLDER / "portraits" / f"{SITTERS[0]}.png", "look")
    print(release_still(picture, assets.FOLDER / "teaser.jpg", grant, house=studio.house).path)


if __name__ == "__main__":
    main()
