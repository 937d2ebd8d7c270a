"""Where each turn stands in the chat template's text: found by rendering again with marks in its place.

The length of a rendered prompt is no measure: for many templates the prompt is not a prefix of the whole.
Putting the turns back in place of their marks must give the text itself; where it does not, the template
looks into what a turn says, and the row is refused rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from engine.formats import Message, Unusable
from engine.render.chat import MARK, ChatFormat, Span, Tools

MARKED = re.compile(f"{MARK}(\\d+){MARK}")
THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
MOST_DRAFTS = 1000

# What templates do to the ends of a turn's text.
TRIMS: tuple[Callable[[str], str], ...] = (str, str.strip, str.lstrip, str.rstrip, *(
    lambda text, trim=trim: trim(text, "\n") for trim in (str.strip, str.lstrip, str.rstrip)
))  # fmt: skip


class Look(NamedTuple):
    """A question about a turn, as a method of text, and its answer; None: the text itself."""

    turn: int
    method: Callable[..., Any]
    arguments: tuple[Any, ...]
    answer: bool | None


class Draft(NamedTuple):
    """What the template writes before each mark, the turns' numbers, how far what closes a turn reaches
    into what stands behind it, and what is written behind the last mark.
    """

    before: list[str]
    turns: list[int]
    closing: list[int]
    last: str
    looks: Sequence[Look] | None = None  # what turns must answer to be put in unseen; None: that is not known


@dataclass(frozen=True, slots=True)
class Layout:
    """A conversation as text, the characters of each turn with its end token, and turns that are missing.

    marked: the characters that the template itself marks as generated.
    """

    text: str
    turns: Mapping[int, Span]
    lost: Sequence[int]
    marked: Sequence[Span]


def laid(chat: ChatFormat, messages: Sequence[Message], tools: Tools = ()) -> Layout:
    """Raises Unusable where the template refuses, or where the answers cannot be found for certain."""
    simple = not tools and all(len(message) == 2 for message in messages)
    if simple and (known := _known(chat, messages)):
        return known
    text, marked = chat.written(messages, tools)
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    parsed = [i for i in answers if parses(chat, messages[i])]
    try:
        turns, lost = _found(chat, messages, tools, text, parsed)
        for i in parsed:
            turns[i] = _parsed(chat, messages, tools, text, i)
    except Unusable:
        if not marked:
            raise
        return Layout(
            text, {}, [i for i, m in enumerate(messages) if m["content"].strip() not in text], marked
        )
    spans = [turns[i] for i in answers]
    if any(before[1] > after[0] for before, after in pairwise(spans)):
        raise Unusable("mask not certain", "the answers overlap in the chat template's text")
    return Layout(text, turns, lost, marked)


def parses(chat: ChatFormat, message: Message) -> bool:
    """Whether the template makes more of this answer than its text: calls, or a thought."""
    if "tool_calls" in message:
        return True
    if "reasoning_content" in message and "reasoning_content" in chat.template:
        return True
    return "</think>" in message["content"] and "</think>" in chat.template


def _found(
    chat: ChatFormat, messages: Sequence[Message], tools: Tools, text: str, parsed: Sequence[int]
) -> tuple[dict[int, Span], list[int]]:
    """Where the turns stand, and which are missing. Raises Unusable where it is not certain of an answer."""
    if MARK in text:
        raise Unusable("mask not certain", "the text holds a character that is used as a mark")
    plain = [i for i in range(len(messages)) if i not in parsed]
    answers = [i for i in plain if messages[i]["role"] == "assistant"]
    try:
        draft = _draft(chat, messages, tools, plain)
        turns = _placed(draft, messages, text)
    except Unusable:
        turns = None  # the template reads what a question says: marks for the answers alone
    if turns is None or not all(i in turns for i in answers):
        if not answers:
            return {}, [i for i in plain if messages[i]["content"] not in text]
        draft = _draft(chat, messages, tools, answers)
        turns = _placed(draft, messages, text)
        if not all(i in draft.turns for i in answers):
            raise Unusable("mask not certain", "the chat template leaves an answer out")
        if turns is None:
            raise Unusable("mask not certain", "the chat template changes with what an answer says")
        others = [i for i in plain if i not in answers]
        return turns, [i for i in others if messages[i]["content"].strip() not in text]
    return turns, [i for i in plain if i not in turns]


def _same(looks: Sequence[Look], contents: Sequence[str]) -> bool:
    """Whether these turns answer as the marks did."""
    for turn, method, arguments, answer in looks:
        said = contents[turn]
        if method(said, *arguments) != (said if answer is None else answer):
            return False
    return True


def _known(chat: ChatFormat, messages: Sequence[Message]) -> Layout | None:
    """The layout of turns that are nothing but a role and a text, where the template asks nothing unusual."""
    kind = tuple([message["role"] for message in messages])
    if kind not in chat.drafts:
        if len(chat.drafts) == MOST_DRAFTS:
            chat.drafts.clear()
        chat.drafts[kind] = _watched(chat, messages)
    draft = chat.drafts[kind]
    if draft is None or draft.looks is None:
        return None
    contents = [message["content"] for message in messages]
    if not _same(draft.looks, contents):
        return None
    parts: list[str] = []
    turns: dict[int, Span] = {}
    position = 0
    for before, i, closing in zip(draft.before, draft.turns, draft.closing, strict=True):
        start = position + len(before)
        position = start + len(contents[i])
        turns[i] = start, position + closing
        parts += before, contents[i]
    lost = [i for i in range(len(contents)) if i not in turns]
    return Layout("".join((*parts, draft.last)), turns, lost, ())


def _watched(chat: ChatFormat, messages: Sequence[Message]) -> Draft | None:
    """The draft for turns of these roles, with what the template asks about them, where that can be told."""
    from engine.render.looks import watched

    marks = [_mark(i) for i in range(len(messages))]
    found = watched(chat.template, chat.variables(messages), marks)
    if found is None:
        asked: list[Message] = [
            {**message, "content": mark} for message, mark in zip(messages, marks, strict=True)
        ]
        try:
            return _divided(chat, chat.written(asked)[0])
        except Unusable:
            return None
    draft = _divided(chat, found[0])
    answers = {i for i, message in enumerate(messages) if message["role"] == "assistant"}
    once = len(set(draft.turns)) == len(draft.turns) and answers <= set(draft.turns)
    ordered = sorted(draft.turns) == draft.turns
    unmarked = [Look(i, str.__contains__, (MARK,), False) for i in range(len(messages))]
    thought = [
        Look(i, str.__contains__, ("</think>",), False) for i in answers if "</think>" in chat.template
    ]
    return draft._replace(looks=[*unmarked, *thought, *found[1]]) if once and ordered else draft


def _draft(chat: ChatFormat, messages: Sequence[Message], tools: Tools, marked: Sequence[int]) -> Draft:
    """The template's text around these turns. Raises Unusable."""
    kind = tuple([message["role"] for message in messages])
    simple = not tools and len(marked) == len(messages) and all(len(message) == 2 for message in messages)
    if simple and (draft := chat.drafts.get(kind)):
        return draft
    asked = list(messages)
    for i in marked:
        asked[i] = {**messages[i], "content": _mark(i)}
    return _divided(chat, chat.written(asked, tools)[0])


