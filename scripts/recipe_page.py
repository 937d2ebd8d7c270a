"""docs/recipe.md: every key of a recipe with its type, its default and what it does, from engine/schema.py.

    make docs            (or: python scripts/recipe_page.py)

The tables are pydantic's models; what a key does is the comment above it.
"""

from __future__ import annotations

import ast
import json
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from engine import schema, sweep_plan
from engine.table import Table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipe.md"

TABLES: tuple[tuple[str, type[Table]], ...] = (
    ("", schema.Recipe),
    ("[model]", schema.Model),
    ("[data]", schema.Data),
    ("[[data.sources]]", schema.Source),
    ("[data.augment]", schema.Augment),
    ("[lora]", schema.Lora),
    ("[train]", schema.Train),
    ("[evaluate]", schema.Evaluate),
    ("[sweep]", sweep_plan.Sweep),
    ("[sweep.over]", sweep_plan.Over),
)
"""The heading of each in a recipe, in the order in which a recipe is written."""

HEAD = """# The recipe, key by key

A run is one TOML file: `ift-tui train my.toml`. Only `data.sources` is needed; every other key has a default.
A key that is not listed here is refused, with the name that was probably meant; so are wrong types and
contradictions, before anything starts. [first-steps.toml](../recipes/first-steps.toml) is a whole one, line
by line; [data.md](data.md) has the formats, templates and policies, [rendering.md](rendering.md) what is
trained.

On the command line `--set train.steps=20` changes a key for one run, `--set data.sources.0.weight=2` one of
the first set. Relative paths are taken from the recipe's folder.

(`make docs` writes this page from the program.)
"""


def main() -> None:
    PAGE.write_text(page(), "utf-8")
    print(PAGE.name)


def page() -> str:
    """The whole page."""
    return HEAD + "".join(section(heading, table) for heading, table in TABLES)


def section(heading: str, table: type[Table]) -> str:
    """The keys of one table, but for those that are tables of their own."""
    comments = said(table.__name__)
    lines = [
        f"| `{name}` | {kind(field.annotation, field.metadata)} | {default(field)} | {comments[name]} |"
        for name, field in table.model_fields.items()
        if not is_table(field)
    ]
    title = f"`{heading}`" if heading else "At the top"
    head = "| key | value | default | |\n|---|---|---|---|\n"
    return f"\n## {title}\n\n{table.__doc__}\n\n{head}" + "\n".join(lines) + "\n"


def is_table(field: FieldInfo) -> bool:
    either = [one for one in get_args(field.annotation) if one is not type(None)]
    annotation = either[0] if len(either) == 1 else field.annotation
    return isinstance(annotation, type) and issubclass(annotation, Table)


def said(table: str) -> dict[str, str]:
    """What the comment above each key of a table says. A key without one, or a table, is not in it."""
    found, lines = next(_written(table))
    keys = [
        (node.target.id, node.lineno - 1)
        for node in found.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    return {key: comment for key, line in keys if (comment := _above(lines[:line]))}


def _written(table: str) -> Iterator[tuple[ast.ClassDef, list[str]]]:
    """Where a table stands in the source, and the lines of its file."""
    for file in (schema.__file__, sweep_plan.__file__):
        source = Path(str(file)).read_text("utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and node.name == table:
                yield node, source.splitlines()


def _above(lines: list[str]) -> str:
    comment: list[str] = []
    for line in reversed(lines):
        if not line.lstrip().startswith("#"):
            break
        comment.insert(0, line.strip().removeprefix("# "))
    return " ".join(comment)


def kind(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What may stand there, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(arguments[0], _limits(arguments[1:]))
    if origin in (Union, types.UnionType):
        return ", or ".join(kind(one, metadata) for one in arguments if one is not type(None))
    if origin is Literal:
        return ", ".join(f"`{json.dumps(one)}`" for one in arguments)
    if origin is tuple:
        if arguments[0] is Any:
            return "list"
        return "tables" if _holds_tables(arguments) else "list of texts"
    if origin is dict:
        return "table"
    words = {bool: "true or false", int: "whole number", float: "number", str: "text"}[annotation]
    return f"{words}{_within(metadata)}"


def _holds_tables(arguments: tuple[Any, ...]) -> bool:
    first = arguments[0]
    return get_origin(first) is dict or (isinstance(first, type) and issubclass(first, Table))


def _limits(metadata: Iterable[Any]) -> list[Any]:
    return [limit for one in metadata for limit in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _within(metadata: Iterable[Any]) -> str:
    """The bounds of a number."""
    words = []
    for limit in metadata:
        match limit:
            case Ge(ge=low):
                words.append(f" from {low:,}")
            case Gt(gt=low):
                words.append(f" above {low:,}")
            case Le(le=high):
                words.append(f" to {high:,}")
            case Lt(lt=high):
                words.append(f" below {high:,}")
    return "".join(words)


def default(field: FieldInfo) -> str:
    """A default as TOML has it."""
    if field.default is PydanticUndefined:
        return "needed"
    if field.default is None:
        return "–"
    if isinstance(field.default, tuple | dict):
        return "empty"
    return f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    main()
