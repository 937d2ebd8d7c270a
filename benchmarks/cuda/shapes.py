"""Models of public shapes with random weights, made here: nothing is downloaded, and nothing is learnt yet.

The numbers are those of each model's public config.json. `tiny` has the same architecture and small widths,
for a CPU. Weights are made tensor by tensor, on the GPU where there is one, and written shard by shard, so
that never more than one shard is in memory.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine import RECIPES

LLAMA3 = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
    "rms_norm_eps": 1e-5,
    "head_dim": 128,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rope_parameters": {"rope_theta": 500_000.0, "rope_type": "default"},
}
SHAPES: dict[str, dict[str, Any]] = {
    "Llama-3.1-8B": {
        **LLAMA3, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
        "tie_word_embeddings": False,
    },
    "Qwen3-4B": {
        "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 151_936,
        "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40_960, "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_theta": 1_000_000.0, "rope_type": "default"}, "tie_word_embeddings": True,
    },
    "Llama-3.2-1B": {
        **LLAMA3, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64,
        "tie_word_embeddings": True,
    },
    "SmolLM-135M": {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 49_152,
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_theta": 10_000.0, "rope_type": "default"}, "tie_word_embeddings": True,
    },
}  # fmt: skip
"""Llama-3.1's scaling of long positions is left out: it changes no shape and no time."""

TINY = {
    "vocab_size": 2048, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 2,
    "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 64, "max_position_embeddings": 2048,
}  # fmt: skip

SHARD = 2 << 30
"""Bytes."""
DEVIATION = 0.02
"""Of weights, as these models are initialised; what goes into the residual stream gets less, by its depth."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def config(name: str, tiny: bool) -> dict[str, Any]:
    """The config.json of a model, with the special ids of the embedded tokenizer."""
    ids = {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 3, "dtype": "bfloat16"}
    return {**SHAPES[name], **(TINY if tiny else {}), **ids}


def make(name: str, folder: Path, tiny: bool = False, seed: int = 0) -> Path:
    """A folder with the model, unless it is there already: whole, or absent."""
    target = folder / (f"{name}-tiny" if tiny else name)
    if target.is_dir():
        return target
    part = folder / f"{target.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    facts = config(name, tiny)
    (part / "config.json").write_text(json.dumps(facts, indent=1), "utf-8")
    for file in TOKENIZER:
        shutil.copyfile(RECIPES / "models" / "tiny" / file, part / file)
    _write(facts, part, seed)
    part.rename(target)
    return target


def _write(facts: dict[str, Any], folder: Path, seed: int) -> None:
    from safetensors.torch import save_file

    where: dict[str, str] = {}
    shard: dict[str, Any] = {}
    size = total = number = 0

    def flush() -> None:
        nonlocal number, size
        number += 1
        name = f"model-{number:05d}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        where.update(dict.fromkeys(shard, name))
        shard.clear()
        size = 0

    for name, tensor in _tensors(facts, seed):
        if shard and size + tensor.nbytes > SHARD:
            flush()
        shard[name] = tensor.cpu()
        size += tensor.nbytes
        total += tensor.nbytes
    flush()
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def _tensors(facts: dict[str, Any], seed: int) -> Iterator[tuple[str, Any]]:
    """Name and random weight of each tensor, in the order of the model's own."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = AutoConfig.for_model(**facts)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(kind)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    numbers = torch.Generator(device).manual_seed(seed)
    residual = DEVIATION / (2 * facts["num_hidden_layers"]) ** 0.5
    for name, shape in ((name, weight.shape) for name, weight in model.state_dict().items()):
        if facts["tie_word_embeddings"] and name == "lm_head.weight":
            continue
        if len(shape) == 1:  # norms
            yield name, torch.ones(shape, dtype=torch.bfloat16)
            continue
        deviation = residual if name.endswith(("o_proj.weight", "down_proj.weight")) else DEVIATION
        weight = torch.empty(shape, dtype=torch.bfloat16, device=device)
        yield name, weight.normal_(0.0, deviation, generator=numbers)
