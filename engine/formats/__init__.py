"""Rows to examples: which shape a set has, and what each row says in it."""

from __future__ import annotations

from collections.abc import Mapping

from engine.formats.columns import READERS, templated
from engine.formats.examples import (
    Conversation,
    Example,
    Message,
    Said,
    Shape,
    Text,
    Tokens,
    Unusable,
    settle,
)
from engine.formats.shapes import detect, of_row, shape_of
from engine.formats.turns import MEDIA
from engine.ledger import Action, Note
from engine.sources import Row

__all__ = [
    "Conversation", "Example", "Message", "Said", "Shape", "Text", "Tokens", "Unusable", "detect", "read",
]  # fmt: skip


def read(row: Row, shape: Shape, actions: Mapping[str, Action], number: int = 0) -> Said:
    """What one row says in its set's shape, and what had to be changed for that. Raises Unusable.

    number is the row's in its set: prompt templates take their wordings in turns by it. "stop" is treated as
    "drop" here: the caller knows the reason and stops.
    """
    notes: list[Note] = []
    data = row.data
    for column in shape.needed:
        if data.get(column) is None:
            shape = _another(row, shape, column, actions, notes)
            break
    if not MEDIA.isdisjoint(data) and (media := [key for key in data if key in MEDIA and data[key]]):
        raise Unusable("image or audio", media[0])
    if shape.format == "template":
        return Said(templated(data, shape, actions, notes, number), notes)
    return Said(READERS[shape.format](data, shape, actions, notes), notes)


def _another(row: Row, shape: Shape, missing: str, actions: Mapping[str, Action], notes: list[Note]) -> Shape:
    """The shape of a row that lacks a column; the set's own where the row has no other. Raises Unusable."""
    found = of_row(row.data, {})
    if found is not None and found[0] != "preference" and shape.format != "template":
        other = shape_of(found)
        settle("another shape", other.mapping, actions, notes)
        return other
    if missing not in row.data:
        raise Unusable("missing field", missing)
    return shape
