"""Answers that name one of a few choices: accuracy, macro-F1, and who was taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Confusion:
    """counts[i][j]: rows of label i that were answered with choice j; the last column is no choice."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def accuracy(self) -> float:
        """The share of rows on the diagonal; 0 where there are none."""
        return sum(row[i] for i, row in enumerate(self.counts)) / self.rows if self.rows else 0.0

    @property
    def macro_f1(self) -> float:
        """The mean of the labels' F1, over labels that are wanted or were said; as scikit-learn's."""
        scores = []
        for i, row in enumerate(self.counts):
            wanted, said = sum(row), sum(other[i] for other in self.counts)
            if wanted or said:
                scores.append(2 * row[i] / (wanted + said))
        return sum(scores) / len(scores) if scores else 0.0


def confusion(labels: Sequence[str], wanted: Sequence[str], said: Sequence[str | None]) -> Confusion:
    """wanted and said: one a row; None where no choice was named."""
    place = {label: i for i, label in enumerate(labels)}
    counts = [[0] * (len(labels) + 1) for _ in labels]
    for label, answer in zip(wanted, said, strict=True):
        counts[place[label]][-1 if answer is None else place[answer]] += 1
    return Confusion(tuple(labels), tuple(map(tuple, counts)))
