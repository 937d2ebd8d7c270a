"""A sweep as text: its table, its best, and its events as lines."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import Any

from engine import runs, sweeps
from engine.events import Event, Tail
from engine.redact import redacted
from engine.sweep_plan import Sweep as Plan
from engine.sweeps import Sweep, SweepState, Trial
from tui import terminal
from tui.commands import _print

POLL = 0.2
"""Seconds between two looks at the events."""


def show(sweep: Sweep, as_json: bool) -> None:
    """Print all that is known of a sweep."""
    plan, state = _plan(sweep), sweep.state()
    if as_json:
        _print.say_json(facts(sweep, plan, state))
        return
    _print.say(f"{sweep.name}  {_status(plan, state)}")
    if state.trials:
        print(table(plan, state), flush=True)
    names = dict(zip(plan.over, sweeps.short(list(plan.over)), strict=True))
    if found := sweeps.best(state, plan.objective):
        setting = {names.get(key, key): value for key, value in found.setting.items()}
        _print.say(f"best so far: trial {found.number}, {said(setting)}")
        _print.say(f"  {plan.objective} {sweeps.figure(found, plan.objective)}{_of_seeds(found)}")
    if state.importance:
        shares = ", ".join(f"{names.get(key, key)} {share:.0%}" for key, share in state.importance.items())
        _print.say(f"importance (of {state.importance_of} complete trials): {shares}")
    if state.reason:
        _print.say(". ".join(filter(None, (state.reason, state.mend))))
    if found and state.status != "running":
        _print.say(f"next: ift-tui sweep {sweep.name} --train-best")


def table(plan: Plan, state: SweepState) -> str:
    """One line a trial."""
    names = sweeps.short(list(plan.over))
    head = ["TRIAL", *names, plan.objective.upper(), "STATE"]
    rows = [
        [
            str(trial.number),
            *(_value(trial.setting.get(key)) for key in plan.over),
            sweeps.figure(trial, plan.objective) or "-",
            _state(trial),
        ]
        for trial in state.trials
    ]
    return _print.table(head, rows, right=head[:-1])


def facts(sweep: Sweep, plan: Plan, state: SweepState) -> dict[str, Any]:
    """All that is known of a sweep, for programs."""
    found = sweeps.best(state, plan.objective)
    return {
        "sweep": sweep.name,
        "path": str(sweep.path),
        "status": state.status,
        "reason": state.reason,
        "method": plan.method,
        "objective": plan.objective,
        "runs": state.runs,
        "runs_wanted": plan.runs,
        "seconds": round(state.seconds, 1),
        "hours_wanted": plan.hours,
        "best": found and found.number,
        "importance": state.importance,
        "importance_of": state.importance_of,
        "trials": [{**asdict(one), "interval": sweeps.interval(one, plan.objective)} for one in state.trials],
    }


def follow(sweep: Sweep, as_json: bool, offset: int) -> int:
    """Print a sweep's events behind a byte of their file to its last word. Ctrl-C leaves it going (130)."""
    tail = Tail(sweep.events)
    tail.offset = offset
    plan, state = _plan(sweep), sweeps.fold(Tail(sweep.events).read())
    try:
        while True:
            alive = runs.is_alive(sweep)  # asked first: its last word is then in what is read
            for event in tail.read():
                state.fold(event)
                if as_json:
                    print(redacted(json.dumps(event)), flush=True)
                elif line := _line(plan, state, event):
                    _print.say(line)
            if not alive:
                return _last_word(sweep, as_json)
            if terminal.gone(sys.stdout):
                return 130
            time.sleep(POLL)
    except KeyboardInterrupt:
        _print.warn(f"left; the sweep goes on: ift-tui sweep {sweep.name}")
        return 130


def said(setting: dict[str, Any]) -> str:
    """lora.rank = 8, train.learning_rate = 0.0002."""
    return ", ".join(f"{key} = {_value(value)}" for key, value in setting.items())


def _of_seeds(trial: Trial) -> str:
    return f", the mean of {len(trial.values)} seeds" if len(trial.values) > 1 else ", of one seed"


def _plan(sweep: Sweep) -> Plan:
    plan = sweep.recipe().sweep
    assert plan is not None  # a sweep's folder is made of no other
    return plan


def _status(plan: Plan, state: SweepState) -> str:
    wanted = f" of {plan.runs}" if plan.runs else ""
    hours = f" of {plan.hours:g}" if plan.hours else ""
    return f"{state.status}: {state.runs}{wanted} runs, {state.seconds / 3600:.1f}{hours} h, {plan.method}"


def _state(trial: Trial) -> str:
    if trial.state == "running" and trial.runs:
        now = sweeps.run_of(trial.runs[-1]).state()
        return f"step {now.step:,}/{now.total:,}" if now.total else now.phase or now.status
    return trial.state


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value) if value is True else str(value)


def _line(plan: Plan, state: SweepState, event: Event) -> str | None:
    """The line for an event; None for one that is not shown."""
    match event:
        case {"kind": "trial", "number": number, "setting": setting}:
            return f"trial {number}: {said(setting)}"
        case {"kind": "run", "run": run}:
            return f"  run {run}"
        case {"kind": "evaluated", "step": step, "loss": loss}:
            return f"  step {step}  validation loss {loss:.4f}"
        case {"kind": "resumed", "step": step}:
            return f"  its worker was killed; taken up again after step {step}"
        case {"kind": "given_up", "reason": reason}:
            return f"  given up: {reason}"
        case {"kind": "ended", "number": number, "state": "complete"}:
            return f"  {plan.objective} {sweeps.figure(state.trials[number - 1], plan.objective)}"
        case {"kind": "ended", "state": str(how), "reason": reason}:
            return f"  {how}: {reason}"
    return None


def _last_word(sweep: Sweep, as_json: bool) -> int:
    state = sweep.state()
    if state.status in ("failed", "crashed"):
        if state.status == "crashed":
            for line in runs.log_tail(sweep, 15):
                _print.warn(f"  {line}")
        reason = ". ".join(filter(None, (state.reason, state.mend)))
        _print.warn(f"ift-tui: {sweep.name} {state.status}: {reason}")
        return 1
    if not as_json:
        show(sweep, as_json=False)
    return 0
