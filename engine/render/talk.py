"""Conversations: through the chat template, with a look at what the template makes of each turn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.formats import Conversation, Message, Unusable
from engine.formats.examples import settle
from engine.ledger import Action, Note
from engine.render.chat import ChatFormat, Span
from engine.render.rendered import Rendered, fitted, note_controls, tokenized


def conversation(
    chat: ChatFormat, talk: Conversation, max_length: int, actions: Mapping[str, Action]
) -> Rendered:
    """Only answers and their end tokens are trained. Raises Unusable with the reason."""
    messages = talk.messages
    text, answers = chat.apply(messages, talk.tools)
    numbers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    spans = dict(zip(numbers, answers, strict=True))
    notes: list[Note] = []
    _check_tools(chat, talk, text, spans)
    for lost in _lost(chat, messages, text, spans):
        settle("lost text", lost, actions, notes)
    said = [message.get(key, "") for message in messages for key in ("content", "reasoning_content")]
    note_controls(chat, said, actions, notes)
    trained = [span for i, span in spans.items() if i not in talk.untrained]
    ids, labels, cut = fitted(*tokenized(chat, text, trained), max_length, actions)
    return Rendered(text, ids, labels, trained, (*notes, *cut))


def _lost(
    chat: ChatFormat, messages: Sequence[Message], text: str, spans: Mapping[int, Span]
) -> Iterator[str]:
    """Turns, or their reasoning, that the template left out without an error."""
    for i, message in enumerate(messages):
        reasoning, content = chat.thought(message)
        if content not in text and message["role"] != "tool":  # a lost result is no note but a refusal
            yield f"{message['role']} turn {i + 1}"
        if reasoning and reasoning not in text[slice(*spans[i])]:
            yield f"reasoning of turn {i + 1}"


def _check_tools(chat: ChatFormat, talk: Conversation, text: str, spans: Mapping[int, Span]) -> None:
    """Raises Unusable where the template leaves out functions, calls or their results."""
    for tool in talk.tools:
        name = tool["function"]["name"]
        if "tools" not in chat.template or name not in text:
            raise Unusable("tools", f"the chat template leaves out the function {name}")
    for i, message in enumerate(talk.messages):
        where = f"the chat template leaves out the %s of turn {i + 1}"
        if message["role"] == "tool" and not any(form in text for form in _forms(message["content"].strip())):
            raise Unusable("tools", where % "tool's result")
        for call in message.get("tool_calls", ()):
            said = text[slice(*spans[i])]
            if call["function"]["name"] not in said:
                raise Unusable("tools", where % "tool call")
            if not all(
                any(form in said for form in _forms(leaf)) for leaf in _leaves(call["function"]["arguments"])
            ):
                raise Unusable("tools", where % "tool call's arguments")


def _leaves(arguments: Any) -> Iterator[str]:
    """The names and values in arguments, as text. Without recursion: they may be nested very deep."""
    waiting = [arguments]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            yield value.strip()
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield json.dumps(value)


def _forms(said: str) -> tuple[str, ...]:
    """A text as itself, and as it stands in JSON."""
    return said, json.dumps(said, ensure_ascii=False)[1:-1], json.dumps(said)[1:-1]
