"""What differs between two recipes, key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine import recipe, runs
from engine.schema import Recipe

ABSENT = "–"
"""Stands where one of the two has no such key."""


class Difference(NamedTuple):
    """One key with both values as they would be typed."""

    key: str
    first: str
    second: str


def between(first: Recipe, second: Recipe) -> list[Difference]:
    """The keys whose values differ, in the order of the recipe. The name is left out: it always differs."""
    one, other = (dict(_leaves(plan.model_dump(mode="json", exclude_none=True))) for plan in (first, second))
    # A key of the second alone stands behind those of its table, not at the end of all.
    keys = sorted({**one, **other}, key=_place)
    return [
        Difference(key, one.get(key, ABSENT), other.get(key, ABSENT))
        for key in keys
        if key != "name" and one.get(key) != other.get(key)
    ]


def named(words: str) -> tuple[str, Recipe]:
    """A run by its name, or a recipe's file or bundled name: how it is called, and its recipe.

    Raises UserError.
    """
    file = Path(words).expanduser()
    if file.is_file() or words in {path.stem for path in recipe.bundled()}:
        return words, recipe.load(words)
    run = runs.find(words)
    return run.name, run.recipe()


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every value that is no table, by its whole key; a list of values is one, a list of tables is not."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        for number, below in enumerate(value):
            yield from _leaves(below, f"{key}.{number}")
    else:
        yield key, json.dumps(value, ensure_ascii=False)


TABLES = tuple(Recipe.model_fields)


def _place(key: str) -> tuple[Any, ...]:
    """By table as a recipe has them, then by key; numbers of a list as numbers."""
    table, *below = key.split(".")
    return TABLES.index(table), [(int(name), "") if name.isdecimal() else (-1, name) for name in below]
