"""What vLLM refuses of a LoRA adapter, and how it is to be started for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank can be (docs.vllm.ai: vllm.config.lora); its default is 16."""
DEFAULT_RANK = 16

UNSERVED = {
    "use_dora": "it was trained with DoRA",
    "modules_to_save": "it holds whole layers besides LoRA (modules_to_save)",
    "layer_replication": "it repeats layers",
    "trainable_token_indices": "it changes token embeddings",
    "target_parameters": "it changes parameters that are no layers",
    "alora_invocation_tokens": "it is an activated LoRA",
}


def refused(config: Mapping[str, Any]) -> list[str]:
    """Why vLLM would not load an adapter with this adapter_config.json, parts of a sentence; [] if it would.

    As docs.vllm.ai has it: vllm.lora.peft_helper.PEFTHelper checks modules_to_save, DoRA, bias and the rank.
    """
    found = [why for key, why in UNSERVED.items() if config.get(key)]
    if config.get("bias", "none") != "none":
        found.append(f"it trains biases ({config['bias']})")
    if config.get("rank_pattern") or config.get("alpha_pattern"):
        found.append("its layers have ranks or alphas of their own")
    rank = config.get("r", 0)
    if rank > RANKS[-1]:
        found.append(f"its rank is {rank}, and the largest that is served is {RANKS[-1]}")
    return found


def options(config: Mapping[str, Any], four_bit: bool = False) -> str:
    """Options of `vllm serve BASE` for this adapter, besides --lora-modules.

    four_bit: whether it was trained on the base in NF4, as vLLM makes it while it loads (docs.vllm.ai:
    features/quantization/bnb).
    """
    rank = next(rank for rank in RANKS if rank >= max(config["r"], DEFAULT_RANK))
    said = "--quantization bitsandbytes --enable-lora" if four_bit else "--enable-lora"
    return said + (f" --max-lora-rank {rank}" if rank != DEFAULT_RANK else "")
