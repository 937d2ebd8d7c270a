"""Merging tensor by tensor against PEFT's own merge, on small models of several architectures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import UserError

if TYPE_CHECKING:
    import torch

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pair")]

IDS = [[5, 9, 2, 17, 33, 1]]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "tied": ("LlamaConfig", {**SMALL, "intermediate_size": 48, "tie_word_embeddings": True}, {}),
    "rank-stabilised, head": (
        "LlamaConfig",
        {**SMALL, "intermediate_size": 48, "tie_word_embeddings": False},
        {"use_rslora": True, "target_modules": ["q_proj", "down_proj", "lm_head"]},
    ),
    "Conv1D": (
        "GPT2Config",
        {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 64, "n_positions": 32},
        {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True},
    ),
    "DoRA": (
        "LlamaConfig",
        {**SMALL, "intermediate_size": 48, "tie_word_embeddings": True},
        {"use_dora": True, "use_rslora": True},
    ),
    "DoRA, Conv1D": (
        "GPT2Config",
        {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 64, "n_positions": 32},
        {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True, "use_dora": True},
    ),
    "fused": (
        "Phi3Config",
        {**SMALL, "intermediate_size": 48, "pad_token_id": 0},
        {"target_modules": ["qkv_proj", "gate_up_proj", "o_proj"]},
    ),
}


def made(folder: Path, kind: str) -> tuple[Path, Path, torch.Tensor]:
    """A random base, a random adapter on it, and the logits of both together."""
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    name, shape, lora = KINDS[kind]
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**shape))
    model.save_pretrained(folder / "base")
    lora = {"target_modules": "all-linear", **lora}
    peft = get_peft_model(model, LoraConfig(r=6, lora_alpha=9, task_type="CAUSAL_LM", **lora))
    with torch.no_grad():
        for key, weight in peft.named_parameters():
            if "lora_B" in key:
                weight.normal_(std=0.3)
            elif "lora_magnitude_vector" in key:
                weight.mul_(torch.rand_like(weight) + 0.5)
        peft.eval()
        logits = peft(torch.tensor(IDS)).logits
    peft.save_pretrained(folder / "adapter")
    return folder / "base", folder / "adapter", logits


def merge(base: Path, adapter: Path, out: Path, dtype: str = "float32", limit: int = 1 << 40) -> int:
    import shutil

    import torch

    from engine.workers.exporting import merge

    out.mkdir()
    written = merge.write(
        base,
        adapter,
        out,
        getattr(torch, dtype),
        limit,
        lambda name, tensor: tensor,
        lambda done, total: None,
    )
    shutil.copy(base / "config.json", out)
    return written


@pytest.mark.parametrize("kind", KINDS)
def test_the_merged_model_says_what_the_adapter_says(kind: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    base, adapter, expected = made(tmp_path, kind)
    merge(base, adapter, tmp_path / "out")
    with torch.no_grad():
        said = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()(torch.tensor(IDS)).logits
        bare = AutoModelForCausalLM.from_pretrained(base).eval()(torch.tensor(IDS)).logits
    assert torch.allclose(said, expected, atol=2e-5)
    assert (bare - expected).abs().max() > 0.1


def test_a_rank_stabilised_adapter_is_told_to_readers_that_know_no_such_thing(tmp_path: Path) -> None:
    import torch

    from engine.workers.exporting import adapter as exported
    from engine.workers.exporting.merge import pairs

    _, adapter, _ = made(tmp_path, "rank-stabilised, head")
    before = pairs(adapter)
    exported.unstabilise(adapter / "adapter_model.safetensors")
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"use_rslora": False}))
    after = pairs(adapter)
    assert before.keys() == after.keys() and before
    for name, pair in before.items():
        assert torch.allclose(pair.delta, after[name].delta, atol=1e-6) and after[name].scale == 9 / 6


def test_shards_have_an_index_and_the_true_size(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    base, adapter, expected = made(tmp_path, "tied")
    one, many = tmp_path / "one", tmp_path / "many"
    size = merge(base, adapter, one, "bfloat16")
    assert merge(base, adapter, many, "bfloat16", limit=8_000) == size
    index = json.loads((many / "model.safetensors.index.json").read_text())
    files = sorted(many.glob("*.safetensors"))
    assert len(files) > 3 and files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    tensors = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert index["metadata"]["total_size"] == size == sum(t.numel() * 2 for t in tensors.values())
    assert index["weight_map"].keys() == tensors.keys()
    for name, tensor in load_file(one / "model.safetensors").items():
        assert tensor.dtype == torch.bfloat16 and torch.equal(tensor, tensors[name])
    with torch.no_grad():
        said = AutoModelForCausalLM.from_pretrained(many, dtype="float32")(torch.tensor(IDS)).logits
    assert (said - expected).abs().max() < 0.1


def test_a_base_that_is_stored_in_four_bits_is_turned_back(tmp_path: Path) -> None:
    """As bitsandbytes itself does where the model is loaded, double quantisation and all."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    base, adapter, _ = made(tmp_path, "tied")
    four = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    packed = AutoModelForCausalLM.from_pretrained(base, quantization_config=four, dtype="float32")
    packed.save_pretrained(tmp_path / "packed")
    merge(tmp_path / "packed", adapter, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config.pop("quantization_config")["load_in_4bit"]
    (tmp_path / "out" / "config.json").write_text(json.dumps(config))
    with torch.no_grad():
        expected = PeftModel.from_pretrained(packed, adapter).eval()(torch.tensor(IDS)).logits
        said = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()(torch.tensor(IDS)).logits
    assert torch.allclose(said, expected, atol=1e-3)


def test_a_weight_is_rounded_to_4_bits_where_training_had_it_so(tmp_path: Path) -> None:
    """With the modules that Unsloth leaves out, some of which are called like parts of others."""
    import torch
    from bitsandbytes import functional
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from engine.runs import Run
    from engine.workers.adapters import Saved
    from engine.workers.exporting import merged, stored

    base, adapter, _ = made(tmp_path, "tied")
    four = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
        llm_int8_skip_modules=["lm_head", "mlp.gate", "o_proj"],
    )
    model = AutoModelForCausalLM.from_pretrained(base, quantization_config=four, dtype="float32")
    saved = Saved(Run(tmp_path), 1, adapter, "", {}, {"quantization": four.to_dict()})
    restored = merged.requantised(base, saved)
    rounded = set()
    for one in stored.tensors(base):
        weight = stored.read(one)
        held = model.get_parameter(one.name)
        state = getattr(held, "quant_state", None)
        expected = held.data if state is None else functional.dequantize_4bit(held.data, state)
        assert torch.equal(restored(one.name, weight), expected.to(weight.dtype)), one.name
        if state is not None:
            rounded.add(one.name.split(".")[-2])
    assert rounded == {"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"}


