"""Cells and contents to text: what is no text is refused, and what cannot be seen is pointed out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from engine.formats.examples import Unusable, settle
from engine.ledger import Action, Note

WORDS = {
    "NoneType": "null", "bool": "a truth value", "int": "a number", "float": "a number", "str": "text",
    "list": "a list", "dict": "an object", "bytes": "bytes",
}  # fmt: skip
NAMES = {0x00: "NUL", 0x07: "BEL", 0x08: "BS", 0x1B: "ESC", 0x7F: "DEL", 0x9B: "CSI"}

ASCII_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
SURROGATES = re.compile("[\ud800-\udfff]")
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def kind(value: Any) -> str:
    """A value's type in a person's words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    name = type(value).__name__
    return WORDS.get(name, f"a {name}")


def cell(value: Any, where: str, actions: Mapping[str, Action], notes: list[Note]) -> str:
    """A column's cell as text; nothing is "". Raises Unusable."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unusable("not text", f"{where} is {kind(value)}")
    written = json.dumps(value)
    settle("number as text", f"{where}: {written}", actions, notes)
    return written


def plain(text: str) -> bool:
    """Whether nothing in it is unseen: no terminal escapes and their like."""
    if not text.isascii():
        return not UNSEEN.search(text)
    # Three times as fast as the expression, and most text is of this kind.
    return len(text.encode().translate(None, ASCII_CONTROLS)) == len(text)


def look(text: str, where: str, actions: Mapping[str, Action], notes: list[Note]) -> None:
    """Note terminal escapes and what turns the reading order. Raises Unusable."""
    if plain(text):
        return
    if SURROGATES.search(text):
        raise Unusable("surrogate", where)
    if found := CONTROLS.search(text):
        settle("control characters", f"{_name(found[0])} in {where}", actions, notes)
    if found := BIDI.search(text):
        settle("bidi controls", f"{_name(found[0])} in {where}", actions, notes)


def _name(character: str) -> str:
    return NAMES.get(ord(character), f"U+{ord(character):04X}")


def parsed(value: Any) -> Any:
    """The value that a JSON string stands for; anything else, and no JSON, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
