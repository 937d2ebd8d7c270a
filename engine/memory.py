"""Whether a run fits, before it starts: every term of its memory by name, against what is free now.

Pure arithmetic over a recipe's numbers and a model's shapes (well under 2 ms), so that it can follow every
key press. The formulas are in engine/footprint.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from engine import footprint, shapes
from engine.footprint import Device, Plan
from engine.schema import Recipe, Settled
from engine.shapes import Shapes, Unknown

Verdict = Literal["fits", "tight", "does not fit"]
Value = bool | int | str

TIGHT = 0.9
"""Of what is free: above this a longer batch, another program or a fragment may be too much."""
SMALLEST_RANK = 8
KEPT = 3
"""Checkpoints that a run keeps where nobody says otherwise."""


@dataclass(frozen=True)
class Term:
    """One thing that takes memory: bytes, and in one line how they are reckoned."""

    name: str
    bytes: int
    how: str


@dataclass(frozen=True)
class Forecast:
    """The peak of a run by terms, which add up to it, and what is free for it. Bytes."""

    terms: tuple[Term, ...]
    device: Device
    notes: tuple[str, ...] = ()
    """What the forecast does not know well, one sentence each."""

    @property
    def total(self) -> int:
        return sum(term.bytes for term in self.terms)

    @property
    def verdict(self) -> Verdict:
        if self.total > self.device.free:
            return "does not fit"
        return "tight" if self.total > TIGHT * self.device.free else "fits"


@dataclass(frozen=True)
class Remedy:
    """Changes of the recipe (key, value) and the total in bytes that they give together."""

    changes: tuple[tuple[str, Value], ...]
    total: int
    verdict: Verdict


@dataclass(frozen=True)
class Disk:
    """What a run leaves on disk, in bytes, without tokenizer files (some MB at most)."""

    result: int
    """The adapter, or the model where all of it is trained."""
    checkpoint: int
    """That and the optimizer's state."""
    checkpoints: int
    """All that are kept."""
    merged: int
    """The whole model, with the adapter in it if there is one, in 16 bits."""


@dataclass(frozen=True)
class Rows:
    """What is known of a run's rows. Lengths are in tokens; without any, the recipe's longest one counts."""

    longest: int | None = None
    """Of training."""
    usual: int | None = None
    """What 99% of them stay within."""
    evaluated: int | None = None
    """The longest validation row; 0: there is none."""
    mean: float | None = None
    count: int | None = None


def read(config: Path) -> Shapes | Unknown:
    """The shapes that a config.json describes, or why they are not known."""
    try:
        facts = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return Unknown(f"{config}: not readable JSON ({error})")
    return shapes.read(facts) if isinstance(facts, Mapping) else Unknown(f"{config}: not a config.json")


def plan(recipe: Recipe, train: Settled, rows: Rows) -> Plan:
    """What of a recipe takes memory; train: its [train] as it is run. No row is longer than max_length."""
    limit = recipe.data.max_length
    length = min(rows.longest or limit, limit)
    held_out = recipe.data.validation > 0 and not recipe.data.all_data
    evaluated = length * held_out if rows.evaluated is None else rows.evaluated
    return Plan(
        length=length,
        batch=train.batch_size,
        accumulation=train.gradient_accumulation,
        four_bit=recipe.model.load_in_4bit,
        rank=recipe.lora.rank,
        targets=recipe.lora.target_modules,
        dropout=recipe.lora.dropout > 0 and train.method == "lora",
        dora=recipe.lora.dora,
        full=train.method == "full",
        checkpointing=train.gradient_checkpointing,
        adam_8bit=train.optimizer == "adamw_8bit",
        dequantised=recipe.model.load_in_4bit and train.keep_dequantised,
        eager=train.attention == "eager",
        evaluated=min(evaluated, limit),
        usual=rows.usual if rows.usual and rows.usual < length else None,
    )


