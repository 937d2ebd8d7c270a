"""The ledger: a line for each row that is not used as it stands, and what may be done about it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Action = Literal["keep", "fix", "drop", "stop"]
Done = Literal["left out", "changed", "kept", "added"]
Unit = Literal["line", "row"]

EXCERPT = 120


@dataclass(frozen=True)
class Reason:
    """What a recipe may ask for where this is found; the first action is the default.

    spoils: a model that is trained on such rows is not what people want, unless they asked for it.
    """

    actions: tuple[Action, ...]
    meaning: str
    spoils: bool = False


REASONS: dict[str, Reason] = {
    # Found while a file is read.
    "malformed": Reason(("drop", "stop"), "not the JSON, CSV or record that the file promises"),
    "not an object": Reason(("drop", "stop"), "valid JSON, and no row of named fields"),
    "too large": Reason(("drop", "stop"), "one row of more bytes than are read at once"),
    "encoding": Reason(("fix", "drop", "stop"), "bytes that are not text; fix puts U+FFFD in their place"),
    "surrogate": Reason(("fix", "drop", "stop"), "half an emoji; fix puts U+FFFD in its place"),
    "not a number": Reason(("keep", "drop", "stop"), "NaN or Infinity, which JSON does not have"),
    "wrong number of cells": Reason(("fix", "drop", "stop"), "fix joins cells where only one way fits"),
    "skipped file": Reason(("keep", "stop"), "a file of a folder that holds no rows or text"),
    # Found while a row is taken for a conversation.
    "another shape": Reason(("fix", "drop", "stop"), "other columns than the set's; fix reads them so"),
    "missing field": Reason(("drop", "stop"), "a column that the mapping needs"),
    "not text": Reason(("drop", "stop"), "a list, an object or a truth value where text is needed"),
    "number as text": Reason(("fix", "drop", "stop"), "a number where text is needed; fix writes it out"),
    "empty answer": Reason(("drop", "stop"), "nothing, or only white space, to learn"),
    "empty turn": Reason(("drop", "stop"), "a turn that is not an answer and says nothing"),
    "no turns": Reason(("drop", "stop"), "no list of turns"),
    "malformed turn": Reason(("drop", "stop"), "a turn without role or content"),
    "unknown role": Reason(("drop", "stop"), "a role that no chat template knows"),
    "role renamed": Reason(("fix", "drop", "stop"), "User, human, bot, model, developer and their like"),
    "no question": Reason(("drop", "stop"), "no turn of the user's"),
    "no answer": Reason(("drop", "stop"), "no turn of the assistant's to learn"),
    "assistant first": Reason(("fix", "keep", "drop", "stop"), "fix leaves the leading answer out"),
    "question last": Reason(("fix", "drop", "stop"), "fix leaves the trailing question out"),
    "same role twice": Reason(("keep", "fix", "drop", "stop"), "two turns of one role; fix joins them"),
    "system in the middle": Reason(("keep", "drop", "stop"), "many chat templates leave such a turn out"),
    "untrained turn": Reason(("keep", "drop", "stop"), "a weight or train flag of 0: read, not learnt"),
    "weight ignored": Reason(("keep", "drop", "stop"), "a weight between 0 and 1: trained in full"),
    "image or audio": Reason(("drop", "stop"), "only text is trained here"),
    "already templated": Reason(("keep", "drop", "stop"), "chat markers in the text: no second template"),
    "tools": Reason(("drop", "stop"), "tool calls that the chat template does not take"),
    "bad tokens": Reason(("drop", "stop"), "ids or labels that the model cannot take"),
    "template failed": Reason(("drop", "stop"), "the prompt template could not be filled in"),
    "empty column": Reason(("keep", "drop", "stop"), "a column that a prompt template wrote out empty"),
    "control characters": Reason(("keep", "drop", "stop"), "terminal escapes and their like, left in"),
    "bidi controls": Reason(("keep", "drop", "stop"), "characters that turn the reading order"),
    "special tokens": Reason(
        ("fix", "keep", "drop", "stop"), "control tokens in people's text; fix lets them stay text"
    ),
    # Found while a conversation is rendered.
    "refused by the chat template": Reason(("drop", "stop"), "the model's template raised an error"),
    "mask not certain": Reason(("drop", "stop"), "where the answers stand cannot be known for certain"),
    "lost text": Reason(("keep", "drop", "stop"), "the chat template leaves out what a turn says", True),
    "missing end token": Reason(("keep", "drop", "stop"), "an answer without end: no stopping", True),
    "doubled BOS": Reason(("keep", "drop", "stop"), "the begin token stands twice at the start", True),
    "too long": Reason(("drop", "fix", "stop"), "more tokens than max_length; fix cuts the end off"),
    "answer cut": Reason(("keep", "drop", "stop"), "cut within an answer: no end to learn", True),
    "nothing to train on": Reason(("drop", "stop"), "no token is trained, or none before max_length"),
    "cut in pieces": Reason(("fix", "drop", "stop"), "a long text, divided to fit max_length"),
    # Found by comparing rows.
    "duplicate": Reason(("drop", "keep", "stop"), "the row stands in train before"),
    "leaked": Reason(("drop", "keep", "stop"), "the train row stands in validation or test too"),
    "over the cap": Reason(("drop",), "left out by weight or cap"),
    "held out": Reason(("drop",), "a row of a group or task kept out of training"),
    "augmented": Reason(("keep",), "a copy with changed words, added"),
}  # fmt: skip


UNFIT = ("refused by the chat template", "mask not certain", "tools", "too long", "nothing to train on")
"""Reasons that say less of a row than of the template, the mask or the length that were chosen."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    line counts from 1 (rows, where unit says so); offset is the byte of the decoded file where the record
    begins. reason is a key of REASONS, detail the particular of this row.
    """

    file: str
    line: int
    reason: str
    detail: str = ""
    excerpt: str = ""
    done: Done = "left out"
    offset: int = 0
    unit: Unit = "line"

    def dumps(self) -> str:
        """The entry as one line of JSON, in ASCII: lone surrogates and controls travel as escapes."""
        return json.dumps(asdict(self), ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class Note:
    """What was done to a row that is used, or seen in it: the entry's part that the row itself knows."""

    reason: str
    detail: str = ""
    done: Done = "changed"


