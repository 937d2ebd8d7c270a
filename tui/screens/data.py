"""The rows: which sets, what was found in them, and each row exactly as the model will read it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, SelectionList

from engine.errors import RunFailed
from tui.draft import Draft, bundled_sources, source_at
from tui.feed import RowsFeed
from tui.safe import clean
from tui.screens.messages import DataChosen, SourcesChosen
from tui.screens.step import StepScreen
from tui.widgets.quiet import Quiet
from tui.widgets.sample import SampleView
from tui.widgets.source_list import SourceList, found

PARTS = ("train", "validation", "test")


class DataScreen(StepScreen):
    """Sets on one side, a rendered row on the other."""

    STEP = 3
    HELP = (
        "Choose what the model learns from: space takes or leaves a bundled set, / types the path of a file "
        "of yours (JSONL, JSON, CSV). Its format is detected; what cannot be used is counted, with "
        "the reason, and listed in the run's ledger.\n\n"
        "The sample is not a mock-up: it is the text the model reads, with the template's special tokens. "
        "Bold, underlined, with a bar in the gutter is the trained part, where the loss is taken. "
        "The digest stands for all ids and labels; a run refuses to train on others than these."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "next", "Next", id="data.next", tooltip="Take these rows; on to the recipe"),
        Binding("enter", "next", "Next", id="data.enter", show=False),
        Binding("slash", "type", "File", id="data.type", tooltip="Type the path of a file"),
        Binding("t", "part", "Part", id="data.part", tooltip="Train, validation or test rows"),
        Binding("left", "turn(-1)", "The row before", id="data.before", show=False),
        Binding("right", "turn(1)", "The next row", id="data.after", show=False),
        Binding("pageup", "turn(-10)", "Ten rows back", id="data.back", show=False),
        Binding("pagedown", "turn(10)", "Ten rows on", id="data.on", show=False),
    ]

    def __init__(self, rows: RowsFeed, draft: Draft) -> None:
        super().__init__()
        self._rows = rows
        self._typed: list[str] = []
        self._part = PARTS[0]
        self._index = 0
        self._count = 0
        self._opened: dict[str, Any] | None = None
        self._sources = draft.recipe.data.sources

    def body(self) -> ComposeResult:
        with Container(id="data"):
            with Container(id="choice"):
                with Vertical(classes="panel", id="sets") as sets:
                    sets.border_title = "Sets"
                    yield SourceList()
                    yield Input(placeholder="/ path of a file", compact=True)
                with VerticalScroll(classes="panel", id="found", can_focus=False) as panel:
                    panel.border_title = "Found"
                    panel.border_subtitle = "rows: train / validation / test"
                    yield Quiet(id="facts")
            yield SampleView(id="sample")

    def on_mount(self) -> None:
        self.query_one(SampleView).add_class("panel").border_title = "Sample"
        self.query_one(SourceList).show(bundled_sources(), self._sources)
        self.query_one(SampleView).focus()
        self.draft_changed()

    def draft_changed(self) -> None:
        draft = self.draft
        if draft is None:
            return
        self.query_one("#facts", Quiet).show(found(draft))
        if draft.problem or draft.opened is None:
            self.query_one(SampleView).say("" if draft.problem else "reading …")
        elif draft.opened is not self._opened:
            self._index = 0
            self._ask()
        self._opened = draft.opened
        self.refresh_bindings()

    @work(exclusive=True)
    async def _ask(self) -> None:
        view = self.query_one(SampleView)
        try:
            row = await self._rows.row(self._part, self._index)
        except RunFailed as error:
            self._count = 0
            view.border_title = f"Sample · {self._part}"
            view.border_subtitle = ""
            view.say(str(error))
            return
        self._index, self._count = row["index"], row["count"]
        file = clean("/".join(PurePath(row["file"]).parts[-2:]), newlines=False)
        place = f"{file} line {row['line']:,}"
        view.border_title = f"Sample · {self._part} {self._index + 1:,} of {self._count:,}  ◂ ▸"
        view.border_subtitle = Content(
            f"{place} · {row['tokens']:,} tokens, {row['trained_tokens']:,} trained"
        )
        view.show(row)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        ready = self.draft is not None and self.draft.opened is not None and not self.draft.problem
        return ready if action in ("next", "part", "turn") else True

    def on_sample_view_row_asked(self, message: SampleView.RowAsked) -> None:
        self.action_turn(message.by)

    def on_selection_list_selected_changed(self, _: SelectionList.SelectedChanged[str]) -> None:
        self._take()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        path = event.value.strip()
        if not path:
            self.query_one(SampleView).focus()
            return
        listed = self.query_one(SourceList)
        listed.show([*bundled_sources(), *map(source_at, self._typed)], (*listed.taken, source_at(path)))
        self._typed.append(path)
        event.input.value = ""
        self._take()

    def _take(self) -> None:
        taken = self.query_one(SourceList).taken
        if taken:
            self.post_message(SourcesChosen(taken))
        else:
            self.refuse("Choose at least one set: a run needs rows to train on.")

    def action_turn(self, by: int) -> None:
        index = min(max(self._index + by, 0), max(0, self._count - 1))
        if index != self._index:
            self._index = index
            self._ask()

    def action_part(self) -> None:
        self._part = PARTS[(PARTS.index(self._part) + 1) % len(PARTS)]
        self._index = 0
        self._ask()

    def action_type(self) -> None:
        self.query_one(Input).focus()

    def action_next(self) -> None:
        self.post_message(DataChosen())
