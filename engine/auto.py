"""What a recipe leaves open ("auto" in [train]), chosen for the device, what is free there, and the rows.

The same function serves the recipe screen, `ift-tui memory` and the worker, which knows the rows best and
writes down what it chose: chosen.json in the run's folder is what every later life of the run goes by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from engine import footprint, memory
from engine.footprint import Device, Plan
from engine.memory import Rows
from engine.schema import HIGHEST_LEARNING_RATE, Method, Recipe, Settled, Train
from engine.shapes import Shapes, Unknown

OPEN = (
    "batch_size",
    "gradient_accumulation",
    "learning_rate",
    "optimizer",
    "gradient_checkpointing",
    "packing",
    "attention",
    "loader_workers",
    "keep_dequantised",
    "warmup_steps",
    "eval_every",
)
"""Keys of [train] that may be auto."""

SAME_NUMBERS = {"attention", "loader_workers", "keep_dequantised"}
"""Of these, how a step is computed and not what it learns from."""

AT_A_GLANCE = OPEN[:6]
"""Told wherever choices are; the others where there is room for all."""

FILE = "chosen.json"

ROWS_A_STEP = 16
"""What a step learns from where nobody says otherwise; guides to LoRA on instructions name 8 to 32."""
STEPS_AN_EPOCH = 20
"""A small set has fewer rows a step, so that an epoch has at least so many."""

LEARNING_RATE = {"lora": 2e-4, "full": 2e-5}
"""Of models from 2,048 to 6,144 wide, which have 1 to 30 billion parameters: what QLoRA took for 7B and 13B
(Dettmers and others 2023, appendix B), and what guides to instruction tuning give."""
NARROW, WIDE = 2048, 6144
"""Below, the rate rises as the width falls: Adam's best rate goes by 1 / width (Yang and others 2022, muP).
Above it is half, as QLoRA's for 33B and 65B."""

DOUBTFUL = 10
"""Times the usual rate: what suits a tiny model tears a large one apart."""

WARMUP = 10
"""Steps: an adapter begins at nothing, there is little to spoil. Of a short run a tenth."""
EVALUATIONS = 8
"""In a run: enough to see where validation turns."""
FEWEST_BETWEEN = 5
"""Steps between two of them: a shorter run is over before it would show."""

ROOM = 0.8
"""Of the memory that is free, what a choice may come to by the forecast: others share the machine."""
NEAR = 1.05
"""Times the cost of the fastest: the smallest micro-batch within that is taken."""
SMALL = 0.05
"""Of the memory that is free: AdamW's states below that are not worth rounding to 8 bits."""

PLAIN = {"llama", "mistral", "qwen2", "qwen3"}
"""Models with plain attention: any kernel computes it, and on a GPU Unsloth cuts it at the ends of rows that
share a sequence. Others cap their scores or mix kinds of layers, and their classes know which kernels can."""

FLOP_A_BYTE = {"cuda": 180, "cpu": 15}
"""What a device computes while it reads one byte of a weight: 790 TFLOP/s against 4.3 TB/s on an H200, 312
against 2.0 on an A100; a processor's cores against its memory."""

FASTEST = 790e12
"""Floating-point operations a second of the fastest GPU that was measured (bfloat16, an H200)."""
READ = 12e-9
"""Seconds that a processor takes to read and collate a token from the mapped rows: measured 0.2 ms for four
rows of 4,096."""
WAITING = 0.01
"""Of a step, what it may wait for its rows before a process reads them ahead."""


@dataclass(frozen=True)
class Choice:
    """A value of [train] that the program has chosen, and why, in part of a sentence."""

    key: str
    value: bool | int | float | str
    why: str


def settle(
    recipe: Recipe, model: Shapes | Unknown, device: Device, rows: Rows
) -> tuple[Settled, tuple[Choice, ...]]:
    """[train] with a value for each key, and what was chosen for those that were left open."""
    open_keys = [key for key in OPEN if getattr(recipe.train, key) == "auto"]
    if isinstance(model, Unknown):
        settled = _careful(recipe.train, model, rows)
        why = dict.fromkeys(OPEN, f"with care, the memory is not known: {model.reason}")
        why["learning_rate"] = f"usual from a billion parameters; the model is not known: {model.reason}"
    else:
        settled = _fastest(recipe, model, device, rows)
        why = _reasons(recipe, settled, model, device, rows)
    why["gradient_accumulation"] = _step(settled, rows)
    why |= _why_by_length(_length(settled, rows), bool(recipe.train.early_stopping))
    return settled, tuple(Choice(key, getattr(settled, key), why[key]) for key in open_keys)


