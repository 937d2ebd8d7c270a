"""Keys of a recipe by their path: train.learning_rate, data.sources.0.weight."""

from __future__ import annotations

from typing import Any

from engine.errors import UserError


def put(document: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set a key of a recipe that is not yet checked; None takes it out.

    Raises UserError, with `where` (what named the key) before it.
    """
    *tables, last = key.split(".")
    place: Any = document
    for name in tables:
        try:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        except (ValueError, IndexError):
            raise UserError(f"{where} {key}: there is no {name} among {len(place)} entries") from None
        except AttributeError:  # a value stands where a table is wanted
            break
    if not isinstance(place, dict):
        raise UserError(f"{where} {key}: name a key of one table, e.g. data.sources.0.path")
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value


def found(document: dict[str, Any], key: str) -> Any:
    """The value of a key; None where it is not there."""
    place: Any = document
    for name in key.split("."):
        try:
            place = place[int(name)] if isinstance(place, list) else place[name]
        except (ValueError, LookupError, TypeError):
            return None
    return place
