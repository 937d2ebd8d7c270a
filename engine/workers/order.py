"""In which order rows are trained on: known for every step from the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from engine.workers.amends import Gone


def of_epoch(rows: int, size: int, seed: int, epoch: int, left_out: Sequence[Gone] = ()) -> list[int]:
    """All rows of an epoch, shuffled, where a step takes `size` of them.

    Rows to leave out lose their place, those behind them move up, and the end is filled with the epoch's
    first ones: so an epoch keeps its length, and what had been trained by then stays as it was.
    """
    generator = torch.Generator().manual_seed(seed + epoch)
    order: list[int] = torch.randperm(rows, generator=generator).tolist()
    for gone in left_out:
        its_epoch, its_place = divmod(gone.step, _steps(rows, size))
        if epoch < its_epoch:
            continue
        trained = its_place * size if epoch == its_epoch else 0
        dropped = set(gone.rows)
        order = order[:trained] + [row for row in order[trained:] if row not in dropped]
        others = [row for row in order if row not in dropped]
        while others and len(order) < rows:
            order += others[: rows - len(order)]
    return order


def of_step(rows: int, size: int, seed: int, step: int, left_out: Sequence[Gone] = ()) -> list[int]:
    """The rows of a step, counted from 1, all its micro-batches in a row."""
    epoch, place = divmod(step - 1, _steps(rows, size))
    return of_epoch(rows, size, seed, epoch, left_out)[place * size : (place + 1) * size]


class Order(Sampler):  # type: ignore[misc]
    """The trainer's sampler: the same rows at the same step, wherever a run is taken up again."""

    def __init__(self, rows: int, size: int, seed: int, left_out: Sequence[Gone] = ()) -> None:
        self.rows, self.size, self.seed, self.left_out = rows, size, seed, left_out
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(of_epoch(self.rows, self.size, self.seed, self.epoch, self.left_out))


def _steps(rows: int, size: int) -> int:
    return -(-rows // size)