def applied(plan: Train, choices: tuple[Choice, ...]) -> Settled:
    """[train] with these choices in it. A key that was open to no choice when they were made is as it was
    then: Settled's own."""
    chosen = {one.key: one.value for one in choices}
    given = {key: value for key, value in plan.model_dump().items() if key not in OPEN or value != "auto"}
    return Settled.model_validate({**given, **chosen})


def load(folder: Path) -> tuple[Choice, ...] | None:
    """What a run's worker chose when it was first started; None where it has not come so far."""
    try:
        text = (folder / FILE).read_text("utf-8")
    except FileNotFoundError:
        return None
    return tuple(Choice(**one) for one in json.loads(text)["choices"])


def known(plan: Train, folder: Path) -> Settled | None:
    """[train] of a run as it is run; None while nothing is chosen for what the recipe leaves open of that
    which it learns from."""
    choices = load(folder)
    if choices is None and any(getattr(plan, key) == "auto" for key in OPEN if key not in SAME_NUMBERS):
        return None
    return applied(plan, choices or ())


def facts(choices: tuple[Choice, ...]) -> dict[str, Any]:
    """As they are written down and told."""
    return {"choices": [asdict(one) for one in choices]}


def _careful(plan: Train, model: Unknown, rows: Rows) -> Settled:
    wanted = {"batch_size": 1, "gradient_checkpointing": True, "optimizer": "adamw", "packing": False}
    kept = {"attention": "model", "loader_workers": 0, "keep_dequantised": False}
    return _settled(plan, {**wanted, **kept, "learning_rate": learning_rate(plan.method, model)}, rows)


def _fastest(recipe: Recipe, model: Shapes, device: Device, rows: Rows) -> Settled:
    """Of all ways to make a step that keep within ROOM, one of the fastest with the fewest rows at once;
    where none does, the one that takes least."""
    found: list[tuple[Settled, int, float]] = []
    for settled in _ways(recipe, model, device, rows):
        total, plan = _total(recipe, settled, model, device, rows)
        found.append((settled, total, cost(plan, device, rows.mean or plan.length / 2)))
    within = [one for one in found if one[1] <= ROOM * device.free]
    if not within:
        return min(found, key=lambda one: one[1])[0]
    best = min(one[2] for one in within)
    near = [one for one in within if one[2] <= NEAR * best]
    taken = min(near, key=lambda one: (one[0].batch_size, one[2]))[0]
    # Larger batches and kept activations save more than unpacked weights, which get what is left.
    if recipe.train.keep_dequantised == "auto" and recipe.model.load_in_4bit:
        kept = taken.model_copy(update={"keep_dequantised": True})
        if _total(recipe, kept, model, device, rows)[0] <= ROOM * device.free:
            return kept
    return taken


def cost(plan: Plan, device: Device, mean: float) -> float:
    """What a token costs in passes over the weights' FLOPs, to compare ways on one device.

    LoRA on frozen weights: 2 N a token forward and 2 N back, and 2 N more where activations are computed
    again, or where the weights have gradients of their own. Besides, each pass reads its weights once a
    micro-batch: 2 bytes each, and in NF4 half a byte to read and 2 to write before, which is as much as so
    many tokens compute. mean: tokens of a row.
    """
    read = (4.5 if plan.packed else 2) * FLOP_A_BYTE[device.kind] / 2
    return (_passes(plan.checkpointing) + 2 * plan.full) * (1 + read / (plan.batch * mean))


def _passes(checkpointing: bool) -> int:
    return 6 if checkpointing else 4


def _ways(recipe: Recipe, model: Shapes, device: Device, rows: Rows) -> Iterator[Settled]:
    always = {
        "optimizer": _optimizer(recipe, model, device),
        "packing": device.kind == "cuda" and model.model_type in PLAIN,
        "attention": _attention(model, device),
        "learning_rate": learning_rate(recipe.train.method, model),
    }
    for size, again in product(_sizes(recipe.train, rows), (False, True)):
        wanted = {"batch_size": size, "gradient_checkpointing": again, "keep_dequantised": False}
        workers = _loader_workers(model, device, again)
        yield _settled(recipe.train, {**always, **wanted, "loader_workers": workers}, rows)