def test_loftqs_first_weights_are_worked_out_again_from_the_files(tmp_path: Path) -> None:
    """As loftq.py gave them to the loaded model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from engine.runs import Run
    from engine.workers import loftq
    from engine.workers.adapters import Saved
    from engine.workers.exporting import first

    base, _, _ = made(tmp_path, "tied")
    four = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
    )
    held = AutoModelForCausalLM.from_pretrained(base, quantization_config=four, dtype="float32")
    peft = get_peft_model(held, LoraConfig(r=6, lora_alpha=9, target_modules="all-linear", use_rslora=True))
    loftq.begin(peft, base)
    peft.save_pretrained(tmp_path / "begun")
    config = json.loads((tmp_path / "begun" / "adapter_config.json").read_text())
    made_with = {"quantization": held.config.quantization_config.to_dict(), "dtype": "float32"}
    saved = Saved(Run(tmp_path), 0, tmp_path / "begun", "", config, made_with)
    again = first._begun(saved, base)
    expected = load_file(tmp_path / "begun" / "adapter_model.safetensors")
    assert again.keys() == expected.keys()
    assert all(torch.equal(again[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"alpha_pattern": {"q_proj": 3}}, "alphas of their own"),
    ],
)
def test_what_is_not_merged_is_refused(change: dict[str, Any], word: str, tmp_path: Path) -> None:
    base, adapter, _ = made(tmp_path, "tied")
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UserError, match=word):
        merge(base, adapter, tmp_path / "out")


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    base, _, _ = made(tmp_path, "tied")
    _, adapter, _ = made(tmp_path / "other", "Conv1D")
    with pytest.raises(UserError, match="which the base's files do not have"):
        merge(base, adapter, tmp_path / "out")
