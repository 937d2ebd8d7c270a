"""First weights of an adapter that make up for what 4 bits took from the model (LoftQ, arXiv 2310.08659)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bitsandbytes
import torch
from peft.tuners.lora import Linear4bit
from safetensors import safe_open

from engine import weights
from engine.errors import UserError

ADAPTER = "default"


def begin(model: Any, folder: Path) -> None:
    """Set A and B of each quantised layer so that scale x B A is the best of its rank for W - NF4(W).

    folder: of the base model, with its weights in 16 or 32 bits. The base stays as it was quantised, which is
    LoftQ with one round; PEFT's own function for this leaves the adapter's scale out and needs CUDA. Raises
    UserError where the weights cannot be compared.
    """
    layers = {name.removeprefix("base_model.model."): layer for name, layer in _quantised(model)}
    if not layers:
        raise UserError(
            "lora.init: no layer of this model was quantised, so loftq has nothing to do; leave it out"
        )
    files = weights.shards(folder)
    left = dict(layers)
    for file in files:
        with safe_open(file, framework="pt") as stored:
            for key in stored.keys():  # noqa: SIM118  (it is no dict)
                if layer := left.pop(key.removesuffix(".weight"), None):
                    _begin(layer, stored.get_tensor(key))
    if left:
        raise UserError(
            f"lora.init: the files of this model hold {next(iter(left))} under another name, so loftq cannot"
            " compare; leave it out"
        )


def _quantised(model: Any) -> Iterator[tuple[str, Any]]:
    for name, layer in model.named_modules():
        if isinstance(layer, Linear4bit):
            yield name, layer


def _begin(layer: Any, stored: torch.Tensor) -> None:
    quantised = layer.get_base_layer().weight
    held = bitsandbytes.functional.dequantize_4bit(quantised.data, quantised.quant_state).float()
    if stored.shape != held.shape or stored.dtype.itemsize < 2:
        raise UserError("lora.init: the files of this model are packed or turned round; leave loftq out")
    a, b = best(stored, held, layer.r[ADAPTER], layer.scaling[ADAPTER])
    _put(layer.lora_A[ADAPTER].weight, a)
    _put(layer.lora_B[ADAPTER].weight, b)


def best(
    stored: torch.Tensor, held: torch.Tensor, rank: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A (rank, in) and B (out, rank) whose scale x B A is nearest to what quantising took from a weight.

    stored: the weight (out, in) in 16 or 32 bits; held: what is left of it, in 32 bits.
    """
    left, sizes, right = torch.linalg.svd(stored.to(held) - held, full_matrices=False)
    root = (sizes[:rank] / scale).sqrt()
    return root[:, None] * right[:rank], left[:, :rank] * root


def _put(weight: torch.Tensor, values: torch.Tensor) -> None:
    with torch.no_grad():
        weight.copy_(values)
