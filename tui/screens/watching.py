"""How a run is looked at: which panels, which part of the curve, which samples, which GPU."""

from __future__ import annotations

from dataclasses import replace

from textual import events, work
from textual.reactive import reactive

from tui.feed import Snapshot
from tui.keys import hidden
from tui.screens.choose import AskScreen, ChooseScreen
from tui.screens.step import StepScreen
from tui.widgets import curves, memory, samples
from tui.widgets.loss_plot import LossPlot
from tui.widgets.train_panes import NAMES, PANELS, Look, TrainPanes

FEWEST_STEPS = 10
"""That the plot can be zoomed to."""

WATCHING = hidden(
    "train",
    *(
        (str(number), f"enlarge('{panel}')", name, panel, f"Enlarge {name}, and back")
        for number, (panel, name) in enumerate(zip(PANELS, NAMES, strict=True), 1)
    ),
    ("tab", "next_panel(1)", "Next panel", "next", "Enlarge the next panel"),
    ("shift+tab", "next_panel(-1)", "Panel before", "before", "Enlarge the panel before"),
    ("h", "hide", "Hide", "hide", "Hide a panel, or show it again"),
    ("left", "cursor(-1)", "Cursor", "left", "Read the curve, a step back"),
    ("right", "cursor(1)", "Cursor", "right", "Read the curve, a step on"),
    ("shift+left", "cursor(-10)", "Cursor", "far_left", "Read the curve, ten times as far back"),
    ("shift+right", "cursor(10)", "Cursor", "far_right", "Read the curve, ten times as far on"),
    ("plus,equals_sign", "zoom(True)", "Zoom in", "in", "Zoom in on half as many of the last steps"),
    ("minus", "zoom(False)", "Zoom out", "out", "Zoom out to twice as many of the last steps"),
    ("z", "zoom_to", "Zoom", "zoom", "Zoom to the last n steps"),
    ("g", "log_scale", "Scale", "scale", "Switch between linear and logarithmic"),
    (
        "left_square_bracket",
        "sample(-1)",
        "Samples before",
        "earlier",
        "Show the samples of the evaluation before",
    ),
    (
        "right_square_bracket",
        "sample(1)",
        "Samples after",
        "later",
        "Show the samples of the next evaluation",
    ),
    ("n", "prompt", "Next prompt", "prompt", "Show the samples of the next prompt"),
    ("u", "gpu", "GPU", "gpu", "Show the memory of the next GPU"),
)
"""For a subclass to put behind its own keys: they stand in help, not in the footer."""


class WatchingScreen(StepScreen):
    """Has a snapshot and a way to look at it; a subclass gets the one, and paints both."""

    # A screen that is painted itself is sent whole to the terminal; only panels that differ need be.
    snapshot: reactive[Snapshot] = reactive(Snapshot, init=False, repaint=False)
    """What is shown; while the view is held, not what was said last."""

    look: reactive[Look] = reactive(Look, init=False, repaint=False)

    def paint(self) -> None:
        """Show the snapshot as one looks at it."""
        raise NotImplementedError

    @property
    def panes(self) -> TrainPanes:
        return self.query_one(TrainPanes)

    def watch_look(self) -> None:
        if self.is_mounted:
            self.paint()

    def on_resize(self, _: events.Resize) -> None:
        self.panes.lay_out()
        self.call_after_refresh(self.paint)

    def action_log(self) -> None:
        self.panes.hide("log", self.panes.seen("log"))
        self.call_after_refresh(self.paint)

    def action_enlarge(self, panel: str) -> None:
        self._enlarge(None if panel == self.panes.enlarged else panel)

    def action_next_panel(self, by: int) -> None:
        turns = (None, *PANELS)
        self._enlarge(turns[(turns.index(self.panes.enlarged) + by) % len(turns)])

    def _enlarge(self, panel: str | None) -> None:
        self.panes.enlarge(panel)
        self.call_after_refresh(self.paint)

    @work(group="look")
    async def action_hide(self) -> None:
        answers = [
            f"{'hide' if self.panes.seen(panel) else 'show'} {name}"
            for panel, name in zip(PANELS, NAMES, strict=True)
        ]
        answer = await self.app.push_screen_wait(ChooseScreen("Panels", answers))
        if answer is not None:
            panel = PANELS[answers.index(answer)]
            self.panes.hide(panel, self.panes.seen(panel))
            self.call_after_refresh(self.paint)

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

    def action_back(self) -> None:
        """Undo what was looked closer at first: the cursor, then the panel; then leave."""
        if self.look.view.cursor is not None:
            self._see(cursor=None)
        elif self.panes.enlarged is not None:
            self._enlarge(None)
        else:
            self.leave()

    def leave(self) -> None:
        super().action_back()
