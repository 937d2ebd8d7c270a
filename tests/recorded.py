"""Recorded runs, built by code: what a worker would have said, and a file of a million steps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui_stage import GB, loss_at, step_events

Event = dict[str, Any]

QUESTIONS = (
    "Is this [good]?\n\nThe lamp is bright.",
    "Name the colour of the \x1b[31mlamp.",
    "How many stars?",
)
REFERENCES = ("positive, 5 stars", "red", "five")


def whole(steps: int, total: int = 400, end: str | None = "finished", gpu: str = "") -> list[Event]:
    """A healthy run with all that a worker can say: forecast, probe, samples, times; evaluations each 50."""
    events: list[Event] = [
        {"kind": "started", "name": "first-steps", "model": "builtin:tiny", "pid": 4242},
        {"kind": "phase", "phase": "render"},
        {
            "kind": "rendered", "count": 2400, "tokens": 161_789, "trained_tokens": 34_311, "digest": "5e55",
            "validation": 200, "left_out": {"missing field": 3},
        },
        {"kind": "forecast", "total": 3_100_000_000, "free": 24 * GB, "verdict": "fits", "terms": {}},
        {"kind": "phase", "phase": "load"},
        {
            "kind": "loaded", "parameters": 2_200_000, "trainable": 60_000, "four_bit": True,
            "device": "cuda:0" if gpu else "cpu", **({"gpu": gpu} if gpu else {}),
        },
        {"kind": "phase", "phase": "probe"},
        {
            "kind": "probed", "train": {"rows": 4, "length": 91, "peak": 3_000_000_000},
            "evaluation": {"rows": 4, "length": 80, "peak": 2_400_000_000}, "forecast": 3_100_000_000,
            "seconds": 0.16, "tokens_per_s": 6_700.0, "eta": 70.0,
        },
        {"kind": "phase", "phase": "baseline"},
        *sampled(0, ["I am a lamp. " * 4, "A lamp is a lamp", "stars"], base=True),
        {"kind": "evaluated", "step": 0, "loss": 4.18, "rows": 200, "adapter": False, "seconds": 2.0},
        {"kind": "phase", "phase": "train"},
    ]  # fmt: skip
    for event in step_events(steps, total, end=None)[6:]:
        step = event["step"]
        if event["kind"] == "step":
            held = {"rss": 766_000_000}
            if gpu:
                held |= {"allocated": 2_100_000_000, "reserved": 2_600_000_000, "peak": 2_700_000_000}
            events.append({**event, "memory": held, "seconds": 0.15, "data": 0.01})
        else:
            events += sampled(step, [f"positive, {step // 100} stars", "red", "four"])
            events.append({**event, "seconds": 3.0})
            if step % 100 == 0:
                events.append({"kind": "saved", "step": step, "path": f"step-{step}", "seconds": 0.5})
    if end is not None:
        events.append({"kind": end, "step": steps, "path": "adapter"})
    return events


def sampled(step: int, answers: list[str], base: bool = False) -> list[Event]:
    """The same prompts, asked of the base model or of the adapter at a step."""
    return [
        {
            "kind": "sampled", "step": step, "number": number, "adapter": not base, "answer": answer,
            "ended": number != 1,
            **({"prompt": QUESTIONS[number], "reference": REFERENCES[number]} if base else {}),
        }
        for number, answer in enumerate(answers)
    ]  # fmt: skip


def changed(events: list[Event], losses: dict[int, float]) -> list[Event]:
    """The same run with other losses at some steps."""
    at = {step: {"loss": loss} for step, loss in losses.items()}
    return [{**event, **at.get(event["step"], {})} if event["kind"] == "step" else event for event in events]


def with_nan(steps: int = 230) -> list[Event]:
    """Two losses that are no number in mid-run, passed over."""
    events: list[Event] = []
    for event in changed(whole(steps, end=None), {120: math.nan, 121: math.nan}):
        if event.get("step") in (120, 121) and event["kind"] == "step":
            events.append(
                {
                    "kind": "non_finite", "step": event["step"], "what": "loss", "rows": [7, 9],
                    "places": ["/data/train.jsonl line 8", "/data/train.jsonl line 10"], "done": "skipped",
                }
            )  # fmt: skip
        events.append(event)
    return events


def with_spikes(steps: int = 230) -> list[Event]:
    return changed(whole(steps, end=None), {80: 500.0, 150: 77.0})


def resumed(to: int = 100, until: int = 150) -> list[Event]:
    """Killed after `until`, taken up again at `to`, with twice the loss from there on to 230."""
    first = whole(until, end=None)
    later = [event for event in whole(230, end=None) if event.get("step", 0) > to]
    later = [
        {**event, "loss": 2 * event["loss"]} if event["kind"] in ("step", "evaluated") else event
        for event in later
    ]
    return [*first, {"kind": "started", "pid": 4343}, {"kind": "resumed", "step": to, "from": "step-100"},
            {"kind": "phase", "phase": "train"}, *later]  # fmt: skip


def overfitting(steps: int = 400) -> list[Event]:
    """Validation falls until step 200 and rises from there on, while training goes on falling."""
    return [
        {**event, "loss": loss_at(200) + 0.002 * (event["step"] - 200)}
        if event["kind"] == "evaluated" and event["step"] > 200
        else event
        for event in whole(steps, end=None)
    ]


def lines(steps: int, every: int = 0) -> Iterator[str]:
    """The events of a run of any length, as they stand in its file; memory only where it has changed."""
    for event in (
        {"kind": "started", "model": "builtin:tiny", "pid": 1},
        {"kind": "evaluated", "step": 0, "loss": 4.0, "adapter": False},
        {"kind": "phase", "phase": "train"},
    ):
        yield json.dumps({"seq": 1, "time": 1.8e9, **event}) + "\n"
    for step in range(1, steps + 1):
        memory = '"memory": {"rss": 766000000}, ' if step % 100 == 1 else ""
        yield (
            f'{{"kind": "step", "seq": {step + 3}, "time": {1.8e9 + step * 0.16:.3f}, '
            f'"step": {step}, "total": {steps}, "loss": {slow_loss(step, steps):.6f}, "lr": 0.0002, '
            f'"grad_norm": 0.8, "tokens": 1078, "trained_tokens": 228, "tokens_per_s": 6900.0, {memory}'
            f'"epoch": {step / 150:.4f}, "eta": {(steps - step) * 0.16:.1f}, '
            '"seconds": 0.15, "data": 0.01}\n'
        )
        if every and step % every == 0:
            loss = slow_loss(step, steps) + 0.1
            event = {"kind": "evaluated", "seq": 1, "time": 1.8e9, "step": step, "loss": loss}
            yield json.dumps(event) + "\n"


def slow_loss(step: int, steps: int) -> float:
    """Falls over a fifth of the run, with a ripple; the same on every machine."""
    return 0.3 + 3.9 * math.exp(-8 * step / steps) + 0.1 * math.sin(step * 1.7)


def write_long(path: Path, steps: int, every: int = 0) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines(steps, every))
