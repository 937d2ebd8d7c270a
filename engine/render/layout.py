"""Where each turn stands in the chat template's text: found by rendering again with marks in its place.

The length of a rendered prompt is no measure: for many templates the prompt is not a prefix of the whole.
Putting the turns back in place of their marks must give the text itself; where it does not, the template
looks into what a turn says, and the row is refused rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.formats import Message, Unusable
from engine.render.chat import MARK, ChatFormat, Span, Tools

MARKED = re.compile(f"{MARK}(\\d+){MARK}")
THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
MOST_DRAFTS = 1000

# What templates do to the ends of a turn's text.
TRIMS = (str, str.strip, str.lstrip, str.rstrip, *(
    lambda text, trim=trim: trim(text, "\n") for trim in (str.strip, str.lstrip, str.rstrip)
))  # fmt: skip


class Draft(NamedTuple):
    """What the template writes before each mark, the turns' numbers, how far what closes a turn reaches
    into what stands behind it, and what is written behind the last mark.
    """

    before: list[str]
    turns: list[int]
    closing: list[int]
    last: str


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
    text, marked = chat.written(messages, tools)
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    parsed = [i for i in answers if parses(chat, messages[i])]
    turns, lost = _found(chat, messages, tools, text, parsed)
    for i in parsed:
        turns[i] = _parsed(chat, messages, tools, text, i)
    spans = [turns[i] for i in answers]
    if any(before[1] > after[0] for before, after in zip(spans, spans[1:], strict=False)):
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
    """Where the turns stand, and which are missing. Raises Unusable where that is not certain of an answer."""
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


def _draft(chat: ChatFormat, messages: Sequence[Message], tools: Tools, marked: Sequence[int]) -> Draft:
    """The template's text around these turns. Raises Unusable."""
    # Roles alone tell what is written around turns that are nothing but a role and a text.
    simple = not tools and len(marked) == len(messages) and all(len(message) == 2 for message in messages)
    kind = tuple([message["role"] for message in messages]) if simple else ()
    if kind in chat.drafts:
        return chat.drafts[kind]  # type: ignore[no-any-return]
    asked = list(messages)
    for i in marked:
        asked[i] = {**messages[i], "content": f"{MARK}{i}{MARK}"}
    text, _ = chat.written(asked, tools)
    parts = MARKED.split(text)
    before, turns = parts[:-1:2], [int(number) for number in parts[1::2]]
    ends = [chat.ends.match(part) for part in parts[2::2]]
    draft = Draft(before, turns, [found.end() if found else 0 for found in ends], parts[-1])
    if simple:
        if len(chat.drafts) == MOST_DRAFTS:
            chat.drafts.clear()
        chat.drafts[kind] = draft
    return draft


def _placed(draft: Draft, messages: Sequence[Message], text: str) -> dict[int, Span] | None:
    """Each turn's place in the text with its end token; None where the turns put back do not give the text."""
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
    prompts = asking, answered.partition(MARK)[0]
    start = max((len(prompt) for prompt in prompts if text.startswith(prompt)), default=-1)
    whole, _ = chat.written(messages[: i + 1], tools)
    if start < 0 or not whole.startswith(text[:start]):
        raise Unusable("mask not certain", f"no prompt of the chat template leads to turn {i + 1}")
    answer = whole[start:].rstrip()
    if not text.startswith(answer, start):
        answer = THOUGHT.sub("", answer, count=1)
        if not answer or not text.startswith(answer, start):
            raise Unusable("mask not certain", f"turn {i + 1} ends in a way that cannot be found")
    return start, start + len(answer)
