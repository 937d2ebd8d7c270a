"""How sure a difference between two columns is: the paired bootstrap over rows.

Rows are drawn anew with replacement, both columns' values of a row together, and the difference is taken each
time; the interval holds the middle 95% of these differences (Efron and Tibshirani 1993, percentile method;
Koehn 2004 for text).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 10_000
SHARE = 0.95
AT_ONCE = 4_000_000
"""Drawn numbers in memory at a time: 32 MB."""


@dataclass(frozen=True)
class Interval:
    """A difference, and the interval that holds `SHARE` of its resamples."""

    difference: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired(
    before: Sequence[float],
    after: Sequence[float],
    weights: Sequence[float] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The difference of means, after less before, of at least one row; the same for the same seed.

    weights: of a mean over tokens, the tokens of each row; before and after are then sums over these.
    """
    import numpy as np

    gains = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    sizes = np.ones_like(gains) if weights is None else np.asarray(weights, dtype=np.float64)
    random = np.random.default_rng(seed)
    rows, found, left = len(gains), [], resamples
    while left:
        drawn = random.integers(rows, size=(min(left, max(1, AT_ONCE // rows)), rows))
        found.append(gains[drawn].sum(1) / sizes[drawn].sum(1))
        left -= len(drawn)
    low, high = np.quantile(np.concatenate(found), [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(float(gains.sum() / sizes.sum()), float(low), float(high))
