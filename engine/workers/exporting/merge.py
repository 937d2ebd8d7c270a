"""An adapter put into the weights of its base, tensor by tensor: W + scale * B @ A in 32 bits, rounded once;
of DoRA each row of that brought to the length that was learnt (arXiv 2402.09353, equation 5).

Files are read lazily and written as they are computed, so that memory holds one tensor and not a model.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from engine.errors import UserError
from engine.workers.exporting import stored
from engine.workers.exporting.stored import Stored

PREFIX = "base_model.model."
"""Of PEFT, before each name in an adapter's file."""

LENGTHS = "magnitude_vector"
"""PEFT's name for what DoRA learns besides A and B, behind ".lora_"."""

SAFETENSORS = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
    torch.bool: "BOOL",
}  # fmt: skip
"""Number types by their names in a safetensors header (github.com/huggingface/safetensors)."""

Restored = Callable[[str, torch.Tensor], torch.Tensor]
"""A base tensor by name, as the run saw it: quantised and back, or as it is."""


@dataclass(frozen=True)
class Pair:
    """LoRA of one layer: A (rank, in) and B (out, rank); scale as PEFT reckons it; lengths (out) of DoRA."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    lengths: torch.Tensor | None = None

    @property
    def delta(self) -> torch.Tensor:
        """(out, in), in 32 bits."""
        return (self.b.float() @ self.a.float()).mul_(self.scale)


def pairs(adapter: Path) -> dict[str, Pair]:
    """The adapter's layers by the names of the weights that they change. Raises UserError."""
    config = _config(adapter)
    if config.get("alpha_pattern"):
        raise UserError("an adapter whose layers have alphas of their own is not merged here")
    found: dict[str, dict[str, torch.Tensor]] = {}
    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118  (safe_open is no mapping)
            layer, _, part = key.removeprefix(PREFIX).rpartition(".lora_")
            if part not in ("A.weight", "B.weight", LENGTHS):
                if key.endswith(".base_layer.weight"):
                    continue  # PEFT saves an output head beside LoRA on it, as it was
                raise UserError(f"{key}: not LoRA on a linear layer, and cannot be merged")
            found.setdefault(f"{layer}.weight", {})[part.removesuffix(".weight")] = file.get_tensor(key)
    return {
        name: Pair(one["A"], one["B"], _scale(config, one["A"].shape[0]), one.get(LENGTHS))
        for name, one in found.items()
    }


def _config(adapter: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    return config


def _scale(config: dict[str, Any], rank: int) -> float:
    """alpha / rank; rank-stabilised (arXiv 2312.03732): alpha / sqrt(rank)."""
    alpha = float(config["lora_alpha"])
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def merged(weight: torch.Tensor, pair: Pair, transposed: bool) -> torch.Tensor:
    """The weight with the pair in it, in 32 bits. transposed: what to do with a square one (Conv1D of GPT-2
    is stored as (in, out)). Raises UserError where the shapes do not fit."""
    delta = pair.delta
    square = delta.shape[0] == delta.shape[1]
    turned = transposed if square else weight.shape == delta.T.shape
    delta = delta.T if turned else delta
    if weight.shape != delta.shape:
        raise UserError(f"shapes {tuple(weight.shape)} and {tuple(delta.shape)} do not fit")
    whole = weight.to(torch.float32, copy=True).add_(delta)
    if pair.lengths is not None:
        along = 0 if turned else 1
        whole.mul_((pair.lengths.float() / whole.norm(dim=along)).unsqueeze(along))
    return whole


@dataclass(frozen=True)
class Shard:
    """Tensors of one file to be written, and their bytes."""

    tensors: list[Stored]
    bytes: int


def planned(base: Path, dtype: torch.dtype, limit: int) -> list[Shard]:
    """Which tensors go into which file, in the base's order; each at most `limit` bytes, or one tensor."""
    shards: list[Shard] = [Shard([], 0)]
    for one in stored.tensors(base):
        width = dtype.itemsize if _floats(one.kind) else _width(one.kind)
        size = math.prod(one.shape) * width
        last = shards[-1]
        if last.tensors and last.bytes + size > limit:
            shards.append(Shard([one], size))
        else:
            shards[-1] = Shard([*last.tensors, one], last.bytes + size)
    return shards


def write(
    base: Path,
    adapter: Path | None,
    out: Path,
    dtype: torch.dtype,
    limit: int,
    restored: Restored,
    progress: Callable[[int, int], None],
) -> int:
    """Write the merged weights into a folder, with an index where they are several files; their bytes.

    adapter: None writes the base alone. restored: gives each floating tensor of the base. progress: bytes.
    Raises UserError for an adapter that does not fit these weights.
    """
    changes = pairs(adapter) if adapter else {}
    shards = planned(base, dtype, limit)
    named = places(changes, [one.name for shard in shards for one in shard.tensors])
    transposed = adapter is not None and bool(_config(adapter).get("fan_in_fan_out"))
    total, done, index = sum(shard.bytes for shard in shards), 0, {}
    for number, shard in enumerate(shards, 1):
        name = (
            f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
        )
        index.update(dict.fromkeys((one.name for one in shard.tensors), name))
        with (out / name).open("wb") as stream:
            stream.write(_header(shard, dtype))
            for one in shard.tensors:
                tensor = _one(one, changes.get(named.get(one.name, "")), dtype, restored, transposed)
                stream.write(memoryview(tensor.contiguous().flatten().view(torch.uint8).numpy()))
                done += tensor.numel() * tensor.itemsize
                progress(done, total)
            stream.flush()
            os.fsync(stream.fileno())
    if len(shards) > 1:
        facts = {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}
        (out / "model.safetensors.index.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return total


def _one(
    one: Stored, change: Pair | None, dtype: torch.dtype, restored: Restored, transposed: bool
) -> torch.Tensor:
    tensor = stored.read(one)
    if not tensor.is_floating_point():
        return tensor
    tensor = restored(one.name, tensor)
    if change is None:
        return tensor.to(dtype)
    try:
        return merged(tensor, change, transposed).to(dtype)
    except UserError as error:
        raise UserError(f"{one.name}: the adapter does not fit the base's weights: {error}") from None


def places(changes: dict[str, Pair], names: list[str]) -> dict[str, str]:
    """The adapter's name for each tensor that it changes. Files may leave out the first part of a name
    ("transformer.h.0..." of GPT-2 is "h.0..." there). Raises UserError where one is not found."""
    known = set(names)
    found = {}
    for own in changes:
        name = own
        while name not in known and "." in name.removesuffix(".weight"):
            name = name.partition(".")[2]
        if name not in known:
            tied = (
                "; it is tied to the embedding, which the adapter did not change" if "lm_head" in own else ""
            )
            raise UserError(f"the adapter changes {own}, which the base's files do not have{tied}")
        found[name] = own
    return found


def _header(shard: Shard, dtype: torch.dtype) -> bytes:
    """What begins a safetensors file: the length of a JSON object, and that: types, shapes, places."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for one in shard.tensors:
        kind = SAFETENSORS[dtype] if _floats(one.kind) else one.kind
        size = math.prod(one.shape) * _width(kind)
        entries[one.name] = {"dtype": kind, "shape": list(one.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return struct.pack("<Q", len(text)) + text


def _floats(kind: str) -> bool:
    return kind in ("F64", "F32", "F16", "BF16")


def _width(kind: str) -> int:
    sizes: Iterator[int] = (dtype.itemsize for dtype, name in SAFETENSORS.items() if name == kind)
    return next(sizes)
