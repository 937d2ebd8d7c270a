"""Cells of comparing: base and tuned at once on one model, against one column and plain generate()."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cuda import place, report
from benchmarks.cuda.place import Place
from engine import dataset, fit, models, recipe, render, resume
from engine.decoding import Settings
from engine.runs import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def equal(here: Place) -> dict[str, Any]:
    """200 prompts in 4-bit: the base column against the model without adapter, the tuned against PEFT's."""
    import compare

    from engine.workers import pair as pairs

    run = adapted(here, "Llama-3.2-1B")
    pair = pairs.load(run)
    prompts = _prompts(here.of(200, 6), here.of(120, 24))
    same = compare.equal(pair, run, pair.first.name, prompts)
    bars = [
        report.bar(f"{name} rows equal token by token", count, least=len(prompts))
        for name, count in same.items()
    ]
    return {"figures": {}, "facts": {"prompts": len(prompts), **same}, "bars": bars}


def speed(here: Place) -> dict[str, Any]:
    """8B: tokens a second of both columns at once, of one, and of generate() of one; first token; memory."""
    import compare

    from engine.workers import decode, dequantised, mixed
    from engine.workers import pair as pairs
    from engine.workers.decode import Question

    run = adapted(here, "Llama-3.1-8B")
    stock = compare.stock_base(run)
    one_model = _allocated() or sum(tensor.nbytes for tensor in stock.state_dict().values())
    kept, dequantised.keep_if_room = dequantised.keep_if_room, _packed
    pair = pairs.load(run)
    beyond = (_allocated() - 2 * one_model) / one_model if place.on_gpu() else None
    unpacked = kept(pair.model, fit.device().free)
    mixed.dress(pair.model, pair.rows)
    pair.stop_ids = []
    name, tokens, rounds = pair.first.name, here.of(128, 8), here.of(7, 2)
    (ids,) = _prompts(1, here.of(200, 24))
    (long,) = _prompts(1, here.of(1000, 64))
    variants: dict[str, Callable[[], Any]] = {
        "pair": lambda: decode.answers(pair, [Question(ids), Question(ids, (name,))], Settings(tokens)),
        "one": lambda: decode.answers(pair, [Question(ids)], Settings(tokens)),
        "generate of one": lambda: compare.generated(stock, [ids], tokens=tokens),
    }
    taken: dict[str, list[float]] = {variant: [] for variant in variants}
    first: list[float] = []
    for round_ in range(rounds + 1):
        now = {variant: compare.seconds(run_) for variant, run_ in variants.items()}
        answers = decode.answers(pair, [Question(long), Question(long, (name,))], Settings(1))
        if round_:  # the first one warms up
            for variant, seconds in now.items():
                taken[variant].append(seconds)
            first.append(1e3 * answers[0].first_after)
    each = {
        variant: report.figure([tokens / one for one in seconds], "tokens/s a column")
        for variant, seconds in taken.items()
    }
    slower = report.ratios(taken["pair"], taken["one"])
    bars = [
        report.bar("goal: 200 tokens/s in each column at once", each["pair"]["median"], least=200),
        report.bar("pair at most 1.10 of one", slower["median"], most=1.10),
        report.bar("first token at 1,000 tokens, ms", report.figure(first, "ms")["median"], most=150),
    ]
    if beyond is not None:
        bars.append(report.bar("memory beyond one model, without caches", beyond, most=0.03))
    figures = {**each, "time of the pair / of one": slower, "first token": report.figure(first, "ms")}
    return {"figures": figures, "facts": {"model_bytes": one_model, "unpacked": unpacked}, "bars": bars}


def unpacked(here: Place) -> dict[str, Any]:
    """8B, both columns: weights unpacked once against unpacked in every pass. Tokens and speed."""
    import torch

    from engine.workers import dequantised
    from engine.workers import pair as pairs

    run = adapted(here, "Llama-3.1-8B")
    kept, dequantised.keep_if_room = dequantised.keep_if_room, _packed
    packed = pairs.load(run)
    dequantised.keep_if_room = kept
    pair = pairs.load(run)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return _against(here, {"unpacked": pair, "packed": packed}, "unpacked at least as fast")


