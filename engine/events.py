"""The facts of a run: one JSON line each, appended by the worker, folded into the state that screens show.

Kinds, with what each carries beside `kind`, `seq` (from 1) and `time` (Unix seconds):

    started    name, model, signs (autopsy.py), pid (for its share of a GPU, not to say that it lives);
               a worker's first word, again where one takes a run up
    queued     behind (name of the run before it), ahead (runs before it): waits for its turn (turns.py)
    resumed    step, from (path of the checkpoint, null where it begins anew): what came after it is void
    phase      phase: import | render | load | probe | baseline | train | evaluate | save | measure
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
    evaluated  step, loss, rows, adapter (False: the base model's own loss), seconds (samples among them);
               right, answered (validation rows that were, where the recipe asks for it)
    saved      step, path (of a checkpoint, or of the adapter), seconds
    measured   part, file (of all answers), seconds, sets [{source, metric, rows, base, tuned}]: right answers
    non_finite step, what (loss | gradient), rows: numbers of all rows of that step, in training order;
               places: file and line of each; done (stopped | skipped | rolled back)
    chosen     choices [{key, value, why}]: of [train], what the recipe leaves open (auto.py)
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
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from engine.redact import redacted
from engine.series import Series

Event = dict[str, Any]

NEEDED: dict[str, frozenset[str]] = {
    "step": frozenset(("step", "loss")),
    "resumed": frozenset(("step",)),
    "phase": frozenset(("phase",)),
    "sampled": frozenset(("number", "answer")),
    "evaluated": frozenset(("step", "loss")),
    "non_finite": frozenset(("step",)),
    "measured": frozenset(("sets",)),
    "chosen": frozenset(("choices",)),
    "shrunk": frozenset(("batch_size", "gradient_accumulation")),
    "told": frozenset(("what",)),
    "warned": frozenset(("text",)),
}
"""Facts without which an event of that kind says nothing: where one lacks them it is passed over."""
KIND = frozenset(("kind",))

PIECE = 1 << 20
"""Bytes that are read at a time: the events of a long run are not held in memory all at once."""

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
        line = redacted(json.dumps(event, ensure_ascii=False)) + "\n"
        # A lone surrogate of strange data becomes a JSON escape, as which it is read back.
        self._put(line.encode("utf-8", "backslashreplace"))

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
            if self.path.stat().st_size <= self.offset:  # looked at often, and grown seldom
                return
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self.offset)
            torn = b""
            while piece := file.read(PIECE):
                whole, newline, rest = piece.rpartition(b"\n")
                if not newline:
                    torn += piece
                    continue
                data, torn = torn + whole, rest
                self.offset += len(data) + 1
                yield from _parsed(data)

    def skip(self, offset: int) -> None:
        """Go on with the first whole line after that byte."""
        with self.path.open("rb") as file:
            file.seek(offset)
            file.readline()
            self.offset = file.tell()


def _parsed(lines: bytes) -> Iterator[Event]:
    for line in lines.split(b"\n"):
        try:
            event = orjson.loads(line)
        except ValueError:
            event = _spelt_by_python(line)
        if isinstance(event, dict) and NEEDED.get(str(event.get("kind")), KIND) <= event.keys():
            yield event


def _spelt_by_python(line: bytes) -> Any:
    """A line with NaN in it; None for one that was torn by a full disk: the next one is whole again."""
    try:
        return json.loads(line)
    except ValueError:
        return None


@dataclass
class Evaluation:
    """Mean loss a trained token on the validation rows at a step; of those answered, how many were right."""

    step: int
    loss: float
    right: int | None = None
    answered: int = 0


@dataclass(frozen=True)
class Answer:
    """What the adapter as it stood at a step answered; ended: whether it stopped by itself."""

    step: int
    text: str
    ended: bool


@dataclass
class Prompt:
    """A held-out prompt that is asked again and again while the adapter learns."""

    text: str = ""
    reference: str = ""
    base: Answer | None = None
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class Trouble:
    """A step whose loss or gradient was no number, the places of its rows, and what was done about it."""

    step: int
    what: str
    done: str
    places: tuple[str, ...] = ()


@dataclass
class RunState:
    """All that the events say so far. Only `fold` and `fold_all` change it."""

    status: Status = "starting"
    phase: str = ""
    model: str = ""
    pid: int | None = None  # of its last worker
    started_at: float = 0.0
    updated_at: float = 0.0
    step: int = 0
    total: int = 0
    epoch: float = 0.0
    eta: float | None = None
    tokens: int = 0
    trained_tokens: int = 0
    tokens_per_s: float = 0.0
    learning_rate: float = 0.0
    grad_norm: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)  # the highest of each that `memory` has said
    spent: dict[str, float] = field(default_factory=dict)  # seconds: data | steps | evaluation | saving
    losses: Series = field(default_factory=Series)
    evaluations: list[Evaluation] = field(default_factory=list)
    base_loss: float | None = None
    base_right: int | None = None
    prompts: dict[int, Prompt] = field(default_factory=dict)
    rendered: Event = field(default_factory=dict)
    loaded: Event = field(default_factory=dict)
    forecast: Event = field(default_factory=dict)
    probed: Event = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    measured: list[Event] = field(default_factory=list)  # of each set: source, metric, rows, base, tuned
    chosen: list[Event] = field(default_factory=list)  # of [train]: key, value, why
    shrunk: tuple[int, int] | None = None  # batch_size, gradient_accumulation since memory ran out
    kept_best: Event = field(default_factory=dict)
    saved: bool = False  # whether there is an adapter to ask
    resumed_at: list[int] = field(default_factory=list)  # steps
    behind: str = ""  # while it waits for its turn: the run before it, and how many there are
    ahead: int = 0
    signs: dict[str, Any] = field(default_factory=dict)  # what its worker noted at its start
    told: list[tuple[int, str, float | None]] = field(default_factory=list)  # step, what, value
    paused: str = ""  # why it waits, while it does
    reason: str = ""
    mend: str = ""
    _counts: array[int] = field(default_factory=lambda: array("q"))  # tokens after each of the losses' steps
    _trained: array[int] = field(default_factory=lambda: array("q"))  # and those of them that are trained

    @property
    def over(self) -> bool:
        """Whether the worker has said its last word."""
        return self.status in ("finished", "stopped", "failed")

    @property
    def right(self) -> tuple[float, float] | None:
        """The share of measured rows that base and tuned answered right, from 0 to 1; None where none was."""
        counted = [one for one in self.measured if one["tuned"] is not None]
        rows = sum(one["rows"] for one in counted)
        if not rows:
            return None
        return sum(one["base"] for one in counted) / rows, sum(one["tuned"] for one in counted) / rows

    @property
    def loss(self) -> float | None:
        """The latest training loss."""
        return self.losses[-1][1] if self.losses else None

    @property
    def resumes(self) -> int:
        """How often it was taken up again."""
        return len(self.resumed_at)

    def frozen(self) -> RunState:
        """The state as it is now; what is folded later does not change it. The losses are not copied."""
        return replace(
            self,
            losses=self.losses.frozen(),
            evaluations=self.evaluations[:],
            prompts={number: replace(one, answers=one.answers[:]) for number, one in self.prompts.items()},
            peaks=dict(self.peaks),
            spent=dict(self.spent),
            warnings=self.warnings[:],
            troubles=self.troubles[:],
            resumed_at=self.resumed_at[:],
            told=self.told[:],
            _counts=array("q"),
            _trained=array("q"),
        )

    def fold(self, event: Event) -> None:
        """Take in one event. Unknown kinds and missing facts are passed over: old viewers read new runs."""
        self.updated_at = event.get("time", self.updated_at)
        match event["kind"]:
            case "step":
                self.fold_all([event])
            case "started":
                self._fold_started(event)
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
            case "forecast":
                self.forecast = event
            case "probed":
                self.probed = event
                self.eta = event.get("eta")
                self.tokens_per_s = event.get("tokens_per_s") or self.tokens_per_s
            case "sampled":
                self._fold_sampled(event)
            case "evaluated":
                self._spend("evaluation", event)
                if event.get("adapter", True):
                    right = event.get("right"), event.get("answered", 0)
                    self.evaluations.append(Evaluation(event["step"], event["loss"], *right))
                else:
                    self.base_loss, self.base_right = event["loss"], event.get("right")
            case "saved":
                self._spend("saving", event)
            case "non_finite":
                facts = event.get("what", "loss"), event.get("done", ""), tuple(event.get("places") or ())
                self.troubles.append(Trouble(event["step"], *facts))
            case "measured":
                self.measured = event["sets"]
            case "chosen":
                self.chosen = event["choices"]
            case "shrunk":
                self.shrunk = event["batch_size"], event["gradient_accumulation"]
            case "kept_best":
                self.kept_best = event
            case "told":
                self.told.append((event.get("step", 0), event["what"], event.get("value")))
                if event["what"] == "steps":
                    self.total = event["value"]
            case "paused" | "unpaused":
                self.paused = event.get("reason", "")
            case "warned":
                self.warnings.append("; ".join(filter(None, (event["text"], event.get("mend")))))
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
        data = seconds = 0.0
        add_step, add_loss = self.losses.steps.append, self.losses.values.append
        add_count, add_trained = self._counts.append, self._trained.append
        tokens, trained = self.tokens, self.trained_tokens
        for event in events:
            if event["kind"] == "step":
                last, said = event, event.get
                tokens += said("tokens", 0)
                trained += said("trained_tokens", 0)
                data += said("data", 0.0)
                seconds += said("seconds", 0.0)
                add_step(event["step"])
                add_loss(event["loss"])
                add_count(tokens)
                add_trained(trained)
                if "memory" in event and event["memory"] != self.memory:  # what not all steps tell
                    self._fold_memory(event["memory"])
                continue
            self.tokens, self.trained_tokens = tokens, trained
            if last is not None:
                self._fold_figures(last)
                last = None
            self.fold(event)
            if event["kind"] == "resumed":  # its losses may have become others
                tokens, trained = self.tokens, self.trained_tokens
                add_step, add_loss = self.losses.steps.append, self.losses.values.append
        self.tokens, self.trained_tokens = tokens, trained
        if last is not None:
            self._fold_figures(last)
        self._spend("data", {"seconds": data})
        self._spend("steps", {"seconds": seconds})

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

    def _fold_memory(self, memory: dict[str, int]) -> None:
        self.memory = memory
        for name, held in memory.items():
            self.peaks[name] = max(held, self.peaks.get(name, 0))

    def _fold_started(self, event: Event) -> None:
        self.status = "running"
        self.reason = self.mend = self.paused = self.phase = ""
        self.model = event.get("model", "")
        self.signs = event.get("signs", {})
        self.pid = event.get("pid")
        self.eta = None
        self.kept_best = {}
        self.started_at = self.started_at or self.updated_at

    def _fold_sampled(self, event: Event) -> None:
        one = self.prompts.setdefault(event["number"], Prompt())
        answer = Answer(event.get("step", 0), event["answer"], event.get("ended", True))
        if event.get("adapter", True):
            one.answers.append(answer)
        else:
            one.text, one.reference = event.get("prompt", one.text), event.get("reference", one.reference)
            one.base = answer

    def _spend(self, on: str, event: Event) -> None:
        if seconds := event.get("seconds"):
            self.spent[on] = self.spent.get(on, 0.0) + seconds

    def _fold_resumed(self, step: int) -> None:
        """Steps behind the one that a run is taken up at come again: they have not happened.

        What they have cost in time was spent all the same.
        """
        kept = self.losses.until(step)
        self.losses.truncate(kept)
        del self._counts[kept:], self._trained[kept:]
        self.evaluations = [one for one in self.evaluations if one.step <= step]
        for one in self.prompts.values():
            one.answers = [answer for answer in one.answers if answer.step <= step]
        self.base_loss = self.base_loss if step else None  # begun anew, the base is measured again
        self.step = step
        self.tokens = self._counts[-1] if self._counts else 0
        self.trained_tokens = self._trained[-1] if self._trained else 0
        self.resumed_at.append(step)


def fold(events: Iterable[Event]) -> RunState:
    """The state after all of these events."""
    state = RunState()
    state.fold_all(events)
    return state
