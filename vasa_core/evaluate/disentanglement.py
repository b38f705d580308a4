"""Are the codes of a face separate? DCI (Eastwood and Williams 2018) for blocks of codes against true factors.

A ridge regression reads each true number off all codes at once, on people it has not seen. The importance of a block of
codes for a factor is how much of the factor's variance can no longer be told when that block is shuffled among the
samples. From the matrix of importances (block by factor) follow: disentanglement of a block, 1 - H(P) with P its row as
shares and H the entropy to the base of the number of factors (1: it tells of one factor only); completeness of a
factor, the same of its column; and informativeness, the R^2 of the regression. The total weighs blocks by importance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

FOLDS = 6
SHUFFLES = 8
RIDGES = np.geomspace(1.0, 3000.0, 9)


@dataclass(frozen=True, kw_only=True)
class Dci:
    """The importances (block, factor) and what follows from them."""

    blocks: tuple[str, ...]
    factors: tuple[str, ...]
    importance: Float[np.ndarray, "block factor"]
    informativeness: Float[np.ndarray, " factor"]

    @property
    def disentanglement(self) -> Float[np.ndarray, " block"]:
        """Of each block: 1 where it tells of one factor alone."""
        return 1 - entropy(self.importance)

    @property
    def completeness(self) -> Float[np.ndarray, " factor"]:
        """Of each factor: 1 where one block alone tells of it."""
        return 1 - entropy(self.importance.T)

    @property
    def total(self) -> float:
        """Disentanglement over all blocks, weighed by how much each tells."""
        weight = self.importance.sum(1)
        return float(self.disentanglement @ weight / max(weight.sum(), 1e-12))


def entropy(importance: Float[np.ndarray, "row column"]) -> Float[np.ndarray, " row"]:
    """Of each row's shares, to the base of their number; 1 for a row of zeros, which tells of nothing."""
    total = importance.sum(1, keepdims=True)
    share = np.where(total > 1e-12, importance / np.maximum(total, 1e-12), 1 / importance.shape[1])
    return -(share * np.log(np.maximum(share, 1e-12))).sum(1) / np.log(importance.shape[1])


def dci(
    codes: dict[str, Float[np.ndarray, "sample _"]],
    factors: dict[str, Float[np.ndarray, "sample _"]],
    person: Int[np.ndarray, " sample"],
    rng: np.random.Generator,
) -> Dci:
    """How codes and factors depend on each other; samples of one person are never on both sides of a fold."""
    x = np.concatenate(list(codes.values()), 1).astype(np.float64)
    y = np.concatenate(list(factors.values()), 1).astype(np.float64)
    y = (y - y.mean(0)) / np.maximum(y.std(0), 1e-9)
    ends = np.cumsum([0, *(block.shape[1] for block in codes.values())])
    fold = rng.permutation(person.max() + 1)[person] % FOLDS
    error, shuffled = np.zeros(y.shape[1]), np.zeros((len(codes), y.shape[1]))
    for k in range(FOLDS):
        test = fold == k
        told = _ridge(x[~test], y[~test])
        error += ((told(x[test]) - y[test]) ** 2).sum(0)
        for block, (start, end) in enumerate(pairwise(ends)):
            for _ in range(SHUFFLES):
                mixed = x[test].copy()
                mixed[:, start:end] = mixed[rng.permutation(test.sum()), start:end]
                shuffled[block] += ((told(mixed) - y[test]) ** 2).sum(0) / SHUFFLES
    lost = np.maximum(shuffled - error, 0) / len(y) / 2  # shuffling counts a lost part twice: it is missing and wrong
    owner = np.repeat(np.arange(len(factors)), [values.shape[1] for values in factors.values()])
    mean_of = np.stack([(owner == k) / (owner == k).sum() for k in range(len(factors))], 1)
    return Dci(
        blocks=tuple(codes),
        factors=tuple(factors),
        importance=lost @ mean_of,
        informativeness=np.maximum(1 - error / len(y), 0) @ mean_of,
    )


def _ridge(x: np.ndarray, y: np.ndarray):
    """A linear map from codes to numbers; how strongly each is held back is chosen by generalised cross-validation."""
    middle, scale, mean = x.mean(0), np.maximum(x.std(0), 1e-9), y.mean(0)
    u, s, vt = np.linalg.svd((x - middle) / scale, full_matrices=False)
    seen = u.T @ (y - mean)
    best, weights = np.full(y.shape[1], np.inf), np.zeros((x.shape[1], y.shape[1]))
    for ridge in RIDGES:
        kept = s**2 / (s**2 + ridge)
        left = ((y - mean - u @ (kept[:, None] * seen)) ** 2).mean(0)
        score = left / (1 - kept.sum() / len(x)) ** 2
        better = score < best
        best[better] = score[better]
        weights[:, better] = (vt.T @ ((s / (s**2 + ridge))[:, None] * seen))[:, better]
    return lambda asked: (asked - middle) / scale @ weights + mean
