"""Rows to conversations: which shape a set has, and what each row says in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from engine.errors import UserError
from engine.recipe import Format
from engine.sources import Row


class Message(TypedDict):
    """One turn, in the words that chat templates expect."""

    role: str
    content: str


class Unusable(Exception):
    """A row that cannot become a conversation, or cannot be rendered. (reason, detail)"""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Shape:
    """A detected format and, in words, which column becomes what."""

    format: Format
    mapping: str


PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("input", "output"),
)
SHAREGPT_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
ROLES = ("system", "user", "assistant")


def detect(rows: Sequence[Row], wanted: Format = "auto") -> Shape:
    """The shape of a set by its first rows. Raises UserError that names the columns found."""
    columns = list(dict.fromkeys(key for row in rows for key in row.data))
    for shape in _shapes(rows, columns):
        if wanted in ("auto", shape.format):
            return shape
    found = ", ".join(columns) or "none"
    asked = "" if wanted == "auto" else f" as {wanted}"
    raise UserError(
        f"{rows[0].file if rows else 'data'}: cannot be read{asked}; columns found: {found}; known are"
        " instruction + output, messages, conversations, and pairs such as prompt + completion"
    )


def conversation(row: Row, shape: Shape) -> list[Message]:
    """What one row says, as turns that end with an answer. Raises Unusable with the reason."""
    match shape.format:
        case "alpaca":
            messages = _alpaca(row.data)
        case "messages":
            messages = _turns(row.data, "messages", "role", "content", {role: role for role in ROLES})
        case "sharegpt":
            messages = _turns(row.data, "conversations", "from", "value", SHAREGPT_ROLES)
        case _:
            messages = _pair(row.data)
    if not messages or messages[-1]["role"] != "assistant":
        raise Unusable("no answer", "the last turn is not the assistant's")
    if not any(message["role"] == "user" for message in messages):
        raise Unusable("no question", "no turn is the user's")
    for message in messages:
        _check_text(message)
    return messages


def _shapes(rows: Sequence[Row], columns: Iterable[str]) -> Iterable[Shape]:
    present = set(columns)
    first = rows[0].data if rows else {}
    if "messages" in present:
        yield Shape("messages", "messages: role, content")
    if "conversations" in present:
        turns = first.get("conversations")
        keys = set(turns[0]) if isinstance(turns, list) and turns and isinstance(turns[0], dict) else set()
        if {"from", "value"} <= keys:
            yield Shape("sharegpt", "conversations: from, value")
    if {"instruction", "output"} <= present:
        middle = " + input" if "input" in present else ""
        yield Shape("alpaca", f"instruction{middle} -> output")
    for question, answer in PAIRS:
        if {question, answer} <= present:
            yield Shape("pairs", f"{question} -> {answer}")


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable("not text", f"{key} is a {type(value).__name__}")
    return value


def _alpaca(data: dict[str, Any]) -> list[Message]:
    messages: list[Message] = []
    if system := _text(data, "system"):
        messages.append({"role": "system", "content": system})
    history = data.get("history") or []
    if not isinstance(history, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in history
    ):
        raise Unusable("malformed history", "it must be a list of [question, answer]")
    for question, answer in history:
        messages += _asked_and_answered(question, answer)
    parts = [_text(data, "instruction"), _text(data, "input")]
    return messages + _asked_and_answered("\n\n".join(filter(None, parts)), _text(data, "output"))


def _pair(data: dict[str, Any]) -> list[Message]:
    for question, answer in PAIRS:
        if question in data and answer in data:
            return _asked_and_answered(_text(data, question), _text(data, answer))
    raise Unusable("missing column", f"found: {', '.join(data)}")


def _asked_and_answered(question: Any, answer: Any) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _turns(data: dict[str, Any], column: str, role: str, text: str, roles: dict[str, str]) -> list[Message]:
    turns = data.get(column)
    if not isinstance(turns, list) or not turns:
        raise Unusable("no turns", f"{column} is not a list of turns")
    messages: list[Message] = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict):
            raise Unusable("malformed turn", f"turn {number} is not an object")
        if turn.get(role) not in roles:
            raise Unusable("unknown role", f"turn {number}: {turn.get(role)!r:.40}")
        messages.append(cast(Message, {"role": roles[turn[role]], "content": turn.get(text)}))
    return messages


def _check_text(message: Message) -> None:
    content: Any = message["content"]
    if not isinstance(content, str):
        raise Unusable("not text", f"the {message['role']}'s turn is a {type(content).__name__}")
    if not content.strip():
        name = "answer" if message["role"] == "assistant" else "turn"
        raise Unusable(f"empty {name}", f"the {message['role']} says nothing")
    try:
        content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Unusable("not Unicode", f"a lone surrogate at character {error.start + 1}") from None
