"""Tensors of a base's files as its model has them; those that are stored in 4 bits are turned back.

bitsandbytes keeps a weight as bytes of two values each, under its own name, and beside it, under longer
names, the scales of its blocks and as JSON what it was: shape, number type, block size (QuantState.as_dict).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from engine import weights

STATE = ".quant_state.bitsandbytes__"
BESIDE = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")
NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


@dataclass(frozen=True)
class Stored:
    """One tensor: the file it lies in, its shape and number type (in a safetensors header's words) as the
    model has it; beside: files of what belongs to one in 4 bits, by names in them."""

    name: str
    file: Path
    shape: tuple[int, ...]
    kind: str
    beside: dict[str, Path] = field(default_factory=dict)


def tensors(base: Path) -> list[Stored]:
    """All of a folder, in its files' order."""
    places: dict[str, Path] = {}
    for file in weights.shards(base):
        with safe_open(file, "pt") as stream:
            places.update(dict.fromkeys(stream.keys(), file))
    packed = {name.partition(STATE)[0]: name for name in places if STATE in name}
    found = []
    for name, file in places.items():
        if name in packed:
            known = [packed[name], *(name + end for end in BESIDE if name + end in places)]
            beside = {one: places[one] for one in known}
            state = _state(packed[name], places[packed[name]])
            found.append(Stored(name, file, tuple(state["shape"]), NAMES[state["dtype"]], beside))
        elif not _belongs(name, packed):
            with safe_open(file, "pt") as stream:
                part = stream.get_slice(name)
                found.append(Stored(name, file, tuple(part.get_shape()), part.get_dtype()))
    return found


def read(one: Stored) -> torch.Tensor:
    """The tensor, of its shape and number type; from 4 bits as its model computes with it."""
    tensor = _tensor(one.name, one.file)
    if not one.beside:
        return tensor
    from bitsandbytes import functional

    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = {name.removeprefix(one.name + "."): _tensor(name, file) for name, file in one.beside.items()}
    state = functional.QuantState.from_dict(parts, device=torch.device(device))
    back: torch.Tensor = functional.dequantize_4bit(tensor.to(device), state)
    return back.cpu().reshape(one.shape)


def _belongs(name: str, packed: dict[str, str]) -> bool:
    """Whether a tensor is part of one in 4 bits."""
    own = next((name.removesuffix(end) for end in BESIDE if name.endswith(end)), name.partition(STATE)[0])
    return own != name and own in packed


def _state(name: str, file: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(bytes(_tensor(name, file).tolist()))
    return state


def _tensor(name: str, file: Path) -> torch.Tensor:
    with safe_open(file, "pt") as stream:
        tensor: torch.Tensor = stream.get_tensor(name)
    return tensor
