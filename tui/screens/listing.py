"""How the list of runs is looked at: what is searched for, how it is sorted, which sweeps are unfolded."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Input

from engine import listing
from engine.listing import ORDERS
from engine.remarks import Remarks
from engine.runs import Run
from tui.feed import Edges, Listing, Row, RunLine, RunsFeed, SweepLine, SweepsFeed
from tui.feed.listing import rows
from tui.keys import hidden
from tui.safe import clean
from tui.screens.step import StepScreen
from tui.widgets.fields import OneLine
from tui.widgets.quiet import Quiet
from tui.widgets.run_table import RunTable

SECONDS_BETWEEN_LOOKS = 1.0

MANY = 12
"""Runs from which on one would rather search them than look through."""

LISTING = [
    *hidden(
        "home",
        ("slash", "search", "Search", "search", "Search the runs"),
        ("s", "sort", "Sort", "sort", "Sort by date, name, state, validation loss or right answers"),
        ("space", "unfold", "Unfold", "unfold", "Unfold the runs of the sweep, or fold them"),
    ),
    *hidden(
        "step",
        ("escape", "back", "All runs", "back", "Go back"),
    ),
]
"""For the subclass to put behind its own keys: they stand in help, not in the footer."""

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


class ListingScreen(StepScreen):
    """The table of runs and sweeps, kept up to date; what is done with them is for the subclass."""

    def __init__(self, edges: Edges) -> None:
        super().__init__()
        self.edges = edges
        self.marked: Run | None = None
        """The run whose recipe waits for another to be compared with."""
        self._feeds = RunsFeed(), SweepsFeed()
        self._lines: tuple[RunLine, ...] = ()
        self._swept: tuple[SweepLine, ...] = ()
        self._how = Listing()
        self._rows: tuple[Row, ...] = ()
        self._listed = self._searching = False
        self._framed = ("", "")

    def body(self) -> ComposeResult:
        with Vertical(id="runs", classes="panel") as panel:
            panel.border_title = "Runs"
            yield OneLine(placeholder="words of name, model, note or data; #tag", id="search")
            yield Quiet("looking for runs …", id="welcome")
            yield RunTable()

    def on_mount(self) -> None:
        self.query_one("#search").display = False
        self.follow()

    def on_screen_resume(self) -> None:
        if self._listed:  # what has happened meanwhile is shown at once
            self.follow()

    @work(exclusive=True)
    async def follow(self) -> None:
        """Look at the files again, at once and from then on."""
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
        self.relist()
        if self._rows and self.focused is None:
            self.query_one(RunTable).focus()

    def relist(self) -> None:
        """List what is known in the way that a person looks at it now."""
        self._rows = rows(self._lines, self._swept, self._how)
        table = self.query_one(RunTable)
        table.display = bool(self._rows)
        self.query_one("#welcome").display = not self._rows
        marked = str(self.marked.path) if self.marked else ""
        table.show(self._rows, self.edges.clock(), self._how.by, marked)
        self._tell()
        self.refresh_bindings()

    def _tell(self) -> None:
        """On the frame: how many were found, what a person has written about the run under the cursor."""
        panel, line = self.query_one("#runs"), self.line
        known = len(self._lines)
        found = sum(listing.found(one, self._how.search) for one in self._lines)  # in folded sweeps too
        title = f"Runs · {found} of {known}"
        hint = about(line) if line is not None else ""
        if self._how.search and isinstance(line, RunLine) and line.remarks == Remarks():
            hint = "esc shows all runs"
        plain = f"Runs · {known} · / searches, s sorts" if known > MANY else "Runs"
        framed = title if self._how.search else plain, hint
        if framed != self._framed:  # to set it paints the panel anew
            self._framed = framed
            panel.border_title, panel.border_subtitle = map(Content, framed)

    @property
    def lines(self) -> tuple[RunLine, ...]:
        """The runs, as they were when last looked at."""
        return self._lines

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever trained here, so far as is known."""
        return self._listed and not self._lines and not self._swept

    @property
    def line(self) -> RunLine | SweepLine | None:
        at = self.query_one(RunTable).cursor_row if self._rows else 0
        return self._rows[at].line if at < len(self._rows) else None

    @property
    def run_line(self) -> RunLine | None:
        """The run under the cursor; None where that is a sweep, or nothing."""
        line = self.line
        return line if isinstance(line, RunLine) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "search" | "sort":
                return bool(self._lines or self._swept)
            case "back":
                return self._searching
            case "unfold":
                return isinstance(self.line, SweepLine)
        return True

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        self._tell()
        self.refresh_bindings()

    def action_search(self) -> None:
        field = self.query_one("#search", Input)
        field.display = self._searching = True
        field.focus()
        self.refresh_bindings()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value != self._how.search:
            self._how = replace(self._how, search=event.value)
            self.relist()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The search holds; without words there is none."""
        if not event.value.strip():
            self.action_back()
        elif self._rows:
            self.query_one(RunTable).focus()

    def action_back(self) -> None:
        """All runs again: nothing lies behind this screen."""
        field = self.query_one("#search", Input)
        field.value, field.display, self._searching = "", False, False
        self._how = replace(self._how, search="")
        self.relist()
        self.query_one(RunTable).focus()

    def action_sort(self) -> None:
        following = ORDERS[(ORDERS.index(self._how.by) + 1) % len(ORDERS)]
        self._how = replace(self._how, by=following)
        self.relist()

    def action_unfold(self) -> None:
        if isinstance(line := self.line, SweepLine):
            unfolded = set(self._how.unfolded) ^ {line.sweep.path}
            self._how = replace(self._how, unfolded=frozenset(unfolded))
            self.relist()


def about(line: RunLine | SweepLine) -> str:
    """Its tags and its note on one line, else the whole name by which commands know it; of a sweep, how its
    runs are reached.
    """
    if isinstance(line, SweepLine):
        return "enter opens the sweep · space unfolds its runs"
    said = [*(f"#{tag}" for tag in line.remarks.tags), line.remarks.note]
    return clean(" ".join(filter(None, said)) or line.folder, newlines=False)
