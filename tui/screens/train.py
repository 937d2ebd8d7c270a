"""A run while it learns, and afterwards: loss, progress, memory, samples, log."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from engine import reading, runs
from engine.runs import Run
from tui.feed import RESUMABLE, Edges, RunFeed, Snapshot
from tui.safe import clean
from tui.screens import control
from tui.screens.choose import AskScreen, ChooseScreen, PickScreen
from tui.screens.messages import CompareAsked, ResumeAsked
from tui.screens.notes import NotesScreen
from tui.screens.step import StepScreen
from tui.widgets import curves, memory, samples
from tui.widgets.loss_plot import LossPlot
from tui.widgets.panels import notes, outcome, status_line
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress
from tui.widgets.train_panes import NAMES, PANELS, Look, TrainPanes

SECONDS_BETWEEN_LOOKS = 0.25

ENDED_BADLY = ("failed", "crashed")

FEWEST_STEPS = 10
"""That the plot can be zoomed to."""


class TrainScreen(StepScreen):
    """Paints snapshots of one run; the run needs nobody to look."""

    STEP = 5
    HELP = (
        "The run trains in a process of its own: leave with escape, quit, or lose the connection, and it "
        "goes on; the list of runs brings you back here.\n\n"
        "Dots are the loss of each step, the line is the mean of the last few, ◆ is the loss on validation "
        "rows, and the flat dashes are the base model's own loss on the same rows: what lies between is what "
        "training has earned. ▲ at the top is a spike that does not fit, ✗ on the axis a loss that is no "
        "number, ↻ where the run was taken up again.\n\n"
        "In the memory panel the full bar is this run, the dull one others; ┃ is the forecast and ╎ the peak "
        "so far. The samples are the same held-out prompts, asked again at each evaluation.\n\n"
        "s saves the adapter and stops; k saves a checkpoint and goes on; o has all else that it can be told, "
        "such as another learning rate. p holds the view still, not the run. A run that was stopped, has "
        "failed or was killed goes on with r, at its newest whole checkpoint."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "Compare", id="train.compare", tooltip="Chat with base and tuned"),
        Binding("r", "resume", "Resume", id="train.resume", tooltip="Go on at the newest checkpoint"),
        Binding("s", "stop", "Stop", id="train.stop", tooltip="Save the adapter and stop"),
        Binding("k", "checkpoint", "Checkpoint", id="train.checkpoint", tooltip="Save one now and go on"),
        Binding("o", "control", "Control", id="train.control", tooltip="All that a run can be told"),
        Binding("l", "log", "Log", id="train.log", tooltip="Show or hide worker.log"),
        Binding("p", "pause", "Pause", id="train.pause", show=False, tooltip="Hold the view; the run goes on"),
        *(
            Binding(str(number), f"enlarge('{panel}')", name, id=f"train.{panel}", show=False,
                    tooltip=f"{name}: all the room, and back")
            for number, (panel, name) in enumerate(zip(PANELS, NAMES, strict=True), 1)
        ),
        Binding("tab", "next_panel(1)", "Next panel", id="train.next", show=False),
        Binding("shift+tab", "next_panel(-1)", "Panel before", id="train.before", show=False),
        Binding("h", "hide", "Hide", id="train.hide", show=False, tooltip="Hide a panel, or show it again"),
        Binding("left", "cursor(-1)", "Cursor", id="train.left", show=False, tooltip="Read the curve at a step"),
        Binding("right", "cursor(1)", "Cursor", id="train.right", show=False, tooltip="Read the curve at a step"),
        Binding("shift+left", "cursor(-10)", "Cursor", id="train.far_left", show=False, tooltip="Ten further"),
        Binding("shift+right", "cursor(10)", "Cursor", id="train.far_right", show=False, tooltip="Ten further"),
        Binding("plus,equals_sign", "zoom(True)", "Zoom in", id="train.in", show=False,
                tooltip="Half as many of the last steps"),
        Binding("minus", "zoom(False)", "Zoom out", id="train.out", show=False, tooltip="Twice as many steps"),
        Binding("z", "zoom_to", "Zoom", id="train.zoom", show=False, tooltip="The last n steps"),
        Binding("g", "log_scale", "Scale", id="train.scale", show=False, tooltip="Linear or logarithmic"),
        Binding("v", "overlay", "Another run", id="train.overlay", show=False,
                tooltip="Draw another run's loss beside this one's"),
        Binding("left_square_bracket", "sample(-1)", "Samples before", id="train.sample_before", show=False,
                tooltip="The samples of the evaluation before"),
        Binding("right_square_bracket", "sample(1)", "Samples after", id="train.sample_after", show=False,
                tooltip="The samples of the next evaluation"),
        Binding("n", "prompt", "Next prompt", id="train.prompt", show=False),
        Binding("u", "gpu", "GPU", id="train.gpu", show=False, tooltip="The next GPU"),
        Binding("w", "notes", "Notes", id="train.notes", show=False, tooltip="All warnings and notes in full"),
        Binding("e", "ledger", "Ledger", id="train.ledger", show=False,
                tooltip="Rows that are not used as they stand"),
    ]  # fmt: skip

    class SnapshotTaken(Message):
        """The run, as it stands."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TrainScreen.SnapshotTaken)

    snapshot: reactive[Snapshot] = reactive(Snapshot, init=False)
    """What is shown; while the view is held, not what was said last."""

    look: reactive[Look] = reactive(Look, init=False)

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

    @property
    def _panes(self) -> TrainPanes:
        return self.query_one(TrainPanes)

    def progress(self) -> Progress:
        over = self.snapshot.state.saved
        failed = self.snapshot.state.status in ENDED_BADLY
        return Progress(frozenset({2, 3, 4} | ({5} if over else set())), frozenset({5} if failed else ()))

    def on_mount(self) -> None:
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
                self._panes.hide("log", now not in ENDED_BADLY)
        self._paint()

    def watch_look(self) -> None:
        if self.is_mounted:
            self._paint()

    def on_resize(self, _: events.Resize) -> None:
        self._panes.lay_out()
        self.call_after_refresh(self._paint)

    def _paint(self) -> None:
        if not self.stands:
            return
        state = self.snapshot.state
        ending = outcome(state, self.size.width - 4)
        self._paint_status()
        self.query_one("#reading", Quiet).show(Content.styled(clean(reading.sentence(state)), "bold"))
        self.query_one("#outcome").display = bool(ending)
        self.query_one("#outcome", Quiet).show(ending)
        self._panes.show(self.snapshot, self.look, self._edges.clock())

    def _paint_status(self) -> None:
        width = self.size.width - 4
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
        if action == "compare":
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
            self._paint()
        else:
            self.snapshot = self._latest

    def action_log(self) -> None:
        self._panes.hide("log", self._panes.seen("log"))
        self.call_after_refresh(self._paint)

    def action_enlarge(self, panel: str) -> None:
        self._panes.enlarge(panel)
        self.call_after_refresh(self._paint)

    def action_next_panel(self, by: int) -> None:
        at = PANELS.index(self._panes.enlarged) + by if self._panes.enlarged else (0 if by > 0 else -1)
        # After the last one all share the room again.
        self.action_enlarge(PANELS[at % len(PANELS)] if at in range(-1, len(PANELS)) else PANELS[0])

    @work(group="look")
    async def action_hide(self) -> None:
        answers = [
            f"{'hide' if self._panes.seen(panel) else 'show'} {name}"
            for panel, name in zip(PANELS, NAMES, strict=True)
        ]
        answer = await self.app.push_screen_wait(ChooseScreen("Panels", answers))
        if answer is not None:
            panel = PANELS[answers.index(answer)]
            self._panes.hide(panel, self._panes.seen(panel))
            self.call_after_refresh(self._paint)

    def _see(self, **changes: object) -> None:
        self.look = replace(self.look, view=replace(self.look.view, **changes))  # type: ignore[arg-type]

    def action_cursor(self, by: int) -> None:
        losses = self.snapshot.state.losses
        if not losses:
            return
        first, last = curves.steps_in_sight(self.snapshot.state, self.look.view)
        dots = 2 * max(1, self.query_one(LossPlot).size.width - curves.GUTTER - 1)
        stride = max(1, (last - first) // dots)
        at = self.look.view.cursor
        at = losses[-1][0] if at is None else at + by * stride
        self._see(cursor=min(max(at, first, losses[0][0]), losses[-1][0]))

    def action_zoom(self, closer: bool) -> None:
        done = len(self.snapshot.state.losses)
        last = self.look.view.last or done
        wanted = max(FEWEST_STEPS, last // 2) if closer else last * 2
        self._see(last=0 if wanted >= done else wanted)

    @work(group="look")
    async def action_zoom_to(self) -> None:
        def wrong(typed: str) -> str:
            known = typed.replace(",", "")
            return "" if known.isdecimal() and int(known) else f"{typed} is not a number of steps such as 200"

        shown = str(self.look.view.last or len(self.snapshot.state.losses))
        typed = await self.app.push_screen_wait(
            AskScreen("How many of the last steps?", shown, "zooms", wrong)
        )
        if typed is not None:
            self._see(last=max(FEWEST_STEPS, int(typed.replace(",", ""))))

    def action_log_scale(self) -> None:
        self._see(log=not self.look.view.log)

    @work(group="look")
    async def action_overlay(self) -> None:
        others = [run for run in runs.list_runs() if run != self._run]
        answers = ["no other run", *(run.name for run in others)]
        number = await self.app.push_screen_wait(PickScreen("Whose loss beside this one's?", answers))
        if number is not None:
            self._feed.lay_beside(others[number - 1] if number else None)

    def action_sample(self, by: int) -> None:
        one = samples.prompt_at(self.snapshot.state, self.look.prompt)
        at = samples.answer_at(one, self.look.step)
        if one is None or at is None:
            return
        at = min(max(0, at + by), len(one.answers) - 1)
        newest = at == len(one.answers) - 1
        self.look = replace(self.look, step=None if newest else one.answers[at].step)

    def action_prompt(self) -> None:
        self.look = replace(self.look, prompt=self.look.prompt + 1)

    def action_gpu(self) -> None:
        gpus = self.snapshot.gpus
        if gpus:
            shown = gpus.index(memory.gpu_shown(self.snapshot, self.look.gpu))
            self.look = replace(self.look, gpu=(shown + 1) % len(gpus))

    def action_notes(self) -> None:
        self.app.push_screen(NotesScreen(notes(self._latest.state)))

    def action_ledger(self) -> None:
        from tui.screens.run_ledger import RunLedgerScreen

        self.app.push_screen(RunLedgerScreen(self._run))

    def action_back(self) -> None:
        """Undo what was looked closer at first: the cursor, then the panel; then leave."""
        if self.look.view.cursor is not None:
            self._see(cursor=None)
        elif self._panes.enlarged is not None:
            self.action_enlarge(self._panes.enlarged)
        else:
            if self._latest.alive:
                self.app.notify("The run goes on. Enter opens it again.")
            super().action_back()


def _standing(snapshot: Snapshot) -> tuple[str, str, bool]:
    """What the keys and the stepper depend on."""
    return snapshot.state.status, snapshot.state.phase, snapshot.alive
