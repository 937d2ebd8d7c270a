"""Prompt templates: how a row of a table becomes a question and its answer, in several wordings."""

from __future__ import annotations

import difflib
import math
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import RECIPES, private
from engine.errors import UserError
from engine.template_file import NAME, Template, Wording, dumps, parse

__all__ = [
    "Filled", "Template", "TemplateFailed", "Wording",
    "columns_read", "dumps", "fill", "fitting", "load", "names", "parse", "save",
]  # fmt: skip

TEMPLATES = RECIPES / "templates"
LARGEST_FILE = 1_000_000
"""Bytes of a template file."""


@dataclass(frozen=True)
class Filled:
    """A template with a row in it; notes name what was written out empty."""

    system: str
    prompt: str
    answer: str
    notes: tuple[str, ...] = ()


class TemplateFailed(Exception):
    """This row cannot be filled in; the reason is one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def names(folder: Path | None = None) -> list[str]:
    """The shipped templates and those in the folder, each name once."""
    return sorted({path.stem for place in (TEMPLATES, folder) if place for path in place.glob("*.toml")})


def load(name_or_path: str, folder: Path | None = None) -> Template:
    """A shipped template, else one of the folder, or any file that ends in .toml. Raises UserError."""
    if name_or_path.endswith(".toml"):
        return _load(Path(name_or_path).expanduser())
    for place in (TEMPLATES, folder):
        path = place / f"{name_or_path}.toml" if place and NAME.fullmatch(name_or_path) else None
        if path and path.is_file():
            template = _load(path)
            if template.name != name_or_path:
                raise UserError(
                    f"{path}: name must be {name_or_path!r}, as the file's (found {template.name!r})"
                )
            return template
    near = difflib.get_close_matches(name_or_path, names(folder), n=1)
    mend = (
        f"did you mean {near[0]}?" if near else "`ift-tui templates` lists them; a file's name ends in .toml"
    )
    raise UserError(f"{name_or_path}: no such prompt template; {mend}")


def save(template: Template, folder: Path) -> Path:
    """Write it into the folder, whole or not at all, over an older one of its name. Raises UserError."""
    path = folder / f"{template.name}.toml"
    if not NAME.fullmatch(template.name):
        raise UserError(
            f"{template.name!r}: a template's name is small letters, digits and hyphens; choose such a one"
        )
    if (TEMPLATES / path.name).is_file():
        raise UserError(f"{template.name}: a template of this name ships with the program; choose another")
    content = dumps(template)
    parse(tomllib.loads(content), template.name, content)
    try:
        data = content.encode()
        private.folder(folder)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
    except UnicodeEncodeError:
        raise UserError(
            f"{template.name}: half an emoji in the text, which TOML cannot hold; type it again"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); set IFT_TUI_HOME") from None
    return path


def fill(
    template: Template,
    data: Mapping[str, Any],
    columns: Mapping[str, str] | None = None,
    wording: int = 0,
) -> Filled:
    """The question and the answer that a row gives. Raises TemplateFailed.

    columns: the template's name of a column -> the data's, where they differ. wording is taken modulo their
    number. In the texts every column has its name, and stands in `row` for names that are no identifiers.
    """
    from engine import sandbox
    from engine.filters import Failed

    row = dict(data)
    for name, column in (columns or {}).items():
        if column not in data:
            raise TemplateFailed(f"the row has no column `{column}` (for `{name}`)")
        row[name] = data[column]
    variables = {**row, "row": row}
    if template.choices:
        variables |= {"choices": list(template.choices), "choice": _choice(template, row)}
    said = template.wordings[wording % len(template.wordings)]
    try:
        texts, empty = sandbox.rendered((template.system, said.prompt, said.answer), variables)
    except Failed as failed:
        raise TemplateFailed(str(failed)) from None
    system, prompt, answer = texts
    for text, name in ((prompt, "prompt"), (answer, "answer")):
        if not text:
            raise TemplateFailed(f"the {name} is empty")
    return Filled(system, prompt, answer, tuple(f"`{name}` is empty" for name in dict.fromkeys(empty)))


def fitting(columns: Iterable[str], folder: Path | None = None) -> list[tuple[Template, dict[str, str]]]:
    """Templates all of whose columns are there, with what `fill` takes as columns; the closest first.

    A column is there under its own name, whatever its case, else under one of its `also`; none serves twice.
    Broken files in the folder are passed over: `names` still lists them, `load` says what is wrong.
    """
    there = list(columns)
    found = []
    for name in names(folder):
        try:
            template = load(name, folder)
        except UserError:
            continue
        mapping = _mapping(template, there)
        if mapping is not None:
            found.append((template, mapping))
    return sorted(found, key=lambda fit: (len(fit[1]), -len(fit[0].columns), fit[0].name))


def columns_read(*texts: str) -> set[str]:
    """The columns that Jinja texts read. Raises UserError for a text that is not a template."""
    from engine import sandbox

    try:
        return set[str]().union(*map(sandbox.names_read, texts))
    except sandbox.Unreadable as error:
        raise UserError(f"line {error.line}: {error}") from None


def _load(path: Path) -> Template:
    if not path.is_file():
        raise UserError(f"{path}: no such template file; check its name")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(
                f"{path}: larger than {LARGEST_FILE:,} bytes; this is no prompt template, name another file"
            )
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save the template as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid TOML: {error}; mend that line") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); make it readable for you") from None
    return parse(document, str(path), text)


def _choice(template: Template, row: Mapping[str, Any]) -> str:
    """The choice that the label names, or whose number it is.

    Where choices are numbers themselves (1 to 5 stars) a label is never a place in their list: 1 would mean
    the second of them in one row and the first in another.
    """
    from engine.filters import Failed, written

    if template.label not in row:
        raise TemplateFailed(f"the row has no column `{template.label}`")
    label = row[template.label]
    try:
        text = written(int(label) if isinstance(label, bool) else label, template.label).strip()
    except Failed as failed:
        raise TemplateFailed(str(failed)) from None
    number = _whole(text)
    named = {choice.strip().lower(): choice for choice in template.choices}
    for spelled in (text.lower(), str(number)):
        if spelled in named:
            return named[spelled]
    counted = all(_whole(choice) is None for choice in template.choices)
    if counted and number is not None and 0 <= number < len(template.choices):
        return template.choices[number]
    shown = (f"{place} {choice}" if counted else choice for place, choice in enumerate(template.choices))
    raise TemplateFailed(f"`{template.label}` is {text[:80]!r}, none of the choices: {', '.join(shown)}")


def _whole(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if math.isfinite(number) and number == int(number) else None


def _mapping(template: Template, there: list[str]) -> dict[str, str] | None:
    by_case = {column.lower(): column for column in reversed(there)}
    taken = {name: name for name in template.columns if name in there}
    for name in template.columns:
        if name not in taken and by_case.get(name.lower(), name) not in (name, *taken.values()):
            taken[name] = by_case[name.lower()]
    for name in template.columns:
        if name not in taken:
            others = (by_case.get(other.lower()) for other in template.also.get(name, ()))
            free = next((column for column in others if column and column not in taken.values()), None)
            if free is None:
                return None
            taken[name] = free
    return {name: column for name, column in taken.items() if name != column}
