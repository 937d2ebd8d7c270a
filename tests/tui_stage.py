"""A stage for the app: a home with recorded runs, a scripted child in place of each worker, a fixed clock."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from engine import ledger, recipe, runs
from engine.fit import fit, of_models, settle
from engine.footprint import Device
from engine.hardware import Gpu, Host
from engine.models import ModelInfo
from engine.runs import Run
from engine.schema import Recipe
from tui.app import IftTui
from tui.feed import Edges

NOW = 1_800_000_000.0
GB = 10**9

HOST = Host(
    memory_total=32 * GB,
    memory_available=24 * GB,
    memory_used=8 * GB,
    cpu=50.0,
    cores=2,
    disk_free=100 * GB,
    disk_total=200 * GB,
)
GPU = Gpu(0, "NVIDIA H200", 150 * GB, 41 * GB, 109 * GB, 97, 61, 512.0, "580.95")

MODELS = [
    ModelInfo(
        "builtin:tiny", "tiny", "builtin", Path("/models/tiny"), "LlamaForCausalLM", 2_200_000, 512,
        "Apache-2.0", 4_400_000, 1_700_000, True,
    ),
    ModelInfo(
        "/models/broken", "broken", "folder", Path("/models/broken"),
        problem="/models/broken: no tokenizer.json; save the tokenizer beside the weights",
    ),
    ModelInfo(
        "org/eight-b", "Eight B", "catalogue", None, "LlamaForCausalLM", 8_030_000_000, 131_072,
        "Llama 3.1", 16_060_000_000, 5_400_000_000, None, gated=True, note="A well-known one.",
    ),
]  # fmt: skip

TEXT = "<|im_start|>user\nIs this [good]?\n\nThe lamp is bright.<|im_end|>\n<|im_start|>assistant\n"
ANSWER = "positive, 5 stars<|im_end|>"


def found(path: str, **facts: Any) -> dict[str, Any]:
    """A SET of the data worker: how one source was found."""
    return {
        "path": path,
        "format": "alpaca",
        "mapping": "instruction + input -> output",
        "roles": {"instruction": "instruction", "input": "input", "output": "output"},
        "columns": ["instruction", "input", "output"],
        "notes": [],
        "question": "",
        "fitting": [],
        "files": [{"part": "train", "path": path, "kind": "jsonl"}],
        "first": {"instruction": "Is this [good]?", "input": "The lamp is bright.", "output": "positive"},
        **facts,
    }


TABLE = found(
    "/data/reviews.csv",
    format="",
    mapping="",
    roles={},
    columns=["text", "label", "odd name", *(f"c{number}" for number in range(5000))],
    notes=["UTF-16"],
    fitting=[{"name": "review-sentiment", "task": "sentiment", "language": "en", "columns": {}}],
    first={"text": "A [fine] lamp.", "label": 1, "odd name": "x"},
)
PREFERENCE = found(
    "/data/pairs.jsonl",
    format="preference",
    mapping="prompt -> chosen",
    roles={"prompt": "prompt", "chosen": "chosen"},
    columns=["prompt", "chosen", "rejected"],
    question="This is preference data: train on the chosen answers only?",
    first={"prompt": "Say red.", "chosen": "red", "rejected": "blue"},
)


def total(reason: str, rows: int, done: str = "left out", **facts: Any) -> dict[str, Any]:
    """A TOTAL of the data worker: what the ledger holds of one reason."""
    known = ledger.REASONS[reason]
    return {
        "reason": reason, "done": done, "rows": rows, "meaning": known.meaning,
        "action": known.actions[0], "actions": list(known.actions), "details": [["output", rows]],
        "first": [f"train.jsonl line {5 * number}" for number in range(1, min(rows, 5) + 1)],
        "spoils": False, **facts,
    }  # fmt: skip


TOTALS = [
    total("missing field", 3),
    total("role renamed", 120, "changed", details=[["developer -> system", 118], ["bot -> assistant", 2]]),
]
COUNTS = {
    "folder": "/tmp/counted",
    "sources": [
        {"rows": {"train": 1200, "validation": 100, "test": 200}, "left_out": left_out} for left_out in (0, 3)
    ],
    "parts": {"train": 2400, "validation": 200, "test": 400},
    "ledger": TOTALS,
}
OPENED = {
    "kind": "opened",
    "model": "builtin:tiny",
    "template": "the model's own",
    "sources": [found(f"builtin:{name}") for name in ("products", "reviews")],
    "survey": COUNTS,
}
REPORT = {
    "sources": [
        {"path": "builtin:products", "samples": 1200, "tokens": 100_789, "trained_tokens": 30_000},
        {"path": "/data/[odd] reviews.csv", "samples": 1200, "tokens": 61_000, "trained_tokens": 4_311},
    ],
    "labels": [["positive", 700], ["negative", 480], ["[mixed]", 20]],
    "languages": [["English", 0.9], ["Chinese", 0.1]],
    "near_empty": {"rows": 7, "first": ["train.jsonl line 4", "train.jsonl line 9"]},
    "longest": [{"place": f"train.jsonl line {n}", "tokens": 600 - n} for n in range(1, 11)],
    "conflicts": {"questions": 2, "first": ["train.jsonl line 12", "train.jsonl line 77"]},
    "warnings": ["58% of the answers are \x1bpositive: a model may learn to say only that."],
}
SCANNED = {
    "kind": "scanned",
    "rows": 2400,
    "tokens": 161_789,
    "trained_tokens": 34_311,
    "digest": "5e55ed0123456789abcdef",
    "longest": 91,
    "usual": 88,
    "lengths": [[32, 300], [64, 1600], [128, 450], [256, 45], [512, 5]],
    "left_out": {"missing field": 3},
    "ledger": TOTALS,
    "file": "/tmp/ledger.jsonl",
    "report": REPORT,
    "spoiling": [],
}


def row(part: str, index: int, count: int | None = 2400, **facts: Any) -> dict[str, Any]:
    """A `row` message, as the data worker sends it."""
    return {
        "kind": "row", "part": part, "index": index, "count": count, "set": 0,
        "file": f"/data/{part}.jsonl", "line": index + 1, "unit": "line",
        "source": {"instruction": "Is this [good]?"}, "variant": 0, "variants": 1, "times": 1, "links": 0,
        "notes": [], "piece": "",
        "messages": [
            {"role": "user", "content": f"Is this [good]? Row {index + 1}."},
            {"role": "assistant", "content": "positive, 5 stars"},
        ],
        "text": TEXT + ANSWER, "spans": [[len(TEXT), len(TEXT + ANSWER)]],
        "tokens": 40, "trained_tokens": 7, "max_length": 256, "length": 40, "cut_at": None, "tools": [],
        "refused": "", **facts,
    }  # fmt: skip


def entry(number: int, reason: str) -> dict[str, Any]:
    """An entry of a `ledger` message."""
    return {
        "file": "/data/train.jsonl", "line": 5 * number, "unit": "line", "reason": reason, "detail": "output",
        "excerpt": f'{{"instruction": "Is [this] \x1b good {number}?"}}', "done": "left out",
        "offset": 640 * number,
    }  # fmt: skip


def small_library(folder: Path) -> Path:
    """Two prompt templates in the place of the shipped ones: one that fits TABLE, one that does not."""
    for name, label, body in (("mood", "label", "text"), ("other-table", "absent", "body")):
        (folder / f"{name}.toml").write_text(
            f'name = "{name}"\ntask = "{name}"\nlanguage = "en"\nmetric = "exact"\n'
            f'description = "About [{name}]."\n[columns]\n{label} = "one"\n{body} = "two"\n'
            f'[[wordings]]\nprompt = "Is {{{{ {body} }}}} good?"\nanswer = "{{{{ {label} }}}}"\n'
        )
    return folder


def column(name: str, **facts: Any) -> dict[str, Any]:
    """A COLUMN of the chat worker."""
    return {
        "column": name, "on": name != "base", "members": [], "run": None, "step": None, "digest": None,
        "rank": None, "whole": False, "zero": False, "apart": "", "warning": "", **facts,
    }  # fmt: skip


BASE = column("base")
TUNED = column("tuned", run="20270115-073000-done", step=400, digest="c0ffee0123456789", rank=16)


def answered(text: str, column: str, **facts: Any) -> dict[str, Any]:
    """An ANSWER of the chat worker."""
    on = column != "base"
    return {
        "text": text, "tokens": 7 if on else 96, "ended": on, "prompt_tokens": 40,
        "cut": {"turns": 0, "tokens": 0}, "first_seconds": 0.05, "seconds": 1.0,
        "tokens_per_second": 48.0 if on else 96.0, "on": on, "digest": TUNED["digest"] if on else None,
        "reference": None, **facts,
    }  # fmt: skip


class Script:
    """Stands where Child stands: answers each request from a script, at once."""

    def __init__(self, worker: str, *arguments: str) -> None:
        import asyncio

        self.worker = worker
        self.arguments = arguments
        self.asked: list[dict[str, Any]] = []
        self.closed = False
        self._said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def start(self) -> None:
        if self.worker == "chat":
            self.say(kind="phase", phase="import")
            self.say(kind="phase", phase="load")
            self.say(
                kind="ready", model="builtin:tiny", four_bit=True, context=512, step=400,
                digest="c0ffee0123456789", columns=[BASE, TUNED], seconds=4.0,
            )  # fmt: skip

    async def send(self, **request: Any) -> None:
        self.asked.append(request)
        for message in self.answers(request):
            self.say(**{"id": request.get("id"), **message})

    def say(self, **message: Any) -> None:
        self._said.put_nowait(message)

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match request["do"]:
            case "open":
                yield OPENED
            case "row":
                count = {"train": 2400, "validation": 200, "test": 400}[request["part"]]
                index = min(max(request["index"], 0), count - 1)
                yield row(request["part"], index, count, variant=request.get("variant", 0))
            case "scan":
                yield {"kind": "progress", "phase": "count", "done": 0, "total": 2400}
                yield {"kind": "surveyed", **COUNTS}
                yield {"kind": "progress", "phase": "render", "done": 0, "total": 2400}
                yield SCANNED
            case "try":
                yield self.tried(request)
            case "count":
                yield {"kind": "counted", **COUNTS}
            case "adopt":
                yield {"kind": "adopted", **COUNTS}
            case "ledger":
                rows = next(total["rows"] for total in TOTALS if total["reason"] == request["reason"])
                numbers = range(request["start"], min(rows, request["start"] + request["rows"]))
                entries = [entry(number + 1, request["reason"]) for number in numbers]
                yield {"kind": "ledger", "total": rows, "entries": entries}
            case "ask":
                yield from self.answer(request)
            case "load":
                facts = {"column": request["column"], "step": request["step"] or 400}
                yield {"kind": "loaded", **TUNED, **facts, "digest": f"{request['step'] or 7:016x}"}
            case "average":
                facts = {"column": request["column"], "members": request["members"], "digest": None}
                yield {"kind": "loaded", **TUNED, **facts}
            case "unload":
                yield {"kind": "unloaded", "column": request["column"]}
            case "cancel":
                pass
            case other:
                raise AssertionError(f"nobody answers {other!r}: the asker would wait for ever")

    def tried(self, request: dict[str, Any]) -> dict[str, Any]:
        """Rows of a table, read as the source says."""
        source = request["source"]
        named = request["template"] is not None or source["templates"]
        if source["encoding"] == "klingon":
            return {"kind": "error", "message": "/data/reviews.csv: no such encoding: klingon"}
        format = "template" if named else source["format"].replace("auto", "")
        shape = {"format": format, "mapping": " + ".join(source["columns"].values()) or "as it is"}
        said = request["template"]["wordings"][0] if request["template"] else {"prompt": "A [fine] lamp."}
        rows = [
            {
                "file": "/data/reviews.csv", "line": line, "data": TABLE["first"], "text": "",
                "messages": [
                    {"role": "user", "content": said["prompt"]}, {"role": "assistant", "content": "positive"},
                ] if format else [],
                "refused": "" if format else "no known shape", "notes": [],
            }
            for line in (2, 3, 4)
        ]  # fmt: skip
        return {"kind": "tried", "set": {**TABLE, **shape}, "rows": rows}

    def answer(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        base = "The lamp is bright. The lamp was on the table, and it was a very good lamp."
        said = {}
        for column in request["messages"]:
            text = base if column == "base" else "positive, 5 stars"
            for word in text.split(" ") if column == "base" else [text]:
                yield {"kind": "token", "column": column, "text": word + " " if column == "base" else word}
            likely = {"reference": -0.11 if column != "base" else -5.25} if request.get("reference") else {}
            said[column] = answered(text, column, **likely)
        yield {"kind": "answered", "cancelled": False, "seconds": 1.0, "warnings": [], "columns": said}

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        while (message := await self._said.get()) is not None:
            yield message

    async def close(self) -> None:
        self.closed = True
        self._said.put_nowait(None)


class Stage:
    """The app on scripted workers. What was started and which children were made is kept to be asked."""

    def __init__(self, gpus: list[Gpu] | None = None, child: type[Script] = Script) -> None:
        self.children: list[Script] = []
        self.started: list[Recipe] = []
        self.stopped: list[Run] = []
        self.ahead: list[Run] = []
        self.beside: list[bool] = []
        self.asked: list[tuple[str, float | None]] = []
        self.changes: list[str] = []
        self.resumed: list[Run] = []
        self.moved: list[tuple[Run, int]] = []
        self._child = child
        self.edges = replace(
            Edges(),
            clock=lambda: NOW,
            models=lambda: MODELS,
            describe=lambda id: replace(MODELS[2], id=id, name=id),
            gpus=lambda: gpus or [],
            host=lambda: HOST,
            fit=lambda plan, rows: fit(plan, Device("cpu", 8 << 30), rows),
            settle=lambda plan, rows: settle(plan, Device("cpu", 8 << 30), rows),
            fits=lambda plan, models: of_models(plan, models, Device("cpu", 8 << 30)),
            ahead=lambda: list(self.ahead),
            start=self._start,
            stop=self._stop,
            control=self._control,
            changes=lambda run: list(self.changes),
            resume=self._resume,
            move=lambda run, by: self.moved.append((run, by)),
            child=self._make,  # type: ignore[arg-type]
        )

    def app(self) -> IftTui:
        return IftTui(self.edges)

    def but(self, **edges: Any) -> Edges:
        """The stage's edges with some others in their place."""
        return replace(self.edges, **edges)

    def _make(self, worker: str, *arguments: str) -> Script:
        self.children.append(self._child(worker, *arguments))
        return self.children[-1]

    def _start(self, plan: Recipe, beside: bool) -> Run:
        self.started.append(plan)
        self.beside.append(beside)
        return record(plan.name, step_events(400), plan=plan)

    def _control(self, run: Run, do: str, value: float | None = None) -> None:
        self.asked.append((do, value))

    def _resume(self, run: Run, beside: bool) -> None:
        self.resumed.append(run)
        self.beside.append(beside)

    def _stop(self, run: Run) -> bool:
        self.stopped.append(run)
        return True


