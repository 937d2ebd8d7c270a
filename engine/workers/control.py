"""What people ask of a run under way: lines of control.jsonl, taken between two steps.

    {"do": "checkpoint"}                       save one at the end of this step
    {"do": "stop"}                             save and stop, like SIGTERM
    {"do": "stop at evaluation"}               the same, after the next evaluation
    {"do": "abort"}                            end at once; nothing new is saved
    {"do": "learning rate", "value": 1e-4}     the schedule's highest rate, from the next step on
    {"do": "steps", "value": 300}              steps in all; what remains of the schedule is stretched

Each is told as an event, and what makes no sense is answered by a warning. A rate and a length hold at the
same step again when the run is taken up from a checkpoint before it: the events say which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engine.events import Event
from engine.schema import Method, too_high
from engine.workers.pace import Change

Asked = dict[str, Any]

DEEDS = ("checkpoint", "stop", "stop at evaluation", "abort", "learning rate", "steps")


class Controls:
    """Reads the lines that were added since the last look; a torn last line waits for its end."""

    def __init__(self, path: Path, continued: bool) -> None:
        self._path = path
        # What a former life did not come to is not wanted any more: a stop would end this life too.
        self._offset = path.stat().st_size if continued and path.exists() else 0

    def read(self) -> Iterator[Asked | str]:
        """The objects, and as text what is none."""
        try:
            if self._path.stat().st_size <= self._offset:
                return
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        end = data.rfind(b"\n") + 1
        self._offset += end
        for line in data[:end].splitlines():
            try:
                asked = json.loads(line)
            except ValueError:
                asked = None
            yield asked if isinstance(asked, dict) else line.decode("utf-8", "replace")


def not_a_deed(said: Any) -> str:
    """The answer to what nobody can make out."""
    return f"{repr(said)[:60]} is nothing that a run can be told; that is: {', '.join(DEEDS)}"


def objection(asked: Asked, step: int, evaluates: bool, method: Method = "lora") -> str:
    """Why something asked for after that many steps makes no sense; "" where it does."""
    if asked.get("do") not in DEEDS:
        return not_a_deed(asked.get("do"))
    value = asked.get("value")
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if asked["do"] == "learning rate" and (not number or not number > 0 or too_high(number, method)):
        return f"a learning rate of {repr(value)[:40]} makes no sense; it stays as it is"
    if asked["do"] == "steps" and not (isinstance(number, int) and number > step):
        return f"{repr(value)[:40]} steps in all cannot be had after {step}; their number stays as it is"
    if asked["do"] == "stop at evaluation" and not evaluates:
        return "this run evaluates at its end only (train.eval_every is 0); it goes on"
    return ""


def added(changes: Iterable[Change], new: Change) -> list[Change]:
    """Changes with a newer one, which does away with those of its kind that are still to come."""
    return [one for one in changes if one.what != new.what or one.step < new.step] + [new]


def replayed(changes: Iterable[Change], events: Iterable[Event], step: int) -> list[Change]:
    """The changes of a run that is taken up at a step: the checkpoint's, and those told after it."""
    told: list[Change] = []
    for event in events:
        if event["kind"] == "told" and event.get("what") in ("learning rate", "steps"):
            told.append(Change(event["step"], event["what"], event["value"]))
        elif event["kind"] == "resumed" and event["from"] is None:
            told = []  # begun anew: what was told to the former life has no meaning for this one
    known = [change for change in changes if change.step < step]
    for change in told:
        known = added(known, change) if change.step >= step else known
    return sorted(known, key=lambda change: change.step)
