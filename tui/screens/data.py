"""The rows: which sets, what was found in them, and each row exactly as the model will read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, SelectionList

from engine.errors import RunFailed
from engine.schema import Source
from tui.draft import Draft, bundled_sources, is_bundled, source_at
from tui.feed import RowsFeed
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import ConfirmScreen, PickScreen
from tui.screens.messages import DataChosen, DataLeft, SourcesChosen
from tui.screens.paging import PARTS, PagingScreen, Place
from tui.screens.step import StepScreen
from tui.widgets.fields import OneLine
from tui.widgets.quiet import Quiet
from tui.widgets.row_view import RowView, foot, head
from tui.widgets.source_list import SourceList, found, shown_path


class DataScreen(PagingScreen):
    """Sets on one side, a rendered row on the other."""

    STEP = 3
    HELP = (
        "Choose what the model learns from: space takes or leaves a set, / types a file, a folder, "
        "builtin:NAME or hf:ORG/NAME. The format is found and shown with its mapping; m changes it and reads "
        "tables of any columns, p reads them through a prompt template. What is left out or changed is "
        "counted, and l lists it with file, line and reason.\n\n"
        "The sample is not a mock-up: it is the text the model reads, with the template's special tokens. "
        "Bold, underlined, with a bar in the gutter is the trained part, where the loss is taken. "
        "The digest stands for all ids and labels; a run refuses to train on others than these. "
        "i opens the inspector: the same row as it stands in its file, as turns, as text and token by token."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "data",
            ("ctrl+n", "next", "Next", "next", "Take these rows; on to the recipe"),
            ("slash", "type", "File", "type", "Type a file, a folder or a hub id"),
            ("m", "mapping", "Mapping", "mapping", "Choose how a set is read: format, columns"),
            ("i", "inspect", "Inspect", "inspect", "Inspect the row in four forms"),
            ("l", "ledger", "Ledger", "ledger", "List rows left out or changed, by reason"),
            ("r", "report", "Report", "report", "Report lengths, answers, languages, warnings"),
        ),
        *hidden(
            "data",
            ("enter", "next", "Next", "enter", "Take these rows; on to the recipe"),
            ("p", "template", "Template", "template", "Choose or write a prompt template"),
        ),
    ]

    def __init__(self, rows: RowsFeed, draft: Draft) -> None:
        super().__init__()
        self._rows = rows
        self._typed: list[str] = []
        self._opened: dict[str, Any] | None = None
        self._sources = draft.recipe.data.sources
        self._chosen = False
        """Whether a person has ticked sets, or the recipe's are still those that it came with."""

    def body(self) -> ComposeResult:
        with Container(id="data"):
            with Container(id="choice"):
                with Vertical(classes="panel", id="sets") as sets:
                    sets.border_title = "Sets"
                    yield SourceList()
                    yield OneLine(placeholder="/ file, folder or hub id")
                with VerticalScroll(classes="panel", id="found") as panel:
                    panel.border_title = "Found"
                    panel.border_subtitle = "rows: train / validation / test"
                    yield Quiet(id="facts")
            yield RowView(id="sample")

    def on_mount(self) -> None:
        self.query_one(RowView).add_class("panel").border_title = "Sample"
        self.query_one(SourceList).show(bundled_sources(), self._sources)
        self.query_one(RowView).focus()
        self.draft_changed()

    def draft_changed(self) -> None:
        draft = self.draft
        if draft is None:
            return
        self.query_one("#facts", Quiet).show(found(draft))
        self.query_one(SourceList).know(draft.recipe.data.sources)
        if draft.problem or draft.opened is None:
            self.query_one(RowView).say("" if draft.problem else "reading …")
        elif draft.shapeless:
            self._show_first(draft)
        elif draft.opened is not self._opened:
            if draft.recipe.data.sources != self._sources:
                self.place, self._sources = Place(), draft.recipe.data.sources
            self.ask()
        elif self.count is None and draft.survey is not None:
            self.count = 0  # their number is known now
            self.ask()
        self._opened = draft.opened
        self.refresh_bindings()

    def _show_first(self, draft: Draft) -> None:
        """A row of a set that cannot be read yet, as it stands in its file."""
        assert draft.opened is not None
        one = draft.opened["sources"][draft.shapeless[0]]
        view = self.query_one(RowView)
        view.border_title = Content(f"First row · {shown_path(one['path'])}")
        view.border_subtitle = ""
        view.ask("No known shape: m chooses columns, p a template.", one["first"])

    def ask(self) -> None:
        self._ask()

    @work(exclusive=True)
    async def _ask(self) -> None:
        view, place = self.query_one(RowView), self.place
        try:
            row = await self._rows.row(place.part, place.index, place.variant)
        except RunFailed as error:
            self.count, self.variants = 0, 1
            view.border_title = Content(clean(f"Sample · {place.part}"))
            view.border_subtitle = ""
            view.say(str(error) if place.part == PARTS[0] else f"{error}; t shows the next part")
            return
        if not self.stands:
            return
        self.arrived(row)
        view.border_title = head(row)
        view.border_subtitle = foot(row)
        view.show(row)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        draft = self.draft
        if draft is None:
            return action not in ("next", "part", "turn", "go", "variant", "mapping", "template", "inspect")
        ready = draft.opened is not None and not draft.problem
        match action:
            case "next":
                return ready
            case "part" | "turn" | "go" | "ledger" | "report" | "inspect":
                return ready and not draft.shapeless
            case "variant":
                return ready and not draft.shapeless and self.variants > 1
            case "template":
                return ready
        return True

    def on_selection_list_selected_changed(self, _: SelectionList.SelectedChanged[str]) -> None:
        self._chosen = True
        self._take()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        path = event.value.strip()
        self.query_one(RowView).focus()  # letters are keys again
        if path:
            listed = self.query_one(SourceList)
            known = [*bundled_sources(), *map(source_at, self._typed)]
            typed, taken = source_at(path), listed.taken
            if not is_bundled(typed) and all(map(is_bundled, taken)) and not self._chosen:
                taken = ()
                self.notify("your rows stand in for the sets that come with the program")
            listed.show(known, (*taken, typed))
            self._typed.append(path)
            event.input.value = ""
            self._take()

    def _take(self) -> None:
        taken = self.query_one(SourceList).taken
        if taken:
            self.post_message(SourcesChosen(taken))
        else:
            self.refuse("Choose at least one set: a run needs rows to train on.")

    def action_type(self) -> None:
        self.query_one(Input).focus()

    def action_mapping(self) -> None:
        from tui.screens.source import SourceScreen

        self._of_which(lambda draft, number: SourceScreen(self._rows, draft.recipe, number))

    def action_template(self) -> None:
        from tui.screens.template import TemplateScreen

        def screen(draft: Draft, number: int) -> TemplateScreen:
            assert draft.opened is not None
            columns = draft.opened["sources"][number]["columns"]
            return TemplateScreen(self._rows, draft.recipe.data.sources[number], columns)

        self._of_which(screen)

    def _of_which(self, screen: Callable[[Draft, int], StepScreen]) -> None:
        """A screen about one set; where there are several it is asked which."""
        draft = self.draft
        assert draft is not None

        def show(number: int | None) -> None:
            if number is not None:
                self.open_beside(screen(draft, number), lambda source: self._settle(number, source))

        names = [shown_path(source.path) for source in draft.recipe.data.sources]
        first = (draft.shapeless + draft.questions + [0])[0]
        if len(names) == 1:
            show(0)
        else:
            self.app.push_screen(PickScreen("Which set?", names, first), show)

    def _settle(self, number: int, source: Source | None) -> None:
        if source is not None and self.draft is not None:
            sources = self.draft.with_source(number, source).recipe.data.sources
            if sources != self.draft.recipe.data.sources:
                self.post_message(SourcesChosen(sources))

    def action_inspect(self) -> None:
        from tui.screens.inspect import InspectScreen

        assert self.draft is not None
        self.open_beside(InspectScreen(self._rows, self.draft.recipe, self.place), self.go_to)

    def action_ledger(self) -> None:
        from tui.screens.ledger import LedgerScreen

        self.open_beside(LedgerScreen(self._rows))

    def action_report(self) -> None:
        from tui.screens.report import ReportScreen

        self.open_beside(ReportScreen())

    def action_back(self) -> None:
        self.post_message(DataLeft())
        super().action_back()

    def action_next(self) -> None:
        draft = self.draft
        assert draft is not None and draft.opened is not None
        if draft.shapeless:
            name = shown_path(draft.opened["sources"][draft.shapeless[0]]["path"])
            self.refuse(f"{name} has no known shape: choose columns with m, or a template with p.")
        elif draft.questions:
            self._agree(draft, draft.questions)
        else:
            self.post_message(DataChosen())

    def _agree(self, draft: Draft, questions: list[int]) -> None:
        """Ask what has to be agreed to, set by set; then go on with the formats written down."""
        assert draft.opened is not None
        if not questions:
            self.post_message(SourcesChosen(draft.recipe.data.sources))
            self.post_message(DataChosen())
            return
        number, *rest = questions
        one = draft.opened["sources"][number]

        def answered(yes: bool | None) -> None:
            if yes:
                source = draft.recipe.data.sources[number].model_copy(update={"format": one["format"]})
                self._agree(replace(draft.with_source(number, source), opened=draft.opened), rest)

        sentence = f"{shown_path(one['path'])}: {clean(one['question'], newlines=False)}"
        self.app.push_screen(ConfirmScreen("Read it so?", sentence), answered)
