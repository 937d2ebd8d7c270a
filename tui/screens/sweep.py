"""A sweep while it lives, and afterwards: its trials, their curves, what matters, the best so far."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import DataTable

from engine import sweeps
from engine.errors import RunFailed, UserError
from engine.runs import Run
from engine.sweeps import Sweep, Trial
from tui.feed import Edges, SweepFeed, SweepShot
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import AskScreen, ChooseScreen, PickScreen
from tui.screens.messages import CompareAsked, EvaluationAsked, RecipeReady, ResultsAsked, RunOpened
from tui.screens.step import StepScreen
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress
from tui.widgets.sweep import TrialTable, importance, standing, status_line
from tui.widgets.sweep_curves import SweepCurves

SECONDS_BETWEEN_LOOKS = 0.5

GO_ON, WITH_RUN, NOT_NOW = "Stop the sweep; the run goes on to its end", "Stop both", "Not now"
ONLY_SWEEP = "Stop the sweep"


class SweepScreen(StepScreen):
    """Paints snapshots of one sweep; the sweep needs nobody to look."""

    STEP = 5
    HELP = (
        "A sweep tries settings, run by run, and says which is best. It goes on by itself in a process of "
        "its own, as a run does: leave with escape or quit.\n\n"
        "The table has a line a trial: its settings, its figure with the interval that holds 95%, how it "
        "ended. Without an interval a best is mostly luck among its neighbours; sweep.seeds repeats each "
        "setting. Pruned trials were given up: they lay above the middle of the others. Beneath it the "
        "validation losses of all trials lie over each other, and the bars say how much each setting has "
        "mattered.\n\n"
        "Enter opens the run of a trial. Space marks one: on another, c then asks both of them beside the "
        "base in chat, and f6 measures both. s stops the sweep, r goes on with it, m lets it make more "
        "runs, b trains the best setting once more on all data."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "sweep",
            ("s", "stop", "Stop", "stop", "Stop the sweep"),
            ("r", "resume", "Go on", "resume", "Go on with the sweep"),
            ("m", "enlarge", "More runs", "enlarge", "Let it make more runs"),
            ("b", "best", "Train best", "best", "Train the best setting on all data"),
            ("c", "compare", "Compare", "compare", "Compare the trial in chat"),
        ),
        *hidden(
            "sweep",
            ("space", "mark", "Mark", "mark", "Mark the trial, to compare another one with it"),
            ("f6", "evaluation", "Evaluation", "evaluation", "Evaluate the trial's run on held-out rows"),
            ("f7", "results", "Results", "results", "See all that came out of the trial's run"),
        ),
    ]

    def __init__(self, edges: Edges, sweep: Sweep) -> None:
        super().__init__()
        self._edges = edges
        self._sweep = sweep
        self._feed = SweepFeed(sweep)
        self._shot: SweepShot | None = None
        self._marked = 0

    def body(self) -> ComposeResult:
        yield Quiet("reading …", id="sweep-status")
        yield Quiet(id="sweep-standing")
        with Container(id="sweep"):
            with Vertical(classes="panel", id="trials") as panel:
                panel.border_title = Content(f"Trials · {clean(self._sweep.name, newlines=False)}")
                panel.border_subtitle = "space marks one to compare another with"
                yield TrialTable()
            with Horizontal(id="sweep-below"):
                with Vertical(classes="panel", id="trial-curves") as panel:
                    panel.border_title = "Validation loss"
                    yield SweepCurves()
                with Vertical(classes="panel", id="importance") as panel:
                    panel.border_title = "What matters"
                    yield Quiet(id="importance-text")

    def progress(self) -> Progress:
        done = {2, 3, 4}
        if self._shot is not None and self._shot.state.status == "finished":
            done.add(5)
        return Progress(frozenset(done))

    def on_mount(self) -> None:
        self.query_one(TrialTable).focus()
        self._follow()

    @work(exclusive=True, group="follow")
    async def _follow(self) -> None:
        while True:
            try:
                shot = await asyncio.to_thread(self._feed.poll)
            except FileNotFoundError:
                self.refuse(f"{self._sweep.name} was archived or deleted elsewhere; escape leads back")
                return
            except (UserError, OSError) as error:
                self.refuse(str(error))
                return
            if shot is not None and self.stands:
                self._shot = shot
                self._paint()
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    def _paint(self) -> None:
        shot = self._shot
        if shot is None or not self.stands:
            return
        self.query_one("#sweep-status", Quiet).show(status_line(shot))
        self.query_one("#sweep-standing", Quiet).show(standing(shot))
        self.query_one(TrialTable).show(shot, self._marked)
        width = self.query_one("#importance").scrollable_content_region.width
        self.query_one("#importance-text", Quiet).show(importance(shot.state, list(shot.plan.over), width))
        self._paint_curves()
        self.mark_progress()
        self.refresh_bindings()

    def _paint_curves(self) -> None:
        shot = self._shot
        if shot is not None:
            best, chosen = sweeps.best(shot.state, shot.plan.objective), self._trial
            numbers = (best.number if best else 0, chosen.number if chosen else 0)
            self.query_one(SweepCurves).show_trials(shot.state.trials, *numbers)

    def on_resize(self) -> None:
        self.call_after_refresh(self._paint)

    @property
    def _trial(self) -> Trial | None:
        """The one under the cursor."""
        trials = self._shot.state.trials if self._shot else []
        at = self.query_one(TrialTable).cursor_row
        return trials[at] if 0 <= at < len(trials) else None

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        self._paint_curves()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        shot = self._shot
        if action not in DEEDS:
            return True
        if shot is None:
            return False
        trial = self._trial
        match action:
            case "stop":
                return shot.alive
            case "resume":
                return not shot.alive and shot.state.status != "finished"
            case "best":
                return sweeps.best(shot.state, shot.plan.objective) is not None
            case "compare" | "evaluation" | "results" | "mark":
                return trial is not None and made(trial) is not None
        return True

    # --- what is done with a trial ---

    @work(group="choose")
    async def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        trial = self._trial
        there = [run for run in map(sweeps.run_of, trial.runs) if run.path.is_dir()] if trial else []
        if not there:
            self.refuse("no run of this trial is in the list; it was archived or deleted, its figures stay")
            return
        number: int | None = 0
        if len(there) > 1:
            names = [f"seed {seed}: {run.name}" for seed, run in enumerate(there)]
            number = await self.app.push_screen_wait(PickScreen("Which seed?", names))
        if number is not None:
            self.post_message(RunOpened(there[number]))

    def action_mark(self) -> None:
        trial = self._trial
        if trial is not None:
            self._marked = 0 if self._marked == trial.number else trial.number
            self._paint()

    def action_compare(self) -> None:
        trial = self._trial
        run = made(trial) if trial else None
        if run is None or trial is None or self._shot is None:
            return
        self.post_message(CompareAsked(run, other=self._other))

    @property
    def _other(self) -> Run | None:
        """The run of the marked trial, where that is another one than the one under the cursor."""
        trials = self._shot.state.trials if self._shot else []
        marked = next((one for one in trials if one.number == self._marked), None)
        return made(marked) if marked and marked is not self._trial else None

    def action_evaluation(self) -> None:
        if self._trial and (run := made(self._trial)):
            self.post_message(EvaluationAsked(run, self._other))

    def action_results(self) -> None:
        if self._trial and (run := made(self._trial)):
            self.post_message(ResultsAsked(run))

    # --- what is done with the sweep ---

    @work(group="steer")
    async def action_stop(self) -> None:
        shot = self._shot
        assert shot is not None
        if (run := shot.under_way) is None:
            question, answers = "Stop the sweep?", [ONLY_SWEEP, NOT_NOW]
        else:
            question = f"Stop the sweep? {clean(run.name, newlines=False)} trains now"
            answers = [GO_ON, WITH_RUN, NOT_NOW]
        answer = await self.app.push_screen_wait(ChooseScreen(question, answers))
        if answer in (None, NOT_NOW):
            return
        try:
            await asyncio.to_thread(self._edges.stop_sweep, self._sweep, answer == WITH_RUN)
        except (UserError, RunFailed, OSError) as error:
            self.refuse(str(error))
        else:
            self.notify("the sweep begins no further run; r goes on with it")

    @work(group="steer")
    async def action_resume(self) -> None:
        await self._go_on()

    @work(group="steer")
    async def action_enlarge(self) -> None:
        """Raise its runs, or where it has none its hours, and go on where it had ended."""
        shot = self._shot
        assert shot is not None
        budget = "hours" if shot.plan.runs is None and shot.plan.hours is not None else "runs"
        now = shot.plan.hours if budget == "hours" else (shot.plan.runs or shot.state.runs)
        kind = float if budget == "hours" else int

        def wrong(typed: str) -> str:
            try:
                enough = kind(typed) > 0
            except ValueError:
                enough = False
            return "" if enough else f"give a number of {budget} above 0"

        question = "Hours of training in all" if budget == "hours" else "Runs in all"
        typed = await self.app.push_screen_wait(AskScreen(question, f"{now:g}", "tells the sweep", wrong))
        if typed is None:
            return
        try:
            await asyncio.to_thread(lambda: sweeps.enlarge(self._sweep, **{budget: kind(typed)}))
        except (UserError, OSError) as error:
            self.refuse(str(error))
            return
        if not shot.alive:
            await self._go_on()

    async def _go_on(self) -> None:
        try:
            await asyncio.to_thread(self._edges.resume_sweep, self._sweep)
        except (UserError, RunFailed, OSError) as error:
            self.refuse(str(error))

    @work(group="steer")
    async def action_best(self) -> None:
        try:
            plan = await asyncio.to_thread(sweeps.best_on_all_data, self._sweep)
        except (UserError, OSError) as error:
            self.refuse(str(error))
        else:
            self.post_message(RecipeReady(plan))


DEEDS = ("stop", "resume", "enlarge", "best", "compare", "evaluation", "results", "mark")


def made(trial: Trial) -> Run | None:
    """The first run of a trial that has saved what it was for; None where none has."""
    return next((run for run in map(sweeps.run_of, trial.runs) if run.has_result), None)
