"""The configurations that fit.py runs: shapes of models, batches, settings."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from engine import RECIPES

Case = dict[str, Any]


def model(
    kind: str, hidden: int, inner: int, layers: int, heads: int, keys: int, vocab: int, **more: Any
) -> Case:
    named = {
        "model_type": kind,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": vocab,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    }
    return {**named, **more}


def case(config: Case, batch: int, length: int, **settings: Any) -> Case:
    return {"config": config, "batch": batch, "length": length, **settings}


TINY = json.loads((RECIPES / "models" / "tiny" / "config.json").read_text("utf-8"))
SMOL = model("llama", 576, 1536, 30, 9, 3, 49152)
QWEN = model("qwen2", 448, 2432, 8, 7, 1, 150_000)
GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 512,
    "n_layer": 6,
    "n_head": 8,
}

ON_CPU: list[Case] = [
    case(model("llama", 128, 384, 2, 4, 2, 2048), 1, 128),
    case(TINY, 8, 512),
    case(TINY, 2, 256, checkpointing=False),
    case(model("llama", 256, 768, 4, 4, 4, 32000), 4, 256, rank=64),
    case(model("llama", 512, 1536, 6, 8, 4, 16000), 4, 512, four_bit=False),
    case(model("llama", 512, 1536, 6, 8, 4, 16000), 2, 1024, evaluated=True),
    case(model("llama", 512, 1536, 6, 8, 4, 16000), 4, 512, four_bit=False, checkpointing=False),
    case(model("llama", 768, 2048, 12, 12, 4, 32000), 1, 512),
    case(model("llama", 768, 2048, 12, 12, 4, 32000), 2, 384, checkpointing=False),
    case(model("llama", 384, 1536, 5, 6, 6, 8000), 8, 768),
    case(SMOL, 1, 256, four_bit=False),
    case(SMOL, 2, 384, rank=8),
    case(SMOL, 1, 768, checkpointing=False, rank=32),
    case(QWEN, 1, 512),
    case(QWEN, 4, 256, evaluated=True),
    case(model("qwen3", 640, 1920, 10, 10, 2, 64000, head_dim=64), 2, 512),
    case(model("mistral", 1024, 3584, 6, 16, 4, 32000, tie_word_embeddings=False), 2, 512, four_bit=False),
    case(model("phi3", 512, 1408, 8, 8, 8, 32064, tie_word_embeddings=False, pad_token_id=0), 4, 256),
    case(model("gemma2", 512, 2048, 6, 4, 2, 100_000, head_dim=128), 2, 384),
    case(GPT2, 2, 512),
    case(model("llama", 1280, 3456, 6, 20, 5, 32000), 8, 256, four_bit=False),
    case(model("llama", 512, 1536, 6, 8, 4, 16000), 4, 512, kept=True),
    case(model("llama", 512, 1536, 6, 8, 4, 16000), 2, 512, attention="eager"),
]  # fmt: skip

REAL = [
    SMOL,
    model("qwen2", 896, 4864, 24, 14, 2, 151936),
    model("llama", 2048, 8192, 16, 32, 8, 128256, head_dim=64),
    model("qwen3", 2560, 9728, 18, 32, 8, 151936, head_dim=128),
    model("llama", 4096, 14336, 8, 32, 8, 128256, tie_word_embeddings=False),
]
"""Widths of SmolLM2-135M, Qwen2.5-0.5B, Llama-3.2-1B, Qwen3-4B, Llama-3.1-8B (the last two: fewer layers)."""
ON_CUDA: list[Case] = [
    case(
        config, batch, length, four_bit=four_bit, checkpointing=checkpointing, evaluated=length == 2048,
        kept=four_bit and not checkpointing,
    )
    for config, four_bit, checkpointing, (batch, length) in product(
        REAL, (True, False), (True, False), ((1, 4096), (4, 2048), (16, 512))
    )
]  # fmt: skip
