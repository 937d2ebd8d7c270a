"""In which order rows are trained on: known for every step from the seed alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch.utils.data import Sampler


def of_epoch(rows: int, seed: int, epoch: int, left_out: Collection[int] = ()) -> list[int]:
    """All rows of an epoch, shuffled.

    Rows to leave out lose their place, those behind them move up, and the end is filled with the epoch's
    first ones: so an epoch keeps its length, and what was trained before the first of them stays as it was.
    """
    generator = torch.Generator().manual_seed(seed + epoch)
    shuffled: list[int] = torch.randperm(rows, generator=generator).tolist()
    kept = [row for row in shuffled if row not in left_out] if left_out else shuffled
    while kept and len(kept) < rows:
        kept += kept[: rows - len(kept)]
    return kept


def of_step(rows: int, seed: int, size: int, step: int, left_out: Collection[int] = ()) -> list[int]:
    """The rows of a step (counted from 1) of `size` rows, all its micro-batches in a row."""
    a_epoch = -(-rows // size)
    epoch, place = divmod(step - 1, a_epoch)
    return of_epoch(rows, seed, epoch, left_out)[place * size : (place + 1) * size]


class Order(Sampler):  # type: ignore[misc]
    """The trainer's sampler: the same rows at the same step, wherever a run is taken up again."""

    def __init__(self, rows: int, seed: int, left_out: Collection[int] = ()) -> None:
        self.rows, self.seed, self.left_out = rows, seed, frozenset(left_out)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(of_epoch(self.rows, self.seed, self.epoch, self.left_out))
