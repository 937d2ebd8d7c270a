"""The whole model with the adapter in it: safetensors that transformers and vLLM load by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from engine.errors import UserError
from engine.exports import possible
from engine.render import ChatFormat
from engine.workers.adapters import Saved
from engine.workers.exporting import merge, parts

SHARD = 5_000_000_000
"""Bytes of a file of weights; what the hub and transformers use as well."""

Onto = Literal["original", "4-bit"]


@dataclass(frozen=True)
class Merge:
    """What a merge is made of. onto: the base's own weights, or what 4-bit quantising left of them; base:
    where the weights lie, the run's own folder where it trained all of them and nothing is to be merged."""

    base: Path
    dtype: torch.dtype
    onto: Onto
    notes: list[str]


def plan(one: Saved, base: Path, dtype: str, onto: str) -> Merge:
    """How this adapter is merged, of which exports/possible.py knows that it can be. onto: "auto" is the
    original here. Raises UserError for a run that was not trained in 4 bits."""
    config = json.loads((base / "config.json").read_text("utf-8"))
    if one.whole:
        return Merge(one.folder, _dtype(one, config, dtype), "original", [])
    if possible.is_packed(base):
        said = (
            "the base is stored in 4 bits: its weights were turned back into 16 bits, no originals are here"
        )
        return Merge(base, _dtype(one, config, dtype), "4-bit", [said])
    quantised = one.made_with.get("quantization") is not None
    if onto == "4-bit" and not quantised:
        raise UserError("--onto 4-bit: the run was not trained in 4 bits; leave it out")
    notes = []
    if onto == "4-bit":
        notes.append("it stands on the dequantised 4-bit weights that it was trained on, not the originals")
    elif quantised:
        notes.append("trained on the base in 4 bits, put onto its original weights")
    return Merge(base, _dtype(one, config, dtype), "4-bit" if onto == "4-bit" else "original", notes)


def _dtype(one: Saved, config: dict[str, Any], asked: str) -> torch.dtype:
    """auto: what the run computed in; of a 4-bit run the base's own 16-bit type, else bfloat16."""
    if asked == "auto":
        own = str(config.get("dtype") or config.get("torch_dtype") or "")
        asked = one.made_with["dtype"]
        if one.made_with.get("quantization") is not None:
            asked = own if own in ("bfloat16", "float16") else "bfloat16"
    found: torch.dtype = getattr(torch, asked)
    return found


def fill(
    how: Merge,
    one: Saved,
    chat: ChatFormat,
    base: Path,
    out: Path,
    limit: int,
    progress: Callable[[int, int], None],
    bare: bool = False,
) -> None:
    """Write the model into a folder, which is made. base: whose licence and begin token it has; bare: without
    the adapter."""
    out.mkdir(exist_ok=True)
    again = how.onto == "4-bit" and not possible.is_packed(how.base)
    restored = requantised(how.base, one) if again else _as_it_is
    change = None if bare or one.whole else one.folder
    merge.write(how.base, change, out, how.dtype, limit, restored, progress)
    config = json.loads((how.base / "config.json").read_text("utf-8"))
    for key in ("quantization_config", "_name_or_path"):
        config.pop(key, None)
    if one.whole:
        config["use_cache"] = True  # which is off while a model trains
    # Both names: transformers 5 says dtype, what reads older folders says torch_dtype.
    config["dtype"] = config["torch_dtype"] = str(how.dtype).removeprefix("torch.")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    parts.tokenizer(chat, one.folder, base, out)
    parts.generation_config(chat, base, out)
    parts.licences(base, out)


def _as_it_is(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def requantised(base: Path, one: Saved) -> merge.Restored:
    """Weights of linear layers quantised as in training and back; others as they are."""
    from bitsandbytes import functional
    from transformers.quantizers.quantizers_utils import should_convert_module

    config = one.made_with["quantization"]
    skipped = list(config.get("llm_int8_skip_modules") or ("lm_head",))
    layers = _linear(base)
    compute = getattr(torch, config["bnb_4bit_compute_dtype"])
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def restored(name: str, tensor: torch.Tensor) -> torch.Tensor:
        layer = name.removesuffix(".weight")
        known = next((one for one in layers if one == layer or one.endswith("." + layer)), None)
        # By transformers' own rule: "mlp.gate", which is a router's, is no "mlp.gate_proj".
        if known is None or not should_convert_module(known, skipped):
            return tensor
        packed, state = functional.quantize_4bit(
            tensor.to(device, compute),
            quant_type=config["bnb_4bit_quant_type"],
            compress_statistics=config["bnb_4bit_use_double_quant"],
        )
        back: torch.Tensor = functional.dequantize_4bit(packed, state)
        return back.cpu()

    return restored


def _linear(base: Path) -> set[str]:
    """Names of the model's linear layers, from its configuration alone: no weight is loaded."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    return {name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
