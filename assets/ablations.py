"""Makes the picture of the ablation table: two of our sitters turned and speaking, by each of the compared decoders.

python assets/ablations.py RUN/face.safetensors ...     # after the warp alone, and before the shipped weights
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.refinement import load_networks
from vasa_core.render import resized
from vasa_core.studio import Studio
from vasa_core.trust.release import release_still

SITTERS = ("henry", "zola")
TURN_DEG, PITCH_DEG = 18, 5
EXPRESSION = {"jawOpen": 0.3, "mouthSmile": 0.4}
TILE_PX = 288


def main() -> None:
    studio = Studio()
    shipped = assets.weights("face.safetensors")
    compared = [None, *(load_networks(path) for path in [*map(Path, sys.argv[1:]), shipped])]
    pose = np.array([np.deg2rad(PITCH_DEG), np.deg2rad(TURN_DEG), 0, 0, 0, 0], np.float32)
    dynamics, rows = studio.surface.dynamics_from_weights(EXPRESSION), []
    for name in SITTERS:
        person = prepare(load_picture(assets.FOLDER / "portraits" / f"{name}.png"), studio.surface)
        frames = [Decoder(person, studio.surface, networks).frame(pose, dynamics) for networks in compared]
        rows.append(np.hstack([resized(frame, TILE_PX) for frame in frames]))
    grant = studio.grant(assets.FOLDER / "portraits" / f"{SITTERS[0]}.png", "look")
    print(release_still(np.vstack(rows), assets.FOLDER / "ablations.jpg", grant, house=studio.house).path)


if __name__ == "__main__":
    main()
