"""The facts of a run: one JSON line each, appended by the worker, folded into the state that screens show.

Kinds, with what each carries beside `kind`, `seq` (from 1) and `time` (Unix seconds):

    started    name, model, signs (autopsy.py), pid (for its share of a GPU, not to say that it lives);
               a worker's first word, again where one takes a run up
    queued     behind (name of the run before it), ahead (runs before it): waits for its turn (turns.py)
    resumed    step, from (path of the checkpoint, null where it begins anew): what came after it is void
    phase      phase: import | render | load | probe | baseline | train | evaluate | save
    rendered   count, tokens, trained_tokens, digest, validation, left_out
    loaded     parameters, trainable, four_bit, dtype, device; gpu (its UUID in NVML, where there is one)
    forecast   total, free, verdict (fits | tight | does not fit), terms {name: bytes}; what memory.py says of
               this run before the model is loaded; or reason, where it says nothing
    probed     train {rows, length, peak}, evaluation {rows, length, peak} (null without validation rows):
               peaks in bytes, measured on the longest batches; forecast (bytes, null if unknown);
               seconds (of a whole step of usual rows), tokens_per_s, eta (seconds that the run will take)
    step       step, total, loss, lr, grad_norm, tokens, trained_tokens, tokens_per_s, memory, epoch, eta;
               seconds (forward, backward, optimizer), data (seconds that it waited for its rows);
               without memory where it is as it was a step before
    sampled    step, number (from 0), adapter (False: the base model's, with prompt and reference, once),
               answer, ended (whether it stopped by itself)
    evaluated  step, loss, rows, adapter (False: the base model's own loss), seconds (samples among them)
    saved      step, path (of a checkpoint, or of the adapter), seconds
    non_finite step, what (loss | gradient), rows: numbers of all rows of that step, in training order;
               places: file and line of each; done (stopped | skipped | rolled back)
    shrunk     batch_size, gradient_accumulation: memory ran out, it goes on from the last checkpoint so
    kept_best  step, loss, stopped_early: the adapter is that of the best evaluation, not of the last step
    paused     reason: what cannot be written; unpaused: it can again
    told       what, step, value (for learning rate, steps): what was asked of it in control.jsonl, and taken
    warned     text, mend
    finished | stopped     step, path
    failed     reason, mend
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

Event = dict[str, Any]
Status = Literal["starting", "waiting", "running", "finished", "stopped", "failed", "crashed"]


class EventLog:
    """Appends events to a file, each one whole line in one write."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seq = sum(1 for _ in Tail(path).read()) if path.exists() else 0
        self.continued = self._seq > 0  # whether another process has written here before
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._torn = False
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            self._torn = True  # by a kill: it must not swallow the next line

    def write(self, kind: str, **facts: Any) -> None:
        self._seq += 1
        event = {"kind": kind, "seq": self._seq, "time": round(self._clock(), 3), **facts}
        # NaN is not JSON, but it is a fact of a run; Python reads its own spelling back.
        self._put((json.dumps(event, ensure_ascii=False) + "\n").encode("utf-8"))

    def _put(self, line: bytes) -> None:
        """One write, unless the disk is full: it then takes a part of the line, and the whole comes later."""
        line = b"\n" + line if self._torn else line
        while line:
            taken = os.write(self._fd, line)
            line = line[taken:]
            self._torn = bool(line)

    def close(self) -> None:
        os.close(self._fd)


