"""Shapes from config.json alone, against the models that transformers builds on the meta device."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import RECIPES, lora, shapes
from engine.shapes import Shapes, Unknown

LAYERS_BUILT = 2
"""Of the real widths: a meta model of 48 layers takes seconds to build. One model is built whole."""


def config(kind: str, hidden: int, inner: int, layers: int, heads: int, keys: int, vocab: int,
           **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "model_type": kind,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": vocab,
        **more,
    }


GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
}
CONFIGS = {
    "Llama-3.2-1B": config("llama", 2048, 8192, 16, 32, 8, 128256, head_dim=64, tie_word_embeddings=True),
    "Llama-3.1-8B": config("llama", 4096, 14336, 32, 32, 8, 128256),
    "Qwen2.5-0.5B": config("qwen2", 896, 4864, 24, 14, 2, 151936, tie_word_embeddings=True),
    "Qwen2.5-7B": config("qwen2", 3584, 18944, 28, 28, 4, 152064),
    "Qwen3-0.6B": config("qwen3", 1024, 3072, 28, 16, 8, 151936, head_dim=128, tie_word_embeddings=True),
    "Qwen3-4B": config("qwen3", 2560, 9728, 36, 32, 8, 151936, head_dim=128, tie_word_embeddings=True),
    "Qwen3-30B-A3B": config("qwen3_moe", 2048, 6144, 48, 32, 4, 151936, head_dim=128, num_experts=128,
                            num_experts_per_tok=8, moe_intermediate_size=768),
    "Qwen1.5-MoE-A2.7B": config("qwen2_moe", 2048, 5632, 24, 16, 16, 151936),
    "Gemma-2-2b": config("gemma2", 2304, 9216, 26, 8, 4, 256000, head_dim=256),
    "Gemma-3-1b": config("gemma3_text", 1152, 6912, 26, 4, 1, 262144, head_dim=256),
    "Phi-3.5-mini": config("phi3", 3072, 8192, 32, 32, 32, 32064),
    "Phi-4-mini": config("phi3", 3072, 8192, 32, 24, 8, 200064, tie_word_embeddings=True),
    "SmolLM2-135M": config("llama", 576, 1536, 30, 9, 3, 49152, tie_word_embeddings=True),
    "SmolLM3-3B": config("smollm3", 2048, 11008, 36, 16, 4, 128256, tie_word_embeddings=True),
    "Mistral-7B": config("mistral", 4096, 14336, 32, 32, 8, 32768),
    "Mixtral-8x7B": config("mixtral", 4096, 14336, 32, 32, 8, 32000),
    "GPT-2": GPT2,
    "tiny": json.loads((RECIPES / "models" / "tiny" / "config.json").read_text("utf-8")),
    "with biases": config("llama", 64, 128, 3, 4, 2, 100, attention_bias=True, mlp_bias=True),
    "dense and sparse layers": config("qwen3_moe", 64, 128, 4, 4, 2, 100, num_experts=4,
                                      decoder_sparse_step=2, moe_intermediate_size=32, num_experts_per_tok=2),
}  # fmt: skip
PUBLISHED = {
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3.1-8B": 8_030_261_248,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen3-0.6B": 596_049_920,
    "Qwen3-4B": 4_022_468_096,
    "Qwen3-30B-A3B": 30_532_122_624,
    "Gemma-2-2b": 2_614_341_888,
    "Gemma-3-1b": 999_885_952,
    "Phi-3.5-mini": 3_821_079_552,
    "Phi-4-mini": 3_836_021_760,
    "SmolLM2-135M": 134_515_008,
    "SmolLM3-3B": 3_075_098_624,
    "Mixtral-8x7B": 46_702_792_704,
    "GPT-2": 124_439_808,
}
"""What the hub says of each: the sum over its safetensors files."""


def known(facts: dict[str, Any]) -> Shapes:
    found = shapes.read(facts)
    assert isinstance(found, Shapes), found
    return found


def cut(facts: dict[str, Any], layers: int) -> dict[str, Any]:
    key = "n_layer" if "n_layer" in facts else "num_hidden_layers"
    return {**facts, key: min(facts[key], layers)}


def built(facts: dict[str, Any]) -> Any:
    """transformers' own model of that config, without memory for its weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = dict(facts)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings))


def kind(name: str) -> str:
    """What a parameter of a model is, by the names that transformers gives."""
    last = name.split(".")[-2]
    if "norm" in last or last.startswith("ln_"):
        return "norm"
    if name.endswith("bias"):
        return "bias"
    if ".experts" in name:
        return "expert"
    if name.endswith(".gate.weight"):
        return "router"
    return {"embed_tokens": "embedding", "wte": "embedding", "wpe": "embedding", "lm_head": "head"}.get(
        last, "linear"
    )


