"""How rows become a batch: side by side with padding, or behind one another in one sequence without any.

Behind one another (`train.packing`; the libraries say padding-free) a batch has the same rows as side by
side, so that steps, their order and what a resumed run goes on with are the same. Each row's positions begin
anew, and no row may see another. Who keeps them apart:

- transformers 5.17 (read; measured on CPU): the mask is made from `position_ids` that begin anew, if there is
  no `attention_mask` and no cache of keys and values; eager, sdpa and flex attention take it, flash attention
  has the lengths from the positions.
- Unsloth 2026.10.9's own forwards on CUDA (read): by `packed_seq_lengths`. flash-attn or xformers do it where
  they are installed, torch's own kernel for rows of different lengths from torch 2.12 on, else sdpa row after
  row; none of them is needed. The key also lifts the cut at max_seq_length, which all rows together exceed.
- An `attention_mask`, of ones even, undoes all of it without a word. So does a model that carries a state
  from token to token, or that does not know these keys: `kept_apart` looks at what really happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine import render
from engine.errors import UserError
from engine.workers import randomness

Row = Mapping[str, Any]
"""`input_ids` and `labels`: as many integers each, in a list, an array or a tensor."""

LENGTHS = (150, 24)
"""Tokens of the two rows that are tried: together more than a block of an attention kernel, and the second
one short, so that what leaks into its first tokens alone weighs in its loss."""
EQUAL = 1e-3
"""Relative: what a row's loss may move when its neighbour changes. Nothing, but for experts that round."""
ALIKE = 2e-2
"""Relative: to the loss of the row alone, which kernels may reckon in other blocks, in 16 bits."""


@dataclass(frozen=True)
class Size:
    """Of a batch: rows, the tokens of a row with its padding, and over all rows the tokens without and how
    many of them are trained. Known before the batch is on a GPU, where counting would wait for it."""

    rows: int
    length: int
    tokens: int
    trained: int
    lengths: tuple[int, ...]
    """Of the rows, each without padding."""
    packed: bool = False
    """Whether they share a sequence."""

    @property
    def keys(self) -> dict[str, torch.Tensor]:
        """What a forward wants besides the batch; on the processor, where Unsloth reads it."""
        if not self.packed:
            return {}
        return {"packed_seq_lengths": torch.tensor(self.lengths, dtype=torch.int32)}


@dataclass(frozen=True)
class Collator:
    """Makes a batch of rows; pad: the id that stands where no token is."""

    pad: int
    packing: bool

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Tensors of shape (rows, longest), or (1, tokens of all rows) with `packing`, and their Size."""
        ids, labels = ([np.asarray(row[name]) for row in rows] for name in ("input_ids", "labels"))
        lengths = [len(one) for one in ids]
        flat, tokens = np.concatenate(labels).astype(np.int64), sum(lengths)
        trained = int(np.count_nonzero(flat != render.IGNORED))
        if not self.packing:
            length = max(lengths)
            ones = [np.ones(each) for each in lengths]
            return {
                "input_ids": _padded(ids, length, self.pad),
                "labels": _padded(labels, length, render.IGNORED),
                "attention_mask": _padded(ones, length, 0),
                "size": Size(len(rows), length, tokens, trained, tuple(lengths)),
            }
        positions = np.concatenate([np.arange(each) for each in lengths])
        flat[positions == 0] = (
            render.IGNORED
        )  # a row's first token is not what the row before it goes on with
        return {
            "input_ids": torch.from_numpy(np.concatenate(ids).astype(np.int64))[None],
            "labels": torch.from_numpy(flat)[None],
            "position_ids": torch.from_numpy(positions)[None],
            "size": Size(len(rows), -(-tokens // len(rows)), tokens, trained, tuple(lengths), packed=True),
        }


def places(lengths: Sequence[int] | np.ndarray, packing: bool) -> int:
    """Tokens that a batch of rows of these lengths has, padding among them."""
    return int(sum(lengths)) if packing else len(lengths) * int(max(lengths))


def kept_apart(model: Any) -> None:
    """Try two rows in one sequence. Raises UserError if they touch each other.

    Leaves weights, gradients and random numbers as they were.
    """
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", max(LENGTHS))
    first, second = (min(length, longest) for length in LENGTHS)
    numbers = torch.Generator().manual_seed(0)
    vocabulary = int(model.get_input_embeddings().num_embeddings)
    one, other, row = (
        torch.randint(vocabulary, (length,), generator=numbers) for length in (first, first, second)
    )
    training = model.training
    try:
        trained = [_loss(model.train(), neighbour, row) for neighbour in (one, other)]
        evaluated = [_loss(model.eval(), neighbour, row) for neighbour in (one, other)]
        alone = _loss(model, row)
    finally:
        model.train(training)
    apart = all(abs(with_one / with_other - 1) <= EQUAL for with_one, with_other in (trained, evaluated))
    if not (apart and abs(evaluated[0] / alone - 1) <= ALIKE):  # a loss that is no number is refused as well
        raise UserError(
            "train.packing: this model, as it is loaded here, lets rows in one sequence see each other, which"
            " would spoil training without a word; set train.packing = false"
        )


def _loss(model: Any, *rows: torch.Tensor) -> float:
    """The loss of the last of these rows, all in one sequence, with the same random numbers each time."""
    batch = Collator(0, packing=True)(
        [
            {"input_ids": row, "labels": row if row is rows[-1] else torch.full_like(row, render.IGNORED)}
            for row in rows
        ]
    )
    size = batch.pop("size")
    random = randomness.captured()
    torch.manual_seed(0)
    try:
        with torch.set_grad_enabled(model.training):  # a forward in training takes other ways with gradients
            there = {name: value.to(model.device) for name, value in batch.items()}
            return float(model(**there, **size.keys).loss)
    finally:
        randomness.restore(*random)


def _padded(rows: Sequence[np.ndarray], length: int, filling: int) -> torch.Tensor:
    """On the right: Unsloth's forwards leave the mask out in training, which no other padding would stand."""
    out = np.full((len(rows), length), filling, dtype=np.int64)
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return torch.from_numpy(out)
