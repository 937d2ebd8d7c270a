"""Tags and a note for a run, and which settings of two runs differ, asked from the list of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable

from engine import remarks
from engine.errors import UserError
from engine.remarks import Remarks
from engine.runs import Run
from tui.safe import clean
from tui.screens.form import Field, Fields, FormScreen
from tui.screens.step import StepScreen
from tui.widgets.differences import Difference, DifferenceTable, whole
from tui.widgets.quiet import Quiet

TAGS = "words to find it by: good rank-16"
NOTE = "a line about it"


async def remark(screen: StepScreen, run: Run, name: str) -> bool:
    """Let a person write tags and a note; whether they are others than before."""
    before = await asyncio.to_thread(remarks.read, run)

    def wrong(fields: Fields) -> str:
        try:
            remarks.tags(fields["tags"])
        except UserError as error:
            return str(error)
        return ""

    fields = [
        Field("tags", clean(" ".join(before.tags), newlines=False), TAGS, wide=True),
        Field("note", clean(before.note, newlines=False), NOTE, wide=True),
    ]
    typed = await screen.app.push_screen_wait(FormScreen(f"About {name}", fields, wrong))
    if typed is None:
        return False
    after = Remarks(remarks.tags(typed["tags"]), typed["note"])
    try:
        await asyncio.to_thread(remarks.write, run, after)
    except UserError as error:
        screen.refuse(str(error))
        return False
    return after != before


async def contrast(screen: StepScreen, first: Run, second: Run) -> None:
    """Show in which settings two runs differ."""
    from engine import contrast  # with the recipe's checks: not before the home screen stands

    try:
        one, other = await asyncio.to_thread(first.recipe), await asyncio.to_thread(second.recipe)
    except UserError as error:
        screen.refuse(str(error))
        return
    names = [run.name for run in (first, second)]
    if one.name != other.name:  # without the date, which would be all that fits
        names = [one.name, other.name]
    screen.app.push_screen(ContrastScreen(contrast.between(one, other), *names))


class ContrastScreen(StepScreen):
    """Only what differs, side by side; the row under the cursor in full beneath."""

    STEP = 1
    HELP = (
        "The settings in which two runs differ, key by key: the first run on the left, the second on the "
        "right. All others are the same. – stands where one of them has no such key. Values that are too "
        "long for the table stand beneath it in full. `ift-tui diff A B` prints this."
    )
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, found: Sequence[Difference], first: str, second: str) -> None:
        super().__init__()
        self._found = found
        self._names = first, second

    def body(self) -> ComposeResult:
        with Container(id="contrast"):
            with Vertical(classes="panel", id="differences") as panel:
                panel.border_title = Content(f"{len(self._found)} settings differ")
                yield Quiet("The two have the same settings.", id="none-differs")
                yield DifferenceTable(self._found, *self._names)
            with VerticalScroll(classes="panel", id="difference", can_focus=False) as panel:
                panel.border_title = "This setting"
                yield Quiet(id="difference-text")

    def on_mount(self) -> None:
        self.query_one("#none-differs").display = not self._found
        self.query_one(DifferenceTable).display = bool(self._found)
        self.query_one("#difference").display = bool(self._found)
        if self._found:
            self.query_one(DifferenceTable).focus()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        if event.cursor_row < len(self._found):
            text = whole(self._found[event.cursor_row], *self._names)
            self.query_one("#difference-text", Quiet).show(text)