def captured(here: Place) -> dict[str, Any]:
    """8B, both columns: steps of one shape, on a GPU replayed as a graph, against a growing cache."""
    from engine.workers import pair as pairs
    from engine.workers import static_cache

    pair = pairs.load(adapted(here, "Llama-3.1-8B"))
    if not static_cache.possible(pair):
        raise SystemExit("the cache of this model cannot have one shape")
    return _against(
        here,
        {"fixed": replace(pair, fixed=True), "growing": pair},
        "one shape at least as fast, capture paid",
    )


def _against(here: Place, pairs: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Two pairs in turns, a prompt at a time: seconds, and how many answers are equal token by token."""
    import compare

    from engine.workers import decode
    from engine.workers.decode import Question

    tokens, rounds = here.of(128, 8), here.of(9, 2)
    prompts = _prompts(rounds + 1, here.of(200, 24))
    taken: dict[str, list[float]] = {name: [] for name in pairs}
    same = 0
    for round_, ids in enumerate(prompts):
        said: list[Any] = []
        for name, pair in pairs.items():
            pair.stop_ids = []
            asked = [Question(ids), Question(ids, (pair.first.name,))]

            def answer(pair: Any = pair, asked: Any = asked, said: list[Any] = said) -> None:
                said.append([one.ids for one in decode.answers(pair, asked, Settings(tokens))])

            seconds = compare.seconds(answer)
            if round_:  # the first one warms up
                taken[name].append(seconds)
        same += said[0] == said[1]
    one, other = taken
    ratio = report.ratios(taken[other], taken[one])
    each = {
        name: report.figure([tokens / one for one in seconds], "tokens/s a column")
        for name, seconds in taken.items()
    }
    bars = [report.bar(wanted, ratio["median"], least=1.0)] if place.on_gpu() else []
    # In 16 bits another order of the same sums may turn a close choice; in 32 bits it does not.
    bars.append(report.bar("prompts with equal tokens", same, least=0.9 * len(prompts)))
    return {"figures": {**each, f"{other} / {one}": ratio}, "facts": {"prompts": len(prompts)}, "bars": bars}


def _packed(*_: Any) -> bool:
    return False


def _allocated() -> int:
    import torch

    return int(torch.cuda.memory_allocated()) if torch.cuda.is_available() else 0


def _prompts(count: int, length: int) -> list[list[int]]:
    chance = random.Random(1)
    return [[chance.randrange(4, 2000) for _ in range(length)] for _ in range(count)]


def adapted(here: Place, name: str) -> Run:
    """A run's folder with an adapter of random weights, as if it had been trained; the base is not loaded."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    model = here.model(name)
    plan = recipe.changed(recipe.load("first-steps"), model={"id": str(model)})
    run = Run(here.folder / "adapted")
    run.path.mkdir()
    (run.path / "recipe.toml").write_text(recipe.dumps(plan), "utf-8")
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))
        peft = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    peft.peft_config["default"].base_model_name_or_path = str(model)
    peft.peft_config["default"].save_pretrained(str(run.adapter))
    numbers = torch.Generator().manual_seed(0)
    weights = {
        key.replace(".default.", "."): torch.randn(value.shape, generator=numbers) * 0.02
        for key, value in peft.state_dict().items()
        if "lora_" in key
    }
    save_file(weights, run.adapter / "adapter_model.safetensors")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(models.tokenizer_folder(str(model)) / file, run.adapter / file)
    render.save_templates(dataset.chat_format(plan), run.adapter)
    dtype = "bfloat16" if place.on_gpu() else "float32"
    quantization = {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": dtype,
    }  # fmt: skip
    facts = {**resume.facts(run), "dtype": dtype, "quantization": quantization, "reasoning": False}
    (run.path / "environment.json").write_text(json.dumps(facts), "utf-8")
    return run
