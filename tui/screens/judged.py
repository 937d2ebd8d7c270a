"""One row of an evaluation: the question, the reference, and every column's answer to it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content

from engine.evals import Evaluation
from tui.keys import hidden, shown
from tui.screens.panes import PanesScreen
from tui.widgets.answer import spoken
from tui.widgets.evaluation import MOST_ROWS, gain
from tui.widgets.figures import figure, place_of
from tui.widgets.pane import Pane
from tui.widgets.prose import marked, prose
from tui.widgets.stepper import Progress


class JudgedScreen(PanesScreen):
    """Left and right go through the rows in their order."""

    STEP = 6
    HELP = (
        "The words of an answer that are not the reference's are bold and underlined. The gain is of being "
        "right (1, 0 or -1), of overlap with the reference for free text, else of loss. Left and right go "
        "to the rows before and after, from the greatest gain to the greatest loss; f7 shows the exact text."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "judged",
            ("right", "turn(1)", "Next row", "after", "Go to the next row"),
            ("left", "turn(-1)", "Row before", "before", "Go to the row before"),
        ),
        *hidden(
            "judged",
            ("home", "turn(-1000000)", "Greatest gain", "first", "Go to the greatest gain"),
            ("end", "turn(1000000)", "Greatest loss", "last", "Go to the greatest loss"),
        ),
    ]

    def __init__(self, found: Evaluation, at: int) -> None:
        """at: the place of the row in the order."""
        super().__init__()
        self._found = found
        self._at = at

    def body(self) -> ComposeResult:
        yield Pane("Question", id="judged-question")
        yield Pane("Reference", id="judged-reference")
        with Horizontal(id="judged"):
            for number in range(len(self._found.columns)):
                yield Pane(id=f"judged-{number}")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self.paint()

    def paint(self) -> None:
        order, columns = self._found.summary["order"], self._found.columns
        row = self._found.rows[order[self._at]]
        where = f"{row['set']} line {row['line']:,} · row {place_of(self._at, len(order))}"
        cut = f" · {row['cut']:,} tokens of it did not fit" if row["cut"] else ""
        asked = [spoken(turn) for turn in row["question"]]
        gained = f" · gain {gain(row, columns[1])}" if gain(row, columns[1]) else ""
        self.query_one("#judged-question", Pane).show(Content("\n\n").join(asked), where + cut + gained)
        self.query_one("#judged-reference", Pane).show(row["reference"])
        reference = prose(row["reference"], self.view)
        for number, name in enumerate(columns):
            told = row[name]
            said = marked(prose(told.get("text", ""), self.view), reference)
            for step in reversed(told.get("steps", [])[:-1]):  # of a chain: what it said on the way
                said = Content("\n\n").join([prose(step["text"], self.view), said])
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
        self.paint()
