"""What reading gives: rows, and the files they lie in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from engine.ledger import Entry, Note, Unit

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")

KINDS = {
    "lines": "JSON Lines",
    "array": "JSON array",
    "object": "JSON object",
    "table": "table of cells",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "sentences": "text, each line for itself",
    "paragraphs": "text in paragraphs",
    "source": "source file",
}
"""How a file can be read, and what a person calls it."""

LONGEST_ROW = 64 * 1024 * 1024
"""Bytes of one record that are read at once."""


class Row(NamedTuple):  # a tuple, because there is one for each row: a frozen dataclass takes far longer
    """One record of a file. `line` counts from 1 and is where the record begins.

    offset: where reading can begin again to yield this record first (a byte of the decoded file, or the
    number of rows before it where unit is "row"). joins: it goes on with the document of the row before, as
    the paragraphs of one file do. notes: what had to be changed to read it.
    """

    file: str
    line: int
    data: dict[str, Any]
    offset: int = 0
    unit: Unit = "line"
    joins: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class File:
    """One file that can be read. kind is a key of KINDS; name is what its documents are called."""

    path: Path
    part: Part
    kind: str
    notes: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Found:
    """The files of a source, what a person should know of them, and what was left out."""

    files: list[File]
    notes: list[str] = field(default_factory=list)
    skipped: list[Entry] = field(default_factory=list)
