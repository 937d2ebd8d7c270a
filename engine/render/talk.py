"""Conversations: through the chat template, with a look at what the template makes of each turn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.formats import Conversation, Message, Unusable
from engine.formats.examples import settle
from engine.ledger import Action, Note
from engine.render import controls
from engine.render.chat import ChatFormat, Span
from engine.render.layout import Layout, laid, parses
from engine.render.rendered import Rendered, encoded, fitted, labelled

if TYPE_CHECKING:
    from tokenizers import Encoding

Actions = Mapping[str, Action]


class Written(NamedTuple):
    """A conversation as text, before it is encoded. masked: the text with people's control tokens hidden."""

    text: str
    spans: list[Span]
    notes: list[Note]
    masked: str = ""


def conversation(chat: ChatFormat, talk: Conversation, max_length: int, actions: Actions) -> Rendered:
    """What the recipe's train_on says is trained, answers with their end tokens. Raises Unusable."""
    said = written(chat, talk, actions)
    return finished(chat, said, None if said.masked else encoded(chat, said.text), max_length, actions)


def written(chat: ChatFormat, talk: Conversation, actions: Actions) -> Written:
    """The first half: all but the tokens. Raises Unusable with the reason."""
    chat = chat.taking(talk.tools)
    layout = laid(chat, talk.messages, talk.tools)
    notes: list[Note] = []
    if talk.tools or any(map(_calls, talk.messages)):
        _check_tools(chat, talk, layout)
    for lost in _lost(chat, talk.messages, layout):
        settle("lost text", lost, actions, notes)
    masked = ""
    if controls.note_controls(chat, controls.peoples(talk.messages, talk.tools), actions, notes):
        masked = controls.hidden(chat, talk.messages, talk.tools, layout.text)
    spans = _trained(chat, talk, layout, actions, notes)
    return Written(layout.text, spans, notes, masked)


def finished(
    chat: ChatFormat, said: Written, encoding: Encoding | None, max_length: int, actions: Actions
) -> Rendered:
    """The second half; encoding is the text's, where nothing in it is hidden. Raises Unusable."""
    if encoding is None:
        encoding, ids = controls.encoded(chat, said.masked)
    else:
        ids = encoding.ids
    notes = said.notes
    if ids[:1] == ids[1:2] == [chat.begin_id]:
        settle("doubled BOS", f"{chat.special_tokens['bos_token']} stands twice", actions, notes)
    made = Rendered(said.text, ids, labelled(encoding, ids, said.spans), said.spans, tuple(notes))
    return fitted(made, max_length, actions)


def _calls(message: Message) -> bool:
    return message["role"] == "tool" or "tool_calls" in message


def _trained(
    chat: ChatFormat, talk: Conversation, layout: Layout, actions: Actions, notes: list[Note]
) -> list[Span]:
    """The characters that are trained. Raises Unusable where they are not known for certain."""
    answers = [i for i, message in enumerate(talk.messages) if message["role"] == "assistant"]
    learnt = [i for i in answers if i not in talk.untrained]
    if chat.train_on == "last answer":
        learnt = learnt[-1:]
    if chat.train_on == "everything":
        spans = _without(
            [layout.turns.get(i) for i in talk.untrained], len(_begin(chat, layout)), len(layout.text)
        )
    elif chat.train_on == "all turns":
        spans = [
            _turn(layout, i) for i in range(len(talk.messages)) if i not in {*talk.untrained, *layout.lost}
        ]
    elif not layout.marked:
        spans = [layout.turns[i] for i in learnt]
    elif learnt == answers:
        spans = list(layout.marked)
    else:
        chosen = [_turn(layout, i) for i in learnt]
        spans = [mark for mark in layout.marked if any(_meet(mark, turn) for turn in chosen)]
    spans.sort()
    _check_ends(chat, layout, learnt, spans, actions, notes)
    return spans


def _begin(chat: ChatFormat, layout: Layout) -> str:
    """The begin token at the text's start, which nothing leads to."""
    bos = chat.special_tokens.get("bos_token", "")
    return bos if layout.text.startswith(bos) else ""


