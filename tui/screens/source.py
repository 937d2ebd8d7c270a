"""How one set is read: its form on one side, its first rows as they would be read on the other."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Input

from engine.errors import RunFailed
from engine.schema import Recipe, Source
from tui.feed import RowsFeed
from tui.keys import shown
from tui.screens.choose import PickScreen
from tui.screens.step import StepScreen
from tui.widgets.pick import PickRow
from tui.widgets.source_form import FORMATS, METRICS, SourceForm
from tui.widgets.source_list import shown_path
from tui.widgets.tried import TriedView

QUIET_SECONDS = 0.15
"""How long a field must rest before the first rows are read again."""
NONE = "– none –"


class SourceScreen(StepScreen):
    """Answers with the source as it was settled; escape leaves it as it was."""

    STEP = 3
    HELP = (
        "Says how one set is read. Format is found by itself and can be set; below it stand the parts that "
        "the format has, each with the column that plays it: enter opens the list of columns, and what is "
        "typed there narrows it. The first rows show at once what comes of it.\n\n"
        "A table of any columns is read through a prompt template: p chooses some, or writes a new one. "
        "ctrl+n takes what stands here; escape leaves all as it was."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "source",
            ("ctrl+n,ctrl+s", "take", "Take", "take", "Read the set so"),
            ("p", "templates", "Template", "templates", "Choose or write a template"),
        ),
    ]

    def __init__(self, rows: RowsFeed, plan: Recipe, index: int) -> None:
        super().__init__()
        self._rows = rows
        self._plan = plan
        self._index = index

    def body(self) -> ComposeResult:
        with Container(id="source"):
            yield SourceForm(self._plan, self._index)
            yield TriedView(id="tried")

    def on_mount(self) -> None:
        form = self.query_one(SourceForm)
        form.border_title = Content(f"How {shown_path(form.source.path)} is read")
        self.query_one("#pick-format Value").focus()
        self.query_one(TriedView).say("reading …")
        self._try(0)

    @work(exclusive=True, group="try")
    async def _try(self, rest: float = QUIET_SECONDS) -> None:
        form, view = self.query_one(SourceForm), self.query_one(TriedView)
        await asyncio.sleep(rest)
        try:
            tried = await self._rows.tried(form.source)
        except (RunFailed, OSError) as error:
            view.refuse(str(error))
        else:
            if self.stands:
                view.show(tried)
                await form.show_found(tried["set"])

    def on_source_form_changed(self, _: SourceForm.Changed) -> None:
        form = self.query_one(SourceForm)
        if form.wrong:
            self.workers.cancel_group(self, "try")
            self.query_one(TriedView).refuse(form.wrong)
        else:
            self._try()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.query_one(SourceForm).wrong if action == "take" and self.is_mounted else True

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self.focus_next()

    def on_pick_row_asked(self, event: PickRow.Asked) -> None:
        match event.row.key:
            case "templates":
                self.action_templates()
            case "format":
                self._pick("Format", [f"{name:<11} {FORMATS[name]}" for name in FORMATS], self._set_format)
            case "metric":
                self._pick("Metric", METRICS, lambda n: self._change(metric=METRICS[n]))
            case key:
                self._pick_column(key)

    def _pick(self, question: str, answers: list[str], then: Any) -> None:
        def picked(number: int | None) -> None:
            if number is not None:
                then(number)

        self.app.push_screen(PickScreen(question, answers), picked)

    def _pick_column(self, key: str) -> None:
        form = self.query_one(SourceForm)
        columns = form.columns

        def set_column(number: int) -> None:
            chosen = columns[number - 1] if number else None
            if key in ("group", "stratify"):
                self._change(**{key: chosen})
            else:
                rest = {role: column for role, column in form.source.columns.items() if role != key}
                self._change(columns={**rest, key: chosen} if chosen else rest)

        self._pick(f"Column for {key}", [NONE, *columns], set_column)

    def _set_format(self, number: int) -> None:
        format = list(FORMATS)[number]
        if format == "template":
            self.action_templates()
        else:
            self._change(format=format)

    def _change(self, **facts: Any) -> None:
        self.call_next(self.query_one(SourceForm).change, **facts)

    def action_templates(self) -> None:
        from tui.screens.template import TemplateScreen

        def chosen(source: Source | None) -> None:
            if source is not None:
                self._change(format=source.format, templates=source.templates, columns=source.columns)

        form = self.query_one(SourceForm)
        self.open_beside(TemplateScreen(self._rows, form.source, form.columns), chosen)

    @work(exclusive=True)
    async def action_take(self) -> None:
        chosen = self.query_one(SourceForm).source
        try:
            await self._rows.tried(chosen)
        except (RunFailed, OSError) as error:
            self.refuse(str(error))
        else:
            self.dismiss(chosen)
