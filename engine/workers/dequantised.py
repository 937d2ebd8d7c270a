"""4-bit weights unpacked once, so that no step unpacks them again, where memory has room for it.

bitsandbytes and Unsloth's kernels turn a weight from NF4 into the type they compute in at every pass, there
and back. The numbers that come out are always the same; `keep` writes them down in the place of the packed
weight. What is trained, what it is trained on and what is saved stay those of the 4-bit model.
"""

from __future__ import annotations

from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

ROOM = 0.5
"""Of the memory that is free behind a load, what may be taken to answer faster: caches need the rest, and a
comparison stands beside other programs."""


class Kept(torch.nn.Linear):  # type: ignore[misc]
    """A layer that was in 4 bits: computes in its weight's type and answers in its input's, as Linear4bit."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = super().forward(x.to(self.weight.dtype)).to(x.dtype)
        return found


def keep(model: torch.nn.Module) -> int:
    """Unpack every 4-bit linear layer of a model that is loaded, one after the other; how many there were.

    Each takes 2 or 4 bytes a weight in place of about 0.52. LoRA layers stay: their base layer is changed.
    """
    packed = _packed(model)
    for parent, name, layer in packed:
        setattr(parent, name, _unpacked(layer))
    return len(packed)


def keep_if_room(model: torch.nn.Module, free: int) -> bool:
    """The same for a model that only answers, where what it takes more is within ROOM of the `free` bytes."""
    more = sum(_bytes(layer) - layer.weight.nbytes for _, _, layer in _packed(model))
    return more <= ROOM * free and keep(model) > 0


def _packed(model: torch.nn.Module) -> list[tuple[torch.nn.Module, str, Any]]:
    """Every 4-bit linear layer, with the module that holds it and its name there."""
    return [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if isinstance(layer, Linear4bit)
    ]


def _bytes(layer: Any) -> int:
    """Of its weight once it is unpacked."""
    return int(layer.in_features * layer.out_features * _dtype(layer).itemsize)


def _dtype(layer: Any) -> torch.dtype:
    found: torch.dtype = layer.compute_dtype or layer.weight.quant_state.dtype
    return found


def _unpacked(layer: Any) -> Kept:
    weight, dtype = layer.weight, _dtype(layer)
    # As at each step: unpacked to the type it was quantised from, and then to the one that is computed in.
    values = dequantize_4bit(weight.data, weight.quant_state).to(dtype)
    with torch.device("meta"):
        kept = Kept(layer.in_features, layer.out_features, bias=layer.bias is not None)
    kept.weight = torch.nn.Parameter(values, requires_grad=False)
    if layer.bias is not None:
        kept.bias = torch.nn.Parameter(layer.bias.data.to(dtype), requires_grad=False)
    kept.train(layer.training)
    return kept
