"""A figure of each step, in columns that only grow; sums of blocks stand beside them for whoever draws."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

FAN = 16
"""Entries that one block of the next level sums up: the levels together take a third of the values' bytes."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a range of entries comes to. low and high are of its finite values; without one, inf and -inf."""

    low: float
    high: float
    total: float
    finite: int
    entries: int

    @property
    def mean(self) -> float | None:
        """Of the finite values; None where there is none."""
        return self.total / self.finite if self.finite else None


@dataclass(slots=True)
class _Level:
    lows: array[float] = field(default_factory=lambda: array("d"))
    highs: array[float] = field(default_factory=lambda: array("d"))
    totals: array[float] = field(default_factory=lambda: array("d"))
    finite: array[int] = field(default_factory=lambda: array("q"))

    def columns(self) -> tuple[array[float], array[float], array[float], array[int]]:
        return self.lows, self.highs, self.totals, self.finite


class Series(Sequence[tuple[int, float]]):
    """Steps, ascending, and a value of each. As a sequence it is one of (step, value) pairs."""

    def __init__(self, pairs: Sequence[tuple[int, float]] = ()) -> None:
        self.steps = array("q", (step for step, _ in pairs))
        self.values = array("d", (value for _, value in pairs))
        self._levels: list[_Level] = []
        self._length: int | None = None  # of a frozen one

    def append(self, step: int, value: float) -> None:
        self.steps.append(step)
        self.values.append(value)

    def truncate(self, length: int) -> None:
        """Keep the first entries. Those who hold a frozen one keep all of theirs."""
        self.steps, self.values = self.steps[:length], self.values[:length]
        cut, size = [], FAN
        for level in self._levels:
            lows, highs, totals, finite = level.columns()
            end = length // size
            cut.append(_Level(lows[:end], highs[:end], totals[:end], finite[:end]))
            size *= FAN
        self._levels = cut

    def frozen(self) -> Series:
        """This series as it is now: it shares the columns, and what is appended later is not in it."""
        self._sum_up()
        view = Series()
        view.steps, view.values, view._levels = self.steps, self.values, self._levels
        view._length = len(self)
        return view

    def __len__(self) -> int:
        return len(self.values) if self._length is None else self._length

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            chosen = range(len(self))[at]
            return [(self.steps[i], self.values[i]) for i in chosen]
        at = range(len(self))[at]
        return self.steps[at], self.values[at]

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.steps[: len(self)], self.values[: len(self)], strict=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Series({list(self)!r})" if len(self) <= 10 else f"<Series of {len(self)}>"

    def before(self, step: int) -> int:
        """How many entries have a step below this one."""
        return bisect_left(self.steps, step, 0, len(self))

    def until(self, step: int) -> int:
        """How many entries have this step or one below it."""
        return bisect_right(self.steps, step, 0, len(self))

    def span(self, start: int, end: int) -> Span:
        """What the entries [start, end) come to, in a time that grows with the logarithm of their number."""
        if self._length is None:
            self._sum_up()
        start, end = max(0, start), min(end, len(self))
        low, high, total, finite = inf, -inf, 0.0, 0
        for depth, first, last in _pieces(start, end, len(self._levels)):
            if depth == 0:
                piece = self.values[first:last]
                part = sum(piece)
                known: Sequence[float] = piece if isfinite(part) else [v for v in piece if isfinite(v)]
                if not known:
                    continue
                low, high = min(low, min(known)), max(high, max(known))
                total += part if known is piece else sum(known)
                finite += len(known)
            else:
                lows, highs, totals, counts = self._levels[depth - 1].columns()
                low, high = min(low, min(lows[first:last])), max(high, max(highs[first:last]))
                total += sum(totals[first:last])
                finite += sum(counts[first:last])
        return Span(low, high, total, finite, max(0, end - start))

    def _sum_up(self) -> None:
        """Add the blocks that have become whole since the last time."""
        entries, depth = len(self.values) // FAN, 0
        while entries:
            if depth == len(self._levels):
                self._levels.append(_Level())
            level = self._levels[depth]
            for number in range(len(level.lows), entries):
                below = slice(number * FAN, (number + 1) * FAN)
                if depth == 0:
                    piece: Sequence[float] = self.values[below]
                    total = sum(piece)
                    if not isfinite(total):
                        piece = [value for value in piece if isfinite(value)]
                        total = sum(piece)
                    low, high = min(piece, default=inf), max(piece, default=-inf)
                    finite = len(piece)
                else:
                    under = self._levels[depth - 1]
                    low, high = min(under.lows[below]), max(under.highs[below])
                    total, finite = sum(under.totals[below]), sum(under.finite[below])
                level.highs.append(high)
                level.totals.append(total)
                level.finite.append(finite)
                level.lows.append(low)
            entries //= FAN
            depth += 1


def _pieces(start: int, end: int, levels: int) -> Iterator[tuple[int, int, int]]:
    """The range as few slices: (depth, first, last), depth 0 for the values themselves."""
    depth = 0
    while start < end:
        inner, outer = -(-start // FAN), end // FAN
        if depth == levels or inner >= outer:
            yield depth, start, end
            return
        if start < inner * FAN:
            yield depth, start, inner * FAN
        if outer * FAN < end:
            yield depth, outer * FAN, end
        start, end, depth = inner, outer, depth + 1
