"""The forecast, term by term, against numbers worked out by hand for two models; and what follows from it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import footprint, memory, recipe
from engine.footprint import Device, Plan
from engine.memory import Forecast, Rows
from engine.schema import Recipe, Settled
from engine.shapes import Shapes, Unknown
from tests.test_shapes import CONFIGS, config, known
from tests.test_walls import HEAVY, loaded_after

GIB = 1 << 30
CPU, CUDA = Device("cpu", 16 * GIB), Device("cuda", 24 * GIB)

SMALL = known(config("llama", 64, 128, 2, 4, 2, 100, tie_word_embeddings=True))
"""Heads of 16: queries 64, keys and values 32. Linear weights a layer: 2 x 64x64, 2 x 32x64, 3 x 128x64."""
SHORT = Plan(length=16, batch=2, rank=8, evaluated=16)
"""32 tokens a batch."""
LLAMA = known(CONFIGS["Llama-3.2-1B"])
LONG = Plan(length=4096, batch=1, evaluated=4096)


def terms(forecast: Forecast) -> dict[str, int]:
    return {term.name: term.bytes for term in forecast.terms}


def test_a_small_model_on_cpu_by_hand() -> None:
    found = memory.forecast(SHORT, SMALL, CPU)
    tables = 16 * 4 + 256 * 4 + 4
    square, narrow, wide = 64 * 64, 32 * 64, 128 * 64
    nf4 = 2 * (square // 2 + 64 + 4 + tables) + 2 * (narrow // 2 + 32 + 4 + tables)
    nf4 += 3 * (wide // 2 + 128 + 4 + tables)
    adapter = 2 * 8 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))  # 16,384 parameters
    layer = 32 * 4 * (4 * 64 + 2 * 64 + 2 * 32 + 4 * 128) + 7 * 32 * 4 * 8  # 130,048
    back = 32 * 4 * (4 * 128 + 3 * 64) + wide * 4  # 122,880
    loss = 32 * 100 * 4 + 4 * 32 * 64 * 4  # 45,568
    assert adapter == 16_384 and layer == 130_048
    assert terms(found) == {
        "process": footprint.CPU_PROCESS,
        "weights in 4 bits": 2 * nf4,
        "weights in 32 bits": 4 * (100 * 64 + 5 * 64),
        "left from loading": (2 * (2 * square + 2 * narrow + 3 * wide) * 2) // 2,
        "LoRA weights": 4 * adapter,
        "gradients": 4 * adapter,
        "optimizer": 8 * adapter,
        "checkpoints": 2 * 32 * 64 * 4,
        "activations": layer + back,
        "heap": layer,
        "logits and loss": loss,
        "evaluation": 0,
    }
    assert found.total == sum(terms(found).values()) and all(term.how for term in found.terms)


def test_an_evaluation_of_long_rows_takes_whole_logits_on_cpu() -> None:
    """64 times as long as the training rows: its layers no longer go into what training has taken."""
    found = terms(memory.forecast(replace(SHORT, evaluated=1024), SMALL, CPU))
    passed = 2048 * 4 * (3 * 128 + 3 * 64) - 130_048
    assert found["evaluation"] == passed + 2048 * 100 * 8 - 45_568
    on_gpu = terms(memory.forecast(replace(SHORT, evaluated=1024), SMALL, CUDA))
    working = sum(on_gpu[name] for name in ("checkpoints", "activations", "logits and loss"))
    assert on_gpu["evaluation"] == 2048 * 2 * (3 * 128 + 3 * 64) + 512 * 100 * 8 - working


def test_the_same_without_checkpointing_and_in_full_width() -> None:
    plan = replace(SHORT, checkpointing=False, four_bit=False, evaluated=0)
    found = terms(memory.forecast(plan, SMALL, CPU))
    assert found["weights in 32 bits"] == 4 * 80_448
    assert found["activations"] == 2 * 130_048 + 32 * 4 * (4 * 128 + 3 * 64)
    assert found["evaluation"] == 0
    assert not found.keys() & {"checkpoints", "left from loading", "weights in 4 bits"}


def test_llama_1b_on_a_gpu_by_hand() -> None:
    found = terms(memory.forecast(LONG, LLAMA, CUDA))
    tables = 1092
    query = 2048 * 2048 // 2 + 65_536 + 4 * 256 + tables
    key = 512 * 2048 // 2 + 16_384 + 4 * 64 + tables
    mlp = 8192 * 2048 // 2 + 262_144 + 4 * 1024 + tables
    assert found["weights in 4 bits"] == 16 * (2 * query + 2 * key + 3 * mlp) == 502_103_488
    assert found["weights in 16 bits"] == 2 * (128_256 * 2048 + 33 * 2048) == 525_471_744
    assert found["LoRA weights"] == found["gradients"] == 4 * 11_272_192
    assert found["optimizer"] == 8 * 11_272_192
    layer = 4096 * 2 * (4 * 2048 + 2 * 2048 + 2 * 512 + 2 * 8192) + 7 * 4096 * 4 * 16
    back = 4096 * 2 * (2 * 8192 + 2 * 2048) + 8192 * 2048 * 2
    assert found["activations"] == layer + back
    assert found["checkpoints"] == 2 * 4096 * 2048 * 2
    loss = 512 * 128_256 * 8 + 4 * 4096 * 2048 * 2
    assert found["logits and loss"] == max(0, loss - layer - back)
    without = terms(memory.forecast(replace(LONG, checkpointing=False), LLAMA, CUDA))
    assert without["activations"] == 16 * layer + back and without["logits and loss"] == loss - back
    assert "heap" not in found and "left from loading" not in found


def test_adam_in_8_bits_keeps_two_bytes_and_block_constants() -> None:
    plan = replace(LONG, adam_8bit=True)
    sides = {2048: 4 + 3, 8192: 3, 512: 2}  # As and Bs of a layer by the side that is not the rank
    sides[2048] += 2  # B of q and o; of down the B: counted below
    layer = sum(count * 2 * (16 * side + 4 * (16 * side // 256)) for side, count in sides.items())
    assert footprint.optimizer(LLAMA, plan, CUDA) == 16 * layer == 22_896_640
    assert footprint.optimizer(LLAMA, plan, CPU) == 8 * 11_272_192, "Unsloth takes the usual one on CPU"
    assert footprint.optimizer(SMALL, replace(SHORT, adam_8bit=True), CUDA) == 8 * 16_384, "too small"


@pytest.mark.parametrize("shape", [(64, 64), (32, 64), (512, 1536), (96, 200), (2048, 512)])
def test_4_bit_sizes_are_those_of_bitsandbytes(shape: tuple[int, int]) -> None:
    import torch
    from bitsandbytes import functional

    packed, state = functional.quantize_4bit(
        torch.randn(shape), blocksize=64, quant_type="nf4", compress_statistics=True
    )
    parts = (packed, state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code)
    assert footprint.nf4(shape) == sum(part.numel() * part.element_size() for part in parts)


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("name", ["Llama-3.2-1B", "Qwen2.5-7B", "Gemma-3-1b", "GPT-2", "Mixtral-8x7B"])
def test_more_takes_more(device: Device, name: str) -> None:
    model, plan = known(CONFIGS[name]), Plan(length=512, batch=2)
    total = total_of(plan, model, device)
    for more in (
        {"batch": 3},
        {"length": 1024},
        {"rank": 32},
        {"four_bit": False},
    ):
        assert total_of(replace(plan, **more), model, device) > total, more
    for more in ({"checkpointing": False}, {"dropout": True}, {"evaluated": 8192}):
        assert total_of(replace(plan, **more), model, device) >= total, more
    assert total_of(replace(plan, accumulation=64), model, device) == total


def total_of(plan: Plan, model: Shapes, device: Device) -> int:
    return memory.forecast(plan, model, device).total


def test_batches_of_large_tensors_say_that_they_may_take_more() -> None:
    plan = replace(LONG, length=8192)
    assert any("a third more" in note for note in memory.forecast(plan, LLAMA, CPU).notes)
    assert footprint.heap(LLAMA, plan, CPU) == 15 * sum(footprint.kept(LLAMA, plan, CPU))


def test_attention_with_dropout_is_computed_in_full_on_cpu() -> None:
    model = known(CONFIGS["tiny"] | {"attention_dropout": 0.1})
    plan = Plan(length=256, batch=2)
    beside = sum(footprint.kept(model, plan, CPU)) - sum(footprint.kept(known(CONFIGS["tiny"]), plan, CPU))
    assert beside == footprint.SQUARES * 2 * 3 * 256 * 256 * 4


@pytest.mark.parametrize(
    "name", ["tiny", "Qwen2.5-0.5B", "Qwen3-0.6B", "Gemma-3-1b", "Phi-3.5-mini", "GPT-2"]
)
def test_what_a_layer_keeps_is_what_autograd_saves(name: str) -> None:
    """Against what torch holds for the backward pass of one real layer of transformers with LoRA."""
    facts = {**CONFIGS[name], **NARROW[name == "GPT-2"]}
    plan = Plan(length=96, batch=2, rank=4, four_bit=False)
    ours = sum(footprint.kept(known(facts), plan, CPU))
    assert saved_by_a_layer(facts, plan) == pytest.approx(ours, rel=0.06)


NARROW = (
    {"hidden_size": 128, "intermediate_size": 320, "num_hidden_layers": 2, "num_attention_heads": 4,
     "num_key_value_heads": 2, "vocab_size": 200, "head_dim": 32, "pad_token_id": 0},
    {"n_embd": 128, "n_layer": 2, "n_head": 4, "vocab_size": 200},
)  # fmt: skip


def saved_by_a_layer(facts: dict[str, Any], plan: Plan) -> int:
    """Bytes of distinct storages, weights and what belongs to all layers (masks, positions) left out."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = dict(facts)
    made = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(settings.pop("model_type"), **settings)
    ).float()
    made.enable_input_require_grads()
    model = get_peft_model(made, LoraConfig(r=plan.rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.train()
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    layer = (made.transformer.h if hasattr(made, "transformer") else made.model.layers)[0]
    plain, held = layer.forward, {}

    def watched(*given: Any, **named: Any) -> Any:
        before = {t.untyped_storage().data_ptr() for t in (*given[1:], *named.get("position_embeddings", ()))
                  if isinstance(t, torch.Tensor)}  # fmt: skip

        def pack(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights | before:
                held[storage.data_ptr()] = storage.nbytes(), tensor  # held, so that no address comes twice
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            return plain(*given, **named)

    layer.forward = watched
    model(input_ids=torch.randint(1, 200, (plan.batch, plan.length)))
    return sum(size for size, _ in held.values())


def test_the_verdict_is_against_what_is_free_now() -> None:
    total = memory.forecast(LONG, LLAMA, CUDA).total
    said = {
        share: memory.forecast(LONG, LLAMA, Device("cuda", int(total * share))).verdict
        for share in (0.9, 1.05, 1.2)
    }
    assert said == {0.9: "does not fit", 1.05: "tight", 1.2: "fits"}


def run(**tables: dict[str, Any]) -> Recipe:
    document = {"data": {"sources": [{"path": "rows.jsonl"}], "max_length": 4096}}
    return recipe.parse({**document, **{k: {**document.get(k, {}), **v} for k, v in tables.items()}})


def as_plan(asked: Recipe, **rows: Any) -> Plan:
    given = {key: value for key, value in asked.train.model_dump().items() if value != "auto"}
    return memory.plan(asked, Settled.model_validate(given), Rows(**rows))


def test_a_recipe_becomes_a_plan() -> None:
    asked = run(train={"batch_size": 8, "optimizer": "adamw_8bit", "gradient_checkpointing": False})
    found = as_plan(asked)
    assert found == Plan(length=4096, batch=8, checkpointing=False, adam_8bit=True, evaluated=4096)
    known_rows = as_plan(asked, longest=9000, usual=700, evaluated=600)
    assert (known_rows.length, known_rows.usual, known_rows.evaluated) == (4096, 700, 600)
    assert as_plan(asked, longest=300, usual=300).usual is None
    assert as_plan(run(data={"validation": 0})).evaluated == 0


def applied(asked: Recipe, changes: tuple[tuple[str, memory.Value], ...]) -> Recipe:
    """The recipe with those keys changed, checked as a document of a person would be."""
    for key, value in changes:
        table, _, name = key.partition(".")
        asked = recipe.changed(asked, **{table: {name: value}})
    return asked


@pytest.mark.parametrize("name", ["Llama-3.1-8B", "Qwen2.5-7B", "Gemma-2-2b", "SmolLM2-135M"])
@pytest.mark.parametrize("share", [0.95, 0.7, 0.5, 0.35])
@pytest.mark.parametrize("kind", ["cuda", "cpu"])
def test_what_is_suggested_makes_it_fit(name: str, share: float, kind: Any) -> None:
    model = known(CONFIGS[name])
    asked = run(
        model={"load_in_4bit": False},
        train={"batch_size": 8, "gradient_checkpointing": False},
        lora={"rank": 64},
    )
    rows = {"longest": 4000, "usual": 1000, "evaluated": 4000}
    total = memory.forecast(as_plan(asked, **rows), model, Device(kind, 1 << 50)).total
    device = Device(kind, int(total * share))
    suggested = memory.remedies(as_plan(asked, **rows), model, device)
    assert suggested
    for remedy in suggested:
        after = memory.forecast(as_plan(applied(asked, remedy.changes), **rows), model, device)
        assert (after.total, after.verdict) == (remedy.total, remedy.verdict)
        assert remedy.verdict == "fits" and remedy.total < total


def test_one_change_that_is_enough_comes_before_several_and_time_before_quality() -> None:
    plan = replace(LONG, batch=8, checkpointing=False, usual=1000, rank=64)
    total = memory.forecast(plan, LLAMA, Device("cuda", 1 << 50)).total
    suggested = memory.remedies(plan, LLAMA, Device("cuda", int(total * 0.8)))
    assert [remedy.changes[0][0] for remedy in suggested] == [
        "train.gradient_checkpointing",
        "train.batch_size",
        "data.max_length",
    ]
    assert suggested[1].changes == (("train.batch_size", 4), ("train.gradient_accumulation", 8))


def test_where_it_fits_nothing_is_suggested_and_where_nothing_helps_that_is_said() -> None:
    assert memory.remedies(LONG, LLAMA, Device("cuda", 80 * GIB)) == []
    last = memory.remedies(replace(LONG, batch=4), known(CONFIGS["Llama-3.1-8B"]), Device("cuda", 2 * GIB))
    assert [remedy.verdict for remedy in last] == ["does not fit"]


def test_disk_holds_adapter_optimizer_and_what_is_merged() -> None:
    found = memory.disk(LONG, LLAMA, kept=2)
    assert found.result == 4 * 11_272_192 and found.checkpoint == 12 * 11_272_192
    assert found.checkpoints == 2 * found.checkpoint and found.merged == 2 * 1_235_814_400


def test_config_json_is_all_that_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    assert isinstance(memory.read(file), Unknown)
    file.write_text("[]")
    assert isinstance(memory.read(file), Unknown)
    file.write_text(json.dumps(CONFIGS["tiny"]))
    assert isinstance(memory.read(file), Shapes)


def test_a_forecast_is_quick_enough_for_every_key_press() -> None:
    model = known(CONFIGS["Qwen3-30B-A3B"])
    took = []
    for _ in range(20):
        started = time.perf_counter()
        memory.forecast(LONG, model, CUDA)
        took.append(time.perf_counter() - started)
    assert min(took) < 0.002


def test_mixtures_and_unmeasured_devices_say_so() -> None:
    mixture = memory.forecast(LONG, known(CONFIGS["Mixtral-8x7B"]), CPU).notes
    assert any("experts" in note for note in mixture)
    assert any("measured" in note for note in memory.forecast(LONG, LLAMA, CUDA).notes)
    assert memory.forecast(SHORT, SMALL, CPU).notes == ()


def test_it_needs_neither_torch_nor_numpy() -> None:
    assert not loaded_after("import engine.memory") & (HEAVY | {"transformers", "numpy"})
