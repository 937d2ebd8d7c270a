"""The first rows of a set as they would be read, with the mapping that reads them so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import PurePath
from typing import Any

from textual.containers import VerticalScroll
from textual.content import Content

from tui.safe import clean
from tui.widgets.quiet import Quiet

MOST_FIELDS = 100
MOST_SHOWN = 1200
"""Characters of one turn: enough to see how it is read."""


class TriedView(VerticalScroll):
    """Shows a `tried` message of the data worker, or why there is none."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="panel")
        self._body = Quiet()

    def compose(self) -> Iterator[Quiet]:
        yield self._body

    def on_mount(self) -> None:
        self.border_title = "The first rows, read so"

    def show(self, tried: dict[str, Any]) -> None:
        rows = [line for row in tried["rows"] for line in row_lines(row)]
        self._body.show(Content("\n").join([*set_lines(tried["set"]), *rows]))

    def refuse(self, sentence: str) -> None:
        self._body.show(Content.styled(f"✗ {clean(sentence)}", "$text-error"))

    def say(self, sentence: str) -> None:
        self._body.show(Content.styled(clean(sentence), "$foreground-muted"))


def set_lines(found: dict[str, Any]) -> list[Content]:
    """Format and mapping in words, what was noted of the set, what has to be agreed to."""
    if not found["format"]:
        lines = [
            Content.styled("✗ no known shape: choose a format and its columns, or a template", "$text-error")
        ]
    else:
        mapping = clean(found["mapping"], newlines=False)
        lines = [Content.assemble((found["format"], "bold"), f" · {mapping}")]
    if found["question"]:
        lines.append(Content.styled(f"? {clean(found['question'], newlines=False)}", "$text-warning"))
    return lines + [
        Content.styled(f"· {clean(note, newlines=False)}", "$foreground-muted") for note in found["notes"]
    ]


def row_lines(row: dict[str, Any]) -> Iterator[Content]:
    """Where a row stands, its turns, and what was done to it; of one that is not used, why."""
    file = clean(PurePath(row["file"]).name, newlines=False)
    yield Content("")
    yield Content.styled(f"{file} line {row['line']:,}", "$foreground-muted")
    if row["refused"]:
        yield Content.styled(f"✗ not trained on: {clean(row['refused'], newlines=False)}", "$text-error")
        yield from fields(row["data"])
    elif row["messages"]:
        for message in row["messages"]:
            role = clean(message["role"], newlines=False)
            style = "bold $text-success" if role == "assistant" else "bold"
            yield Content.assemble((f"{role}  ", style), beginning(message["content"]))
    else:
        yield Content(beginning(row["text"]))
    yield from notes(row["notes"])


def fields(data: dict[str, Any]) -> Iterator[Content]:
    """A row as it stands in its file, column by column."""
    for name, value in islice(data.items(), MOST_FIELDS):
        yield Content.assemble(
            (f"{clean(str(name), newlines=False)}: ", "$foreground-muted"), beginning(value)
        )
    if len(data) > MOST_FIELDS:
        yield Content.styled(f"… and {len(data) - MOST_FIELDS:,} columns more", "$foreground-muted")


def notes(found: list[dict[str, Any]]) -> Iterator[Content]:
    """What was changed in a row, or seen in it."""
    for note in found:
        detail = f": {clean(note['detail'], newlines=False)}" if note["detail"] else ""
        sign, style = ("‼", "$text-error") if note.get("spoils") else ("!", "$text-warning")
        yield Content.styled(f"{sign} {note['done']}: {note['reason']}{detail}", style)


def beginning(value: Any) -> str:
    """A value as text, cut where it is longer than anyone reads in a preview."""
    text = str(value)
    if len(text) <= MOST_SHOWN:
        return clean(text)
    return f"{clean(text[:MOST_SHOWN])} … {len(text) - MOST_SHOWN:,} characters more"
