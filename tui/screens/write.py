"""A new prompt template: its texts on one side, the first rows as they come out of it on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, TextArea

from engine import templates
from engine.errors import RunFailed, UserError
from engine.schema import Source
from engine.templates import Template, Wording
from tui.feed import RowsFeed
from tui.keys import shown
from tui.safe import clean
from tui.screens.choose import AskScreen, ConfirmScreen, PickScreen
from tui.screens.step import StepScreen
from tui.widgets.fields import OneLine
from tui.widgets.lines_field import ManyLines
from tui.widgets.tried import TriedView

QUIET_SECONDS = 0.15
"""How long the keys must rest before the first rows are made again."""

EMPTY = Template("mine", "", "en", "exact", (), "", wordings=(Wording("", ""),))


class WriteScreen(StepScreen):
    """Answers with the file of the template that was written, or with nothing."""

    STEP = 3
    HELP = (
        "Write how a row becomes a question and its answer. ctrl+t puts a column at the cursor, as "
        "{{ column }}; everything else is taken as it is typed, and Jinja works: {% if %}, filters. "
        "The first rows are made anew as you type, and what is wrong stands above them.\n\n"
        "Choices are the answers that a label stands for: with choices bad, good and the label column "
        "stars, {{ choice }} writes the one that a row's stars name, by word or by number. ctrl+g adds a "
        "wording and goes through them; rows are asked in all of them in turns. ctrl+s saves and takes it."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "write",
            ("ctrl+s,ctrl+n", "save", "Save", "save", "Save the template and take it"),
            ("ctrl+t", "column", "Column", "column", "Put a column at the cursor"),
            ("ctrl+g", "wording", "Wording", "wording", "Go to the next wording, or a new one"),
        ),
    ]

    def __init__(
        self, rows: RowsFeed, source: Source, columns: Sequence[str], begun: Template | None, folder: Path
    ) -> None:
        super().__init__()
        self._rows = rows
        self._source = source.model_copy(update={"format": "template", "templates": (), "columns": {}})
        self._columns = list(columns)
        self._begun = begun or EMPTY
        self._wordings = list(self._begun.wordings)
        self._at = 0
        self._folder = folder
        self._changed = False

    def body(self) -> ComposeResult:
        begun = self._begun
        with Container(id="write"):
            with VerticalScroll(classes="panel", id="texts", can_focus=False) as panel:
                title = "A new template" if begun is EMPTY else f"Like {begun.name}"
                panel.border_title = Content(clean(title, newlines=False))
                for key, label, value, hint in (
                    ("system", "System", begun.system, "may stay empty"),
                    ("choices", "Choices", ", ".join(begun.choices), "e.g. bad, good; may stay empty"),
                    ("label", "Label", begun.label, "the column that names a choice"),
                ):
                    with Horizontal(classes="text-row"):
                        yield Label(label, classes="knob-label", markup=False)
                        yield OneLine(value, placeholder=hint, id=f"write-{key}")
                for key, text in (("prompt", self._wordings[0].prompt), ("answer", self._wordings[0].answer)):
                    area = ManyLines(text, compact=True, tab_behavior="focus", id=f"write-{key}")
                    area.add_class("panel")
                    yield area
            yield TriedView(id="tried")

    def on_mount(self) -> None:
        self._name_wording()
        self.query_one("#write-prompt").focus()
        self._try(0)

    def _name_wording(self) -> None:
        count = len(self._wordings)
        which = f" · wording {self._at + 1} of {count}" if count > 1 else ""
        self.query_one("#write-prompt").border_title = Content(f"Prompt{which}")
        self.query_one("#write-answer").border_title = "Answer"

    def _text(self, key: str) -> str:
        return self.query_one(f"#write-{key}", TextArea).text

    def _field(self, key: str) -> str:
        return self.query_one(f"#write-{key}", Input).value.strip()

    def template(self) -> Template:
        """What stands in the fields. Raises UserError, a sentence on what is missing or wrong."""
        self._wordings[self._at] = Wording(self._text("prompt"), self._text("answer"))
        wordings = tuple(said for said in self._wordings if said.prompt.strip() or said.answer.strip())
        for said in wordings or self._wordings:
            for name, text in (("prompt", said.prompt), ("answer", said.answer)):
                if not text.strip():
                    raise UserError(f"the {name} is empty: type it, and put columns in with ctrl+t")
        choices = tuple(word.strip() for word in self._field("choices").split(",") if word.strip())
        system, label = self._field("system"), self._field("label")
        texts = [text for said in wordings for text in (said.prompt, said.answer)]
        read = templates.columns_read(system, *texts) | ({label} if label else set())
        columns = tuple(sorted(read - ({"choice", "choices"} if choices else set())))
        if not columns:
            raise UserError("no column is read yet: ctrl+t puts one at the cursor")
        return replace(
            self._begun, columns=columns, system=system, choices=choices, label=label, wordings=wordings,
            says={name: self._begun.says.get(name, "") for name in columns}, sample={},
            also={name: names for name, names in self._begun.also.items() if name in columns},
        )  # fmt: skip

    @work(exclusive=True)
    async def _try(self, rest: float = QUIET_SECONDS) -> None:
        await asyncio.sleep(rest)
        if not self.stands:
            return
        view = self.query_one(TriedView)
        try:
            tried = await self._rows.tried(self._source, document(self.template()))
        except (UserError, RunFailed, OSError) as error:
            view.refuse(str(error))
        else:
            view.show(tried)

    def on_input_changed(self, _: Input.Changed) -> None:
        self._touched()

    def on_text_area_changed(self, _: TextArea.Changed) -> None:
        self._touched()

    def _touched(self) -> None:
        said = Wording(self._text("prompt"), self._text("answer"))
        fields = tuple(self._field(key) for key in ("system", "choices", "label"))
        begun = (self._begun.system, ", ".join(self._begun.choices), self._begun.label)
        self._changed = self._changed or said != self._wordings[self._at] or fields != begun
        self._try()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self.focus_next()

    def action_column(self) -> None:
        field = self.focused

        def put(number: int | None) -> None:
            if number is None:
                return
            column = self._columns[number]
            if isinstance(field, Input) and field.id == "write-label":
                field.value = column
            elif isinstance(field, Input):
                field.insert_text_at_cursor(reading(column))
            elif isinstance(field, TextArea):
                field.insert(reading(column))

        if self._columns:
            self.app.push_screen(PickScreen("Column at the cursor", self._columns), put)
        else:
            self.refuse("The set's columns are not known: its file cannot be read yet.")

    def action_wording(self) -> None:
        self._wordings[self._at] = Wording(self._text("prompt"), self._text("answer"))
        last = self._wordings[-1]
        if self._at == len(self._wordings) - 1 and (last.prompt.strip() or last.answer.strip()):
            self._wordings.append(Wording("", ""))
        self._at = (self._at + 1) % len(self._wordings)
        said = self._wordings[self._at]
        self.query_one("#write-prompt", TextArea).text = said.prompt
        self.query_one("#write-answer", TextArea).text = said.answer
        self._name_wording()
        self.query_one("#write-prompt").focus()

    def action_save(self) -> None:
        try:
            template = self.template()
        except UserError as error:
            self.refuse(str(error))
            return

        def write(name: str | None) -> None:
            if name is None:
                return
            named = replace(template, name=name, task=template.task or name)
            if (self._folder / f"{name}.toml").exists():
                sentence = f"{clean(name, newlines=False)} is there already; this one takes its place."
                self.app.push_screen(
                    ConfirmScreen("Replace it?", sentence), lambda yes: self._write(named) if yes else None
                )
            else:
                self._write(named)

        self.app.push_screen(AskScreen("Name of the template", "", "saves"), write)

    def _write(self, template: Template) -> None:
        said = template.description or f"Reads {', '.join(template.columns)}."
        try:
            path = templates.save(replace(template, description=said), self._folder)
        except UserError as error:
            self.refuse(str(error))
        else:
            self.dismiss(path)

    def action_back(self) -> None:
        def leave(yes: bool | None) -> None:
            if yes:
                self.dismiss(None)

        if self._changed:
            self.app.push_screen(
                ConfirmScreen("Leave it unwritten?", "The template is not saved yet."), leave
            )
        else:
            self.dismiss(None)


def reading(column: str) -> str:
    """How a template reads a column: by its name, or out of the row where that is no identifier."""
    if column.isidentifier() and column not in ("row", "choice", "choices"):
        return f"{{{{ {column} }}}}"
    quoted = column.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{{{ row["{quoted}"] }}}}'


def document(template: Template) -> dict[str, Any]:
    """The template as the data worker takes it."""
    import tomllib

    described = replace(template, task=template.task or "mine", description=template.description or "mine")
    return tomllib.loads(templates.dumps(described))
