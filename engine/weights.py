"""How many parameters a model has and what they weigh, from file headers or from its config."""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError

LONGEST_HEADER = 100_000_000
"""Bytes; the safetensors format allows no longer one."""

NF4_BYTES = 4 / 8 + 1 / 64 + 4 / (64 * 256)
"""Bytes a weight in bitsandbytes' NF4 with nested constants (QLoRA, arXiv 2305.14314, section 3): 4 bits,
one 8-bit constant a block of 64 weights, one 32-bit constant a block of 256 of those."""
HALF_BYTES = 2

_NOT_LINEAR = re.compile(r"embed|lm_head|embd|wte|wpe|norm|(^|\.)ln_|(^|\.)shared\.weight")
_SAFE_NAME = re.compile(r"[^/\\]+\.safetensors")
_HEAD = re.compile(r"(^|\.)(lm_head|embed_out)\.weight$")


@dataclass(frozen=True)
class Size:
    """Parameters in all, and those in the linear layers that 4-bit loading quantises."""

    parameters: int
    linear: int

    @property
    def bytes_16bit(self) -> int:
        """Weights as 16-bit numbers."""
        return self.parameters * HALF_BYTES

    @property
    def bytes_4bit(self) -> int:
        """Linear layers in NF4 (0.516 byte a weight, see NF4_BYTES); embeddings, head, norms in 16 bits."""
        return round(self.linear * NF4_BYTES) + (self.parameters - self.linear) * HALF_BYTES


def shards(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights; empty where there are none.

    Raises UserError where an index names a file that is not there, or cannot be read.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{index}: not a readable index of weights; download the model again") from None
        if odd := [name for name in names if not _SAFE_NAME.fullmatch(str(name))]:
            raise UserError(
                f"{index}: names {odd[0]}, which is no safetensors file beside it; other formats can run "
                "code when loaded: convert it to safetensors, or take a version that has them"
            )
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise UserError(
                f"{folder}: {len(missing)} of {len(names)} weight files are missing ({missing[0]}); "
                "download the model again"
            )
        return [folder / name for name in names]
    one = folder / "model.safetensors"
    return [one] if one.is_file() else []


def counted(files: list[Path], tied: bool) -> Size:
    """The sum of the tensors' shapes. A head that is tied to the embedding counts once.

    Raises UserError for a file that is cut short or is no safetensors file.
    """
    parameters = linear = 0
    for file in files:
        for name, shape in _shapes(file).items():
            if tied and _HEAD.search(name):
                continue
            count = math.prod(shape)
            parameters += count
            if len(shape) == 2 and name.endswith("weight") and not _NOT_LINEAR.search(name):
                linear += count
    return Size(parameters, linear)


def _shapes(file: Path) -> dict[str, list[int]]:
    torn = UserError(f"{file}: not a whole safetensors file; download it again")
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else LONGEST_HEADER + 1
        if length > LONGEST_HEADER:
            raise torn
        header = stream.read(length)
    try:
        tensors = {k: v for k, v in json.loads(header).items() if k != "__metadata__"}
        shapes = {name: [int(n) for n in tensor["shape"]] for name, tensor in tensors.items()}
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    except (ValueError, KeyError, AttributeError, TypeError, IndexError):
        raise torn from None
    if file.stat().st_size < 8 + length + end:
        raise torn
    return shapes


def from_config(config: dict[str, Any]) -> Size | None:
    """Parameters of the Llama family, by the shapes that config.json gives; None for others."""
    kind = config.get("model_type")
    try:
        width, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        inner, words = int(config["intermediate_size"]), int(config["vocab_size"])
        heads = int(config["num_attention_heads"])
    except (KeyError, TypeError, ValueError):
        return None
    if kind not in ("llama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma2", "gemma3_text"):
        return None
    head = int(config.get("head_dim") or width // heads)
    queries, values = heads * head, int(config.get("num_key_value_heads") or heads) * head
    linear = layers * (2 * width * queries + 2 * width * values + 3 * width * inner)
    norms = layers * width * (4 if kind in ("gemma2", "gemma3_text") else 2) + width
    if kind in ("qwen3", "gemma3_text"):
        norms += layers * 2 * head
    biases = layers * (queries + 2 * values) if kind == "qwen2" else 0
    if kind == "llama" and config.get("attention_bias"):
        biases = layers * (queries + 2 * values + width)
    if kind == "llama" and config.get("mlp_bias"):
        biases += layers * (2 * inner + width)
    embeddings = words * width * (1 if is_tied(config) else 2)
    return Size(linear + norms + biases + embeddings, linear)


def is_tied(config: dict[str, Any]) -> bool:
    """Whether output head and embedding are one matrix; Gemma ties without saying so."""
    default = str(config.get("model_type", "")).startswith(("gemma", "gpt2"))
    return bool(config.get("tie_word_embeddings", default))