def _divided(chat: ChatFormat, text: str) -> Draft:
    parts = MARKED.split(text)
    ends = [chat.ends.match(part) for part in parts[2::2]]
    closing = [found.end() if found else 0 for found in ends]
    return Draft(parts[:-1:2], [int(number) for number in parts[1::2]], closing, parts[-1])


def _mark(turn: int) -> str:
    return f"{MARK}{turn}{MARK}"


def _placed(draft: Draft, messages: Sequence[Message], text: str) -> dict[int, Span] | None:
    """Each turn's place in the text with its end token; None where the turns put back give another text."""
    if not draft.turns:
        return {} if text == draft.last else None
    turns: dict[int, Span] = {}
    position = 0
    behind = [*draft.before[1:], draft.last]
    for before, i, closing, after in zip(draft.before, draft.turns, draft.closing, behind, strict=True):
        if not text.startswith(before, position):
            return None
        start = position + len(before)
        for trim in TRIMS:
            said = trim(messages[i]["content"])
            position = start + len(said)
            if text.startswith(said, start) and text.startswith(after, position):
                break
        else:
            return None
        if i in turns and messages[i]["role"] == "assistant":
            return None
        turns[i] = start, position + closing
    return turns if position + len(draft.last) == len(text) else None


def _parsed(chat: ChatFormat, messages: Sequence[Message], tools: Tools, text: str, i: int) -> Span:
    """Find an answer that the template takes apart: from the prompt before it to its end as the last.

    Templates that drop the thoughts of earlier turns (Qwen3) are known by the rest of the answer, which
    must follow the prompt. Anything else that does not agree is refused.
    """
    asking, _ = chat.written(messages[:i], tools, asking=True)
    # The longer one: an empty think block that training text has belongs to the prompt.
    answered, _ = chat.written([*messages[:i], Message(role="assistant", content=MARK)], tools)
    if MARK not in answered:
        raise Unusable("mask not certain", "the chat template leaves an answer out")
    prompts = asking, answered.partition(MARK)[0]
    start = max((len(prompt) for prompt in prompts if text.startswith(prompt)), default=-1)
    if start < 0 and "reasoning_content" in messages[i]:
        start = _thinks(chat, messages[:i], tools, text)
    whole, _ = chat.written(messages[: i + 1], tools)
    if start < 0 or not whole.startswith(text[:start]):
        raise Unusable("mask not certain", f"no prompt of the chat template leads to turn {i + 1}")
    answer = whole[start:].rstrip()
    if not text.startswith(answer, start):
        answer = THOUGHT.sub("", answer, count=1)
        if not answer or not text.startswith(answer, start):
            raise Unusable("mask not certain", f"turn {i + 1} ends in a way that cannot be found")
    return start, start + len(answer)


def _thinks(chat: ChatFormat, messages: Sequence[Message], tools: Tools, text: str) -> int:
    """Where the thought begins, for templates whose own prompt says that there is none (Qwen3.5); or -1."""
    thinking = Message(role="assistant", content=MARK, reasoning_content=MARK)
    before, found, _ = chat.written([*messages, thinking], tools)[0].partition(MARK)
    return len(before) if found and text.startswith(before) else -1