class Tail:
    """Reads events that were added since the last read, by byte offset; a torn last line waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def read(self) -> Iterator[Event]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        self.offset += end
        for line in data[:end].split(b"\n"):
            try:
                event = orjson.loads(line)
            except ValueError:
                event = _spelt_by_python(line)
            if isinstance(event, dict) and "kind" in event:
                yield event


def _spelt_by_python(line: bytes) -> Any:
    """A line with NaN in it; None for one that was torn by a full disk: the next one is whole again."""
    try:
        return json.loads(line)
    except ValueError:
        return None


@dataclass
class Evaluation:
    """Mean loss per trained token on the validation rows at a step."""

    step: int
    loss: float


@dataclass
class RunState:
    """All that the events say so far. Only `fold` and `fold_all` change it."""

    status: Status = "starting"
    phase: str = ""
    model: str = ""
    started_at: float = 0.0
    updated_at: float = 0.0
    step: int = 0
    total: int = 0
    epoch: float = 0.0
    eta: float | None = None
    tokens: int = 0
    tokens_per_s: float = 0.0
    learning_rate: float = 0.0
    grad_norm: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)
    losses: list[tuple[int, float]] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    base_loss: float | None = None
    rendered: Event = field(default_factory=dict)
    loaded: Event = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    saved: bool = False  # whether there is an adapter to ask
    resumes: int = 0
    behind: str = ""  # while it waits for its turn: the run before it, and how many there are
    ahead: int = 0
    signs: dict[str, Any] = field(default_factory=dict)  # what its worker noted at its start
    told: list[tuple[int, str, float | None]] = field(default_factory=list)  # step, what, value
    paused: str = ""  # why it waits, while it does
    reason: str = ""
    mend: str = ""
    _counts: list[int] = field(default_factory=list)  # tokens after each of the losses' steps

    @property
    def over(self) -> bool:
        """Whether the worker has said its last word."""
        return self.status in ("finished", "stopped", "failed")

    @property
    def loss(self) -> float | None:
        """The latest training loss."""
        return self.losses[-1][1] if self.losses else None

    def fold(self, event: Event) -> None:
        """Take in one event. Unknown kinds and missing facts are passed over: old viewers read new runs."""
        self.updated_at = event.get("time", self.updated_at)
        match event["kind"]:
            case "step":
                self.fold_all([event])
            case "started":
                self.status = "running"
                self.reason = self.mend = self.paused = self.phase = ""
                self.model = event.get("model", "")
                self.signs = event.get("signs", {})
                self.eta = None
                self.started_at = self.started_at or self.updated_at
            case "resumed":
                self._fold_resumed(event["step"])
            case "queued":
                self.status = "waiting"
                self.behind, self.ahead = event.get("behind", ""), event.get("ahead", 0)
            case "phase":
                self.status = "running"
                self.phase = event["phase"]
            case "rendered":
                self.rendered = event
            case "loaded":
                self.loaded = event
            case "evaluated" if event.get("adapter", True):
                self.evaluations.append(Evaluation(event["step"], event["loss"]))
            case "evaluated":
                self.base_loss = event["loss"]
            case "told":
                self.told.append((event.get("step", 0), event["what"], event.get("value")))
                if event["what"] == "steps":
                    self.total = event["value"]
            case "paused" | "unpaused":
                self.paused = event.get("reason", "")
            case "warned":
                self.warnings.append(" ".join(filter(None, (event["text"], event.get("mend")))))
            case "finished" | "stopped" | "failed" as last_word:
                self.status = last_word
                self.reason = event.get("reason", "")
                self.mend = event.get("mend", "")
                self.saved = bool(event.get("path"))
                self.paused = ""
                self.eta = None

    def fold_all(self, events: Iterable[Event]) -> None:
        """Take in many events: of steps that follow each other only the last one's figures are looked at."""
        last: Event | None = None
        add_loss, add_count = self.losses.append, self._counts.append
        for event in events:
            if event["kind"] == "step":
                last = event
                self.tokens = tokens = self.tokens + event.get("tokens", 0)
                add_loss((event["step"], event["loss"]))
                add_count(tokens)
                if "memory" in event:  # the only figure that not all steps tell
                    self.memory = event["memory"]
                continue
            if last is not None:
                self._fold_figures(last)
                last = None
            self.fold(event)
        if last is not None:
            self._fold_figures(last)

    def _fold_figures(self, event: Event) -> None:
        """What a step says beside its loss and its tokens."""
        self.updated_at = event.get("time", self.updated_at)
        self.step = event["step"]
        self.eta = event.get("eta")
        self.total = event.get("total", self.total)
        self.epoch = event.get("epoch", self.epoch)
        self.tokens_per_s = event.get("tokens_per_s", self.tokens_per_s)
        self.learning_rate = event.get("lr", self.learning_rate)
        self.grad_norm = event.get("grad_norm", self.grad_norm)

    def _fold_resumed(self, step: int) -> None:
        """Steps behind the one that a run is taken up at come again: they have not happened."""
        while self.losses and self.losses[-1][0] > step:
            self.losses.pop()
            self._counts.pop()
        self.evaluations = [one for one in self.evaluations if one.step <= step]
        self.base_loss = self.base_loss if step else None  # begun anew, the base is measured again
        self.step = step
        self.tokens = self._counts[-1] if self._counts else 0
        self.resumes += 1


def fold(events: Iterable[Event]) -> RunState:
    """The state after all of these events."""
    state = RunState()
    state.fold_all(events)
    return state