def forecast(plan: Plan, model: Shapes, device: Device) -> Forecast:
    """The peak of the run by terms. Its largest moment is a step: evaluation and loading count for what they
    take beyond one."""
    steady = [*_weights(plan, model, device), *_trained(plan, model, device)]
    step = list(_step(plan, model, device))
    step.append(_evaluation(plan, model, device, sum(term.bytes for term in step)))
    working = sum(term.bytes for term in step)
    if device.kind == "cuda":
        slack = math.ceil(footprint.CUDA_SLACK * working)
        step.append(Term("workspace", slack, f"{footprint.CUDA_SLACK:.0%} that the allocator keeps beside"))
    return Forecast((_process(device), *steady, *step), device, tuple(_notes(plan, model, device)))


def _process(device: Device) -> Term:
    if device.kind == "cuda":
        return Term("CUDA context", footprint.CUDA_CONTEXT, "kernels and workspaces of CUDA's libraries")
    return Term("process", footprint.CPU_PROCESS, "Python, torch, Unsloth and TRL themselves")


def _weights(plan: Plan, model: Shapes, device: Device) -> Iterator[Term]:
    left = footprint.unquantised(model, plan, device)
    bits = 32 if plan.full else 8 * device.width
    if not plan.four_bit:
        yield Term(f"weights in {bits} bits", left, f"{model.count():,} parameters x {bits // 8} bytes")
        if copies := footprint.copies(model, plan, device):
            yield Term("copies in 16 bits", copies, "of the linear layers, to compute with")
        return
    linear = model.count("linear")
    if plan.dequantised:
        unpacked = footprint.dequantised(model, device)
        yield Term("weights unpacked", unpacked, f"{linear:,} of the linear layers x {device.width} bytes")
    else:
        packed = footprint.quantised(model)
        yield Term(
            "weights in 4 bits", packed, f"{linear:,} of the linear layers, with their block constants"
        )
    rest = model.count() - linear
    yield Term(f"weights in {bits} bits", left, f"{rest:,} of embeddings, head and norms: not quantised")
    if left := footprint.loading(model, plan, device):
        yield Term("left from loading", left, "copies made while quantising, which malloc keeps")


def _trained(plan: Plan, model: Shapes, device: Device) -> Iterator[Term]:
    trained = footprint.trained(model, plan)
    if not plan.full:
        kind = "DoRA" if plan.dora else "LoRA"
        yield Term(f"{kind} weights", 4 * trained, f"{trained:,} parameters of rank {plan.rank} x 4 bytes")
    yield Term("gradients", 4 * trained, f"4 bytes {_each(plan)}")
    states = footprint.optimizer(model, plan, device)
    small = plan.adam_8bit and device.kind == "cuda"
    yield Term("optimizer", states, f"AdamW, {'2' if small else '8'} bytes {_each(plan)}")


def _each(plan: Plan) -> str:
    return "a parameter: all are trained, with LoRA few" if plan.full else "a trained parameter"


def _step(plan: Plan, model: Shapes, device: Device) -> Iterator[Term]:
    """What comes and goes with the longest batch."""
    kept = sum(footprint.kept(model, plan, device))
    size = f"{plan.batch} x {plan.length} tokens"
    back = footprint.passing(model, plan, device)
    loss = footprint.loss(model, plan, device)
    if plan.checkpointing:
        inputs = footprint.checkpoints(model, plan, device)
        yield Term("checkpoints", inputs, f"{size} x width {model.hidden}, the input of each layer")
        yield Term("activations", kept + back, f"{size} through one layer, there and back")
    else:
        yield Term("activations", model.layers * kept + back, f"{size} through {model.layers} layers")
    if grown := footprint.heap(model, plan, device):
        yield Term("heap", grown, f"{model.layers - 1} layers' blocks that malloc does not use again")
    # Torch's allocator on CUDA gives the loss's blocks to the layers that come after it; malloc does not.
    beyond = loss if device.kind == "cpu" else max(0, loss - back - (kept if plan.checkpointing else 0))
    yield Term("logits and loss", beyond, f"{size} x {model.vocab:,} words, in chunks")


def _evaluation(plan: Plan, model: Shapes, device: Device, working: int) -> Term:
    """What the longest validation batch takes beyond a step. On CPU the heap that training has grown serves
    its small blocks, but not its logits."""
    passed, logits = footprint.evaluation(model, plan, device)
    if device.kind == "cuda":
        beyond = passed + logits - working
    else:
        passed = max(0, passed - sum(footprint.kept(model, plan, device)))
        beyond = passed + logits - footprint.loss(model, plan, device)
    size = f"{plan.batch} x {plan.evaluated} tokens"
    how = f"{size} without gradients, beyond a step" if plan.evaluated else "there are no validation rows"
    return Term("evaluation", max(0, beyond) if plan.evaluated else 0, how)


