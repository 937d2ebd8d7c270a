"""The memory forecast by terms."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll

from engine.fit import Fit
from engine.shapes import Unknown
from tui.screens.step import StepScreen
from tui.widgets.forecast import page
from tui.widgets.quiet import Quiet


class ForecastScreen(StepScreen):
    """One page; the arrow keys scroll it."""

    STEP = 4
    HELP = (
        "What the run will take at its peak, reckoned from the model's config.json, the recipe and the "
        "longest row, term by term, against what is free on this machine now. Tight means that more than "
        "nine tenths of it would be used.\n\n"
        "On a processor the forecast was measured within 15% for nineteen of twenty-one models and settings "
        "(benchmarks/fit.py). `ift-tui memory RECIPE` prints the same."
    )
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, found: Fit | Unknown) -> None:
        super().__init__()
        self._found = found

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="panel", id="report") as panel:
            panel.border_title = "Memory"
            yield Quiet(id="report-text")

    def on_mount(self) -> None:
        self.query_one("#report").focus()

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if self.stands:
            width = self.query_one("#report").scrollable_content_region.width
            self.query_one("#report-text", Quiet).show(page(self._found, width))
