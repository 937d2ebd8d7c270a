"""What a row says: the examples, what was noticed while they were read, and why a row says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Required, TypedDict

from engine.ledger import Action, Note
from engine.schema import Format
from engine.templates import Template


class Message(TypedDict, total=False):
    """One turn, in the words that chat templates expect. A turn of tool calls alone has the content ""."""

    role: Required[str]  # system, user, assistant or tool
    content: Required[str]
    reasoning_content: str
    tool_calls: list[dict[str, Any]]
    name: str
    tool_call_id: str


# Tuples, because there is one of these for each row: a frozen dataclass takes three times as long to make.


class Conversation(NamedTuple):
    """Turns that end with an answer. untrained: indices of assistant turns that are read and not learnt."""

    messages: list[Message]
    tools: Sequence[dict[str, Any]] = ()
    untrained: frozenset[int] = frozenset()


class Text(NamedTuple):
    """Raw text, trained without a chat template. markers: the name of the chat markers that stand in it.

    line: where it begins in its file. ends: its document ends with it, so that an end token belongs there.
    """

    text: str
    markers: str = ""
    line: int = 1
    ends: bool = True


class Tokens(NamedTuple):
    """Token ids as they came, and their labels."""

    ids: list[int]
    labels: list[int]


Example = Conversation | Text | Tokens


class Said(NamedTuple):
    """All that one row says, and what had to be changed or was noticed on the way."""

    examples: list[Example]
    notes: Sequence[Note] = ()


class Unusable(Exception):
    """A row that cannot become an example, or cannot be rendered. reason is a key of ledger.REASONS."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Shape:
    """A set's format: which column plays which part, the same in words, and what a person should know.

    question is what the person has to agree to before anything is trained.
    """

    format: Format
    columns: dict[str, str]
    mapping: str
    notes: tuple[str, ...] = ()
    question: str = ""
    templates: tuple[Template, ...] = ()

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Columns that every row must have."""
        if self.format == "template":
            return tuple(self.columns.values())
        return tuple(self.columns[part] for part in PARTS[self.format][0] if part in self.columns)

    @cached_property
    def texts(self) -> dict[str, str]:
        """The columns of a row that hold one text each, under the parts that they play."""
        return {part: column for part, column in self.columns.items() if part in TEXTS}


# Each format's parts: those that must be there, and those that may be.
PARTS: dict[Format, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "preference": (("chosen",), ("rejected", "prompt", "input", "system")),
    "messages": (("messages",), ("system", "tools")),
    "sharegpt": (("messages",), ("system", "tools")),
    "instances": (("instruction", "instances"), ("system",)),
    "tokens": (("input_ids",), ("labels",)),
    "alpaca": (("instruction", "output"), ("input", "system", "history", "tools")),
    "pairs": (("prompt", "completion"), ("system", "tools")),
    "text": (("text",), ()),
}

TEXTS = ("system", "instruction", "input", "output", "prompt", "completion")


def settle(reason: str, detail: str, actions: Mapping[str, Action], notes: list[Note]) -> Action:
    """Note what was found. Raises Unusable where the policy leaves such rows out ("stop" is the caller's)."""
    action = actions[reason]
    if action in ("drop", "stop"):
        raise Unusable(reason, detail)
    notes.append(Note(reason, detail, "kept" if action == "keep" else "changed"))
    return action
