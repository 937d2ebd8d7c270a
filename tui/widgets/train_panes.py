"""The panels of the train screen: what they show, and which of them are seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content

from tui.feed import Snapshot
from tui.safe import clean
from tui.widgets import curves, memory, samples
from tui.widgets.curves import View
from tui.widgets.lines import Lines
from tui.widgets.log import LogPane
from tui.widgets.loss_plot import LossPlot, legend
from tui.widgets.panels import progress_lines
from tui.widgets.quiet import Quiet

PANELS = ("loss", "progress", "memory", "samples", "log")
"""In the order of their keys, from 1."""

SCROLLED = ("samples", "log")

NO_WORDS = Content("")

NAMES = ("Loss", "Progress", "Memory", "Samples", "worker.log")


@dataclass(frozen=True)
class Look:
    """How a person looks at a run: how at the curve, at which of the samples, at which GPU."""

    view: View = field(default_factory=View)
    prompt: int = 0
    step: int | None = None
    """Of the evaluation whose samples are shown; None: the newest."""
    gpu: int | None = None


class TrainPanes(Container):
    """Paints snapshots. One panel can have all the room, and each can be hidden."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._run_name = name
        self._hidden: set[str] = {"log"}
        self._named: dict[str, tuple[str, str]] = {}
        self.enlarged: str | None = None

    def compose(self) -> Iterator[Any]:
        with Horizontal(id="train"):
            with Vertical(id="train-main"):
                with Vertical(classes="panel", id="loss"):
                    yield Quiet(id="cursor")
                    yield LossPlot()
                with VerticalScroll(classes="panel", id="samples", can_focus=True):
                    yield Quiet(id="sample")
            with Vertical(id="train-side"):
                with Vertical(classes="panel", id="progress"):
                    yield Lines(id="progress-facts")
                with Vertical(classes="panel", id="memory"):
                    yield Lines(id="memory-facts")
        yield LogPane(id="log")

    def on_mount(self) -> None:
        self.query_one("#cursor").display = False
        self.query_one("#log").add_class("panel")
        self.query_one("#progress").border_title = "2 Progress"
        self.query_one("#log").border_title = "5 worker.log"
        self.lay_out()

    # --- which panels are seen ---

    def seen(self, panel: str) -> bool:
        return panel not in self._hidden

    def hide(self, panel: str, hidden: bool) -> None:
        (self._hidden.add if hidden else self._hidden.discard)(panel)
        self.lay_out()

    def enlarge(self, panel: str | None) -> None:
        """Give a panel all the room; None: all of them share it."""
        self.enlarged = panel
        self.lay_out()
        self.screen.set_focus(self.query_one(f"#{panel}") if panel in SCROLLED else None)

    def lay_out(self) -> None:
        """Show what is to be seen: on a narrow screen the samples only where they have all the room."""
        alone, narrow = self.enlarged, self.screen.has_class("-narrow")
        self.set_class(alone is not None, "-alone")
        for panel in PANELS:
            shown = alone == panel if alone else self.seen(panel) and not (narrow and panel == "samples")
            self.query_one(f"#{panel}").display = shown
            self.query_one(f"#{panel}").set_class(alone == panel, "-large")
        for room, panels in (("#train-main", ("loss", "samples")), ("#train-side", ("progress", "memory"))):
            self.query_one(room).display = any(self.query_one(f"#{panel}").display for panel in panels)
        self.query_one("#train").display = alone != "log"

    # --- what they show ---

    def show(self, snapshot: Snapshot, look: Look, now: float) -> None:
        self._show_loss(snapshot, look.view)
        state = snapshot.state
        self.query_one("#progress-facts", Lines).show(
            lambda width, height: progress_lines(snapshot, now, width)
        )
        self._entitle("memory", f"3 {memory.summed(snapshot.gpus)}")
        self.query_one("#memory-facts", Lines).show(
            lambda width, height: memory.memory_lines(snapshot, width, look.gpu)
        )
        panel = self.query_one("#samples")
        if panel.display:
            self._entitle("samples", f"4 {samples.title(state, look.prompt, look.step)}")
            width, height = panel.scrollable_content_region.size
            room = None if self.enlarged == "samples" else height
            text = samples.sample_text(state, look.prompt, look.step, width, room)
            self.query_one("#sample", Quiet).show(text)
        log = self.query_one(LogPane)
        if log.display:
            log.show(snapshot.log)

    def _show_loss(self, snapshot: Snapshot, view: View) -> None:
        state, beside = snapshot.state, snapshot.beside
        other = beside.state if beside else None
        cursor = self.query_one("#cursor", Quiet)
        parts = [f"1 Loss · {self._run_name}"]
        parts += [f"last {view.last:,} steps"] * bool(view.last) + ["log"] * view.log
        keys = legend(state, clean(beside.run.name, newlines=False) if beside else "", view)
        self._entitle("loss", clean(" · ".join(parts), newlines=False), keys)
        pairs = curves.at_cursor(state, other, view)
        cursor.display = bool(pairs)
        words = [Content.assemble((f"{name} ", "$foreground-muted"), value) for name, value in pairs]
        cursor.show(Content("  ").join(words))
        self.query_one(LossPlot).show_run(state, other, view)

    def _entitle(self, panel: str, title: str, subtitle: Content = NO_WORDS) -> None:
        """A border that is named anew is laid out anew, and all the screen with it: only where it changes."""
        if self._named.get(panel) != (title, subtitle.plain):
            self._named[panel] = title, subtitle.plain
            box = self.query_one(f"#{panel}")
            box.border_title, box.border_subtitle = Content(title), subtitle