def by_kind(model: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        found[kind(name)] = found.get(kind(name), 0) + parameter.numel()
    return found


def assert_counted(facts: dict[str, Any]) -> None:
    found, model = known(facts), built(facts)
    ours = {one: found.count(one) for one in {weight.kind for weight in found.weights}}
    assert ours == by_kind(model)
    assert found.count() == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_every_kind_of_weight_is_counted_as_transformers_builds_it(name: str) -> None:
    assert_counted(cut(CONFIGS[name], 4 if name == "dense and sparse layers" else LAYERS_BUILT))


def test_a_whole_model_is_counted() -> None:
    assert_counted(CONFIGS["Llama-3.2-1B"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_all_layers_together_are_what_the_hub_says(name: str) -> None:
    assert known(CONFIGS[name]).count() == PUBLISHED[name]


def test_shapes_and_names_are_those_of_the_state_dict() -> None:
    for facts in (CONFIGS["Phi-3.5-mini"], GPT2, CONFIGS["Qwen3-30B-A3B"]):
        found = known(cut(facts, 1))
        ours = {weight.name.replace("*", "0"): weight.shape for weight in found.weights}
        assert ours == {name: tuple(value.shape) for name, value in built(cut(facts, 1)).named_parameters()}


def test_gemma_3_with_pictures_is_read_by_its_text_part() -> None:
    """google/gemma-3-4b-it says little of its text part: the rest are transformers' own defaults."""
    import torch
    from transformers import AutoModelForCausalLM, Gemma3TextConfig

    text = {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
    }
    found = known({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}})
    assert (found.layers, found.vocab, found.heads) == (34, 262_208, 8) and "pictures" in found.note
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(Gemma3TextConfig(**cut(text, LAYERS_BUILT)))
    one = known({"model_type": "gemma3", "text_config": cut(text, LAYERS_BUILT)})
    assert one.count() == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"model_type": "mamba", "hidden_size": 8}, "mamba"),
        ({}, "no model_type"),
        ({"model_type": "gemma3"}, "text_config"),
        ({"model_type": "llama", "hidden_size": 64}, "vocab_size"),
        (config("llama", 64, 128, 2, 0, 2, 100), "num_attention_heads"),
        (config("llama", 64, 128, 2, 4, 2, 100) | {"hidden_size": "64"}, "hidden_size"),
        (config("qwen3_moe", 64, 128, 2, 4, 2, 100, num_experts=True), "num_experts"),
    ],
)
def test_what_is_not_known_has_a_reason(facts: dict[str, Any], said: str) -> None:
    found = shapes.read(facts)
    assert isinstance(found, Unknown) and said in found.reason


MIXTURES = ("Mixtral-8x7B", "Qwen3-30B-A3B", "Qwen1.5-MoE-A2.7B", "dense and sparse layers")
UNTIED = CONFIGS["tiny"] | {"tie_word_embeddings": False}


@pytest.mark.parametrize("name", ["tiny", "Phi-3.5-mini", "GPT-2", *MIXTURES])
def test_all_linear_is_what_peft_makes_of_it(name: str) -> None:
    assert_adapted(cut(CONFIGS[name], 2 if name in MIXTURES else 1), ())


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        (CONFIGS["tiny"], ("q_proj", "down_proj")),
        (CONFIGS["tiny"], ("self_attn.o_proj",)),
        (CONFIGS["tiny"], ("embed_tokens",)),
        (UNTIED, ("v_proj", "lm_head")),
        (cut(GPT2, 1), ("c_proj",)),
        (cut(CONFIGS["Phi-3.5-mini"], 1), ("qkv_proj",)),
        (cut(CONFIGS["Mixtral-8x7B"], 1), ("q_proj", "w2")),
    ],
)
def test_layers_by_name_are_those_that_peft_finds(facts: dict[str, Any], names: tuple[str, ...]) -> None:
    assert_adapted(facts, names)


def test_parts_of_a_fused_layer_stand_for_it() -> None:
    found = known(CONFIGS["Phi-3.5-mini"])
    assert lora.adapted(found, ("q_proj", "k_proj")) == lora.adapted(found, ("qkv_proj",))
    assert [one.weight.features for one in lora.adapted(found, ("up_proj",))] == [(3072, 2 * 8192)]


def assert_adapted(facts: dict[str, Any], names: tuple[str, ...]) -> None:
    from peft import LoraConfig, get_peft_model

    asked = LoraConfig(r=8, target_modules=list(names) or "all-linear", task_type="CAUSAL_LM")
    trainable, _ = get_peft_model(built(facts), asked).get_nb_trainable_parameters()
    assert lora.trainable(known(facts), 8, names) == trainable
