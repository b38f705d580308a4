"""The ablation table and its picture: what each of some decoders makes of people whom nobody trained on.

python assets/ablations.py RUN/face.safetensors ...     # after the warp alone, and before the shipped weights

Prints a Markdown row for each, means of PSNR in dB and the median sharpness over the truth's, of the held-out people's
four frames, each driven by what the second look reads off it; and writes `assets/ablations.jpg`: two of our sitters
turned and speaking.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.evaluate import pixels
from vasa_core.evaluate.face_measures import regions
from vasa_core.evaluate.held_out import ROLES, load_sitters
from vasa_core.evaluate.subjects import Seat, Watcher, seat
from vasa_core.pictures import load_picture
from vasa_core.refinement import FaceNetworks, load_networks
from vasa_core.render import resized
from vasa_core.studio import Studio
from vasa_core.surface import LANDMARKS
from vasa_core.trust.release import release_still

SITTERS = ("henry", "zola")
TURN_DEG, PITCH_DEG = 18, 5
EXPRESSION = {"jawOpen": 0.3, "mouthSmile": 0.4}
TILE_PX = 288
REGIONS = ("whole", "mouth", "hidden")


def main() -> None:
    studio = Studio()
    paths = [*map(Path, sys.argv[1:]), assets.weights("face.safetensors")]
    compared = {"warp alone": None} | {str(path): load_networks(path) for path in paths}
    print_table(studio, compared)
    pose = np.array([np.deg2rad(PITCH_DEG), np.deg2rad(TURN_DEG), 0, 0, 0, 0], np.float32)
    dynamics, rows = studio.surface.dynamics_from_weights(EXPRESSION), []
    for name in SITTERS:
        person = studio.portrait(load_picture(assets.FOLDER / "portraits" / f"{name}.png"))
        frames = [Decoder(person, studio.surface, networks).frame(pose, dynamics) for networks in compared.values()]
        rows.append(np.hstack([resized(frame, TILE_PX) for frame in frames]))
    grant = studio.grant(assets.FOLDER / "portraits" / f"{SITTERS[0]}.png", "look")
    print(release_still(np.vstack(rows), assets.FOLDER / "ablations.jpg", grant, house=studio.house).path)


def print_table(studio: Studio, compared: dict[str, FaceNetworks | None]) -> None:
    """Figures of each decoder on all held-out people."""
    watch, found = Watcher(), {name: [] for name in compared}
    for sitter in tqdm(load_sitters(), unit="person"):
        one = seat(sitter, studio.surface, watch)
        for name, networks in compared.items():
            found[name] += driven(one, Decoder(one.subject.portrait, studio.surface, networks))
    print(f"| run | {' | '.join(REGIONS)} | sharpness |\n|{'---|' * (len(REGIONS) + 2)}")
    for name, figures in found.items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in average(figures)) + " |")


def average(figures: list[Sequence[float]]) -> list[float]:
    """Means of decibels, and the median sharpness, as in the report."""
    columns = np.array(figures)
    return [*np.nanmean(columns[:, :-1], 0), float(np.median(columns[:, -1]))]


def driven(one: Seat, decoder: Decoder) -> list[Sequence[float]]:
    """PSNR of each region and sharpness, for each frame of a sitter in which a face was found."""
    figures = []
    for frame in range(1, len(ROLES)):
        look = one.looks[frame]
        if look is not None:
            made, truth, where = decoder.frame(*look.motion), one.crops[frame], regions(one, frame)
            row = [pixels.psnr_db(pixels.squared_error(made, truth, where[name])) for name in REGIONS]
            face = pixels.hull(one.landmarks[frame][:LANDMARKS]) & one.inside
            figures.append([*row, pixels.sharpness(made, face) / pixels.sharpness(truth, face)])
    return figures


if __name__ == "__main__":
    main()
