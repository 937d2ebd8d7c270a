"""Several LoRA adapters in one batch: each layer of the base is computed once for all rows, and each adapter
adds its part to its own rows alone.

PEFT can do this too (adapter_names); it looks for each layer's rows anew, layer by layer, and copies them.
Here rows of one adapter stand side by side, so that their part is a view, and the numbers are the same bit
for bit. Layers are PEFT's own: what it loads, and how it scales, stays its business.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D

from engine.errors import RunFailed

BASE = "__base__"
"""The model without any adapter, by PEFT's name for it."""


class Apart(RunFailed):
    """A pass in which the rows of an adapter cannot be told from the others'."""


@dataclass
class Rows:
    """Which rows of the batch wear which adapter: (adapter, first row, row behind its last); none of BASE."""

    spans: list[tuple[str, int, int]] = field(default_factory=list)
    count: int = 0
    positions: int = 1  # tokens a row of the pass under way
    alone: str = ""  # the adapter that all rows wear by PEFT's own layers: switching.py

    def wear(self, adapters: Sequence[str]) -> None:
        """adapters: one name a row; rows of the same adapter stand side by side."""
        self.spans.clear()
        self.count, at = len(adapters), 0
        for name, same in groupby(adapters):
            start, at = at, at + len(list(same))
            if name != BASE:
                self.spans.append((name, start, at))


def dress(model: torch.nn.Module, rows: Rows) -> None:
    """Have every LoRA layer of a PEFT model compute by `rows`. Again after an adapter came or went.

    What of an adapter does not fit stays out of it.
    """
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            own = type(layer).forward.__get__(layer)
            layer.forward = _Mixed(layer.get_base_layer(), _parts(layer), rows, own)


def fits(layer: Any, name: str) -> bool:
    """Whether an adapter's part on a layer is A and B on a linear layer, and no more."""
    base = layer.get_base_layer()
    linear_ = isinstance(base, Conv1D) or hasattr(base, "in_features")
    return name in layer.lora_A and name not in layer.lora_variant and linear_


@dataclass(frozen=True)
class _Part:
    """One adapter's weights on one layer. A is (rank, in), B (out, rank), scaled where that is exact."""

    a: torch.Tensor
    b: torch.Tensor
    scaling: float | None


def _parts(layer: Any) -> dict[str, _Part]:
    parts = {}
    for name, a in layer.lora_A.items():
        if not fits(layer, name):
            continue
        weight, scaling = layer.lora_B[name].weight.detach(), float(layer.scaling[name])
        # A power of two changes no digit wherever it is multiplied in; others stay where PEFT has them.
        exact = math.frexp(scaling)[0] == 0.5
        parts[name] = _Part(
            a.weight.detach(), weight * scaling if exact else weight, None if exact else scaling
        )
    return parts


@dataclass(frozen=True)
class _Mixed:
    """Stands in for a LoRA layer's forward, which is `own`."""

    base: Any
    parts: dict[str, _Part]
    rows: Rows
    own: Any

    def __call__(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.rows.alone:
            alone: torch.Tensor = self.own(x, *args, **kwargs)
            return alone
        result: torch.Tensor = self.base(x, *args, **kwargs)
        # Mixtures of experts lay the rows' tokens end to end.
        each = 1 if len(x) == self.rows.count else self.rows.positions
        if self.rows.spans and len(x) != self.rows.count * each:
            raise Apart("this model sends tokens through its layers apart from their rows; ask each alone")
        for name, first, last in self.rows.spans:
            start, stop = first * each, last * each
            part = self.parts.get(name)
            if part is None:
                continue  # this adapter leaves this layer alone
            alone = stop - start == len(x)
            own = x if alone else x[start:stop]
            if own.dtype != part.a.dtype:
                own = own.to(part.a.dtype)
            added = linear(linear(own, part.a), part.b)
            if part.scaling is not None:
                added *= part.scaling
            (result if alone else result[start:stop]).add_(added.to(result.dtype))
        return result
