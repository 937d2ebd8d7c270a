"""What the events of a run come to: the state that screens show, folded from them and from nothing else."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.events import Event
from engine.series import Series

Status = Literal["starting", "waiting", "running", "finished", "stopped", "failed", "crashed"]


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
    idle: float = 0.0  # seconds since then in which it waited for its turn, or had no worker
    waits_since: float = 0.0  # while it waits for its turn
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
    def learns(self) -> str:
        """What is trained and saved: an adapter, or the model where all of its weights are."""
        whole = "trainable" in self.loaded and self.loaded["trainable"] == self.loaded.get("parameters")
        return "model" if whole else "adapter"

    @property
    def ran(self) -> float:
        """Seconds that it has worked so far."""
        return self.updated_at - self.started_at - self.idle

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
        before, self.updated_at = self.updated_at, event.get("time", self.updated_at)
        if self.status == "waiting" or (event["kind"] == "started" and self.started_at):
            self.idle += self.updated_at - before
        match event["kind"]:
            case "step":
                self.fold_all([event])
            case "started":
                self._fold_started(event)
            case "resumed":
                self._fold_resumed(event["step"])
            case "queued":
                if self.status != "waiting":
                    self.status, self.waits_since = "waiting", self.updated_at
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
