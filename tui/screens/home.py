"""The runs: what is being trained, what was; and the way to a new one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Input

from engine.listing import ORDERS
from engine.runs import Run
from tui.feed import Edges, Listing, Row, RunLine, RunsFeed, SweepLine, SweepsFeed
from tui.feed.listing import rows
from tui.safe import clean
from tui.screens import remarking, tidying
from tui.screens.choose import PickScreen
from tui.screens.messages import (
    CompareAsked,
    EvaluationAsked,
    ResultsAsked,
    ResumeAsked,
    RunBegun,
    RunOpened,
    SweepOpened,
)
from tui.screens.step import StepScreen
from tui.widgets.fields import OneLine
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


NONE_FOUND = "No run is like that. Escape shows all runs."


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
        "/ searches: by name, model, tag (#good), note and the paths of the data; s sorts by date, name, "
        "state, validation loss or right answers; e gives the run under the cursor tags and a note. d on one "
        "run and then on another shows in which settings they differ. The runs of a sweep are folded under "
        "it: space unfolds them, enter opens the sweep.\n\n"
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
        Binding("slash", "search", "Search", id="home.search", show=False, tooltip="Search the runs"),
        Binding(
            "s",
            "sort",
            "Sort",
            id="home.sort",
            show=False,
            tooltip="Sort by date, name, state, validation loss or right answers",
        ),
        Binding("e", "remark", "Tags, note", id="home.remark", show=False, tooltip="Give it tags and a note"),
        Binding(
            "d",
            "contrast",
            "Differ",
            id="home.contrast",
            show=False,
            tooltip="Mark it, or show in which settings it differs from the marked one",
        ),
        Binding(
            "space",
            "unfold",
            "Unfold",
            id="home.unfold",
            show=False,
            tooltip="Unfold the runs of the sweep, or fold them",
        ),
        Binding("escape", "back", "All runs", id="step.back", show=False, tooltip="Go back"),
    ]

    def __init__(self, edges: Edges) -> None:
        super().__init__()
        self._edges = edges
        self._feeds = RunsFeed(), SweepsFeed()
        self._lines: tuple[RunLine, ...] = ()
        self._swept: tuple[SweepLine, ...] = ()
        self._how = Listing()
        self._rows: tuple[Row, ...] = ()
        self._marked: Run | None = None
        self._listed = False
        self._framed = ("", "")

    def body(self) -> ComposeResult:
        with Vertical(id="runs", classes="panel") as panel:
            panel.border_title = "Runs"
            yield Quiet("looking for runs …", id="welcome")
            yield OneLine(placeholder="words of name, model, note or data; #tag", id="search")
            yield RunTable()

    def progress(self) -> Progress:
        return Progress()

    def on_mount(self) -> None:
        self.query_one("#search").display = False
        self._follow()

    def on_screen_resume(self) -> None:
        if self._listed:  # what has happened meanwhile is shown at once
            self._follow()

    @work(exclusive=True)
    async def _follow(self) -> None:
        while True:
            # Textual counts the screen right below as current too: painting that one paints all again.
            if self.app.screen is self or not self._listed:
                self._show(*await asyncio.to_thread(self._polled))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    def _polled(self) -> tuple[tuple[RunLine, ...], tuple[SweepLine, ...]]:
        known, swept = self._feeds
        return known.poll(), swept.poll()

    def _show(self, lines: tuple[RunLine, ...], swept: tuple[SweepLine, ...]) -> None:
        if not self.stands:
            return
        self._lines, self._swept, self._listed = lines, swept, True
        self.query_one("#welcome", Quiet).show(WELCOME if not lines and not swept else NONE_FOUND)
        self._arrange()
        if self._rows and self.focused is None:
            self.query_one(RunTable).focus()

    def _arrange(self) -> None:
        """List what is known in the way that a person looks at it now."""
        self._rows = rows(self._lines, self._swept, self._how)
        table = self.query_one(RunTable)
        table.display = bool(self._rows)
        self.query_one("#welcome").display = not self._rows
        marked = str(self._marked.path) if self._marked else ""
        table.show(self._rows, self._edges.clock(), self._how.by, marked)
        self._tell()
        self.refresh_bindings()

    def _tell(self) -> None:
        """On the frame: how many were found, what a person has written about the run under the cursor."""
        panel, line = self.query_one("#runs"), self._line
        known = len(self._lines)
        title = f"Runs · {sum(isinstance(row.line, RunLine) for row in self._rows)} of {known}"
        hint = "enter opens a run" if self._rows else ""
        if line is not None and (said := about(line)):
            hint = said
        elif self._how.search:
            hint = "esc shows all runs"
        framed = title if self._how.search else "Runs", hint
        if framed != self._framed:  # to set it paints the panel anew
            self._framed = framed
            panel.border_title, panel.border_subtitle = map(Content, framed)

    @property
    def lines(self) -> tuple[RunLine, ...]:
        """The runs, as they were when last looked at."""
        return self._lines

    @property
    def _line(self) -> RunLine | SweepLine | None:
        at = self.query_one(RunTable).cursor_row
        return self._rows[at].line if at < len(self._rows) else None

    def _highlighted(self) -> RunLine | None:
        line = self._line
        return line if isinstance(line, RunLine) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("first", "tour"):
            return self._listed and not self._lines and not self._swept
        if action in ("search", "sort"):
            return bool(self._lines or self._swept)
        if action == "back":
            return self.query_one("#search").display
        if action == "unfold":
            return isinstance(self._line, SweepLine)
        line = self._highlighted()
        if action in ("remark", "contrast"):
            return line is not None
        if action in ("compare", "evaluation", "results"):
            return line is not None and line.saved
        if action == "resume":
            return line is not None and line.resumable
        if action in ("move", "take_out"):
            return line is not None and line.status == "waiting"
        if action in ("archive", "delete"):
            return line is not None and line.status not in ALIVE
        return True

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        match self._line:
            case RunLine(run=run):
                self.post_message(RunOpened(run))
            case SweepLine(sweep=sweep):
                self.post_message(SweepOpened(sweep))

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        self._tell()
        self.refresh_bindings()

    # --- how it is listed ---

    def action_search(self) -> None:
        field = self.query_one("#search", Input)
        field.display = True
        field.focus()
        self.refresh_bindings()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value != self._how.search:
            self._how = replace(self._how, search=event.value)
            self._arrange()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The search holds; without words there is none."""
        if not event.value.strip():
            self.action_back()
        elif self._rows:
            self.query_one(RunTable).focus()

    def action_back(self) -> None:
        """All runs again: nothing lies behind this screen."""
        field = self.query_one("#search", Input)
        field.value, field.display = "", False
        self._how = replace(self._how, search="")
        self._arrange()
        self.query_one(RunTable).focus()

    def action_sort(self) -> None:
        following = ORDERS[(ORDERS.index(self._how.by) + 1) % len(ORDERS)]
        self._how = replace(self._how, by=following)
        self._arrange()

    def action_unfold(self) -> None:
        if isinstance(line := self._line, SweepLine):
            unfolded = set(self._how.unfolded) ^ {line.sweep.path}
            self._how = replace(self._how, unfolded=frozenset(unfolded))
            self._arrange()

    @work(group="keep")
    async def action_remark(self) -> None:
        line = self._highlighted()
        if line is not None and await remarking.remark(self, line.run, line.name):
            self._follow()

    @work(group="keep")
    async def action_contrast(self) -> None:
        """The first run is marked; on the second they are compared, on the same again the mark is taken."""
        line, marked = self._highlighted(), self._marked
        if line is None:
            return
        if marked is not None and marked != line.run:
            self._marked = None
            await remarking.contrast(self, marked, line.run)
        elif marked is None:
            self._marked = line.run
            self.notify("marked; d on another run shows in which settings they differ")
        else:
            self._marked = None
        self._arrange()

    # --- what is done with a run ---

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


def about(line: RunLine | SweepLine) -> str:
    """Its tags and its note on one line; of a sweep, how its runs are reached."""
    if isinstance(line, SweepLine):
        return "enter opens the sweep · space unfolds its runs"
    said = [*(f"#{tag}" for tag in line.remarks.tags), line.remarks.note]
    return clean(" ".join(filter(None, said)), newlines=False)
