"""The runs: what is being trained, what was; and the way to a new one."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable

from tui.feed import Edges, RunLine, RunsFeed
from tui.safe import clean
from tui.screens import tidying
from tui.screens.choose import PickScreen
from tui.screens.messages import (
    CompareAsked,
    EvaluationAsked,
    ResultsAsked,
    ResumeAsked,
    RunBegun,
    RunOpened,
)
from tui.screens.step import StepScreen
from tui.widgets.quiet import Quiet
from tui.widgets.run_table import RunTable
from tui.widgets.stepper import Progress

GUIDED = "first-steps"
"""The bundled recipe that needs neither network nor GPU."""

SECONDS_BETWEEN_LOOKS = 1.0

ALIVE = ("starting", "waiting", "running")

WELCOME = Content.assemble(
    ("Fine-tune a language model to follow your instructions.\n\n", "bold"),
    "Six steps, named above: pick a base model, see what it will read, set a few knobs, ",
    "watch it learn, then let base and tuned answer side by side.\n\n",
    ("t", "bold $text-accent"),
    "      a guided tour: in three minutes to base and tuned side by side.\n",
    "       A tiny model and two sets come with the program; no GPU, no network\n\n",
    ("enter", "bold $text-accent"),
    "  the same run without a guide, and twice as long\n\n",
    ("n", "bold $text-accent"),
    "      a new run with your model and your rows\n\n",
    ("?", "bold $text-accent"),
    "      what this screen is for, and its keys; all screens have it",
)


class HomeScreen(StepScreen):
    """A table of runs, newest first; where there is none, how to begin."""

    STEP = 1
    HELP = (
        "Every run stands here, newest first, with what it has come to. A run goes on by itself: "
        "you may close this program, or lose the connection, and find it again here.\n\n"
        "Enter opens the run under the cursor. n starts a new one: model, data, recipe, then training; "
        "N starts it from one of the recipes that come with the program. "
        "A crashed run is one whose worker ended without a last word; open it to see the end of its log. "
        "r takes up a run that was stopped, has failed or crashed, at its newest whole checkpoint.\n\n"
        "One run trains at a time. The others wait in a line: K and J (or shift with the arrow keys) move "
        "the run under the cursor in it, x takes it out.\n\n"
        "f7 shows what came out of a run, and exports it. a puts one into the archive, whole; A brings one "
        "back. D removes one for good, once you have typed its name."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "tour", "Tour", id="home.tour", tooltip="Take the tour: all of it in three minutes"),
        Binding(
            "enter",
            "first",
            "First run",
            id="home.first",
            key_display="enter",
            tooltip="Start the first run by yourself",
        ),
        Binding("n", "new", "New run", id="home.new", tooltip="Start a new run"),
        Binding(
            "N",
            "recipe",
            "From a recipe",
            id="home.recipe",
            show=False,
            tooltip="Start a new run from one of the recipes that come with the program",
        ),
        Binding("c", "compare", "Compare", id="home.compare", tooltip="Compare base and tuned"),
        Binding(
            "f6",
            "evaluation",
            "Evaluation",
            id="home.evaluation",
            tooltip="Evaluate base against tuned on held-out rows",
        ),
        Binding(
            "f7",
            "results",
            "Results",
            id="home.results",
            tooltip="See all that came out of it, and export it",
        ),
        Binding("r", "resume", "Resume", id="home.resume", tooltip="Resume at the newest checkpoint"),
        Binding("K,shift+up", "move(-1)", "Sooner", id="home.sooner", tooltip="Let it train earlier"),
        Binding("J,shift+down", "move(1)", "Later", id="home.later", tooltip="Let it train later"),
        Binding("x,delete", "take_out", "Take out", id="home.out", tooltip="Take it out of the line"),
        Binding(
            "a",
            "archive",
            "Archive",
            id="home.archive",
            show=False,
            tooltip="Archive it: out of the list, whole",
        ),
        Binding(
            "A",
            "unarchive",
            "From the archive",
            id="home.unarchive",
            show=False,
            tooltip="Bring a run back from the archive",
        ),
        Binding("D", "delete", "Delete", id="home.delete", show=False, tooltip="Delete it for good"),
        Binding("escape", "back", "Back", id="step.back", show=False, tooltip="Go back"),
    ]

    def __init__(self, edges: Edges) -> None:
        super().__init__()
        self._edges = edges
        self._feed = RunsFeed()
        self._lines: tuple[RunLine, ...] = ()
        self._listed = False

    def body(self) -> ComposeResult:
        with Vertical(id="runs", classes="panel") as panel:
            panel.border_title = "Runs"
            yield Quiet("looking for runs …", id="welcome")
            yield RunTable()

    def progress(self) -> Progress:
        return Progress()

    def on_mount(self) -> None:
        self._follow()

    def on_screen_resume(self) -> None:
        if self._listed:  # what has happened meanwhile is shown at once
            self._follow()

    @work(exclusive=True)
    async def _follow(self) -> None:
        while True:
            # Textual counts the screen right below as current too: painting that one paints all again.
            if self.app.screen is self or not self._listed:
                self._show(await asyncio.to_thread(self._feed.poll))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    def _show(self, lines: tuple[RunLine, ...]) -> None:
        if not self.stands:
            return
        self._lines, self._listed = lines, True
        table = self.query_one(RunTable)
        table.display = bool(lines)
        panel, hint = self.query_one("#runs"), "enter opens a run" if lines else ""
        if panel.border_subtitle != hint:  # to set it paints the panel anew
            panel.border_subtitle = hint
        self.query_one("#welcome").display = not lines
        self.query_one("#welcome", Quiet).show(WELCOME)
        table.show(lines, self._edges.clock())
        if lines and self.focused is None:
            table.focus()
        self.refresh_bindings()

    @property
    def lines(self) -> tuple[RunLine, ...]:
        """The runs, as they were when last looked at."""
        return self._lines

    def _highlighted(self) -> RunLine | None:
        row = self.query_one(RunTable).cursor_row
        return self._lines[row] if row < len(self._lines) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("first", "tour"):
            return self._listed and not self._lines
        line = self._highlighted() if self._lines else None
        if action in ("compare", "evaluation", "results"):
            return line is not None and line.saved
        if action == "resume":
            return line is not None and line.resumable
        if action in ("move", "take_out"):
            return line is not None and line.status == "waiting"
        if action in ("archive", "delete"):
            return line is not None and line.status not in ALIVE
        return action != "back"

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        line = self._highlighted()
        if line is not None:
            self.post_message(RunOpened(line.run))

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        self.refresh_bindings()

    def action_first(self) -> None:
        self.post_message(RunBegun(GUIDED))

    async def action_tour(self) -> None:
        await self.run_action("app.tour")

    def action_compare(self) -> None:
        line = self._highlighted()
        if line is not None:
            self.post_message(CompareAsked(line.run))

    def action_evaluation(self) -> None:
        line = self._highlighted()
        if line is not None:
            self.post_message(EvaluationAsked(line.run))

    def action_results(self) -> None:
        line = self._highlighted()
        if line is not None:
            self.post_message(ResultsAsked(line.run))

    def action_resume(self) -> None:
        line = self._highlighted()
        if line is not None:
            self.post_message(ResumeAsked(line.run))

    @work(group="line")
    async def action_move(self, by: int) -> None:
        line = self._highlighted()
        if line is not None:
            await asyncio.to_thread(self._edges.move, line.run, by)

    @work(group="line")
    async def action_take_out(self) -> None:
        line = self._highlighted()
        if line is not None and await asyncio.to_thread(self._edges.stop, line.run):
            self.notify(f"{clean(line.name)} leaves the line; r takes it up again", markup=False)

    @work(group="keep")
    async def action_archive(self) -> None:
        line = self._highlighted()
        if line is not None and await tidying.archive(self, line):
            self._follow()

    @work(group="keep")
    async def action_unarchive(self) -> None:
        if await tidying.unarchive(self):
            self._follow()

    @work(group="keep")
    async def action_delete(self) -> None:
        line = self._highlighted()
        if line is not None and await tidying.delete(self, line):
            self._follow()

    def action_new(self) -> None:
        self.post_message(RunBegun(GUIDED))

    def action_recipe(self) -> None:
        from engine import recipe

        bundled = recipe.bundled()

        def begin(number: int | None) -> None:
            if number is not None:
                self.post_message(RunBegun(bundled[number].stem))

        said = [f"{path.stem}: {recipe.purpose(path)}" for path in bundled]
        self.app.push_screen(PickScreen("Start from which recipe?", said), begin)
