"""Sweeps, followed by their files: one from near, all from afar."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import listing, runs, sweeps
from engine.errors import UserError
from engine.events import Tail
from engine.listing import Listed
from engine.runs import Run
from engine.state import RunState
from engine.sweeps import Sweep, SweepState
from tui.feed.runs import ends

if TYPE_CHECKING:
    from engine.sweep_plan import Sweep as Plan


@dataclass(frozen=True, kw_only=True)
class SweepLine(Listed):
    """A sweep in the list of runs. wanted: the runs that it makes at most, 0 where that is open."""

    sweep: Sweep
    runs: tuple[str, ...] = ()
    """Names of those that it has made."""
    wanted: int = 0
    objective: str = sweeps.LOSS
    best: float | None = None


class SweepsFeed:
    """All sweeps, newest first, read again only where events have grown. Call `poll` in a thread."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, SweepState]] = {}

    def poll(self) -> tuple[SweepLine, ...]:
        return tuple(line for line in map(self._line, sweeps.list_sweeps()) if line is not None)

    def _line(self, sweep: Sweep) -> SweepLine | None:
        alive = runs.is_alive(sweep)
        size = sweep.events.stat().st_size if sweep.events.exists() else 0
        known = self._known.get(sweep.path)
        if known is None or known[0] != size:  # a few hundred lines: read whole, whoever else polls meanwhile
            known = self._known[sweep.path] = (size, sweeps.fold(Tail(sweep.events).read()))
        state = known[1]
        try:
            return _told(sweep, sweeps.judged(replace(state), alive, sweep))
        except FileNotFoundError:  # it was thrown away in between
            return None


def _told(sweep: Sweep, state: SweepState) -> SweepLine:
    """A line of its own recipe, unchecked: the checks take their time to load, and a list does without."""
    asked: Mapping[str, Any] = {}
    name, model, data = sweep.name, "?", tuple[str, ...]()
    try:
        name, model, data = listing.named(sweep, sweeps.FILE)
        asked = sweep.document(sweeps.FILE)["sweep"]
    except (UserError, LookupError):
        pass  # a torn one is listed by the name of its folder
    objective, wanted = str(asked.get("objective", sweeps.LOSS)), asked.get("runs")
    best = sweeps.best(state, objective)
    value = best.value if best else None
    return SweepLine(
        folder=sweep.name,
        name=name,
        model=model,
        status=state.status,
        started_at=state.started_at or sweep.path.stat().st_mtime,
        validation=value if objective == sweeps.LOSS else None,
        right=value if objective == "right" else None,
        data=data,
        sweep=sweep,
        runs=tuple(name for trial in state.trials for name in trial.runs),
        wanted=wanted if isinstance(wanted, int) else 0,
        objective=objective,
        best=value,
    )


@dataclass(frozen=True)
class SweepShot:
    """All that the sweep screen shows, taken at one moment; nothing in it changes afterwards."""

    plan: Plan
    state: SweepState
    alive: bool = False
    under_way: Run | None = None
    """The run that has a worker now."""
    now: RunState = field(default_factory=RunState)
    """Where that one stands."""


class SweepFeed:
    """Follows one sweep and the run that it has under way. `poll` reads files: call it in a thread."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._tail = Tail(sweep.events)
        self._state = SweepState()
        self._run: tuple[Run, Tail, RunState] | None = None
        self._seen: object = None

    def poll(self) -> SweepShot | None:
        """The sweep as it stands, or None where nothing has changed since the last call.

        Raises UserError where its recipe is missing or torn.
        """
        alive = runs.is_alive(self._sweep)
        for event in self._tail.read():
            self._state.fold(event)
        run, now = self._near()
        written = (self._sweep.path / sweeps.FILE).stat().st_mtime_ns
        seen = (self._tail.offset, alive, written, run, now.step, now.phase, now.status)
        if seen == self._seen:
            return None
        plan = self._sweep.recipe().sweep
        assert plan is not None  # a sweep's folder is made of no other
        self._seen = seen
        state = sweeps.judged(copy.deepcopy(self._state), alive, self._sweep)
        return SweepShot(plan, state, alive, run, replace(now))

    def _near(self) -> tuple[Run | None, RunState]:
        run = sweeps.under_way(self._state)
        if run is None:
            self._run = None
            return None, RunState()
        if self._run is None or self._run[0] != run:
            size = run.events.stat().st_size if run.events.exists() else 0
            self._run = (run, *ends(run.events, size))
        _, tail, state = self._run
        state.fold_all(tail.read())
        return run, state
