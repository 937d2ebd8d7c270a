"""Prompt templates for one set: the library, those of one's own, and the way to a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import SelectionList

from engine import runs
from engine.errors import RunFailed
from engine.schema import Source
from tui.feed import RowsFeed
from tui.keys import shown
from tui.safe import clean
from tui.screens.step import StepScreen
from tui.widgets.quiet import Quiet
from tui.widgets.template_list import Choice, TemplateList, library
from tui.widgets.tried import TriedView

QUIET_SECONDS = 0.15


class TemplateScreen(StepScreen):
    """Answers with the source as it is read through the chosen templates; escape with nothing."""

    STEP = 3
    HELP = (
        "A prompt template turns a row of a table into a question and its answer. Those marked ✓ fit the "
        "columns of this set and come first; of the others you see which columns they need. Space takes or "
        "leaves one; with several, the rows are asked in their wordings in turns.\n\n"
        "n writes a new one, e one that begins as the one under the cursor; both show the first rows as you "
        "type. ctrl+n takes what is chosen; escape leaves all as it was."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "template",
            ("ctrl+n,ctrl+s", "take", "Take", "take", "Read the set through these"),
            ("n", "write", "New", "new", "Write a new template"),
            ("e", "write(True)", "Like this", "like", "Write one that begins as this"),
        ),
    ]

    def __init__(self, rows: RowsFeed, source: Source, columns: Sequence[str]) -> None:
        super().__init__()
        self._rows = rows
        self._source = source
        self._columns = list(columns)
        self._folder = runs.home() / "templates"

    def body(self) -> ComposeResult:
        with Container(id="template"):
            with Vertical(classes="panel", id="templates") as panel:
                panel.border_title = "Prompt templates"
                panel.border_subtitle = "space takes · ✓ fits the columns"
                yield TemplateList()
                yield Quiet(id="template-says")
            yield TriedView(id="tried")

    def on_mount(self) -> None:
        self._list(list(self._source.templates))
        self.query_one(TemplateList).focus()
        self._try(0)

    def _list(self, taken: list[str]) -> None:
        listed = self.query_one(TemplateList)
        listed.show(library(self._columns, self._folder, taken), taken)
        if listed.choices:
            at = next((n for n, choice in enumerate(listed.choices) if choice.name in taken), 0)
            listed.highlighted = at
        self.refresh_bindings()

    @property
    def chosen(self) -> Source:
        """The source, read through what is taken; a column that has another name in the set is mapped."""
        taken = self.query_one(TemplateList).taken
        fields = {name for choice in taken for name in _columns(choice)}
        mapped = {name: column for choice in taken for name, column in choice.columns.items()}
        kept = {name: column for name, column in self._source.columns.items() if name in fields}
        names = tuple(choice.name for choice in taken)
        update = {"format": "template", "templates": names, "columns": {**mapped, **kept}}
        return self._source.model_copy(update=update)

    @work(exclusive=True)
    async def _try(self, rest: float = QUIET_SECONDS) -> None:
        await asyncio.sleep(rest)
        if not self.stands:
            return
        view = self.query_one(TriedView)
        if not self.query_one(TemplateList).taken:
            view.say("take one with space, and the first rows are shown as it makes them")
            return
        try:
            view.show(await self._rows.tried(self.chosen))
        except (RunFailed, OSError) as error:
            view.refuse(str(error))

    def on_selection_list_selected_changed(self, _: SelectionList.SelectedChanged[str]) -> None:
        self.refresh_bindings()
        self._try()

    def on_selection_list_selection_highlighted(self, _: SelectionList.SelectionHighlighted[str]) -> None:
        choice = self.query_one(TemplateList).pointed_at
        if choice is not None:
            says = choice.problem or (choice.template.description if choice.template else "")
            self.query_one("#template-says", Quiet).show(clean(says, newlines=False))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return True
        listed = self.query_one(TemplateList)
        match action:
            case "take":
                return any(choice.template for choice in listed.taken)
            case "write":
                pointed = listed.pointed_at
                return not parameters or (pointed is not None and pointed.template is not None)
        return True

    def action_write(self, like: bool = False) -> None:
        from tui.screens.write import WriteScreen

        pointed = self.query_one(TemplateList).pointed_at
        begun = pointed.template if like and pointed is not None else None

        def written(path: Path | None) -> None:
            if path is not None:
                self._list([*self.query_one(TemplateList).selected, str(path)])
                self._try(0)

        self.open_beside(WriteScreen(self._rows, self._source, self._columns, begun, self._folder), written)

    @work(exclusive=True)
    async def action_take(self) -> None:
        chosen = self.chosen
        try:
            await self._rows.tried(chosen)
        except (RunFailed, OSError) as error:
            self.refuse(str(error))
        else:
            self.dismiss(chosen)


def _columns(choice: Choice) -> Sequence[Any]:
    return choice.template.columns if choice.template is not None else ()