def actions(chosen: Mapping[str, Action]) -> dict[str, Action]:
    """What is done for each reason: the recipe's choice, or the default."""
    return {name: chosen.get(name.replace(" ", "_"), reason.actions[0]) for name, reason in REASONS.items()}


def spoils(reason: str, done: str, policy: Mapping[str, Action]) -> bool:
    """Whether a row that is used so would teach the model what nobody wants, and nobody asked for it."""
    return REASONS[reason].spoils and done != "left out" and reason.replace(" ", "_") not in policy


def spoiling(rows: Mapping[tuple[str, str], int], policy: Mapping[str, Action], used: int) -> list[str]:
    """What of these rows by reason would spoil training, in sentences; `used` rows are trained on.

    What the recipe's own policy asks for is agreed to.
    """
    said = []
    for (reason, done), count in rows.items():
        of_them = f"{count:,} row{'s' * (count != 1)}"
        if spoils(reason, done, policy):
            said.append(f"{of_them}: {reason} ({REASONS[reason].meaning})")
        elif reason in UNFIT and done == "left out" and count > used:
            said.append(f"{of_them} left out, more than are used: {reason} ({REASONS[reason].meaning})")
    return said


def excerpt(value: Any) -> str:
    """The beginning of a record, short enough for a line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def read(path: Path) -> Iterator[Entry]:
    """The entries of a ledger file, in its order."""
    with path.open(encoding="ascii") as file:
        for line in file:
            yield Entry(**json.loads(line))


def page(path: Path, reason: str | None, start: int, rows: int) -> tuple[int, list[Entry]]:
    """How many entries of a reason (None: of any) a file has, and `rows` of them from `start` on."""
    wanted = f'"reason": {json.dumps(reason)},' if reason else ""
    total, found = 0, []
    with path.open(encoding="ascii") as file:
        for line in file:
            if wanted in line:  # only what is shown is parsed: a ledger may be as long as the set
                if start <= total < start + rows:
                    found.append(Entry(**json.loads(line)))
                total += 1
    return total, found
