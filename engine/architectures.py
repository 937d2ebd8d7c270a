"""How each known architecture is built, as a table: what `engine.shapes` reads a config.json by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NORM_NAMES: dict[str, tuple[str, ...]] = {
    "two": ("input_layernorm", "post_attention_layernorm"),
    "four": (
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
}


FUSED = {
    "q_proj": "qkv_proj",
    "k_proj": "qkv_proj",
    "v_proj": "qkv_proj",
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
}
"""Where a model has only the fused layer, Unsloth adapts it in place of the one asked for."""


EXPERT_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "mixtral": {"gate_up_proj": ("w1", "w3"), "down_proj": ("w2",), "gate": ("gate",)},
    "qwen3_moe": {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",), "gate": ("gate",)},
}
"""Parameters of a mixture, and the names, all of them, by which PEFT puts LoRA on it (not on Qwen2-MoE)."""


@dataclass(frozen=True)
class Architecture:
    """How one model_type is built; `defaults` stand for keys that config.json may leave out."""

    tied: bool = False
    norms: Literal["two", "four"] = "two"
    head_norms: bool = False
    """An RMS norm on each head's queries and keys."""
    fused: bool = False
    """Queries, keys and values in one layer, gate and up in another."""
    biases: tuple[str, ...] = ()
    """Layers that always have a bias."""
    attention_bias: tuple[str, ...] = ()
    """Layers that have one where config.json says attention_bias (Qwen2-MoE: qkv_bias)."""
    mlp_bias: bool = False
    experts: str = ""
    """The key that says how many experts a layer has; "" for dense models."""
    chunked_loss: bool = True
    """Whether the loss is computed without the whole logits (unsloth_zoo/cpu/ops.py lists the types)."""
    defaults: Mapping[str, Any] = field(default_factory=dict)


QKV = ("q_proj", "k_proj", "v_proj")
QKVO = (*QKV, "o_proj")
GEMMA = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "hidden_size": 2304,
         "intermediate_size": 9216, "num_hidden_layers": 26}  # fmt: skip

ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(attention_bias=QKVO, mlp_bias=True),
    "mistral": Architecture(defaults={"num_key_value_heads": 8}),
    "qwen2": Architecture(biases=QKV),
    "qwen3": Architecture(attention_bias=QKVO, head_norms=True, defaults={"head_dim": 128}),
    "gemma": Architecture(tied=True, attention_bias=QKVO, defaults={"head_dim": 256}),
    "gemma2": Architecture(
        tied=True,
        norms="four",
        attention_bias=QKVO,
        chunked_loss=False,
        defaults={**GEMMA, "vocab_size": 256_000, "final_logit_softcapping": 30.0},
    ),
    "gemma3_text": Architecture(
        tied=True,
        norms="four",
        head_norms=True,
        attention_bias=QKVO,
        chunked_loss=False,
        defaults={**GEMMA, "vocab_size": 262_208},
    ),
    "phi3": Architecture(fused=True),
    "smollm3": Architecture(
        tied=True, attention_bias=QKVO, mlp_bias=True, defaults={"num_key_value_heads": 4}
    ),
    "mixtral": Architecture(
        experts="num_local_experts",
        chunked_loss=False,
        defaults={"num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2},
    ),
    "qwen2_moe": Architecture(
        attention_bias=QKV,
        experts="num_experts",
        chunked_loss=False,
        defaults={
            "attention_bias": True,
            "num_experts": 60,
            "num_experts_per_tok": 4,
            "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
        },
    ),
    "qwen3_moe": Architecture(
        attention_bias=QKVO,
        head_norms=True,
        experts="num_experts",
        chunked_loss=False,
        defaults={"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768},
    ),
    "gpt2": Architecture(
        tied=True,
        chunked_loss=False,
        defaults={
            "vocab_size": 50257,
            "n_positions": 1024,
            "n_embd": 768,
            "n_layer": 12,
            "n_head": 12,
        },
    ),
}

NESTED = {"gemma3": "gemma3_text"}
"""Models of text and pictures: config.json holds the text part under text_config."""


class Missing(Exception):
    """A key that has to be there."""


class Facts:
    """config.json with numbers that are checked as they are asked for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def number(self, key: str, otherwise: int | None = None) -> int:
        value = self._config.get(key, otherwise)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Missing(key)
        return value

    def says(self, key: str, otherwise: bool = False) -> bool:
        return bool(self._config.get(key, otherwise))

    def maybe(self, key: str) -> int | None:
        value = self._config.get(key)
        return value if isinstance(value, int) and value > 0 else None

    def places(self, key: str) -> Collection[int]:
        value = self._config.get(key) or ()
        return [place for place in value if isinstance(place, int)] if isinstance(value, list | tuple) else ()
