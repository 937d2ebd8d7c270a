"""The filters of prompt templates, and the budget of work that a row has for them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

from jinja2 import Undefined, filters
from jinja2.runtime import Context
from jinja2.utils import pass_context

LARGEST = 4 * 1024 * 1024
"""Characters of one rendered text, or of any text or list made on the way."""

WORK = 50_000_000
"""Units a row may cost: one for each character fetched or made, STEP for each value, TURN for a loop turn."""
STEP = 100
TURN = 500

MOST_PLACES = 20

# A name that no template can spell, so that none can reach it.
BUDGET = "(work)"

OF_JINJA = [
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last",
    "length", "list", "lower", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr",
    "sort", "title", "trim", "truncate", "unique", "upper", "wordcount",
]  # fmt: skip


class Failed(Exception):
    """A row could not be filled in; one sentence that says why."""


class Work:
    """What one row has left to spend, and what was seen on the way."""

    def __init__(self) -> None:
        self.left = WORK
        self.empty: list[str] = []

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise Failed("the template takes too long for this row; let it loop over less")


def written(value: Any, name: str) -> str:
    """A cell as text, numbers as they stand. Raises Failed where it is no text and no number."""
    match value:
        case str():
            return str(value)
        case bool():
            raise Failed(f"`{name}` is a truth value: say what to write, {{{{ 'yes' if {name} else 'no' }}}}")
        case int() | date() | time():
            return str(value)
        case float() | Decimal():
            if not math.isfinite(value):
                raise Failed(f"`{name}` is no number ({value})")
            return str(value)
        case None:
            raise Failed(f"`{name}` is empty (null)")
        case Mapping():
            raise Failed(f"`{name}` is an object: name a field of it")
        case Undefined():
            return str(value)  # raises, with the sentence of _Missing
        case list() | tuple():
            raise Failed(f"`{name}` is a list: name an item of it, or join it")
        case _:
            raise Failed(f"`{name}` is neither text nor a number ({type(value).__name__})")


def _work(context: Context) -> Work:
    work = context.resolve(BUDGET)
    assert isinstance(work, Work)
    return work


@pass_context
def _metered(context: Context, value: Any) -> Any:
    size = len(value) if isinstance(value, str | list | tuple) else 0
    if size > LARGEST:
        raise Failed("a text or list becomes longer than 4 MiB")
    _work(context).spend(STEP + size)
    return value


@pass_context
def _turns(context: Context, values: Any, name: str) -> Iterator[Any]:
    work = _work(context)
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise Failed(f"`{name}` is not a list: there is nothing to loop over")
    return _counted(work, values)


def _counted(work: Work, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        work.spend(TURN)
        yield value


@pass_context
def _written(context: Context, value: Any, name: str) -> str:
    text = written(value, name)
    if not text.strip():
        _work(context).empty.append(name)
    return text


@pass_context
def _join(context: Context, values: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    items = values if attribute is None else _map(context, values, attribute=attribute)
    parts = [written(item, "an item") for item in items]
    if sum(map(len, parts)) + len(between) * len(parts) > LARGEST:
        raise Failed("a joined text becomes longer than 4 MiB")
    return between.join(parts)


@pass_context
def _map(context: Context, values: Iterable[Any], *, attribute: str) -> list[Any]:
    return list(map(filters.make_attrgetter(context.environment, attribute), values))


def replaced(text: str, old: str, new: str, count: int = -1) -> str:
    if len(text) + text.count(old) * len(new) > LARGEST:
        raise Failed("a text with replacements becomes longer than 4 MiB")
    return text.replace(old, new, count)


def _round(value: float, places: int = 0) -> float:
    if abs(places) > MOST_PLACES:
        raise Failed(f"numbers are rounded to at most {MOST_PLACES} places")
    return round(value, places) if places else round(value)


def _string(value: Any) -> str:
    return written(value, "the value")


def _tojson(value: Any) -> str:
    if isinstance(value, Undefined):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=_string)


FILTERS: dict[str, Callable[..., Any]] = {name: filters.FILTERS[name] for name in OF_JINJA} | {
    "join": _join,
    "map": _map,
    "replace": replaced,
    "round": _round,
    "string": _string,
    "tojson": _tojson,
    # Put in by the sandbox; no template can spell them.
    "(metered)": _metered,
    "(turns)": _turns,
    "(written)": _written,
}
