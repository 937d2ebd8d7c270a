"""One JSON value: parsed fast, and where that fails read again to say in words why."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from engine.ledger import Note
from engine.sources import streams

# Half of what Python itself can nest, so that whatever walks through a row later has room too.
DEEPEST = 500

_DIGITS = bytes.maketrans(b"123456789", b"000000000")
# From here on orjson makes a float of an integer, and digits get lost.
_LONG_NUMBER = b"0" * 19
_EXACT = frozenset((str, int, bool, type(None)))
_SURROGATE = re.compile("[\ud800-\udfff]")
_PYTHON = re.compile(r"'|None\b|True\b|False\b|\(|[uUbBrR]'")


class Malformed(Exception):
    """A text that is no JSON value; the words say why and where."""


def parse(raw: bytes) -> tuple[Any, tuple[Note, ...]]:
    """The value of some UTF-8 bytes and what had to be changed in it. Raises Malformed."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _parse_slowly(raw)
    if type(value) is not dict or not set(map(type, value.values())) <= _EXACT:
        if len(raw) > DEEPEST and _too_deep(value):
            raise Malformed("nested too deep")
        if _LONG_NUMBER in raw.translate(_DIGITS):
            return _parse_slowly(raw)
    return value, ()


def document(raw: bytes) -> tuple[Any, str]:
    """The value as it stands, and the first byte of it that is not UTF-8, if any. Raises Malformed."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _load(raw)
    if _too_deep(value):
        raise Malformed("nested too deep")
    return _load(raw) if _LONG_NUMBER in raw.translate(_DIGITS) else (value, "")


def cleaned(value: Any) -> tuple[Any, tuple[Note, ...]]:
    """The value with U+FFFD for halves of characters, and what there is to say of it."""
    notes: list[Note] = []
    if any(_SURROGATE.search(text) for text in _texts(value)):
        notes.append(Note("surrogate", "half a character, replaced by U+FFFD"))
        value = _whole(value)
    columns = value.items() if isinstance(value, dict) else [("", value)]
    odd = [str(column) for column, cell in columns if any(map(_is_no_number, _leaves(cell)))]
    if odd:
        notes.append(Note("not a number", f"NaN or Infinity in {', '.join(odd)}", "kept"))
    return value, tuple(notes)


def _parse_slowly(raw: bytes) -> tuple[Any, tuple[Note, ...]]:
    value, wrong = _load(raw)
    value, notes = cleaned(value)
    return value, ((Note("encoding", wrong), *notes) if wrong else notes)


def _load(raw: bytes) -> tuple[Any, str]:
    text, wrong = streams.text(raw.rstrip())
    if _is_deep(text):
        raise Malformed("nested too deep")
    try:
        return json.loads(text), wrong
    except json.JSONDecodeError as error:
        raise Malformed(_words(error)) from None
    except ValueError:
        raise Malformed("a number of more than 4,300 digits") from None


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _is_deep(text: str) -> bool:
    """Whether brackets outside of strings are nested deeper than DEEPEST."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth = 0
    for token in re.finditer(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', text, re.DOTALL):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > DEEPEST:
            return True
    return False


def _words(error: json.JSONDecodeError) -> str:
    text, at = error.doc, error.pos
    where = f"at column {error.colno}" + (f" of its line {error.lineno}" if error.lineno > 1 else "")
    before, after = text[:at].rstrip(), text[at:].lstrip()
    if error.msg.startswith("Invalid control character"):
        code = ord(text[at])
        return f"control character 0x{code:02x} inside a string {where}; write it as \\u{code:04x}"
    if before.endswith(",") and after.startswith(("}", "]")):
        return f"trailing comma {where}"
    if _PYTHON.match(after) and (not before or before.endswith(("{", "[", ",", ":"))):
        return f"looks like Python, not JSON, {where}; write it with json.dumps"
    if error.msg.startswith("Unterminated string"):
        return f"a string is opened and never closed {where}"
    if error.msg == "Extra data":
        return f"something more stands behind the value {where}"
    if not after:
        return "it ends in the middle of the value"
    return f"{error.msg[0].lower()}{error.msg[1:]} {where}"


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _leaves(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            waiting.extend(_inside(item))
        else:
            yield item


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
