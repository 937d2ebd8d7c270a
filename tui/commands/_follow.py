"""A run as a plain log: one line an event, until its last word."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from engine import asking, reading, runs
from engine.events import Event, Tail
from engine.redact import redacted
from engine.runs import Run
from engine.state import RunState
from tui import terminal
from tui.commands import _print

POLL = 0.1
"""Seconds between two looks at the events."""

BETWEEN_STEPS = 1.0
"""Least seconds between two step lines on a terminal; a file gets them all."""

PHASES = {
    "import": "importing what trains",
    "load": "loading the model",
    "render": "rendering the rows",
    "probe": "probing memory",
    "baseline": "measuring the base model",
    "train": "training",
    "evaluate": "evaluating",
    "save": "saving",
}


@dataclass
class Lines:
    """Turns events into lines. On a terminal step lines are thinned out; first and last always come."""

    thin: bool
    clock: Callable[[], float] = time.monotonic
    _last: float = field(default=float("-inf"))
    _total: int | None = None

    def line(self, event: Event) -> str | None:
        """The line for an event; None for one that is not shown."""
        match event["kind"]:
            case "step":
                return self._step(event)
            case "queued":
                return _queued(event)
            case "resumed":
                return f"goes on after step {event['step']}" if event["step"] else "begins anew"
            case "told":
                return asking.told(event["step"], event["what"], event.get("value"))
            case "phase":
                return PHASES.get(event.get("phase", ""), str(event.get("phase")))
            case "started":
                return f"model {event.get('model', '')}"
            case "loaded":
                return _loaded(event)
            case "rendered":
                return _rendered(event)
            case "forecast":
                return _forecast(event)
            case "probed":
                return _probed(event)
            case "sampled":
                return _sampled(event)
            case "evaluated":
                return _evaluated(event)
            case "measured":
                sets = [one for one in event["sets"] if one["tuned"] is not None]
                counts = (f"{one['base']} -> {one['tuned']} of {one['rows']} right" for one in sets)
                return "; ".join(counts) or None
            case "saved":
                return f"saved step {event.get('step')}: {event.get('path')}"
            case "paused":
                return f"it waits: {event.get('reason')}"
            case "unpaused":
                return "it goes on"
            case "chosen":
                pairs = (f"{one['key']} = {str(one['value']).lower()}" for one in event["choices"])
                return f"auto: {', '.join(pairs)} (why: chosen.json)"
            case "shrunk":
                each, times = event.get("batch_size"), event.get("gradient_accumulation")
                return f"memory ran out: it starts again with batches of {each}, {times} to a step"
            case "non_finite":
                where = f" ({', '.join(event['places'])})" if event.get("places") else ""
                return (
                    f"step {event['step']}: the {event.get('what')} is no number{where}; {event.get('done')}"
                )
            case "kept_best":
                early = "; it stopped early" if event.get("stopped_early") else ""
                return f"what is saved is that of step {event['step']}, the best by validation loss{early}"
            case "warned":
                return f"warning: {'; '.join(filter(None, (event.get('text'), event.get('mend'))))}"
        return None

    def _step(self, event: Event) -> str | None:
        now = self.clock()
        self._total = event.get("total", self._total)
        last = event["step"] == self._total
        if self.thin and not last and now - self._last < BETWEEN_STEPS:
            return None
        self._last = now
        total = str(self._total or "?")
        parts = [f"step {event['step']:>{len(total)}}/{total}", f"loss {event['loss']:.3f}"]
        if event.get("lr") is not None:
            parts.append(f"lr {event['lr']:.1e}")
        if event.get("tokens_per_s"):
            parts.append(f"{event['tokens_per_s']:,.0f} tok/s")
        if event.get("eta") is not None:
            parts.append(f"eta {_print.duration(event['eta'])}")
        return "  ".join(parts)


def follow(run: Run, as_json: bool, stop_on_interrupt: bool, from_now: bool = False) -> int:
    """Print a run's events to its last word, from the start or from now.

    The exit code: 0 where it has finished or was stopped, 1 where not. Ctrl-C asks the run to stop and goes
    on following, or, without `stop_on_interrupt` and the second time, leaves it running (130). So does a
    terminal that is closed.
    """
    tail, state, lines = Tail(run.events), RunState(), Lines(thin=sys.stdout.isatty())
    if from_now:
        state.fold_all(tail.read())
    asked = stopping = False
    with _interrupts() as pressed:
        while True:
            alive = runs.is_alive(run)  # asked first: a dead worker's last word is then in what is read
            _show(tail.read(), state, lines, as_json)
            now = runs.judged(replace(state), alive, run)
            if now.over or not alive:
                return _last_word(run, now, as_json)
            if pressed() > (1 if stop_on_interrupt else 0):
                _print.warn(f"left; the run goes on: ift-tui attach {run.name}")
                return 130
            if terminal.gone(sys.stdout):
                return 130
            if pressed() and not asked:
                asked = True
                what = "saving and stopping; what was learned is kept" if now.step else "stopping"
                _print.warn(f"{what} (Ctrl-C again leaves the run alone)")
            if asked and not stopping:
                stopping = runs.stop(run)
            time.sleep(POLL)


def detached(run: Run, as_json: bool) -> int:
    """Say where a run is that goes on by itself."""
    if as_json:
        _print.say_json({"run": run.name, "path": str(run.path)})
    else:
        _print.say(f"{run.name}\nfollow it: ift-tui attach {run.name}")
    return 0


def _show(events: Iterable[Event], state: RunState, lines: Lines, as_json: bool) -> None:
    """Fold what has come, and print it in one piece: a long history comes at once."""
    shown: list[str] = []

    def seen() -> Iterator[Event]:
        for event in events:
            if as_json:
                print(redacted(json.dumps(event)))
            elif line := lines.line(event):
                shown.append(line.replace("\n", " "))
            yield event

    state.fold_all(seen())
    if shown:
        _print.say("\n".join(shown))
    sys.stdout.flush()


def _last_word(run: Run, state: RunState, as_json: bool) -> int:
    if state.status == "crashed":
        for line in runs.log_tail(run, 15):
            _print.warn(f"  {line}")
    if state.status in ("failed", "crashed"):
        reason = ". ".join(filter(None, (state.reason, state.mend)))
        _print.warn(f"ift-tui: {run.name} {state.status}: {reason}")
        _print.warn(f"go on: ift-tui resume {run.name}")
        return 1
    if not as_json:
        if said := reading.sentence(state):
            _print.say(said)
        seconds = _print.duration(state.ran)
        _print.say(f"{ended(run, state)} ({seconds})")
        if state.status == "stopped":
            _print.say(f"go on: ift-tui resume {run.name}")
        if run.result.is_dir():
            asks = f'compare {run.name} --prompt "…"'  # without held-out rows there is nothing to measure on
            _print.say(f"next: ift-tui {f'eval {run.name}' if state.rendered.get('validation') else asks}")
    return 0


def ended(run: Run, state: RunState) -> str:
    """How a run ended, in one line: where it stood, and where its adapter or model is, or why not."""
    where = f"{state.status} at step {state.step} of {state.total}" if state.total else state.status
    result = run.result
    kept = f"{result.name}: {result}" if result.is_dir() else state.reason or "no adapter"
    return f"{where}; {kept}"


def _queued(event: Event) -> str:
    others = event.get("ahead", 1) - 1
    more = f", {others} before it" if others else ""
    return f"waits for its turn behind {event.get('behind')}{more}"


def _loaded(event: Event) -> str:
    parts = [f"{_print.parameters(event.get('parameters'))} parameters"]
    parts.append(f"{_print.parameters(event.get('trainable'))} trained")
    parts.append("4-bit" if event.get("four_bit") else str(event.get("dtype", "16-bit")))
    parts.append(str(event.get("device", "")))
    return "loaded: " + ", ".join(filter(None, parts))


def _rendered(event: Event) -> str:
    text = (
        f"rendered {_print.number(event.get('count'))} rows, {_print.number(event.get('tokens'))} tokens, "
        f"{_print.number(event.get('trained_tokens'))} of them trained"
    )
    left_out = event.get("left_out")
    left_out = sum(left_out.values()) if isinstance(left_out, dict) else left_out
    return text + (f"; {left_out:,} rows left out (ledger.jsonl says why)" if left_out else "")


def _forecast(event: Event) -> str:
    if event.get("total") is None:
        return f"memory: no forecast ({event.get('reason', 'not known')})"
    free = _print.size(event.get("free"))
    return f"memory: about {_print.size(event['total'])} of {free} free: {event.get('verdict')}"


def _probed(event: Event) -> str:
    train, evaluation = event.get("train") or {}, event.get("evaluation") or {}
    forecast = event.get("forecast")
    parts = [] if forecast is None else [f"forecast {_print.size(forecast)}"]
    parts.append(
        f"measured {_print.size(train.get('peak'))} at the longest batch"
        f" ({train.get('rows')} × {train.get('length')} tokens)"
    )
    if evaluation.get("peak"):
        parts.append(f"{_print.size(evaluation['peak'])} in evaluation")
    if event.get("eta") is not None:
        parts.append(f"the run will take about {_print.duration(event['eta'])}")
    return "memory: " + ", ".join(parts)


def _sampled(event: Event) -> str:
    who = "adapter" if event.get("adapter", True) else "base model"
    cut = "" if event.get("ended", True) else " …"
    return f"step {event.get('step', 0)}  prompt {event['number'] + 1}, {who}: {event['answer']}{cut}"


def _evaluated(event: Event) -> str:
    what = "validation loss" if event.get("adapter", True) else "validation loss of the base model"
    right = f", {event['right']} of {event['answered']} answers right" if "right" in event else ""
    return f"step {event.get('step', 0)}  {what} {event['loss']:.3f}{right}"


@contextmanager
def _interrupts() -> Iterator[Callable[[], int]]:
    """Count Ctrl-C instead of raising, so that no press falls between two steps of the loop."""
    count = 0

    def press(_signal: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: count
    finally:
        signal.signal(signal.SIGINT, before)
