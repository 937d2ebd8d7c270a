"""Cells of training: tokens a second of the real worker against scripts, and what it costs to be watched."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cuda import place, report, turns
from benchmarks.cuda.place import Place
from benchmarks.cuda.turns import Arm, Step
from engine import auto, fit, runs, shapes
from engine.schema import Recipe
from engine.shapes import Shapes
from engine.turns import BESIDE

ROOF = 790e12
"""Floating-point operations a second that one H200 was measured to do in bf16 (matrices, no sparsity)."""
ROUNDS = 5


def full_rows(here: Place) -> dict[str, Any]:
    """8B, NF4, LoRA r16 on all linear layers, rows of 4,096 tokens: ours, Unsloth and stock TRL in turns."""
    length = here.of(4096, 96)
    setting = {"batch": 2, "accumulation": 4, "checkpointing": True}
    return _against(here, place.whole_rows(here.of(512, 64), length), length, setting, stock=None)


def short_rows(here: Place) -> dict[str, Any]:
    """The same on rows of 150 tokens in the mean, batch 2, accumulation 4."""
    lengths = place.short_rows(here.of(2000, 200), here.of(150, 40))
    setting = {"batch": 2, "accumulation": 4, "checkpointing": True}
    return _against(here, lengths, max(lengths), setting, stock=5.0)


def fastest(here: Place) -> dict[str, Any]:
    """Ours alone with the settings that a large GPU has room for, each for a while: the goal's figure."""
    length = here.of(4096, 96)
    rows = _rows(here, place.whole_rows(here.of(512, 64), length))
    figures, facts, best = {}, {}, 0.0
    for batch, checkpointing in ((8, False), (4, False), (8, True)):
        name = f"batch {batch}, checkpointing {'on' if checkpointing else 'off'}"
        setting = {"batch": here.of(batch, 2), "accumulation": 1, "checkpointing": checkpointing}
        arm = _ours(_plan(here, rows, length, setting))
        try:
            count = here.of(12, 4) + turns.WARM
            while len(arm.steps()) < count and arm.alive():
                time.sleep(0.05)
            steps = arm.steps()
        finally:
            turns.end([arm])
        if len(steps) < count:
            facts[name] = "did not fit, or failed"
            continue
        samples = [
            turns.rate(pair) for pair in zip(steps[turns.WARM - 1 :], steps[turns.WARM :], strict=False)
        ]
        figures[name] = report.figure(samples, "tokens/s")
        facts[name] = _facts(here, statistics.median(samples), checkpointing, steps)
        best = max(best, statistics.median(samples))
    return {"figures": figures, "facts": facts, "bars": [report.bar("goal", best, least=14_500)]}


def watched(here: Place) -> dict[str, Any]:
    """One run of the real worker, by turns with a viewer on it and without: seconds a step."""
    length = here.of(2048, 64)
    rows = _rows(here, place.whole_rows(here.of(512, 64), length))
    setting = {"batch": 1, "accumulation": 1, "checkpointing": True}
    arm = _ours(_plan(here, rows, length, setting))
    run = runs.list_runs()[0]
    looking = [sys.executable, "-c", VIEWER, str(run.path)]
    rates: dict[str, list[float]] = {"watched": [], "alone": []}
    viewer: subprocess.Popen[bytes] | None = None
    try:
        while len(arm.steps()) < turns.WARM and arm.alive():
            time.sleep(0.05)
        for _ in range(here.of(8, 2)):
            for name in rates:
                viewer = subprocess.Popen(looking) if name == "watched" else None
                time.sleep(here.of(2, 1))  # until it has read the history
                rates[name].append(turns.watched(arm, here.of(10, 2), least=4))
                if viewer:
                    viewer.kill()
                    viewer.wait()
    finally:
        turns.end([arm])
        if viewer:
            viewer.kill()
    lost = report.ratios(rates["alone"], rates["watched"])
    return {
        "figures": {"watched": report.figure(rates["watched"], "tokens/s"), "alone / watched": lost},
        "bars": [report.bar("watching costs at most 0.5%", lost["median"], most=1.005)],
    }


def unpacked(here: Place) -> dict[str, Any]:
    """8B in 4 bits, weights unpacked once against unpacked at each step: speed, losses and memory."""
    length = here.of(2048, 64)
    rows = place.whole_rows(here.of(512, 64), length)
    found = _ours_with(here, "Llama-3.1-8B", rows, "keep_dequantised", (True, False))
    bars = [report.bar("unpacked once at least as fast", _middle(found, "True / False"), least=1.0)]
    if not place.on_gpu():  # kernels of a GPU may multiply the same numbers in other blocks
        bars.append(report.bar("the same losses", found["facts"]["losses apart"], most=0.0))
    return {**found, "bars": bars}


