"""The line on top of every screen: the six steps, where one is, what is done, what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

STEPS = ("Runs", "Model", "Data", "Recipe", "Train", "Compare")
BRAND = "ift-tui"


@dataclass(frozen=True)
class Progress:
    """Which steps are done and which want something; steps count from 1."""

    done: frozenset[int] = frozenset()
    wanting: frozenset[int] = frozenset()
    missing: str = ""
    """What is wanted, in a few words that begin small; a narrow screen has room for the sign alone."""


class Stepper(Widget):
    """Draws the steps; a click on one asks to go back there."""

    ALLOW_SELECT = False

    @dataclass
    class StepPointedAt(Message):
        number: int

    progress = reactive(Progress())

    def __init__(self, present: int) -> None:
        super().__init__()
        self.present = present

    def placed(self) -> list[tuple[int, str, int]]:
        """Column, text and number of each step, from left to right."""
        between = 1 if self.wide else 0
        placed, column = [], len(BRAND) + 2
        for number in range(1, len(STEPS) + 1):
            text = f" {label(number, self.progress)} "
            placed.append((column, text, number))
            column += cell_len(text) + between
        return placed

    @property
    def wide(self) -> bool:
        return self.screen.has_class("-wide")

    def render(self) -> Content:
        parts = [Content.styled(BRAND, "bold $text-primary")]
        column = len(BRAND)
        for start, text, number in self.placed():
            style = "$text-success" if number in self.progress.done else "$foreground-muted"
            if number == self.present:
                style = "$present-foreground on $present-background $cursor-style"
            parts += [Content(" " * (start - column)), Content.styled(text, style)]
            column = start + cell_len(text)
        if self.wide and self.progress.missing:
            said = Content.styled(f"! {self.progress.missing}", "$text-warning")
            room = self.content_size.width - column
            said = said.truncate(room, ellipsis=True)
            parts += [Content(" " * (room - said.cell_length)), said]
        return Content("").join(parts)

    def on_click(self, event: events.Click) -> None:
        inside = event.x - self.gutter.left
        for start, text, number in self.placed():
            if start <= inside < start + cell_len(text):
                self.post_message(self.StepPointedAt(number))


def label(number: int, progress: Progress) -> str:
    """A step's name with its mark: ✓ done, ! something is missing."""
    done = " ✓" if number in progress.done else ""
    wanting = " !" if number in progress.wanting else ""
    return f"{number} {STEPS[number - 1]}{wanting or done}"
