"""Many rows at once: the tokenizer's threads work on some while Python writes the next ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from engine.formats import Conversation, Example, Unusable
from engine.ledger import Action
from engine.render.chat import ChatFormat
from engine.render.documents import render_text
from engine.render.rendered import Rendered
from engine.render.talk import Written, conversation, finished, written

if TYPE_CHECKING:
    from tokenizers import Encoding

AT_ONCE = 512
"""Rows a batch: fewer make the threads wait for Python, more cost memory (40 kB a row of 350 tokens)."""

AHEAD = 1

Made = list[Rendered] | Unusable


class Waiting(NamedTuple):
    """Rows whose texts are with the tokenizer."""

    rows: Sequence[Sequence[Example]]
    said: Sequence[Written | Unusable | None]  # of every example; None: not a conversation
    encodings: Future[list[Encoding] | None]


def render(
    chat: ChatFormat, example: Example, max_length: int, actions: Mapping[str, Action]
) -> list[Rendered]:
    """What the model gets of one example: one piece, or several of a long text. max_length is in tokens.

    Raises Unusable with the reason; "stop" is treated as "drop" here.
    """
    if isinstance(example, Conversation):
        return [conversation(chat, example, max_length, actions)]
    return render_text(chat, example, max_length, actions)


def stream(
    chat: ChatFormat, rows: Iterable[Sequence[Example]], max_length: int, actions: Mapping[str, Action]
) -> Iterator[list[Made]]:
    """For each row, and each example in it, what `render` gives or the Unusable that it raises.

    Some rows are read ahead.
    """
    source = iter(rows)
    waiting: deque[Waiting] = deque()
    with ThreadPoolExecutor(1, "tokenizer") as tokenizer:
        while True:
            if taken := list(islice(source, AT_ONCE)):
                said = [_written(chat, example, actions) for row in taken for example in row]
                texts = [one.text for one in said if isinstance(one, Written) and not one.masked]
                waiting.append(Waiting(taken, said, tokenizer.submit(_encoded, chat, texts)))
            if not waiting:
                return
            if len(waiting) > AHEAD or not taken:
                yield from _made(chat, waiting.popleft(), max_length, actions)


def _written(chat: ChatFormat, example: Example, actions: Mapping[str, Action]) -> Written | Unusable | None:
    if not isinstance(example, Conversation):
        return None
    try:
        return written(chat, example, actions)
    except Unusable as error:
        return error


def _encoded(chat: ChatFormat, texts: list[str]) -> list[Encoding] | None:
    try:
        return chat.tokenizer.encode_batch(texts, add_special_tokens=False)
    except (TypeError, UnicodeEncodeError):
        return None  # one of the texts is no Unicode: they are encoded one by one


def _made(
    chat: ChatFormat, waiting: Waiting, max_length: int, actions: Mapping[str, Action]
) -> Iterator[list[Made]]:
    encodings = waiting.encodings.result()
    ready, said = iter(encodings or ()), iter(waiting.said)

    def made(example: Example) -> Made:
        one = next(said)
        if isinstance(one, Unusable):
            return one
        try:
            if one is None or (encodings is None and not one.masked):
                return render(chat, example, max_length, actions)
            return [finished(chat, one, None if one.masked else next(ready), max_length, actions)]
        except Unusable as error:
            return error

    for row in waiting.rows:
        yield [made(example) for example in row]