def read_ahead(here: Place) -> dict[str, Any]:
    """The smallest shape on the fastest GPU, where rows might be waited for: a process that reads ahead."""
    rows = place.whole_rows(here.of(4096, 64), here.of(512, 48))
    found = _ours_with(here, "SmolLM-135M", rows, "loader_workers", (1, 0))
    found["bars"] = [report.bar("the same losses", found["facts"]["losses apart"], most=2e-3)]
    return found


def attention(here: Place) -> dict[str, Any]:
    """8B, rows of 4,096: flash-attn against torch's own kernels; on a CPU plain products against them."""
    if place.on_gpu() and not fit.device().flash:
        raise place.NotHere("flash-attn is not installed, or this GPU cannot run it: a comparison with it")
    rows = place.whole_rows(here.of(512, 64), here.of(4096, 96))
    names = ("flash" if place.on_gpu() else "eager", "sdpa")
    found = _ours_with(here, "Llama-3.1-8B", rows, "attention", names)
    found["bars"] = [report.bar("losses apart", found["facts"]["losses apart"], most=2e-2)]
    return found


def left_open(here: Place) -> dict[str, Any]:
    """8B on short rows with each key of [train] that may be "auto": what was chosen, forecast and peak."""
    lengths = place.short_rows(here.of(2000, 200), here.of(150, 40))
    rows = _rows(here, lengths)
    train = {"steps": here.of(20, 4), "probe": True, **dict.fromkeys(auto.OPEN, "auto")}
    plan = place.plan(here.model("Llama-3.1-8B"), rows, max(16, *lengths), train=train)
    run = place.trained(plan)
    (chosen,), (foreseen,) = (place.told(run, kind) for kind in ("chosen", "forecast"))
    steps = place.told(run, "step")
    used = [event["memory"] for event in steps if "memory" in event]
    peak = max(one.get("peak", one.get("rss_peak", 0)) for one in used)
    speeds = [event["tokens_per_s"] for event in steps[turns.WARM :]]
    bars = [
        report.bar("every open key has a value and a why", len(chosen["choices"]), least=len(auto.OPEN)),
        report.bar("times that memory ran out", len(place.told(run, "shrunk")), most=0),
        report.bar("peak / what was free", peak / foreseen["free"], most=auto.ROOM + 0.05),
    ]
    facts = {"choices": chosen["choices"], "forecast": foreseen["total"], "peak": peak}
    return {"figures": {"tokens/s": report.figure(speeds, "tokens/s")}, "facts": facts, "bars": bars}


def _ours_with(
    here: Place, name: str, lengths: Sequence[int], key: str, values: tuple[Any, Any]
) -> dict[str, Any]:
    """Two runs of the worker that differ in one key of [train], in turns; losses of the first steps."""
    rows = _rows(here, lengths)
    arms = []
    try:
        for value in values:
            setting = {"batch": 2, "accumulation": 2, "checkpointing": True, "packing": True, key: value}
            arms.append(_ours(_plan(here, rows, max(lengths), setting, name), str(value)))
        found = turns.interleaved(arms, here.of(ROUNDS, 1), here.of(10, 1), least=3)
        held = {arm.name: max(step.reserved for step in arm.steps()) for arm in arms}
        losses = [[loss for _, loss in run.state().losses] for run in runs.list_runs()]
    finally:
        turns.end(arms)
    one, other = (str(value) for value in values)
    apart = max(abs(a / b - 1) for a, b in zip(*losses, strict=False))
    return {
        "figures": {
            **{arm: report.figure(samples, "tokens/s") for arm, samples in found.items()},
            f"{one} / {other}": report.ratios(found[one], found[other]),
        },
        "facts": {"key": key, "reserved_bytes": held, "losses apart": report.short(apart)},
    }


def _middle(found: dict[str, Any], figure: str) -> float:
    return float(found["figures"][figure]["median"])


VIEWER = """
import sys, time
from pathlib import Path
from engine.runs import Run
from tui.feed import Edges, RunFeed
feed = RunFeed(Run(Path(sys.argv[1])), Edges())
while True:
    feed.poll()
    time.sleep(0.25)
"""


