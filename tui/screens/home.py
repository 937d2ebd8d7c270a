"""The runs: what is being trained, what was; and the way to a new one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.widgets import DataTable

from engine import RECIPES
from engine.errors import RunFailed, UserError
from tui.feed import RunLine, SweepLine
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens import remarking, tidying
from tui.screens.choose import AskScreen, PickScreen
from tui.screens.listing import LISTING, ListingScreen
from tui.screens.messages import (
    CompareAsked,
    EvaluationAsked,
    ResultsAsked,
    ResumeAsked,
    RunBegun,
    RunOpened,
    SweepOpened,
)
from tui.widgets.stepper import Progress

GUIDED = "first-steps"
"""The recipe of the first run: all is settled for the model that comes with the program."""

NEW = str(RECIPES / "new" / "new.toml")
"""The recipe of any other: what suits the model and the rows that are taken is chosen for them."""
"""The bundled recipe that needs neither network nor GPU."""

ALIVE = ("starting", "waiting", "running")


class HomeScreen(ListingScreen):
    """A table of runs, newest first; where there is none, how to begin."""

    STEP = 1
    HELP = (
        "Every run stands here, newest first, with what it has come to. A run goes on by itself: "
        "you may close this program, or lose the connection, and find it again here.\n\n"
        "Enter opens the run under the cursor. n starts a new one: model, data, recipe, then training; "
        "N starts it from a recipe: a file of yours, or one of those that come with the program. "
        "A crashed run is one whose worker ended without a last word; open it to see the end of its log. "
        "r takes up a run that was stopped, has failed or crashed, at its newest whole checkpoint; a sweep "
        "where it stood.\n\n"
        "One run trains at a time. The others wait in a line: K and J (or shift with the arrow keys) move "
        "the run under the cursor in it, x takes it out.\n\n"
        "/ searches: by name, model, tag (#good), note and the paths of the data; s sorts by date, name, "
        "state, validation loss or right answers; e gives the run under the cursor tags and a note. d on one "
        "run and then on another shows in which settings they differ. The runs of a sweep are folded under "
        "it: space unfolds them, enter opens the sweep.\n\n"
        "f7 shows what came out of a run, and exports it. a puts a run or a sweep into the archive, whole; A "
        "brings one back. D removes one for good, once you have typed its name."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "home",
            ("t", "tour", "Tour", "tour", "Take the tour: all of it in three minutes"),
            ("enter", "first", "First run", "first", "Start the first run by yourself"),
            ("n", "new", "New run", "new", "Start a new run"),
            ("c", "compare", "Compare", "compare", "Compare base and tuned"),
            ("f6", "evaluation", "Evaluation", "evaluation", "Evaluate base against tuned on held-out rows"),
            ("f7", "results", "Results", "results", "See all that came out of it, and export it"),
            ("r", "resume", "Resume", "resume", "Resume at the newest checkpoint"),
            ("K,shift+up", "move(-1)", "Sooner", "sooner", "Let it train earlier"),
            ("J,shift+down", "move(1)", "Later", "later", "Let it train later"),
            ("x,delete", "take_out", "Take out", "out", "Take it out of the line"),
        ),
        *hidden(
            "home",
            ("N", "recipe", "From a recipe", "recipe", "Start a new run from a recipe file or a bundled one"),
            ("a", "archive", "Archive", "archive", "Archive it: out of the list, whole"),
            ("A", "unarchive", "Bring back", "unarchive", "Bring a run or a sweep back from the archive"),
            ("D", "delete", "Delete", "delete", "Delete it for good"),
            ("e", "remark", "Tags, note", "remark", "Give it tags and a note"),
            ("d", "contrast", "Differ", "contrast", "Mark it, or show how it differs from the marked one"),
        ),
        *LISTING,
    ]

    def progress(self) -> Progress:
        return Progress()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("first", "tour"):
            return self.is_empty
        line = self.run_line
        if action in ("remark", "contrast"):
            return line is not None
        if action in ("compare", "evaluation", "results"):
            return line is not None and line.saved
        if action == "resume" and isinstance(self.line, SweepLine):
            return self.line.status in ("stopped", "failed", "crashed")
        if action == "resume":
            return line is not None and line.resumable
        if action in ("move", "take_out"):
            return line is not None and line.status == "waiting"
        if action in ("archive", "delete"):
            return self.line is not None and self.line.status not in ALIVE
        return super().check_action(action, parameters)

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        match self.line:
            case RunLine(run=run):
                self.post_message(RunOpened(run))
            case SweepLine(sweep=sweep):
                self.post_message(SweepOpened(sweep))

    @work(group="keep")
    async def action_remark(self) -> None:
        line = self.run_line
        if line is not None and await remarking.remark(self, line.run, line.name):
            self.follow()

    @work(group="keep")
    async def action_contrast(self) -> None:
        """The first run is marked; on the second they are compared, on the same again the mark is taken."""
        line, marked = self.run_line, self.marked
        if line is None:
            return
        if marked is not None and marked != line.run:
            self.marked = None
            await remarking.contrast(self, marked, line.run)
        elif marked is None:
            self.marked = line.run
            self.notify("marked; d on another run shows in which settings they differ")
        else:
            self.marked = None
        self.relist()

    # --- what is done with a run ---

    def action_first(self) -> None:
        self.post_message(RunBegun(GUIDED))

    async def action_tour(self) -> None:
        await self.run_action("app.tour")

    def action_compare(self) -> None:
        line = self.run_line
        if line is not None:
            self.post_message(CompareAsked(line.run))

    def action_evaluation(self) -> None:
        line = self.run_line
        if line is not None:
            self.post_message(EvaluationAsked(line.run))

    def action_results(self) -> None:
        line = self.run_line
        if line is not None:
            self.post_message(ResultsAsked(line.run))

    def action_resume(self) -> None:
        match self.line:
            case RunLine() as line:
                self.post_message(ResumeAsked(line.run))
            case SweepLine() as line:
                self._resume_sweep(line)

    @work(group="line")
    async def _resume_sweep(self, line: SweepLine) -> None:
        try:
            await asyncio.to_thread(self.edges.resume_sweep, line.sweep)
        except (UserError, RunFailed) as error:
            self.refuse(str(error))
        else:
            self.post_message(SweepOpened(line.sweep))

    @work(group="line")
    async def action_move(self, by: int) -> None:
        line = self.run_line
        if line is not None:
            await asyncio.to_thread(self.edges.move, line.run, by)

    @work(group="line")
    async def action_take_out(self) -> None:
        line = self.run_line
        if line is not None and await asyncio.to_thread(self.edges.stop, line.run):
            self.notify(f"{clean(line.name)} leaves the line; r takes it up again", markup=False)

    @work(group="keep")
    async def action_archive(self) -> None:
        match self.line:
            case RunLine() as line:
                done = await tidying.archive(self, line)
            case SweepLine() as line:
                done = await tidying.archive_sweep(self, line)
            case _:
                return
        if done:
            self.follow()

    @work(group="keep")
    async def action_unarchive(self) -> None:
        if await tidying.unarchive(self):
            self.follow()

    @work(group="keep")
    async def action_delete(self) -> None:
        match self.line:
            case RunLine() as line:
                done = await tidying.delete(self, line)
            case SweepLine() as line:
                done = await tidying.delete_sweep(self, line)
            case _:
                return
        if done:
            self.follow()

    def action_new(self) -> None:
        self.post_message(RunBegun(NEW))

    @work(group="recipe")
    async def action_recipe(self) -> None:
        """A recipe of this folder, one that comes with the program, or any file."""
        from engine import recipe

        own = await asyncio.to_thread(recipe.beside, Path.cwd())
        known = [*own, *recipe.bundled()]
        said = [f"{file.name}: {recipe.purpose(file)}" for file in own]
        said += [f"{file.stem}: {recipe.purpose(file)}" for file in known[len(own) :]]
        number = await self.app.push_screen_wait(
            PickScreen("Start from which recipe?", [*said, "another file …"])
        )
        if number is None:
            return
        if number < len(known):
            chosen = str(known[number]) if number < len(own) else known[number].stem
        else:
            asked = AskScreen("The recipe's file", "", "opens it")
            if not (chosen := (await self.app.push_screen_wait(asked) or "").strip()):
                return
        self.post_message(RunBegun(chosen))
