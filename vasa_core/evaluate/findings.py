"""What judges find, as values: figures with a bar and the truth beside, and the curves behind the plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vasa_core.evaluate.figures import Estimate, estimated, share


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the report."""

    name: str
    what: str
    ours: Estimate
    truth: Estimate | None = None
    low: float = -np.inf
    high: float = np.inf
    bar: str = ""
    paper: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether our value lies within the bar; None where there is none."""
        return self.low <= self.ours.value <= self.high if self.bar else None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All figures, and the curves and tables behind the plots."""

    figures: list[Figure]
    curves: dict[str, list[list[float]]] = field(default_factory=dict)
    bands: list[tuple[str, float, float, float, float, str]] = field(default_factory=list)
    """Measure, generated, performed, lower and upper bound of the band, real people."""
    confusion: list[list[int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def flat(self) -> dict[str, float]:
        """Every number by its name, for the JSON file."""
        numbers: dict[str, float] = {}
        for figure in self.figures:
            for ending, estimate in (("", figure.ours), ("_truth", figure.truth)):
                if estimate is not None:
                    numbers[f"{figure.name}{ending}"] = estimate.value
                    numbers[f"{figure.name}{ending}_low"] = estimate.low
                    numbers[f"{figure.name}{ending}_high"] = estimate.high
        return numbers


def merged(findings: Iterable[Findings]) -> Findings:
    """Several findings as one."""
    whole = Findings(figures=[])
    for part in findings:
        whole.figures.extend(part.figures)
        whole.curves.update(part.curves)
        whole.bands.extend(part.bands)
        whole.confusion.extend(part.confusion)
        whole.notes.extend(part.notes)
    return whole


# --------------------------------------------------------------------------- kinds of figures


def point(value: float) -> Estimate:
    """A figure without an interval."""
    return Estimate(value=float(value), low=float("nan"), high=float("nan"))


def own_and_true(rows: Sequence[tuple[float, float]]) -> tuple[Estimate, Estimate]:
    """Our mean and the truth's."""
    return estimated([row[0] for row in rows]), estimated([row[1] for row in rows])


def mean_figure(
    name: str, what: str, rows: Sequence[tuple[float, float]], low: float = -np.inf, high: float = np.inf,
    bar: str = "", paper: str = "",
) -> Figure:  # fmt: skip
    """A mean over clips."""
    mine, theirs = own_and_true(rows)
    return Figure(name=name, what=what, ours=mine, truth=theirs, low=low, high=high, bar=bar, paper=paper)


def share_figure(
    name: str, what: str, ours: Sequence[tuple[int, int]], truths: Sequence[tuple[int, int]], low: float, bar: str
) -> Figure:
    """A share of events over all clips."""
    return Figure(name=name, what=what, ours=estimated(ours, share), truth=estimated(truths, share), low=low, bar=bar)
