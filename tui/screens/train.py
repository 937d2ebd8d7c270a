"""A run while it learns, and afterwards: loss, progress, memory, samples, log."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message

from engine import reading, runs
from engine.runs import Run
from tui.feed import RESUMABLE, Edges, RunFeed, Snapshot
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens import control
from tui.screens.choose import PickScreen
from tui.screens.messages import CompareAsked, EvaluationAsked, ResultsAsked, ResumeAsked
from tui.screens.notes import NotesScreen
from tui.screens.watching import WATCHING, WatchingScreen
from tui.widgets.panels import notes, outcome, status_line
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress
from tui.widgets.train_panes import TrainPanes

SECONDS_BETWEEN_LOOKS = 0.25

SECONDS_FOR_FIRST_LOOK = 0.2
"""To read a run before its screen is laid out: one that takes longer is shown empty until then."""

ENDED_BADLY = ("failed", "crashed")


class TrainScreen(WatchingScreen):
    """Paints snapshots of one run; the run needs nobody to look."""

    STEP = 5
    HELP = (
        "The run trains in a process of its own: leave with escape, quit, or lose the connection, and it "
        "goes on; the list of runs brings you back here.\n\n"
        "Dots are the loss of each step, the line is the mean of the last few, ◆ is the loss on validation "
        "rows, and the flat dashes are the base model's own loss on the same rows: what lies between is what "
        "training has earned. ▲ at the top is a spike that does not fit, ✗ on the axis a loss that is no "
        "number, ↻ where it was taken up again.\n\n"
        "In the memory panel the full bar is this run, the dashed one others; ┃ is the forecast, ╎ the peak "
        "so far. The samples are the same held-out prompts, asked again at each evaluation.\n\n"
        "s saves the adapter and stops; k saves a checkpoint and goes on; o has all else that it can be "
        "told, such as another learning rate. p holds the view still, not the run. A run that was stopped, "
        "has failed or was killed goes on with r, at its newest whole checkpoint. f7 has all that came out "
        "of a run that is over, and exports it."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "train",
            ("c", "compare", "Compare", "compare", "Compare base and tuned"),
            ("f6", "evaluation", "Evaluation", "evaluation", "Evaluate base against tuned on held-out rows"),
            ("f7", "results", "Results", "results", "See all that came out of it, and export it"),
            ("r", "resume", "Resume", "resume", "Resume at the newest checkpoint"),
            ("s", "stop", "Stop", "stop", "Save the adapter and stop"),
            ("k", "checkpoint", "Checkpoint", "checkpoint", "Save a checkpoint and go on"),
            ("o", "control", "Control", "control", "Tell the run something: stop, rate, steps"),
            ("l", "log", "Log", "log", "Show or hide worker.log"),
        ),
        *hidden(
            "train",
            ("p", "pause", "Pause", "pause", "Hold the view; the run goes on"),
            ("v", "overlay", "Another run", "overlay", "Lay another run's loss beside it"),
            ("w", "notes", "Notes", "notes", "Show all warnings and notes in full"),
            ("e", "ledger", "Ledger", "ledger", "List rows not used as they stand"),
        ),
        *WATCHING,
    ]

    class SnapshotTaken(Message):
        """The run, as it stands."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TrainScreen.SnapshotTaken)

    def __init__(self, edges: Edges, run: Run) -> None:
        super().__init__()
        self._edges = edges
        self._run = run
        self._feed = RunFeed(run, edges)
        self._latest = Snapshot()
        self._held = False

    def body(self) -> ComposeResult:
        yield Quiet(id="status")
        yield Quiet(id="reading")
        yield Quiet(id="outcome")
        yield TrainPanes(self._run.name)

    def progress(self) -> Progress:
        over = self.snapshot.state.saved
        failed = self.snapshot.state.status in ENDED_BADLY
        done, wanting = {2, 3, 4} | ({5} if over else set()), {5} if failed else set()
        missing = "the run came to no end; r resumes it" if failed else ""
        return Progress(frozenset(done), frozenset(wanting), missing)

    @on(events.Mount)
    async def _look_first(self) -> None:
        first = asyncio.create_task(asyncio.to_thread(self._feed.poll))
        await asyncio.wait({first}, timeout=SECONDS_FOR_FIRST_LOOK)
        if first.done() and (snapshot := first.result()) is not None:
            self._latest = snapshot
            self.snapshot = snapshot
        else:
            self.query_one("#outcome").display = False
        self._follow(first)

    @property
    def followed(self) -> Run:
        return self._run

    @work(exclusive=True)
    async def _follow(self, first: asyncio.Task[Snapshot | None]) -> None:
        look = first
        while True:
            snapshot = await look
            if snapshot is not None and snapshot is not self._latest:
                self.post_message(self.SnapshotTaken(snapshot))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            look = asyncio.create_task(asyncio.to_thread(self._feed.poll))

    def on_train_screen_snapshot_taken(self, message: SnapshotTaken) -> None:
        if not self.stands:
            return
        before, self._latest = self._latest, message.snapshot
        if _standing(before) != _standing(self._latest):
            self.refresh_bindings()
        if self._held:
            self._paint_status()
        else:
            self.snapshot = self._latest

    def watch_snapshot(self, before: Snapshot, snapshot: Snapshot) -> None:
        if _standing(before) != _standing(snapshot):
            self.mark_progress()
            now, then = snapshot.state.status, before.state.status
            if (now in ENDED_BADLY) != (then in ENDED_BADLY):  # it went wrong, or was taken up again
                self.panes.hide("log", now not in ENDED_BADLY)
        self.paint()

    def paint(self) -> None:
        if not self.stands:
            return
        state = self.snapshot.state
        ending = outcome(state, self.app.size.width - 4)
        self._paint_status()
        self.query_one("#reading", Quiet).show(Content.styled(clean(reading.sentence(state)), "bold"))
        self.query_one("#outcome").display = bool(ending)
        self.query_one("#outcome", Quiet).show(ending)
        self.panes.show(self.snapshot, self.look, self._edges.clock())

    def _paint_status(self) -> None:
        width = self.app.size.width - 4  # the screen's own is not known before it is laid out
        if not self._held:
            self.query_one("#status", Quiet).show(status_line(self.snapshot, width))
            return
        since = self._latest.state.step - self.snapshot.state.step
        said = f"‖ view held at step {self.snapshot.state.step:,}; p goes on"
        goes_on = f"; the run is {since:,} steps further" if self._latest.alive else "; the run is over"
        self.query_one("#status", Quiet).show(Content.styled((said + goes_on)[:width], "$text-warning"))

    # --- what a run can be told ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        latest = self._latest
        if action in ("compare", "evaluation", "results"):
            return latest.state.saved and not latest.alive
        if action == "resume":
            return not latest.alive and latest.state.status in RESUMABLE
        if action == "checkpoint":
            return latest.alive and control.trains(latest.state)
        if action in ("stop", "control"):
            return latest.alive
        return True

    def action_compare(self) -> None:
        self.post_message(CompareAsked(self._run))

    def action_evaluation(self) -> None:
        self.post_message(EvaluationAsked(self._run))

    def action_results(self) -> None:
        self.post_message(ResultsAsked(self._run))

    def action_resume(self) -> None:
        self.post_message(ResumeAsked(self._run))

    @work(group="control")
    async def action_stop(self) -> None:
        await control.stop(self, self._run, self._edges, self._latest.state)

    @work(group="control")
    async def action_checkpoint(self) -> None:
        await control.ask(self, self._run, self._edges, self._latest.state, "checkpoint")

    @work(group="control")
    async def action_control(self) -> None:
        await control.choose(self, self._run, self._edges, self._latest.state)

    # --- how it is looked at ---

    def action_pause(self) -> None:
        self._held = not self._held
        if self._held:
            self._paint_status()
        elif self.snapshot is self._latest:
            self.paint()
        else:
            self.snapshot = self._latest

    @work(group="look")
    async def action_overlay(self) -> None:
        others = [run for run in runs.list_runs() if run != self._run]
        answers = ["none", *(run.name for run in others)]
        number = await self.app.push_screen_wait(PickScreen("Whose loss beside this one's?", answers))
        if number is not None:
            self._feed.lay_beside(others[number - 1] if number else None)

    def action_notes(self) -> None:
        self.app.push_screen(NotesScreen(notes(self._latest.state)))

    def action_ledger(self) -> None:
        from tui.screens.run_ledger import RunLedgerScreen

        self.app.push_screen(RunLedgerScreen(self._run))

    def leave(self) -> None:
        if self._latest.alive:
            self.app.notify("The run goes on. Enter opens it again.", timeout=3)
        super().leave()


def _standing(snapshot: Snapshot) -> tuple[str, str, bool]:
    """What the keys and the stepper depend on."""
    return snapshot.state.status, snapshot.state.phase, snapshot.alive
