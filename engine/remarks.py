"""What a person has written about a run: tags to find it by, and a note, in a file of its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import private
from engine.errors import UserError
from engine.runs import Run

LONGEST_TAG = 32
MOST_TAGS = 12
LONGEST_NOTE = 2_000


@dataclass(frozen=True)
class Remarks:
    """Tags as they were given, each once, without a # before them."""

    tags: tuple[str, ...] = ()
    note: str = ""


def file(run: Run) -> Path:
    return run.path / "remarks.json"


def read(run: Run) -> Remarks:
    """What stands there; nothing where there is no file, or one that somebody else has torn."""
    try:
        found = json.loads(file(run).read_text("utf-8"))
        tags = [str(tag)[:LONGEST_TAG] for tag in found["tags"]]
        return Remarks(tuple(tags[:MOST_TAGS]), str(found["note"])[:LONGEST_NOTE])
    except (OSError, ValueError, LookupError, TypeError):
        return Remarks()


def write(run: Run, remarks: Remarks) -> None:
    """Keep these in the place of what stood there; empty ones leave no file. Raises UserError."""
    if len(remarks.note) > LONGEST_NOTE:
        raise UserError(
            f"the note has {len(remarks.note):,} characters, {LONGEST_NOTE:,} are kept at most; shorten it, "
            "nothing was written"
        )
    beside = run.path / "remarks.json.part"
    try:
        if remarks == Remarks():
            file(run).unlink(missing_ok=True)
            return
        private.write(beside, json.dumps(asdict(remarks)) + "\n")
        beside.replace(file(run))
    except OSError as error:
        raise UserError(
            f"{run.name}: tags and note cannot be written ({error.strerror}); what stood there was kept"
        ) from None


def tags(text: str) -> tuple[str, ...]:
    """The tags in a line, with spaces or commas between and with or without #. Raises UserError."""
    found = tuple(dict.fromkeys(filter(None, (word.lstrip("#") for word in text.replace(",", " ").split()))))
    if long := next((tag for tag in found if len(tag) > LONGEST_TAG), None):
        raise UserError(
            f"{long[:LONGEST_TAG]}…: a tag has at most {LONGEST_TAG} characters; put longer words in the note"
        )
    if len(found) > MOST_TAGS:
        raise UserError(f"{len(found)} tags; a run has at most {MOST_TAGS}, put the others into the note")
    return found