def _notes(plan: Plan, model: Shapes, device: Device) -> Iterator[str]:
    if device.kind == "cuda":
        yield "The constants for CUDA were not measured yet."
    elif max(footprint.kept(model, plan, device)) > footprint.MMAP_BYTES:
        yield "Batches this large were measured to take up to a third more on a processor."
    if device.kind == "cpu" and device.half:
        yield "Processors that compute in bfloat16 were not measured yet."
    if model.count("expert"):
        yield "Mixtures of experts were not measured; their experts count as unquantised."
    if plan.full or plan.dora:
        what = "The training of all weights" if plan.full else "DoRA"
        yield f"{what} was read in the libraries, not measured."
    if model.note:
        yield f"The model counts {model.note}."


def remedies(plan: Plan, model: Shapes, device: Device) -> list[Remedy]:
    """The cheapest ways to make a run fit, the one that costs the person least first; none where it fits.

    Each change alone that is enough; where none is, the changes one on top of the other until they are; where
    all of them are not enough either, all of them.
    """
    if forecast(plan, model, device).verdict == "fits":
        return []
    alone = [_remedy([step], model, device) for step in _steps(plan)]
    if enough := [remedy for remedy in alone if remedy.verdict == "fits"]:
        return enough
    taken: list[Step] = []
    now = plan
    while found := next(iter(_helping(now, model, device)), None):
        taken.append(found)
        now = found[0]
        if forecast(now, model, device).verdict == "fits":
            break
    return [_remedy(taken, model, device)] if taken else []


Step = tuple[Plan, tuple[tuple[str, Value], ...]]


def _steps(plan: Plan) -> Iterator[Step]:
    """Single changes, from the one that costs only time to those that may cost quality."""
    if plan.dequantised:
        yield replace(plan, dequantised=False), (("train.keep_dequantised", False),)
    if not plan.checkpointing:
        yield replace(plan, checkpointing=True), (("train.gradient_checkpointing", True),)
    if plan.batch > 1:
        half, double = plan.batch // 2, plan.accumulation * 2
        changed = replace(plan, batch=half, accumulation=double)
        yield changed, (("train.batch_size", half), ("train.gradient_accumulation", double))
    if plan.full:
        yield replace(plan, full=False), (("train.method", "lora"),)
    elif not plan.four_bit:
        yield replace(plan, four_bit=True), (("model.load_in_4bit", True),)
    if plan.usual and plan.usual < plan.length:
        changed = replace(plan, length=plan.usual, evaluated=min(plan.evaluated, plan.usual))
        yield changed, (("data.max_length", plan.usual),)
    if plan.rank > SMALLEST_RANK and not plan.full:
        rank = max(SMALLEST_RANK, plan.rank // 2)
        yield replace(plan, rank=rank), (("lora.rank", rank),)
    if not plan.adam_8bit:
        yield replace(plan, adam_8bit=True), (("train.optimizer", "adamw_8bit"),)


def _helping(plan: Plan, model: Shapes, device: Device) -> Iterator[Step]:
    """Those of the single changes that lower the total at all."""
    now = forecast(plan, model, device).total
    return (step for step in _steps(plan) if forecast(step[0], model, device).total < now)


def _remedy(steps: list[Step], model: Shapes, device: Device) -> Remedy:
    """Steps one after the other; of a key that changes several times, the last value."""
    found = forecast(steps[-1][0], model, device)
    merged = dict(change for _, changes in steps for change in changes)
    return Remedy(tuple(merged.items()), found.total, found.verdict)


def disk(plan: Plan, model: Shapes, kept: int = KEPT) -> Disk:
    """Bytes on disk. What was trained is saved in float32, the optimizer as it is in memory on a GPU."""
    result = 4 * footprint.trained(model, plan)
    checkpoint = result + footprint.optimizer(model, plan, Device("cuda", 0))
    return Disk(result, checkpoint, kept * checkpoint, 2 * model.count())
