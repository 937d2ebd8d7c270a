"""Prompt templates to choose from: those that fit the set first, then what the others lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.content import Content
from textual.widgets import SelectionList
from textual.widgets.selection_list import Selection

from engine import templates
from engine.errors import UserError
from engine.templates import Template
from tui.safe import clean
from tui.widgets.figures import left
from tui.widgets.ticks import TickList

NAME = 25
"""Columns for a template's name."""


@dataclass(frozen=True)
class Choice:
    """A template, the name by which a recipe calls it, and what stands between it and a set."""

    name: str
    template: Template | None
    columns: dict[str, str]
    lacks: tuple[str, ...] = ()
    problem: str = ""


class TemplateList(TickList):
    """The library and the person's own templates, each taken or not."""

    def __init__(self) -> None:
        super().__init__()
        self.choices: list[Choice] = []

    def show(self, choices: Sequence[Choice], taken: Sequence[str]) -> None:
        """List all of these. Nothing is told to anyone."""
        self.choices = list(choices)
        with self.prevent(SelectionList.SelectedChanged):
            self.clear_options()
            self.add_options(
                Selection(drawn(choice), choice.name, choice.name in taken) for choice in choices
            )

    @property
    def taken(self) -> list[Choice]:
        return [choice for choice in self.choices if choice.name in self.selected]

    @property
    def pointed_at(self) -> Choice | None:
        return self.choices[self.highlighted] if self.highlighted is not None else None


def library(columns: Sequence[str], folder: Path, taken: Sequence[str]) -> list[Choice]:
    """Shipped templates, those of the folder, and the files that are taken; fitting ones lead."""
    fits = {template.name: mapping for template, mapping in templates.fitting(columns, folder)}
    called = {name: _called(name, folder) for name in templates.names(folder)}
    order = [called[name] for name in fits] + [called[name] for name in called if name not in fits]
    extra = [name for name in taken if name not in order]
    return [_choice(name, columns, folder, fits) for name in (*extra, *order)]


def _called(name: str, folder: Path) -> str:
    """A shipped template by its name, one of the person's own by its path: runs start elsewhere."""
    shipped = (templates.TEMPLATES / f"{name}.toml").is_file()
    return name if shipped else str(folder / f"{name}.toml")


def _choice(name: str, columns: Sequence[str], folder: Path, fits: dict[str, dict[str, str]]) -> Choice:
    try:
        template = templates.load(name, folder)
    except UserError as error:
        return Choice(name, None, {}, problem=str(error))
    if template.name in fits:
        return Choice(name, template, fits[template.name])
    return Choice(name, template, {}, tuple(column for column in template.columns if column not in columns))


def drawn(choice: Choice) -> Content:
    """One line: whether it fits, its name and language, its task or what is missing."""
    if choice.template is None:
        return Content.styled(f"✗ {clean(Path(choice.name).stem, newlines=False)}", "$text-error")
    template = choice.template
    words = ((template.name, NAME), (template.language, 4))
    name = " ".join(left(clean(word, newlines=False), width) for word, width in words)
    lacks = (f"needs {', '.join(choice.lacks)}", "$text-warning")
    task = (template.task, "$foreground-muted")
    text, style = lacks if choice.lacks else task
    mark = ("  " if choice.lacks else "✓ ", "$text-success")
    return Content.assemble(mark, name, (clean(text, newlines=False), style))
