"""The file of a prompt template: TOML, checked when it is read and written back as people write it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import tomlkit
from pydantic import ConfigDict, TypeAdapter, ValidationError

from engine.errors import UserError
from engine.schema import Metric

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
KEYS = (
    "name", "task", "language", "metric", "description", "columns", "system", "choices", "label", "sample",
    "wordings",
)  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """One way to say the task: two Jinja texts."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    prompt: str
    answer: str


@dataclass(frozen=True)
class Template:
    """One task in one language.

    columns: the names that its texts read. label: the column that says which of the choices is right; the
    texts then have it as `choice`, and all of them as `choices`.
    """

    name: str
    task: str
    language: str
    metric: Metric
    columns: tuple[str, ...]
    description: str
    system: str = ""
    choices: tuple[str, ...] = ()
    label: str = ""
    wordings: tuple[Wording, ...] = ()
    says: dict[str, str] = field(default_factory=dict, hash=False)
    """What each column holds, in a sentence."""
    also: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Other names under which a column is often found."""
    sample: dict[str, Any] = field(default_factory=dict, hash=False)
    """A row that it works on."""


def parse(document: Mapping[str, Any], where: str, text: str = "") -> Template:
    """A template from its TOML document; where and text, its file, are for errors. Raises UserError."""
    for key in document:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            mend = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(KEYS)}"
            raise UserError(f"{where}: {key}: unknown key; {mend}")
    try:
        template = _form().validate_python({**document, **_columns(document, where)})
    except ValidationError as error:
        raise UserError(f"{where}: {_sentence(error)}") from None
    _check_whole(template, where)
    _check_texts(template, where, text)
    return template


def dumps(template: Template) -> str:
    """The template as a TOML file, texts of several lines written as such."""
    document = tomlkit.document()
    for key in ("name", "task", "language", "metric", "description", "system", "choices", "label"):
        value = getattr(template, key)
        if value or key == "description":
            document[key] = _string(value) if isinstance(value, str) else list(value)
    document["columns"] = {name: _column(template, name) for name in template.columns}
    wordings = tomlkit.aot()
    for wording in template.wordings:
        wordings.append(tomlkit.item({"prompt": _string(wording.prompt), "answer": _string(wording.answer)}))
    document["wordings"] = wordings
    if template.sample:
        # TOML has no null: an empty cell is one that is not there.
        document["sample"] = {key: value for key, value in template.sample.items() if value is not None}
    return tomlkit.dumps(document)


@cache
def _form() -> TypeAdapter[Template]:
    return TypeAdapter(Template)


def _columns(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    table = document.get("columns")
    if not isinstance(table, Mapping) or not table:
        raise UserError(f'{where}: columns: needed, a table such as review = "what the customer wrote"')
    says, also = {}, {}
    for name, value in table.items():
        held = value if isinstance(value, Mapping) else {"says": value}
        if not {"says"} <= set(held) <= {"says", "also"} or not isinstance(held["says"], str):
            raise UserError(f'{where}: columns.{name}: must be a text, or {{says = "…", also = ["…"]}}')
        says[name] = held["says"]
        if "also" in held:
            also[name] = held["also"]
    return {"columns": tuple(table), "says": says, "also": also}


def _column(template: Template, name: str) -> Any:
    says = template.says.get(name, "")
    if name not in template.also:
        return says
    table = tomlkit.inline_table()
    table.update({"says": says, "also": list(template.also[name])})
    return table


def _string(text: str) -> Any:
    # A carriage return is kept only in a string of one line.
    return tomlkit.string(text, multiline="\n" in text and "\r" not in text)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
    match first["type"]:
        case "unexpected_keyword_argument":
            return f"{key}: unknown key; a wording has prompt and answer"
        case "missing":
            return f"{key}: this key is needed"
        case _:
            said = first["msg"].replace("Input should be", "must be")
            return f"{key}: {said} (found {first['input']!r:.80})"


def _check_whole(template: Template, where: str) -> None:
    choices = {choice.strip().lower() for choice in template.choices}
    problem = ""
    if not NAME.fullmatch(template.name):
        problem = f"name: {template.name!r} must be small letters, digits and hyphens"
    elif not template.wordings:
        problem = "wordings: needed, at least one [[wordings]] with prompt and answer"
    elif "row" in template.columns or (choices and {"choice", "choices"} & set(template.columns)):
        problem = "columns: row, choice and choices have a meaning of their own; choose other names"
    elif template.choices and (len(choices) < max(2, len(template.choices)) or "" in choices):
        problem = "choices: at least two, none empty, all different"
    elif template.choices and template.label not in template.columns:
        problem = "label: needed with choices, one of the columns"
    elif template.label and not template.choices:
        problem = "label: has a meaning only with choices"
    if problem:
        raise UserError(f"{where}: {problem}")


def _check_texts(template: Template, where: str, text: str) -> None:
    from engine import sandbox

    known = {*template.columns, *(("choice", "choices") if template.choices else ())}
    texts = {"system": template.system}
    for number, wording in enumerate(template.wordings, start=1):
        texts |= {f"wordings.{number}.prompt": wording.prompt, f"wordings.{number}.answer": wording.answer}
    for key, source in texts.items():
        try:
            unknown = sandbox.names_read(source) - known
        except sandbox.Unreadable as error:
            raise UserError(f"{where}, {_line(source, error.line, text)}{key}: {error}") from None
        if unknown:
            raise UserError(f"{where}: {key}: reads `{min(unknown)}`, which is not under [columns]")


def _line(source: str, line: int, text: str) -> str:
    at = text.find(source)
    once = at >= 0 and text.find(source, at + 1) < 0
    return f"line {text.count(chr(10), 0, at) + line}: " if once else f"line {line} of "
