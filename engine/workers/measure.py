"""What columns make of held-out rows: the loss on them, their own answers, the choice they hold likeliest.

All columns read a row in the same pass, rows of like length together. Each function gives, for each column, a
result a row in the rows' order; a row that was not reached when it was cancelled has None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from engine import ledger, render
from engine.decoding import Settings
from engine.formats import Conversation, Message, Unusable
from engine.workers import decode, scoring
from engine.workers.decode import Question
from engine.workers.pair import Pair
from engine.workers.scoring import Score, Text

ROWS_AT_ONCE = 16
"""Rows of a pass, for each column: more make a pass no faster a row on a CPU, and cost memory on a GPU."""

UNCUT = {**ledger.actions({}), "too long": "drop"}
"""How an answer is put into its place to be read: whole or not at all."""

Columns = Mapping[str, tuple[str, ...]]
Progress = Callable[[int, int], None]
Found = TypeVar("Found")


def losses(
    pair: Pair,
    columns: Columns,
    texts: Sequence[tuple[Sequence[int], Sequence[int]]],
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, list[Score | None]]:
    """How likely each text is, of which ids and labels are given."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i][0]))
    asked = [(name, i) for i in order for name in columns]
    found = scoring.scores(
        pair,
        [Text(*texts[i], columns[name]) for name, i in asked],
        ROWS_AT_ONCE * len(columns),
        lambda done: progress(done // len(columns), len(texts)),
        cancelled,
    )
    return _placed(columns, len(texts), zip(asked, found, strict=False))


def answers(
    pair: Pair,
    columns: Columns,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, list[decode.Answer | None]]:
    """Each column's greedy answer to each prompt. Raises RunFailed for one that fills the context."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: list[tuple[tuple[str, int], decode.Answer]] = []
    for start in range(0, len(order), ROWS_AT_ONCE):
        progress(start, len(order))
        asked = [(name, i) for name in columns for i in order[start : start + ROWS_AT_ONCE]]
        said = decode.answers(
            pair,
            [Question(prompts[i], columns[name]) for name, i in asked],
            Settings(max_new_tokens),
            cancelled=cancelled,
        )
        if cancelled():
            break  # a batch that was cut short says nothing of its rows
        for answer in said:
            answer.first_logits = None  # of a large vocabulary they would fill the memory
        found.extend(zip(asked, said, strict=True))
    return _placed(columns, len(prompts), found)


def likeliest(
    pair: Pair,
    columns: Columns,
    questions: Sequence[Sequence[Message]],
    choices: Sequence[str],
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, list[tuple[str, str] | None]]:
    """The choice that is the likeliest answer as a whole, and the likeliest by its mean token; each with its
    end token. None as well for a question that one of the choices cannot be the answer to.
    """
    texts: list[tuple[Sequence[int], Sequence[int]]] = []
    of: list[int] = []
    for i, question in enumerate(questions):
        try:
            made = [_answered(pair, question, choice) for choice in choices]
        except Unusable:
            continue
        texts.extend(made)
        of.append(i)
    found = losses(
        pair, columns, texts, lambda done, total: progress(done // len(choices), len(of)), cancelled
    )
    said: dict[str, list[tuple[str, str] | None]] = {}
    for name, scores in found.items():
        said[name] = [None] * len(questions)
        for place, i in enumerate(of):
            own = scores[place * len(choices) : (place + 1) * len(choices)]
            known = [score for score in own if score is not None]
            if len(known) == len(choices):
                whole = max(range(len(choices)), key=lambda k: known[k].total)
                mean = max(range(len(choices)), key=lambda k: known[k].mean)
                said[name][i] = choices[whole], choices[mean]
    return said


def _answered(pair: Pair, question: Sequence[Message], answer: str) -> tuple[list[int], list[int]]:
    said = Message(role="assistant", content=answer)
    made = render.render(pair.chat, Conversation([*question, said]), pair.context, UNCUT)[0]
    return made.ids, made.labels


def _placed(columns: Columns, rows: int, found: Any) -> dict[str, list[Found | None]]:
    by_column: dict[str, list[Found | None]] = {name: [None] * rows for name in columns}
    for (name, i), one in found:
        by_column[name][i] = one
    return by_column
