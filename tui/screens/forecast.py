"""The memory forecast by terms, and beside it what a probe measures."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from engine.errors import RunFailed
from engine.fit import Fit
from engine.schema import Recipe
from engine.shapes import Unknown
from tui.feed import Edges
from tui.feed.probe import probe
from tui.keys import shown
from tui.safe import clean
from tui.screens.step import StepScreen
from tui.widgets.forecast import page, probed
from tui.widgets.quiet import Quiet

PHASES = {
    "import": "importing the libraries",
    "render": "rendering the rows",
    "load": "loading the model",
    "probe": "two steps and an evaluation on the longest rows",
}


class ForecastScreen(StepScreen):
    """One page; the arrow keys scroll it. Left by escape it answers with what was measured, or None."""

    STEP = 4
    HELP = (
        "What the run will take at its peak, reckoned from the model's config.json, the recipe and the "
        "longest row, term by term, against what is free on this machine now. Tight means that more than "
        "nine tenths of it would be used.\n\n"
        "p measures it: the model is loaded and takes two steps and an evaluation on the longest rows. Each "
        "run does the same before its first step. On a processor the forecast was measured within 15% for "
        "nineteen of twenty-one models and settings (benchmarks/fit.py). `ift-tui memory RECIPE` prints the "
        "same, with --probe what is measured."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "forecast",
            ("p", "probe", "Probe", "probe", "Measure on the longest rows"),
        ),
    ]

    def __init__(self, edges: Edges, plan: Recipe, found: Fit | Unknown) -> None:
        super().__init__()
        self._edges = edges
        self._plan = plan
        self._found = found
        self._said: Content | None = None
        self._measured: dict[str, Any] | None = None
        self._probing = False

    def body(self) -> ComposeResult:
        with VerticalScroll(classes="panel", id="report") as panel:
            panel.border_title = "Memory"
            yield Quiet(id="report-text")

    def on_mount(self) -> None:
        self.query_one("#report").focus()

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self._probing if action == "probe" else True

    def action_probe(self) -> None:
        self._probing = True
        self.refresh_bindings()
        self._say(Content("starting the probe …"))
        self.query_one("#report").scroll_home(animate=False)
        self.run_worker(self._probe(), exclusive=True)

    async def _probe(self) -> None:
        try:
            async with aclosing(probe(self._plan, self._edges.child)) as messages:
                async for message in messages:
                    if message["kind"] == "phase":
                        self._say(Content(f"probing: {PHASES.get(message['phase'], message['phase'])} …"))
                    else:
                        self._measured = message["measured"] or None
                        self._say(probed(message))
        except RunFailed as error:
            self._say(Content.styled(f"✗ {clean(str(error), newlines=False)}", "$text-error"))
        finally:
            self._probing = False
            self.refresh_bindings()

    def _say(self, said: Content) -> None:
        self._said = said
        self._draw()

    def _draw(self) -> None:
        if self.stands:
            width = self.query_one("#report").scrollable_content_region.width
            self.query_one("#report-text", Quiet).show(page(self._found, width, self._said))

    def action_back(self) -> None:
        self.dismiss(self._measured)
