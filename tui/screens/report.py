"""The quality report: what the rows are like, before anything is trained on them."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from tui.screens.step import StepScreen
from tui.widgets.quiet import Quiet
from tui.widgets.report import drawn
from tui.widgets.source_list import totals


class ReportScreen(StepScreen):
    """One long page; the arrow keys scroll it."""

    STEP = 3
    HELP = (
        "What a careful person would count before training: rows, tokens and trained tokens by source; how "
        "long rows are, with the cut at max_length; how often each answer stands there; languages; answers "
        "with next to nothing in them; questions with several answers; the ten longest rows.\n\n"
        "Warnings are sentences about what usually spoils a run. `ift-tui data FILE --report` prints this."
    )
    BINDINGS: ClassVar[list[BindingType]] = []

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="panel", id="report") as panel:
            panel.border_title = "Quality report"
            yield Quiet(id="report-text")

    def on_mount(self) -> None:
        self.query_one("#report").focus()
        self.call_after_refresh(self.draft_changed)

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self.draft_changed)

    def draft_changed(self) -> None:
        draft = self.draft
        if draft is None or not self.stands:
            return
        width = self.query_one("#report").scrollable_content_region.width
        text: Content | Any = totals(draft)
        if draft.scan is not None:
            text = drawn(draft.scan, draft.recipe.data.max_length, max(40, width))
        self.query_one("#report-text", Quiet).show(text)
