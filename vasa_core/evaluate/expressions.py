"""What a face does, as a few numbers that mean the same on every face: jaw, lips, lids, brows, gaze.

They are read off 468 landmarks in head coordinates, so truth of the world, codes and re-estimates are told alike.
Lengths in cm, gaze in degrees. Landmark numbers are MediaPipe's.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from vasa_core.surface import LOWER_LIDS, LOWER_LIP, UPPER_LIDS, UPPER_LIP

CHIN = (152, 148, 377, 176, 400)
CORNERS = (61, 291)
OUTER_LIPS = (0, 17)
INNER_BROWS, OUTER_BROWS = (55, 107, 285, 336), (70, 105, 300, 334)

GROUPS = {
    "jaw": ("jaw drop",),
    "lips": ("lip opening", "mouth width", "corner lift", "lip height"),
    "lids": ("right lids", "left lids"),
    "brows": ("inner brows", "outer brows"),
    "gaze": ("gaze yaw", "gaze pitch"),
}
NAMES = tuple(name for names in GROUPS.values() for name in names)
Reading = Float[np.ndarray, " number=11"]


def read(head: Float[np.ndarray, "landmark 3"], gaze_deg: Float[np.ndarray, " 2"]) -> Reading:
    """The numbers of NAMES for landmarks in head coordinates (cm) and a gaze in the head (degrees)."""
    up = head[:, 1]
    lips = [up[list(ids)[2:7]].mean() for ids in (UPPER_LIP, LOWER_LIP)]
    lids = [
        up[list(upper)[2:5]].mean() - up[list(lower)[2:5]].mean()
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True)
    ]
    values = [
        -up[list(CHIN)].mean(),
        lips[0] - lips[1],
        head[CORNERS[1], 0] - head[CORNERS[0], 0],
        up[list(CORNERS)].mean(),
        up[OUTER_LIPS[0]] - up[OUTER_LIPS[1]],
        *lids,
        up[list(INNER_BROWS)].mean(),
        up[list(OUTER_BROWS)].mean(),
        *gaze_deg,
    ]
    return np.array(values, np.float32)


def without_gaze(reading: Reading) -> Reading:
    """The reading of a face whose lids hide its eyes: no gaze (NaN)."""
    hidden = reading.copy()
    hidden[[NAMES.index(name) for name in GROUPS["gaze"]]] = np.nan
    return hidden


def ranges(changes: Float[np.ndarray, "reading number"]) -> Reading:
    """How far each number goes in many faces: from its 5th to its 95th percentile."""
    low, high = np.percentile(changes, [5, 95], axis=0)
    return np.maximum(high - low, 1e-3).astype(np.float32)


def correlations(
    asked: Float[np.ndarray, "reading number"], shown: Float[np.ndarray, "reading number"]
) -> dict[str, float]:
    """Pearson correlation of each group: the mean over its numbers."""
    each = dict(zip(NAMES, (pearson(a, b) for a, b in zip(asked.T, shown.T, strict=True)), strict=True))
    return {group: float(np.mean([each[name] for name in names])) for group, names in GROUPS.items()}


def pearson(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Correlation over the pairs that are numbers; 0 where one of them does not vary."""
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    if len(a) < 2:
        return 0.0
    spread = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1e-12 else 0.0