def _against(
    here: Place, lengths: Sequence[int], length: int, setting: dict[str, Any], stock: float | None
) -> dict[str, Any]:
    rows = _rows(here, lengths)
    model = here.model("Llama-3.1-8B")
    ours = _ours(_plan(here, rows, length, {**setting, "packing": True}))
    kinds = (
        ("unsloth", "stock") if place.on_gpu() else ("unsloth",)
    )  # TRL's loss wants triton, CPUs have none
    arms = [ours, *(_script(here, kind, model, rows, length, setting) for kind in kinds)]
    try:
        found = turns.interleaved(arms, here.of(ROUNDS, 1), here.of(12, 1), least=3)
        held = {arm.name: max(step.reserved for step in arm.steps()) for arm in arms}
    finally:
        turns.end(arms)
    against = {kind: report.ratios(found["ours"], found[kind]) for kind in kinds}
    bars = [report.bar("at least bare Unsloth", against["unsloth"]["median"], least=1.0)]
    if stock and "stock" in against:
        bars.append(report.bar("at least 5 times stock TRL", against["stock"]["median"], least=stock))
    speed = statistics.median(found["ours"])
    return {
        "figures": {
            **{name: report.figure(samples, "tokens/s") for name, samples in found.items()},
            **{f"ours / {kind}": value for kind, value in against.items()},
        },
        "facts": {
            "reserved_bytes": held,
            "setting": setting,
            "rows": len(lengths),
            "longest": length,
            **_facts(here, speed, bool(setting["checkpointing"]), ours.steps()),
        },
        "bars": bars,
    }


def _rows(here: Place, lengths: Sequence[int]) -> Path:
    file = here.folder / "train.jsonl"
    place.write_rows(file, list(lengths))
    return file


def _plan(
    here: Place, rows: Path, length: int, setting: dict[str, Any], name: str = "Llama-3.1-8B"
) -> Recipe:
    other = {
        key: setting[key] for key in ("keep_dequantised", "loader_workers", "attention") if key in setting
    }
    train = {
        **other,
        "steps": 10**6,
        "batch_size": setting["batch"],
        "gradient_accumulation": setting["accumulation"],
        "gradient_checkpointing": setting["checkpointing"],
        "packing": setting.get("packing", False),
    }
    return place.plan(here.model(name), rows, max(16, length), train=train)


def _ours(plan: Recipe, name: str = "ours") -> Arm:
    run = runs.create(plan)
    runs.launch(run, {BESIDE: "1"})  # arms take turns here, not in the line of runs

    def steps() -> list[Step]:
        return [
            Step(event["time"], event["tokens"], event.get("memory", {}).get("peak", 0))
            for event in place.told(run, "step")
        ]

    place.wait(run, lambda events: any(event["kind"] == "step" for event in events))
    if not runs.is_alive(run):
        raise SystemExit(f"ours: {run.state().reason}\n" + "\n".join(runs.log_tail(run)))
    return Arm(name, int((run.path / "lock").read_text()), steps, lambda: runs.is_alive(run))


def _script(here: Place, kind: str, model: Path, rows: Path, length: int, setting: dict[str, Any]) -> Arm:
    lines = here.folder / f"{kind}.jsonl"
    lines.touch()
    spec = {
        "kind": kind, "model": str(model), "rows": str(rows), "length": max(16, length), "steps": str(lines),
        "folder": str(here.folder / kind), **setting,
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.cuda.arms", json.dumps(spec)]
    process = subprocess.Popen(command, stdout=2)

    def steps() -> list[Step]:
        whole = lines.read_text("ascii").rpartition("\n")[0]
        told = (json.loads(line) for line in whole.splitlines())
        return [Step(one["time"], one["tokens"], one["reserved"]) for one in told]

    return Arm(kind, process.pid, steps, lambda: process.poll() is None)


def _facts(here: Place, speed: float, checkpointing: bool, steps: Sequence[Step]) -> dict[str, Any]:
    """Share of the roof. A token costs 2 N operations forward and 2 N backward through frozen weights, and
    with checkpointing another 2 N; N: all weights that are multiplied with (no embeddings, norms). Attention
    itself and the adapter are left out, so the share is a little low."""
    model = shapes.read(json.loads((here.model("Llama-3.1-8B") / "config.json").read_text("utf-8")))
    assert isinstance(model, Shapes)
    multiplied = model.count("linear", "head") + (model.hidden * model.vocab if model.tied else 0)
    each = (6 if checkpointing else 4) * multiplied
    return {
        "operations_a_token": each,
        "share_of_790_tflops": report.short(speed * each / ROOF),
        "peak_reserved_bytes": max(step.reserved for step in steps),
    }
