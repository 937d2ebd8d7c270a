"""What a person can ask of a run under way, checked before it is asked, and the worker's answer to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine import runs
from engine.errors import UserError
from engine.events import Tail
from engine.runs import Run
from engine.schema import Method, too_high
from engine.state import RunState

VALUED = {"learning rate": "a number such as 1e-4", "steps": "a whole number such as 300"}
"""What is asked with a value, and what that is."""


@dataclass(frozen=True)
class Answer:
    """What the worker made of it."""

    taken: bool
    step: int
    said: str


class Question:
    """Something asked of a run; `answer` looks whether the worker has answered."""

    def __init__(self, run: Run, do: str, value: float | None = None) -> None:
        """Ask. Raises UserError where the run does not train."""
        self._do, self._value = do, value
        self._tail = Tail(run.events)
        self._state = RunState()
        self._read()
        check(run, runs.judged(self._state, runs.is_alive(run), run, why=False))
        runs.control(run, do, **({} if value is None else {"value": value}))

    def answer(self) -> Answer | None:
        """None while there is no answer."""
        return self._read()

    def _read(self) -> Answer | None:
        found = None
        for event in self._tail.read():
            self._state.fold(event)
            match event:
                case {"kind": "told", "what": self._do, "step": int(step)}:
                    found = found or Answer(True, step, told(step, self._do, event.get("value")))
                case {"kind": "warned", "text": str(text)} if not event.get("mend"):
                    # What makes no sense is answered by a warning; other warnings say what to do.
                    found = found or Answer(False, self._state.step, text)
        return found


def check(run: Run, state: RunState) -> None:
    """Raise UserError where a run does not hear what it is asked: only between two steps it does.

    state: as judged, with whether it is alive.
    """
    if state.status == "waiting":
        raise UserError(
            f"{run.name} waits for its turn and can be told nothing before it trains; `ift-tui queue`"
            " changes the line"
        )
    if state.status in ("starting", "running") and state.phase != "train":
        what = "is at its end already" if state.step else "has not begun to train"
        raise UserError(f"{run.name} {what}; between two steps is when it can be told such things")
    if state.status not in ("starting", "running"):
        raise UserError(f"{run.name} is not running ({state.status}); resume it first")


def value(what: str, text: str, step: int, method: Method = "lora") -> float:
    """A typed rate or number of steps. Raises UserError naming what is wrong with it."""
    try:
        number = float(text.replace(",", "")) if what == "learning rate" else int(text.replace(",", ""))
    except ValueError:
        raise UserError(f"{what}: {text!r} is not {VALUED[what]}") from None
    if what == "steps":
        if number <= step:
            raise UserError(f"steps: {step} are done already; give a number above that")
    elif not (math.isfinite(number) and number > 0):
        raise UserError(f"learning rate: {text} must be above 0")
    elif wrong := too_high(number, method):
        raise UserError(f"learning rate: {wrong}")
    return number


def told(step: int, what: str, value: float | None) -> str:
    """What a run was told, as a sentence without its full stop."""
    match what:
        case "learning rate":
            return f"the learning rate's highest is {value:g} from step {step + 1} on"
        case "steps":
            return f"{value:g} steps in all, told at step {step}"
        case "checkpoint":
            return f"a checkpoint is saved after step {step + 1}"
        case "stop at evaluation":
            return f"told at step {step} to save and stop after the next evaluation"
        case _:
            return f"told at step {step} to {what}"


def start_of_resumed(run: Run) -> str:
    """Where a run that is resumed goes on, as a sentence. A checkpoint that is not whole is passed over."""
    steps = [int(path.name[5:]) for path in run.checkpoints.glob("step-*") if path.name[5:].isdigit()]
    if steps:
        return f"It goes on at its newest whole checkpoint: step {max(steps)}."
    return "It has no checkpoint: it begins anew."
