"""Many rows at once give what one row after the other gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine import render
from engine.formats import Conversation, Example, Message, Text, Tokens, Unusable
from engine.render import ChatFormat, Made
from tests.render_stage import SHAPES, TOKENIZERS
from tests.test_render import ACTIONS


def rows(number: int) -> list[Example]:
    chance = random.Random(3)
    words = ["green", "blue", "龍", "🙂", "<|im_end|>", "45", "\n", "so", "</think>", "<s>", " "]

    def said() -> str:
        return " ".join(chance.choices(words, k=chance.randint(1, 40)))

    made: list[Example] = [
        *SHAPES.values(),
        Text("Green.\n" * 300),
        Tokens([1, 2, 3], [-100, 2, 3]),
        Tokens([1], [7]),
    ]
    for _ in range(number):
        turns: list[Message] = []
        for _ in range(chance.choice([1, 1, 1, 2])):
            turns += [{"role": "user", "content": said()}, {"role": "assistant", "content": said()}]
        made.append(Conversation(turns))
    made.insert(
        5, Conversation([{"role": "user", "content": "\ud800"}, {"role": "assistant", "content": "So."}])
    )
    return made


def batch(chat: ChatFormat, examples: list[Example]) -> list[Made]:
    """Two examples a row, and some rows with none."""
    grouped = [examples[i : i + 2] for i in range(0, len(examples), 2)]
    rows = [row for pair in grouped for row in ([], pair)]
    return [made for row in render.stream(chat, rows, 512, ACTIONS) for made in row]


@pytest.mark.parametrize("name", list(TOKENIZERS))
def test_a_batch_is_its_rows(name: str) -> None:
    chat = render.load(TOKENIZERS[name])
    examples = rows(600)
    refused = 0
    for example, made in zip(examples, batch(chat, examples), strict=True):
        if isinstance(made, Unusable):
            refused += 1
            with pytest.raises(Unusable) as alone:
                render.render(chat, example, 512, ACTIONS)
            assert (alone.value.reason, alone.value.detail) == (made.reason, made.detail)
        else:
            assert made == render.render(chat, example, 512, ACTIONS)
    assert 0 < refused < len(examples) / 2


def test_the_digest_is_that_of_the_rows() -> None:
    chat = render.load(TOKENIZERS["tiny"])
    made = [one for one in batch(chat, rows(50)) if not isinstance(one, Unusable)]
    alone = []
    for example in rows(50):
        try:
            alone += render.render(chat, example, 512, ACTIONS)
        except Unusable:
            continue
    flat = [piece for one in made for piece in one]
    assert render.digest((r.ids, r.labels) for r in flat) == render.digest((r.ids, r.labels) for r in alone)


def test_a_stream_reads_only_some_rows_ahead() -> None:
    chat = render.load(TOKENIZERS["tiny"])
    taken = 0

    def source() -> Iterator[list[Example]]:
        nonlocal taken
        while True:
            taken += 1
            yield [SHAPES["one turn"]]

    made = render.stream(chat, source(), 128, ACTIONS)
    next(made)
    made.close()  # type: ignore[attr-defined]
    assert taken <= 2048


def test_masking_can_be_changed_without_loading_again() -> None:
    chat = render.load(TOKENIZERS["tiny"])
    whole = replace(chat, train_on="everything")
    (made,) = render.render(whole, SHAPES["one turn"], 128, ACTIONS)
    assert made.spans == [(0, len(made.text))] and made.labels == made.ids
