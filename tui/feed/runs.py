"""Runs, followed by their files: one from near, all from afar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from engine import listing, remarks
from engine.errors import UserError
from engine.events import PIECE, Event, Tail
from engine.listing import Listed
from engine.runs import Run, is_alive, judged, launched_at, list_runs, log_tail
from engine.state import RunState, Status
from tui.feed.edges import Edges

if TYPE_CHECKING:
    from engine.hardware import Gpu, Host


@dataclass(frozen=True)
class Snapshot:
    """All that the train screen shows, taken at one moment; nothing in it changes afterwards."""

    state: RunState = field(default_factory=RunState)
    alive: bool = False
    phase_seconds: int = 0
    log: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    host: Host | None = None
    batch: int = 0
    """Rows of a whole step, as the recipe has it; 0 where it cannot be read."""
    beside: Beside | None = None


@dataclass(frozen=True)
class Beside:
    """Another run whose losses are drawn beside this one's."""

    run: Run
    state: RunState


class RunFeed:
    """Follows one run. `poll` reads files: call it in a thread."""

    SECONDS_BETWEEN_LOOKS_AT_HARDWARE = 2.0
    LOG_LINES = 200

    def __init__(self, run: Run, edges: Edges) -> None:
        self._run = run
        self._edges = edges
        self._tail = Tail(run.events)
        self._state = RunState()
        self._phase_at = 0.0
        self._looked_at = -math.inf
        self._hardware: tuple[tuple[Gpu, ...], Host | None] = ((), None)
        self._seen: object = None
        self._cause: tuple[str, str] | None = None
        self._log: tuple[str, ...] = ()
        self._log_seen: object = None
        self._batch: int | None = None
        self._beside: tuple[Run, Tail, RunState] | None = None

    def lay_beside(self, run: Run | None) -> None:
        """Follow the losses of another run too; None: of none."""
        self._beside = None if run is None else (run, Tail(run.events), RunState())

    def poll(self) -> Snapshot | None:
        """The run as it stands, or None where nothing has changed since the last call."""
        # Asked before reading: a worker that ends in between has then written its last word.
        alive = is_alive(self._run)
        now = self._edges.clock()
        self._fold(now)
        since = max(self._phase_at, launched_at(self._run)) if alive else now
        seconds = int(max(0.0, now - since)) if self._state.step == 0 else 0
        other = self._beside
        if other is not None:
            other[2].fold_all(other[1].read())
        beside_seen = other and (other[0], other[1].offset)
        seen = (self._tail.offset, alive, seconds, self._log_size(), self._look(now), beside_seen)
        if seen == self._seen:
            return None
        self._seen = seen
        return Snapshot(
            self._judged(self._state.frozen(), alive),
            alive,
            seconds,
            self._log_lines(),
            *self._hardware,
            self._rows_a_step(),
            other and Beside(other[0], other[2].frozen()),
        )

    def _log_lines(self) -> tuple[str, ...]:
        size = self._log_size()
        if size != self._log_seen:
            self._log_seen = size
            self._log = tuple(log_tail(self._run, self.LOG_LINES))
        return self._log

    def _rows_a_step(self) -> int:
        """A recipe does not change under a run, and what memory shrinks keeps the rows of a step."""
        if self._batch is None:
            try:
                plan = self._run.plan()
                self._batch = plan.rows_a_step if plan is not None else None
            except UserError:
                self._batch = 0
        return self._batch or 0

    def _judged(self, state: RunState, alive: bool) -> RunState:
        """With the cause of a crash, which is looked for once."""
        state = judged(state, alive, self._run, why=self._cause is None)
        if state.status != "crashed":
            self._cause = None
            return state
        self._cause = self._cause or (state.reason, state.mend)
        state.reason, state.mend = self._cause
        return state

    def _fold(self, now: float) -> None:
        if self._phase_at == 0.0:
            self._phase_at = now
        self._state.fold_all(self._seen_phases(self._tail.read(), now))

    def _seen_phases(self, events: Iterable[Event], now: float) -> Iterator[Event]:
        for event in events:
            if event["kind"] in PHASES:
                self._phase_at = event.get("time", now)
            yield event

    def _log_size(self) -> int:
        try:
            return self._run.log.stat().st_size
        except OSError:
            return 0

    def _look(self, now: float) -> object:
        if now - self._looked_at >= self.SECONDS_BETWEEN_LOOKS_AT_HARDWARE:
            self._looked_at = now
            self._hardware = (tuple(self._edges.gpus()), self._edges.host())
        return self._hardware


PHASES = frozenset({"started", "queued", "phase"})
"""Events with which something begins that a viewer counts the seconds of."""

RESUMABLE: frozenset[Status] = frozenset({"stopped", "failed", "crashed"})
"""Over, and not at its end."""


FIRST_EVENTS = 100
LAST_BYTES = 1 << 18


def ends(path: Path, size: int) -> tuple[Tail, RunState]:
    """A tail of a run's events, and the state that a line in the list needs, of a long run from its two ends.

    What lies between is passed over: its losses, its times. Read on from the tail.
    """
    tail, state = Tail(path), RunState()
    if size > 2 * (PIECE + LAST_BYTES):
        state.fold_all(islice(tail.read(), FIRST_EVENTS))
        # It went on for long after: whatever stopped it there has passed.
        state.status, state.reason, state.paused = "running", "", ""
        tail.skip(size - LAST_BYTES)
    return tail, state


@dataclass(frozen=True, kw_only=True)
class RunLine(Listed):
    """A run in the list of runs."""

    run: Run
    step: int = 0
    total: int = 0
    loss: float | None = None
    base_right: float | None = None
    """The share that the base model answered right, beside that of the run."""
    saved: bool = False
    """Whether there is an adapter to ask."""
    ahead: int = 0
    """How many runs come before it, while it waits for its turn."""

    @property
    def resumable(self) -> bool:
        return self.status in RESUMABLE


class RunsFeed:
    """All runs, newest first, read again only where events have grown. Call `poll` in a thread."""

    def __init__(self) -> None:
        self._followed: dict[Path, tuple[Tail, RunState]] = {}
        self._finished: dict[Path, tuple[object, RunLine]] = {}

    def poll(self) -> tuple[RunLine, ...]:
        lines = (self._line(run) for run in list_runs())
        return tuple(line for line in lines if line is not None)

    def _line(self, run: Run) -> RunLine | None:
        try:
            return self._looked_at(run)
        except FileNotFoundError:  # it was thrown away in between
            return None

    def _looked_at(self, run: Run) -> RunLine:
        size = run.events.stat().st_size if run.events.exists() else 0
        seen = (size, _written(remarks.file(run)))
        known = self._finished.get(run.path)
        alive = is_alive(run)
        if known is not None and known[0] == seen and not alive:
            return known[1]
        if run.path not in self._followed:
            self._followed[run.path] = ends(run.events, size)
        tail, state = self._followed[run.path]
        state.fold_all(tail.read())
        line = _told(run, judged(replace(state), alive, run, why=False))
        if not alive:  # its losses need not be kept in memory
            self._finished[run.path] = (seen, line)
            del self._followed[run.path]
        return line


def _told(run: Run, state: RunState) -> RunLine:
    return RunLine(
        **listing.facts(run, state),
        run=run,
        step=state.step,
        total=state.total,
        loss=state.loss,
        base_right=state.right[0] if state.right else None,
        saved=state.saved,
        ahead=state.ahead if state.status == "waiting" else 0,
    )


def _written(file: Path) -> int:
    """When a file was written last; 0 where there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
