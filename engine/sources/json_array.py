"""JSON arrays read record by record, in bounded memory, each with its line and its byte."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.errors import UserError
from engine.ledger import Entry
from engine.schema import Source
from engine.sources import json_text
from engine.sources.json_lines import beginning, no_object
from engine.sources.rows import LONGEST_ROW, File, Row
from engine.sources.streams import CHUNK, Stream, opened

_GAP = re.compile(rb"[\s,]*+")
_SCALAR = re.compile(rb"[^\s,\[\]{}\"]*+")
_TOKEN = re.compile(rb'"|[\[{]++|[\]}]')
_OPENER = {b"}": ord("{"), b"]": ord("[")}


def read(file: File, source: Source, start: int = 0, line: int = 1) -> Iterator[Row | Entry]:
    """The records from the byte `start`, which stands in that line.

    Raises UserError at a trailing comma: a slip of the hand that wrote the file, and mended in a moment.
    """
    name = str(file.path)
    with opened(file.path, source.encoding) as stream:
        if start:
            stream.skip_to(start)
        window = _Window(stream, line)
        if not start:
            window.enter()
        while (mark := window.gap()) != b"]":
            offset, number = window.offset, window.line
            raw, wrong = window.value() if mark else (b"", "the array is never closed")
            if wrong:
                yield _last(name, number, wrong, raw, offset)
                return
            yield _record(name, number, raw, offset)
        if window.comma:
            raise _trailing_comma(name, window.line, "before the end of the array")
        if window.behind():
            yield _last(name, window.line, "something stands behind the array", b"", window.offset)


def _record(name: str, line: int, raw: bytes, offset: int) -> Row | Entry:
    try:
        record, notes = json_text.parse(raw)
    except json_text.Malformed as error:
        where = str(error).removeprefix("trailing comma ")
        if where != str(error):
            raise _trailing_comma(name, line, where) from None
        return Entry(name, line, "malformed", str(error), beginning(raw), offset=offset)
    if isinstance(record, dict):
        return Row(name, line, record, offset, "line", False, notes)
    return no_object(name, line, record, raw, offset)


def _trailing_comma(name: str, line: int, where: str) -> UserError:
    return UserError(f"{name}: line {line}: trailing comma {where}; take it out, JSON has none")


def _last(name: str, line: int, wrong: str, raw: bytes, offset: int) -> Entry:
    reason = "too large" if len(raw) > LONGEST_ROW else "malformed"
    return Entry(name, line, reason, f"{wrong}; nothing after it is read", beginning(raw), offset=offset)


class _Window:
    """The part of a stream that is looked at: it grows while a record needs it, and is cut behind it."""

    def __init__(self, stream: Stream, line: int) -> None:
        self._stream = stream
        self._data = b""
        self._begin = stream.offset
        self._at = 0
        self.line = line
        # Whether a comma stood in the last gap.
        self.comma = False

    @property
    def offset(self) -> int:
        """The byte of the decoded file that is next."""
        return self._begin + self._at

    def enter(self) -> None:
        """Go behind the bracket that opens the array."""
        self.gap()
        self._at += 1

    def gap(self) -> bytes:
        """Go behind white space and commas; the byte that stands there, empty at the end of the file."""
        self.comma = False
        while True:
            end = self._gap_end()
            self.comma = self.comma or b"," in self._data[self._at : end]
            self._go(end)
            if end < len(self._data) or not self._grow():
                return self._data[end : end + 1] if end < len(self._data) else b""

    def behind(self) -> bool:
        """Whether anything but white space follows the bracket that closes the array."""
        self._at += 1
        return bool(self.gap() or self.comma)

    def value(self) -> tuple[bytes, str]:
        """The value that begins here, and why its end cannot be found, if so."""
        looked, open_brackets = 0, bytearray()
        while True:
            end, found = _value_end(self._data, self._at, self._at + looked, open_brackets)
            if found:
                raw = self._data[self._at : end]
                self._go(end)
                return raw, ""
            looked = end - self._at
            if len(self._data) - self._at > LONGEST_ROW:
                return self._data[self._at :], f"a record longer than {LONGEST_ROW >> 20} MiB"
            if not self._grow():
                return self._data[self._at :], "it is never closed"

    def _gap_end(self) -> int:
        found = _GAP.match(self._data, self._at)
        return found.end() if found else self._at

    def _go(self, end: int) -> None:
        self.line += self._data.count(b"\n", self._at, end)
        self._at = end

    def _grow(self) -> bool:
        """Read on, as much again as is looked at, and forget what lies behind."""
        self._begin += self._at
        chunk = self._stream.reader.read(max(CHUNK, len(self._data) - self._at))
        self._data = self._data[self._at :] + chunk
        self._at = 0
        return bool(chunk)


def _value_end(data: bytes, begin: int, at: int, open_brackets: bytearray) -> tuple[int, bool]:
    """Where the value ends and True, or from where to look again with more data and False.

    open_brackets: those between begin and at, kept up to date.
    """
    if data[begin : begin + 1] not in (b'"', b"[", b"{"):
        # At least one byte is taken, so that a stray bracket is a record of its own and not met again.
        scalar = _SCALAR.match(data, begin + 1)
        end = scalar.end() if scalar else begin + 1
        return end, end < len(data)
    while token := _TOKEN.search(data, at):
        mark, at = token[0], token.end()
        if mark == b'"':
            at = _string_end(data, at)
            if at < 0:
                return token.start(), False
        elif mark in _OPENER:
            _close(open_brackets, _OPENER[mark])
        else:
            open_brackets += mark
        if not open_brackets:
            return at, True
    return len(data), False


def _close(open_brackets: bytearray, opener: int) -> None:
    """Close the last such bracket and those inside it that were left open; a stray one closes nothing."""
    at = open_brackets.rfind(opener)
    if at >= 0:
        del open_brackets[at:]


def _string_end(data: bytes, at: int) -> int:
    """Behind the quote that closes a string; -1 where it is not there yet."""
    while (end := data.find(b'"', at)) >= 0:
        escapes = end
        while escapes > at and data[escapes - 1] == 0x5C:
            escapes -= 1
        if (end - escapes) % 2 == 0:
            return end + 1
        at = end + 1
    return -1
