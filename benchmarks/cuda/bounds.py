"""Cells of limits: the longest sequence, the forecast against the truth, and how long a GPU stands idle."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.cuda import place, report
from benchmarks.cuda.place import Place
from engine import runs
from engine.events import EventLog

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TRACED = 4
"""Steps that the profiler looks at."""
FINE = 2048
"""Tokens within which the longest sequence is told."""


def longest(here: Place) -> dict[str, Any]:
    """The longest row that trains on 8B with batch 1, by the worker's own trainer, memory all its own."""
    from engine.workers import failures, probing, train
    from engine.workers.io import StopFlag

    train.warm()
    import torch

    place.write_rows(here.folder / "train.jsonl", place.whole_rows(4, 32))
    most = here.of(1 << 19, 256)
    plan = place.plan(
        here.model("Llama-3.1-8B"), here.folder / "train.jsonl", most,
        train={"steps": 1, "batch_size": 1, "gradient_accumulation": 1, "probe": True},
    )  # fmt: skip
    run = runs.create(plan)
    tried: dict[int, bool] = {}

    def goes(trainer: Any, length: int) -> bool:
        row = {"input_ids": [5 + place_ % 900 for place_ in range(length)]}
        batch = trainer.data_collator([{**row, "labels": row["input_ids"]}])
        try:
            batches, items = trainer.get_batch_samples(iter([batch]), 1, trainer.args.device)
            trainer.uncounted_step(None, trainer.model_wrapped, batches[0], items)
            if not place.on_gpu() and length > most // 2:  # a CPU has memory enough: the search needs an end
                raise torch.cuda.OutOfMemoryError("ordered")
            tried[length] = True
        except Exception as error:
            if not failures.ran_out(error):
                raise
            tried[length] = False
        trainer.model_wrapped.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return tried[length]

    def search(trainer: Any, *_: Any) -> Any:
        bisected(lambda length: goes(trainer, length), here.of(8192, 32), most, here.of(FINE, 16))
        raise train.Probed

    probing.probe = search
    try:
        train.train(run, EventLog(run.events), StopFlag(), probe_only=True)
    except train.Probed:
        pass
    best = max((length for length, went in tried.items() if went), default=0)
    facts = {"tried": {str(length): went for length, went in sorted(tried.items())}}
    return {"figures": {"longest row": report.figure([best], "tokens")}, "facts": facts, "bars": []}


def bisected(goes: Callable[[int], bool], start: int, most: int, fine: int) -> int:
    """The longest length that goes, within `fine`: doubled from `start` until it does not, then halved in."""
    good, bad = 0, most + 1
    length = start
    while length <= most:
        if not goes(length):
            bad = length
            break
        good, length = length, 2 * length
    while bad - good > fine and good:
        middle = (good + bad) // 2
        if goes(middle):
            good = middle
        else:
            bad = middle
    return good


def fits(number: int) -> Callable[[Place], dict[str, Any]]:
    """One of the configurations of benchmarks/fit.py: forecast against measured peak."""

    def cell(here: Place) -> dict[str, Any]:
        import fit
        from fit_cases import ON_CPU, ON_CUDA

        case = (ON_CUDA if place.on_gpu() else ON_CPU)[number - 1]
        found = fit.in_a_process(case)
        if "error" in found:
            raise SystemExit(found["error"])
        ratio = found["forecast"] / found["measured"]
        bars = [report.bar("forecast / measured", ratio, least=0.95, most=1.05)] if place.on_gpu() else []
        return {
            "figures": {"forecast / measured": report.figure([ratio], "times")},
            "facts": found | {"case": case},
            "bars": bars,
        }

    return cell


def idle(here: Place) -> dict[str, Any]:
    """Share of the time in which no kernel ran, over whole steps of the real worker, by torch's profiler."""
    from engine.workers import train
    from engine.workers.io import StopFlag

    train.warm()
    from torch.profiler import ProfilerActivity, profile

    from engine.workers.teller import Teller

    length = here.of(4096, 64)
    place.write_rows(here.folder / "train.jsonl", place.whole_rows(here.of(256, 32), length))
    plan = place.plan(
        here.model("Llama-3.1-8B"), here.folder / "train.jsonl", length,
        train={"steps": 4 + TRACED, "batch_size": 2, "gradient_accumulation": 2, "packing": True},
    )  # fmt: skip
    run = runs.create(plan)
    kind = ProfilerActivity.CUDA if place.on_gpu() else ProfilerActivity.CPU
    tracing = profile(activities=[kind])
    begin = Teller.on_step_begin

    def looked_at(teller: Teller, args: Any, state: Any, control: Any, **named: Any) -> None:
        if state.global_step == 3:
            tracing.start()
        elif state.global_step == 3 + TRACED:
            tracing.stop()
        begin(teller, args, state, control, **named)

    Teller.on_step_begin = looked_at  # type: ignore[method-assign]
    train.train(run, EventLog(run.events), StopFlag())
    file = here.folder / "trace.json"
    tracing.export_chrome_trace(str(file))
    wanted = ("kernel", "gpu_memcpy", "gpu_memset") if place.on_gpu() else ("cpu_op",)
    spans = [
        (event["ts"], event["ts"] + event["dur"])
        for event in json.loads(file.read_text("utf-8"))["traceEvents"]
        if event.get("cat") in wanted and "dur" in event
    ]
    share = idle_share(spans)
    waited = statistics.median(event["data"] for event in place.told(run, "step"))
    bars = [report.bar("idle between kernels at most 2%", share, most=0.02)] if place.on_gpu() else []
    return {
        "figures": {"idle": report.figure([100 * share], "%")},
        "facts": {"steps": TRACED, "seconds a step that waits for rows": waited, "by": "torch profiler"},
        "bars": bars,
    }


def idle_share(spans: Iterable[tuple[float, float]]) -> float:
    """Of the time from the first beginning to the last end, the share that no span covers."""
    ordered = sorted(spans)
    if not ordered:
        raise SystemExit("the profiler saw no kernel")
    covered, reached = 0.0, ordered[0][0]
    for began, ended in ordered:
        covered += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return 1 - covered / (reached - ordered[0][0])
