"""A run while it learns, and afterwards: loss, progress, memory, log."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from engine.runs import Run
from tui.feed import RESUMABLE, Edges, RunFeed, Snapshot
from tui.safe import clean
from tui.screens import control
from tui.screens.messages import CompareAsked, ResumeAsked
from tui.screens.step import StepScreen
from tui.widgets.log import LogPane
from tui.widgets.loss_plot import LEGEND, LossPlot
from tui.widgets.panels import memory_facts, outcome, progress_facts, status_line
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress

SECONDS_BETWEEN_LOOKS = 0.25

ENDED_BADLY = ("failed", "crashed")


class TrainScreen(StepScreen):
    """Paints snapshots of one run; the run needs nobody to look."""

    STEP = 5
    HELP = (
        "The run trains in a process of its own: leave with escape, quit, or lose the connection, and it "
        "goes on; the list of runs brings you back here.\n\n"
        "Dots are the loss of each step, the line is smoothed, ◆ is the loss on validation rows, and the "
        "flat dashes are the base model's own loss on the same rows: what lies between is what training has "
        "earned. s saves the adapter and stops; k saves a checkpoint and goes on; o has all else that it "
        "can be told, such as another learning rate. l shows what the libraries print.\n\n"
        "A run that was stopped, has failed or was killed goes on with r, at its newest whole checkpoint."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "Compare", id="train.compare", tooltip="Chat with base and tuned"),
        Binding("r", "resume", "Resume", id="train.resume", tooltip="Go on at the newest checkpoint"),
        Binding("s", "stop", "Stop", id="train.stop", tooltip="Save the adapter and stop"),
        Binding("k", "checkpoint", "Checkpoint", id="train.checkpoint", tooltip="Save one now and go on"),
        Binding("o", "control", "Control", id="train.control", tooltip="All that a run can be told"),
        Binding("l", "log", "Log", id="train.log", tooltip="Show or hide worker.log"),
    ]

    class SnapshotTaken(Message):
        """The run, as it stands."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TrainScreen.SnapshotTaken)

    snapshot: reactive[Snapshot] = reactive(Snapshot, init=False)

    def __init__(self, edges: Edges, run: Run) -> None:
        super().__init__()
        self._edges = edges
        self._run = run
        self._feed = RunFeed(run, edges)

    def body(self) -> ComposeResult:
        yield Quiet(id="status")
        yield Quiet(id="outcome")
        with Horizontal(id="train"):
            with Vertical(classes="panel", id="loss") as loss:
                loss.border_subtitle = LEGEND
                loss.border_title = Content(f"Loss · {clean(self._run.name, newlines=False)}")
                yield LossPlot()
            with Vertical(id="train-side"):
                with Vertical(classes="panel", id="progress") as progress:
                    progress.border_title = "Progress"
                    yield Quiet(id="progress-facts")
                with Vertical(classes="panel", id="memory") as memory:
                    memory.border_title = "Memory"
                    yield Quiet(id="memory-facts")
        yield LogPane()

    def progress(self) -> Progress:
        over = self.snapshot.state.saved
        failed = self.snapshot.state.status in ENDED_BADLY
        return Progress(frozenset({2, 3, 4} | ({5} if over else set())), frozenset({5} if failed else ()))

    def on_mount(self) -> None:
        self.query_one(LogPane).add_class("panel").display = False
        self.query_one("#outcome").display = False
        self._follow()

    @property
    def followed(self) -> Run:
        return self._run

    @work(exclusive=True)
    async def _follow(self) -> None:
        while True:
            snapshot = await asyncio.to_thread(self._feed.poll)
            if snapshot is not None:
                self.post_message(self.SnapshotTaken(snapshot))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    def on_train_screen_snapshot_taken(self, message: SnapshotTaken) -> None:
        if self.stands:
            self.snapshot = message.snapshot

    def watch_snapshot(self, before: Snapshot, snapshot: Snapshot) -> None:
        self._paint()
        now, then = snapshot.state, before.state
        if (now.status, now.phase, snapshot.alive) != (then.status, then.phase, before.alive):
            self.mark_progress()
            self.refresh_bindings()
            if now.status in ENDED_BADLY:
                self.query_one(LogPane).display = True
            elif then.status in ENDED_BADLY:  # it was taken up again
                self.query_one(LogPane).display = False

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._paint)

    def _paint(self) -> None:
        snapshot, now = self.snapshot, self._edges.clock()
        ending = outcome(snapshot.state)
        self.query_one("#status", Quiet).show(status_line(snapshot, self.size.width - 4))
        self.query_one("#outcome").display = bool(ending)
        self.query_one("#outcome", Quiet).show(ending)
        self.query_one(LossPlot).show(snapshot.state)
        width = self.query_one("#progress").content_size.width
        self.query_one("#progress-facts", Quiet).show(progress_facts(snapshot, now, width))
        self.query_one("#memory-facts", Quiet).show(memory_facts(snapshot, width))
        log = self.query_one(LogPane)
        if log.display:
            log.show(snapshot.log)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "compare":
            return self.snapshot.state.saved and not self.snapshot.alive
        if action == "resume":
            return not self.snapshot.alive and self.snapshot.state.status in RESUMABLE
        if action == "checkpoint":
            return self.snapshot.alive and control.trains(self.snapshot.state)
        if action in ("stop", "control"):
            return self.snapshot.alive
        return True

    def action_compare(self) -> None:
        self.post_message(CompareAsked(self._run))

    def action_log(self) -> None:
        log = self.query_one(LogPane)
        log.display = not log.display
        log.show(self.snapshot.log)

    def action_resume(self) -> None:
        self.post_message(ResumeAsked(self._run))

    @work(group="control")
    async def action_stop(self) -> None:
        await control.stop(self, self._run, self._edges, self.snapshot.state)

    @work(group="control")
    async def action_checkpoint(self) -> None:
        await control.ask(self, self._run, self._edges, self.snapshot.state, "checkpoint")

    @work(group="control")
    async def action_control(self) -> None:
        await control.choose(self, self._run, self._edges, self.snapshot.state)

    def action_back(self) -> None:
        if self.snapshot.alive:
            self.app.notify("The run goes on. Enter opens it again.")
        super().action_back()
