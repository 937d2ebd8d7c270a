"""What came out of a run, on one page; comparison, evaluation, votes and exports are a key away."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content

from engine import housekeeping
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui.feed import RESUMABLE, Edges
from tui.feed.exports import how_to_run
from tui.feed.results import Results, gathered
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import ConfirmScreen, PickScreen
from tui.screens.messages import CompareAsked, EvaluationAsked, ExportAsked
from tui.screens.notes import NotesScreen
from tui.screens.step import StepScreen
from tui.widgets.exports import detail
from tui.widgets.figures import size
from tui.widgets.quiet import Quiet
from tui.widgets.results import page, samples
from tui.widgets.stepper import Progress

DROP = "The adapter, evaluations, votes and exports stay. Checkpoints can then not be compared any more."
DROP_UNFINISHED = f"{DROP} This run has not come to its end: it could not be resumed from where it is."


class ResultsScreen(StepScreen):
    """Reads the run's folder each time it is come back to."""

    STEP = 6
    HELP = (
        "All that came out of a run: right answers counted at its end and in full evaluations, with the "
        "interval that holds 95% of their resamples; your blind votes; the exports, each with how it "
        "answered beside the run; what it takes on disk; and the samples of the last evaluation.\n\n"
        "An export that passed answers as the run does; one that failed is kept under NAME.failed with "
        "what differs; one that was not checked says why. o opens one, with the lines that run it.\n\n"
        "x removes the checkpoints and keeps the adapter. On the list of runs a archives a run and D removes "
        "it. `ift-tui runs --disk` prints what each takes."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "results",
            ("e", "export", "Export", "export", "Export it for use elsewhere"),
            ("o", "open", "Open", "open", "Open an export, with the lines that run it"),
            ("c", "compare", "Compare", "compare", "Compare base and tuned"),
            ("f5", "vote", "Vote", "vote", "Vote blind on which answer is better"),
            ("f6", "evaluation", "Evaluation", "evaluation", "Evaluate base against tuned on held-out rows"),
        ),
        *hidden(
            "results",
            ("x", "drop", "Drop checkpoints", "drop", "Remove the checkpoints, and keep the adapter"),
            ("tab", "app.focus_next", "Other panel", "other", "Go from the figures to the samples, and back"),
        ),
    ]

    def __init__(self, run: Run, edges: Edges) -> None:
        super().__init__()
        self._run = run
        self._edges = edges
        self._found: Results | None = None

    def body(self) -> ComposeResult:
        with Container(id="results"):
            with VerticalScroll(classes="panel", id="results-page") as panel:
                panel.border_title = "Results"
                yield Quiet("reading …", id="results-text")
            with VerticalScroll(classes="panel", id="results-samples") as panel:
                panel.border_title = "Samples"
                yield Quiet(id="samples-text")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self.query_one("#results-page").focus()

    def on_screen_resume(self) -> None:
        self._read()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        found = await asyncio.to_thread(gathered, self._run)
        if not self.stands:
            return
        self._found = found
        self.query_one("#results-page").border_title = Content(
            f"Results · {clean(self._run.name, newlines=False)}"
        )
        self.call_after_refresh(self._draw)
        self.refresh_bindings()

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        found = self._found
        if found is None or not self.stands:
            return
        text = page(found, self._edges.clock(), self._room("#results-page"))
        self.query_one("#results-text", Quiet).show(text)
        self.query_one("#samples-text", Quiet).show(samples(found, self._room("#results-samples")))

    def _room(self, panel: str) -> int:
        return max(40, self.query_one(panel).scrollable_content_region.width)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        found = self._found
        match action:
            case "open":
                return found is not None and bool(found.exports)
            case "drop":
                return found is not None and "checkpoints" in found.disk
        return True

    def action_export(self) -> None:
        self.post_message(ExportAsked(self._run))

    def action_compare(self) -> None:
        self.post_message(CompareAsked(self._run))

    def action_vote(self) -> None:
        self.post_message(CompareAsked(self._run, vote=True))

    def action_evaluation(self) -> None:
        self.post_message(EvaluationAsked(self._run))

    @work(group="choose")
    async def action_open(self) -> None:
        assert self._found is not None
        made = self._found.exports
        number: int | None = 0
        if len(made) > 1:
            names = [f"{one.folder.name}, {one.status}" for one in made]
            number = await self.app.push_screen_wait(PickScreen("Which export?", names))
        if number is not None and self.stands:
            lines = await asyncio.to_thread(how_to_run, self._run, made[number])
            self.app.push_screen(NotesScreen([detail(made[number], lines)], made[number].folder.name))

    @work(group="choose")
    async def action_drop(self) -> None:
        assert self._found is not None
        taken = size(self._found.disk["checkpoints"])
        says = DROP_UNFINISHED if self._found.state.status in RESUMABLE else DROP
        if not await self.app.push_screen_wait(ConfirmScreen(f"Remove the checkpoints ({taken})?", says)):
            return
        try:
            freed = await asyncio.to_thread(housekeeping.drop_checkpoints, self._run)
        except (UserError, RunFailed, OSError) as error:
            self.refuse(str(error))
        else:
            self.notify(f"{size(freed)} are free again", markup=False)
        self._read()