def _turn(layout: Layout, i: int) -> Span:
    if i not in layout.turns:
        raise Unusable("mask not certain", f"where turn {i + 1} stands cannot be known for certain")
    return layout.turns[i]


def _meet(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _without(holes: Sequence[Span | None], begin: int, end: int) -> list[Span]:
    spans = []
    for hole in sorted(hole or (-1, -1) for hole in holes):
        if hole[0] < 0:
            raise Unusable("mask not certain", "where an untrained answer stands cannot be known for certain")
        if begin < hole[0]:
            spans.append((begin, hole[0]))
        begin = hole[1]
    return [*spans, (begin, end)] if begin < end else spans


def _check_ends(
    chat: ChatFormat, layout: Layout, learnt: Sequence[int], spans: Sequence[Span], actions: Actions,
    notes: list[Note],
) -> None:  # fmt: skip
    """Whether what closes an answer is there, and trained: the model would never stop. Raises Unusable."""
    for i in learnt:
        if i not in layout.turns:
            continue
        turn = start, end = layout.turns[i]
        if not layout.text.endswith(chat.closers, start, end):
            settle("missing end token", f"turn {i + 1}", actions, notes)
        elif layout.marked and not any(begin < end <= stop for begin, stop in spans):
            if not any(_meet(turn, span) for span in spans):
                settle("untrained turn", f"turn {i + 1}, not marked by the chat template", actions, notes)
            else:
                settle(
                    "missing end token",
                    f"turn {i + 1}: the chat template's mark ends before it",
                    actions,
                    notes,
                )


def _lost(chat: ChatFormat, messages: Sequence[Message], layout: Layout) -> Iterator[str]:
    """Turns, or their reasoning, that the template left out without an error."""
    for i in layout.lost:
        if messages[i]["role"] != "tool":  # a lost result is no note but a refusal
            yield f"{messages[i]['role']} turn {i + 1}"
    for i, message in enumerate(messages):
        if message["role"] != "assistant" or (len(message) == 2 and "</think>" not in message["content"]):
            continue
        reasoning, content = _thought(chat, message)
        known = parses(chat, message)
        said = layout.text[slice(*layout.turns[i])] if i in layout.turns else layout.text
        if known and content not in said:
            yield f"assistant turn {i + 1}"
        thoughts = said.rpartition(content)[0] if content else said
        if reasoning and not (known and reasoning in thoughts):
            yield f"reasoning of turn {i + 1}"


def thinks(chat: ChatFormat, messages: Sequence[Message]) -> bool:
    """Whether the last answer of a conversation begins with a thought that the template writes."""
    return bool(messages) and parses(chat, messages[-1]) and bool(_thought(chat, messages[-1])[0])


def _thought(chat: ChatFormat, message: Message) -> tuple[str, str]:
    """An answer's reasoning and the rest of it, as the template takes it apart."""
    content = message["content"]
    if "</think>" in content and "</think>" in chat.template and "reasoning_content" not in message:
        before, _, rest = content.rpartition("</think>")
        return before.rpartition("<think>")[2].strip(), rest.strip()
    return message.get("reasoning_content", "").strip(), content.strip()


def _check_tools(chat: ChatFormat, talk: Conversation, layout: Layout) -> None:
    """Raises Unusable where the template leaves out functions, calls or their results."""
    text = layout.text
    for tool in talk.tools:
        name = tool["function"]["name"]
        if "tools" not in chat.template or name not in text:
            raise Unusable("tools", f"the chat template leaves out the function {name}")
    for i, message in enumerate(talk.messages):
        where = f"the chat template leaves out the %s of turn {i + 1}"
        if message["role"] == "tool" and not any(form in text for form in _forms(message["content"].strip())):
            raise Unusable("tools", where % "tool's result")
        for call in message.get("tool_calls", ()):
            said = text[slice(*layout.turns[i])] if i in layout.turns else text
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