def record(
    name: str, events: list[dict[str, Any]], minutes_ago: float = 30, plan: Recipe | None = None
) -> Run:
    """A run directory with these events, begun some minutes before now."""
    began = NOW - 60 * minutes_ago
    plan = plan or recipe.load("first-steps").model_copy(update={"name": name})
    run = runs.create(plan, datetime(2027, 1, 15, 8) - timedelta(minutes=minutes_ago))
    lines = [{"seq": number, "time": began + number, **event} for number, event in enumerate(events, 1)]
    run.events.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    run.log.write_text("Unsloth: loaded\nTraining \x1b[31mred\x1b[0m [bold]log[/bold]\n", "utf-8")
    return run


def step_events(steps: int, total: int = 400, end: str | None = "finished") -> list[dict[str, Any]]:
    """What a healthy run says, up to a step, with its last word."""
    events: list[dict[str, Any]] = [
        {"kind": "started", "name": "first-steps", "model": "builtin:tiny"},
        {"kind": "phase", "phase": "load"},
        {"kind": "phase", "phase": "render"},
        {"kind": "phase", "phase": "baseline"},
        {"kind": "evaluated", "step": 0, "loss": 4.18, "rows": 200, "adapter": False},
        {"kind": "phase", "phase": "train"},
    ]
    for step in range(1, steps + 1):
        events.append(
            {
                "kind": "step", "step": step, "total": total, "loss": loss_at(step), "lr": 4e-3,
                "grad_norm": 0.8, "tokens": 1078, "trained_tokens": 228, "tokens_per_s": 6900.0,
                "memory": {"rss": 766_000_000}, "epoch": step / 150, "eta": (total - step) * 0.16,
            }
        )  # fmt: skip
        if step % 50 == 0:
            loss = loss_at(step) + 0.1
            events.append({"kind": "evaluated", "step": step, "loss": loss, "rows": 200})
    if end is not None:
        events.append({"kind": end, "step": steps, "path": "adapter"})
    return events


def loss_at(step: int) -> float:
    """A loss that falls, with a ripple that is the same on every machine."""
    return round(0.3 + 3.9 * math.exp(-step / 60) + 0.12 * math.sin(step * 1.7), 4)


@contextmanager
def alive(run: Run) -> Iterator[None]:
    """The run has a worker: its lock is held, from a descriptor of its own."""
    lock = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(lock)


async def until(pilot: Pilot[Any], condition: Any, seconds: float = 10.0) -> None:
    """Let the app work until something holds; fails after a bounded wait."""
    for _ in range(int(seconds / 0.05)):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.05)
    raise AssertionError(f"did not come to hold within {seconds} s")