def _sizes(plan: Train, rows: Rows) -> list[int]:
    """Micro-batches that may make a step: powers of two."""
    times = plan.gradient_accumulation
    most = rows_a_step(rows) if times == "auto" else max(1, rows_a_step(rows) // times)
    return [1 << power for power in range(most.bit_length())]


def rows_a_step(rows: Rows) -> int:
    """ROWS_A_STEP, or the power of two that gives a small set STEPS_AN_EPOCH."""
    if rows.count is None:
        return ROWS_A_STEP
    return min(ROWS_A_STEP, 1 << (max(1, rows.count // STEPS_AN_EPOCH).bit_length() - 1))


def _settled(plan: Train, wanted: dict[str, Any], rows: Rows) -> Settled:
    """With what is wanted where the recipe leaves it open."""
    size = wanted["batch_size"] if plan.batch_size == "auto" else plan.batch_size
    wanted = {**wanted, "gradient_accumulation": max(1, rows_a_step(rows) // size)}
    by_length = {"warmup_steps": 0, "eval_every": 1}  # settled below: the length must be known first
    wanted |= by_length
    open_keys = {key: wanted[key] for key in OPEN if getattr(plan, key) == "auto"}
    settled = Settled.model_validate({**plan.model_dump(), **open_keys})
    known = _by_length(_length(settled, rows), bool(plan.early_stopping))
    return settled.model_copy(update={key: known[key] for key in by_length if key in open_keys})


def learning_rate(method: Method, model: Shapes | Unknown) -> float:
    """To two digits, by the model's hidden width."""
    width = NARROW if isinstance(model, Unknown) else model.hidden
    rate = LEARNING_RATE[method] * (max(1.0, NARROW / width) if width <= WIDE else 0.5)
    return float(f"{min(rate, HIGHEST_LEARNING_RATE[method]):.2g}")


def doubt(settled: Settled, model: Shapes | Unknown) -> str:
    """What is likely wrong with a rate that a recipe names, for another model it may be; "" if nothing."""
    usual = learning_rate(settled.method, model)
    if isinstance(model, Unknown) or settled.learning_rate <= DOUBTFUL * usual:
        return ""
    rate = settled.learning_rate
    return (
        f"a learning rate of {rate:g} is {rate / usual:.0f} times what is usual "
        f"for a model {model.hidden:,} wide ({usual:g}): set train.learning_rate to that, or to auto"
    )


def _length(settled: Settled, rows: Rows) -> int | None:
    """Steps of the run; None while its rows are not counted."""
    return settled.steps or (settled.total_steps(rows.count) if rows.count is not None else None)


def _by_length(steps: int | None, early: bool) -> dict[str, int]:
    """early: it may end by its evaluations, and must have some however short it is."""
    if steps is None:
        return {"warmup_steps": WARMUP, "eval_every": 0}
    often = steps // EVALUATIONS
    return {
        "warmup_steps": min(WARMUP, steps // 10),
        "eval_every": max(1, often) if early or often >= FEWEST_BETWEEN else 0,
    }


def _why_by_length(steps: int | None, early: bool) -> dict[str, str]:
    if steps is None:
        return dict.fromkeys(("warmup_steps", "eval_every"), "until the rows are counted")
    often = f"{EVALUATIONS} times in" if _by_length(steps, early)["eval_every"] else "at the end alone of"
    return {
        "warmup_steps": f"a tenth of {steps:,} steps, at most {WARMUP}",
        "eval_every": f"{often} {steps:,} steps",
    }


def _optimizer(recipe: Recipe, model: Shapes, device: Device) -> str:
    states = _states(recipe, model, device)
    return "adamw_8bit" if device.kind == "cuda" and states > SMALL * device.free else "adamw"


def _attention(model: Shapes, device: Device) -> str:
    if model.model_type not in PLAIN:
        return "model"
    return "flash" if device.flash else "sdpa"


def _loader_workers(model: Shapes, device: Device, checkpointing: bool) -> int:
    return int(device.kind == "cuda" and _waiting(model, checkpointing) > WAITING)


def _waiting(model: Shapes, checkpointing: bool) -> float:
    """Of a step on the fastest GPU, the share that reading its rows takes; on others it is less."""
    return READ * FASTEST / (_passes(checkpointing) * model.count())


def _states(recipe: Recipe, model: Shapes, device: Device) -> int:
    """Bytes of AdamW's two moments in 32 bits."""
    lora, full = recipe.lora, recipe.train.method == "full"
    plan = Plan(length=1, rank=lora.rank, targets=lora.target_modules, dora=lora.dora, full=full)
    return footprint.optimizer(model, plan, device)


def _total(recipe: Recipe, settled: Settled, model: Shapes, device: Device, rows: Rows) -> tuple[int, Plan]:
    plan = memory.plan(recipe, settled, rows)
    return memory.forecast(plan, model, device).total, plan


def _reasons(recipe: Recipe, settled: Settled, model: Shapes, device: Device, rows: Rows) -> dict[str, str]:
    total, plan = _total(recipe, settled, model, device, rows)
    kept, _ = _total(
        recipe, settled.model_copy(update={"gradient_checkpointing": False}), model, device, rows
    )
    size = f"{plan.batch} x {plan.length:,} tokens come to {_gigabytes(total)}"
    free = f"the {_gigabytes(device.free)} that are free"
    states = f"its states take {_gigabytes(_states(recipe, model, device))} of {free}"
    if not settled.gradient_checkpointing:
        again = "what the layers compute can be kept, which saves a third of the time"
    elif kept > ROOM * device.free:
        again = f"to keep what the layers compute would take {_gigabytes(kept)} of {free}"
    else:
        again = f"{plan.batch} rows at once make up for what is computed again"
    return {
        "attention": _why_attention(settled.attention, device),
        "loader_workers": _why_workers(settled, model, device),
        "keep_dequantised": _why_kept(recipe, settled, model, device, rows, total),
        "learning_rate": _why_rate(recipe.train.method, model.hidden),
        "batch_size": f"{size} of {free}",
        "gradient_checkpointing": again,
        "packing": "no padding is computed" if settled.packing else "not known to help with this model here",
        "optimizer": f"{states}{', in 32 bits' if settled.optimizer == 'adamw_8bit' else ''}",
    }


def _why_attention(chosen: str, device: Device) -> str:
    if chosen == "model":
        return "left to this model's own class, which knows the kernels that can compute it"
    if chosen == "flash":
        return "flash-attn is installed, and this GPU can run it"
    there = "no flash-attn that this GPU can run" if device.kind == "cuda" else "flash-attn needs a GPU"
    return f"torch's own kernels; {there}"


def _why_workers(settled: Settled, model: Shapes, device: Device) -> str:
    if device.kind == "cpu":
        return "a process more would take the cores that compute"
    share = f"{_waiting(model, settled.gradient_checkpointing):.2%} of a step"
    if settled.loader_workers:
        return f"a GPU might wait {share} for rows of so small a model"
    return f"rows are read from a mapped file, at most {share}"


def _why_kept(recipe: Recipe, settled: Settled, model: Shapes, device: Device, rows: Rows, total: int) -> str:
    if not recipe.model.load_in_4bit:
        return "the weights are not in 4 bits"
    if settled.keep_dequantised:
        size = _gigabytes(footprint.dequantised(model, device))
        return f"weights of 4 bits are unpacked once and not at each step; they take {size} so"
    kept, _ = _total(recipe, settled.model_copy(update={"keep_dequantised": True}), model, device, rows)
    free = f"{_gigabytes(kept)} of the {_gigabytes(device.free)} that are free"
    return f"unpacked they would take {_gigabytes(kept - total)} more, together {free}"


def _why_rate(method: Method, width: int) -> str:
    usual = f"{LEARNING_RATE[method]:g} is usual for models {NARROW:,} to {WIDE:,} wide"
    return f"{usual}; this one is {width:,} wide"


def _step(settled: Settled, rows: Rows) -> str:
    each = settled.rows_a_step
    said = f"{settled.batch_size} x {settled.gradient_accumulation} are {each} row{'s' * (each > 1)} a step"
    few = rows.count is not None and rows_a_step(rows) < ROWS_A_STEP
    return f"{said}, few because the set has {rows.count:,}" if few else said


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
