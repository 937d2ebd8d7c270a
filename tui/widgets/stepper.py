"""The line on top of every screen: the six steps, where one is, what is done, what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from tui.widgets.quiet import Quiet

STEPS = ("Runs", "Model", "Data", "Recipe", "Train", "Compare")


@dataclass(frozen=True)
class Progress:
    """Which steps are done and which want something; steps count from 1."""

    done: frozenset[int] = frozenset()
    wanting: frozenset[int] = frozenset()
    missing: str = ""
    """What is wanted, in a few words that begin small; a narrow screen has room for the sign alone."""


class Step(Quiet):
    """One step of the stepper."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def on_click(self) -> None:
        self.post_message(Stepper.StepPointedAt(self.number))


class Stepper(Horizontal):
    """Draws the steps; a click on one asks to go back there."""

    @dataclass
    class StepPointedAt(Message):
        number: int

    progress = reactive(Progress())

    def __init__(self, present: int) -> None:
        super().__init__()
        self.present = present

    def compose(self) -> ComposeResult:
        yield Static("ift-tui", id="brand", markup=False)
        for number in range(1, len(STEPS) + 1):
            yield Step(number)
        yield Quiet(id="missing")

    def on_mount(self) -> None:
        for step in self.query(Step):
            step.set_class(step.number == self.present, "-present")

    def watch_progress(self, progress: Progress) -> None:
        for step in self.query(Step):
            step.set_class(step.number in progress.done, "-done")
            step.show(label(step.number, progress))
        self.query_one("#missing", Quiet).show(f"! {progress.missing}" if progress.missing else "")


def label(number: int, progress: Progress) -> str:
    """A step's name with its mark: ✓ done, ! something is missing."""
    done = " ✓" if number in progress.done else ""
    wanting = " !" if number in progress.wanting else ""
    return f"{number} {STEPS[number - 1]}{wanting or done}"
