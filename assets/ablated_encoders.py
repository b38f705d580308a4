"""Packs the encoders that were trained without one or both of the paper's added losses, for notebook 04.

Three runs of half a minute on a core (seed 0, 1,200 steps), each on the data of the shipped encoder, whose first two
tensors they share and which are therefore not kept again:

    learn="python -m vasa_core.train.encoders --train DIR --held DIR"
    $learn --no-pairwise --out runs/no_pairwise.safetensors
    $learn --no-cross-identity --out runs/no_cross_identity.safetensors
    $learn --no-pairwise --no-cross-identity --out runs/neither.safetensors
    python assets/ablated_encoders.py runs
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from vasa_core.assets import FOLDER, weights

VARIANTS = ("no_pairwise", "no_cross_identity", "neither")
SHARED = ("mean", "inlet")
FILE = FOLDER / "ablations" / "encoders.safetensors"


def main(runs: Path) -> None:
    """One file with `VARIANT.TENSOR` in half precision."""
    shipped, packed = load_file(weights("encoders.safetensors")), {}
    for variant in VARIANTS:
        learned = load_file(runs / f"{variant}.safetensors")
        assert all(np.array_equal(learned[name], shipped[name]) for name in SHARED), f"{variant}: other data"
        packed |= {f"{variant}.{name}": w.astype(np.float16) for name, w in learned.items() if name not in SHARED}
    FILE.parent.mkdir(exist_ok=True)
    save_file(packed, FILE)
    print(f"{FILE.name}: {FILE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
