"""One row of an evaluation: the question, the reference, and every column's answer to it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content

from engine.evals import Evaluation
from tui.screens.step import StepScreen
from tui.widgets.answer import spoken
from tui.widgets.evaluation import MOST_ROWS, gain
from tui.widgets.figures import figure, place_of
from tui.widgets.pane import Pane
from tui.widgets.prose import View, marked, prose
from tui.widgets.stepper import Progress


class JudgedScreen(StepScreen):
    """Left and right go through the rows in their order."""

    STEP = 6
    HELP = (
        "The words of an answer that are not the reference's are bold and underlined. The gain is of being "
        "right (1, 0 or -1), of overlap with the reference for free text, else of loss. Left and right go "
        "to the rows before and after, from the greatest gain to the greatest loss; f7 shows the exact text."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "turn(1)", "Next row", id="judged.after", tooltip="Go to the next row"),
        Binding("left", "turn(-1)", "Row before", id="judged.before", tooltip="Go to the row before"),
        Binding(
            "home",
            "turn(-1000000)",
            "Greatest gain",
            id="judged.first",
            show=False,
            tooltip="Go to the greatest gain",
        ),
        Binding(
            "end",
            "turn(1000000)",
            "Greatest loss",
            id="judged.last",
            show=False,
            tooltip="Go to the greatest loss",
        ),
        Binding(
            "f7", "plain", "Plain text", id="judged.plain", tooltip="Show the exact text, or Markdown drawn"
        ),
        Binding("up", "scroll(-1)", "Scroll up", id="judged.up", show=False),
        Binding("down", "scroll(1)", "Scroll down", id="judged.down", show=False),
        Binding(
            "pageup", "scroll(-8)", "A page up", id="judged.page_up", show=False, tooltip="Scroll a page up"
        ),
        Binding(
            "pagedown",
            "scroll(8)",
            "A page down",
            id="judged.page_down",
            show=False,
            tooltip="Scroll a page down",
        ),
    ]

    def __init__(self, found: Evaluation, at: int) -> None:
        """at: the place of the row in the order."""
        super().__init__()
        self._found = found
        self._at = at
        self._view = View()

    def body(self) -> ComposeResult:
        yield Pane("Question", id="judged-question")
        yield Pane("Reference", id="judged-reference")
        with Horizontal(id="judged"):
            for number in range(len(self._found.columns)):
                yield Pane(id=f"judged-{number}")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self._paint()

    def _paint(self) -> None:
        order, columns = self._found.summary["order"], self._found.columns
        row = self._found.rows[order[self._at]]
        where = f"{row['set']} line {row['line']:,} · row {place_of(self._at, len(order))}"
        cut = f" · {row['cut']:,} tokens of it did not fit" if row["cut"] else ""
        asked = [spoken(turn) for turn in row["question"]]
        gained = f" · gain {gain(row, columns[1])}" if gain(row, columns[1]) else ""
        self.query_one("#judged-question", Pane).show(Content("\n\n").join(asked), where + cut + gained)
        self.query_one("#judged-reference", Pane).show(row["reference"])
        reference = prose(row["reference"], self._view)
        for number, name in enumerate(columns):
            told = row[name]
            said = marked(prose(told.get("text", ""), self._view), reference)
            right = {True: "✓ right", False: "✗ wrong", None: ""}[told.get("right")]
            loss = f"loss {figure(told['loss'], 3)}" if told.get("loss") is not None else ""
            title = " · ".join(filter(None, (name, right)))
            ended = "ended" if told.get("ended") else "cut off" if "ended" in told else ""
            pane = self.query_one(f"#judged-{number}", Pane)
            pane.show(said if said.plain.strip() else "(no answer)", title)
            pane.border_subtitle = Content(" · ".join(filter(None, (loss, ended))))

    def action_turn(self, by: int) -> None:
        last = min(len(self._found.summary["order"]), MOST_ROWS) - 1
        self._at = min(max(self._at + by, 0), last)
        self._paint()

    def action_plain(self) -> None:
        self._view = View(plain=not self._view.plain)
        self._paint()

    def action_scroll(self, by: int) -> None:
        for number in range(len(self._found.columns)):
            self.query_one(f"#judged-{number}", Pane).scroll_relative(y=by, animate=False)
