"""95% intervals of what was measured a few times, or on a few rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

Interval = tuple[float, float]
"""Low and high."""

Z = 1.959964
"""Of a standard normal distribution, 95% lie between -Z and Z."""

T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""The same of Student's t with 1 to 10 degrees of freedom."""


def of_mean(values: Sequence[float]) -> Interval:
    """Where the mean of two values or more lies: Student's t on their spread."""
    reach = student(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    middle = fmean(values)
    return middle - reach, middle + reach


def of_share(share: float, rows: int) -> Interval:
    """Where a share of so many rows lies, by Wilson's score interval (Wilson 1927): within 0 and 1 always."""
    spread = Z * Z / rows
    middle = (share + spread / 2) / (1 + spread)
    reach = Z * math.sqrt(share * (1 - share) / rows + spread / (4 * rows)) / (1 + spread)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t; above 10 degrees of freedom by Abramowitz and Stegun 26.7.5."""
    if freedom <= len(T):
        return T[freedom - 1]
    return Z + (Z**3 + Z) / (4 * freedom) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)
