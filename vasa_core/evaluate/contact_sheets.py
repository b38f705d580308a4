"""Contact sheets to be looked at: frames side by side, each marked as made by AI like everything that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from vasa_core.errors import BadOption
from vasa_core.trust.label import label_for

CELL_PX = 384


def sheet(
    frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], columns: int, cell_px: int = CELL_PX
) -> UInt8[np.ndarray, "height width 3"]:
    """Frames in rows; the last row is filled up with grey."""
    cells = [cv2.resize(frame, (cell_px, cell_px), interpolation=cv2.INTER_AREA) for frame in frames]
    cells += [np.full((cell_px, cell_px, 3), 127, np.uint8)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[k : k + columns], 1) for k in range(0, len(cells), columns)]
    whole = np.concatenate(rows, 0)
    return label_for(*whole.shape[:2]).onto(whole)


def write(folder: Path | None, name: str, frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], columns: int) -> None:
    """The sheet as NAME.jpg in the folder; nothing without a folder or frames."""
    if folder is None or not frames:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jpg"
    if not cv2.imwrite(str(path), sheet(frames, columns)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90]):
        raise BadOption(f"{path} cannot be written: choose another folder.")
