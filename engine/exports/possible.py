"""Which exports can be made of a run at all, known from its recipe and its base's configuration alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import models
from engine.errors import UserError
from engine.runs import Run

MODELS = ("merged", "gguf", "ollama")
"""Kinds that hold a whole model."""

EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")

TAKEN_BY_OLLAMA = ("LlamaForCausalLM", "Gemma2ForCausalLM")
"""Architectures on which Ollama makes an adapter of PEFT's its own (its convert/convert.go)."""


def check(run: Run, kind: str, types: Sequence[str] = (), onto: str = "auto", ollama: str = "merged") -> None:
    """Raise UserError with the reason, and with what to export instead, where a kind cannot be made.

    types: of GGUF files. onto: what is merged onto. ollama: "merged", or "adapter" for one beside its base.
    """
    alone = kind == "adapter" or (kind == "gguf" and "lora" in types)
    alone = alone or (kind == "ollama" and ollama == "adapter")
    recipe = run.recipe()
    if recipe.train.method == "full":
        if alone:
            instead = (
                "export it without lora" if kind == "gguf" else "export merged, which is the model itself"
            )
            raise UserError(f"{run.name} trained all weights and has no adapter; {instead}")
        if kind in MODELS and onto == "4-bit":
            raise UserError("--onto 4-bit: the run trained all weights, and not in 4 bits; leave it out")
        return
    if alone and kind != "adapter" and recipe.lora.dora:
        raise UserError(
            f"llama.cpp and Ollama have no place for what DoRA learns besides A and B; export {kind} with the"
            " adapter merged into the model"
        )
    if kind in MODELS:
        _check_merge(run, onto)
    if kind == "ollama" and ollama == "adapter":
        found = (_configuration(run).get("architectures") or ["none"])[0]
        if found not in TAKEN_BY_OLLAMA:
            raise UserError(
                f"Ollama takes adapters on {' and '.join(TAKEN_BY_OLLAMA)} alone, and this base is"
                f" {found}; export ollama with the adapter merged into the model"
            )


def is_packed(base: Path) -> bool:
    """Whether a base lies on the disk in bitsandbytes' 4 bits."""
    stored = json.loads((base / "config.json").read_text("utf-8")).get("quantization_config") or {}
    return stored.get("quant_method") == "bitsandbytes" and bool(stored.get("load_in_4bit"))


def _check_merge(run: Run, onto: str) -> None:
    config, recipe = _configuration(run), run.recipe()
    if any(config.get(key) for key in EXPERTS):
        raise UserError(
            "a mixture of experts is not merged here: its adapters are laid out otherwise than its files;"
            " export the adapter instead"
        )
    stored = config.get("quantization_config")
    base = models.locate(recipe.model.id)
    if stored is not None and base is not None and not is_packed(base):
        raise UserError(
            f"the base is stored in {stored.get('quant_method')}, whose 16-bit weights cannot be had from it"
            " here; export the adapter instead"
        )
    if stored is not None and onto == "original":
        raise UserError(
            "--onto original: the base on this machine is stored in 4 bits; leave it out, or train on the"
            " model that it was made from"
        )
    if onto == "original" and recipe.lora.init == "loftq":
        raise UserError(
            "--onto original: the adapter makes up for what 4 bits took from the base (lora.init loftq), and"
            " the originals lost nothing; leave it out"
        )


def _configuration(run: Run) -> dict[str, Any]:
    """The base's config.json; {} of one that is not here, which is said elsewhere."""
    base = models.locate(run.recipe().model.id)
    try:
        text = (base / "config.json").read_text("utf-8") if base else "{}"
        found = json.loads(text)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
