"""How all columns are asked: settings of the answers, a system prompt, examples for the base."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass, field
from typing import Any

from engine import decoding
from engine.decoding import Settings
from engine.errors import UserError
from engine.transcripts import Message
from tui.feed import RowsFeed
from tui.screens.form import Field, Fields, FormScreen
from tui.screens.step import StepScreen
from tui.widgets.knob import written

MOST_EXAMPLES = 8
ROWS_LOOKED_AT = 64
"""For examples of one set, at most so many rows are drawn."""

SAYS = {
    "max_new_tokens": "longest answer",
    "temperature": "0: greedy, nothing is drawn",
    "top_p": "likeliest tokens up to this share",
    "top_k": "at most so many tokens; 0: all",
    "repetition_penalty": "1: none",
    "seed": "the same draws in all columns",
    "examples": f"training rows before the base's question, 0 to {MOST_EXAMPLES}",
    "system": "for all columns; empty: the row's own",
}


@dataclass(frozen=True)
class Manner:
    """The same for all columns, but for the examples, which the base alone gets."""

    settings: Settings = field(default_factory=Settings)
    system: str = ""
    examples: int = 0

    @property
    def said(self) -> str:
        """The settings in words, those that are not as usual."""
        if not self.settings.temperature:
            words = ["greedy"]
        else:
            words = [f"temperature {self.settings.temperature:g}", f"seed {self.settings.seed}"]
        if self.settings.repetition_penalty != 1:
            words.append(f"penalty {self.settings.repetition_penalty:g}")
        if self.system:
            words.append("system prompt")
        if self.examples:
            words.append(f"{self.examples} examples for the base")
        return " · ".join(words)


def read(fields: Fields) -> Manner:
    """What was typed. Raises UserError, naming the key."""
    numbers: dict[str, Any] = {}
    for key in dataclasses.fields(Settings):
        typed = fields[key.name]
        try:
            numbers[key.name] = type(key.default)(typed)  # type: ignore[misc]
        except ValueError:
            raise UserError(f"{key.name}: {typed!r} is not a {kind(key.default)}") from None
    typed = fields["examples"]
    if not typed.isdecimal() or int(typed) > MOST_EXAMPLES:
        raise UserError(f"examples: must be a whole number from 0 to {MOST_EXAMPLES} (found {typed!r})")
    return Manner(decoding.settings(numbers), fields["system"], int(typed))


def kind(value: object) -> str:
    return "whole number" if isinstance(value, int) else "number"


async def examples(rows: RowsFeed, count: int, of_set: int | None, seed: int = 0) -> list[Message]:
    """Turns of that many training rows, the same ones each time, of one set where it is named.

    Raises RunFailed.
    """
    if not count:
        return []
    first = await rows.row("train", 0)
    total = first["count"] or 0
    draws = random.Random(seed)
    turns: list[Message] = []
    found = 0
    for index in draws.sample(range(total), min(total, ROWS_LOOKED_AT)):
        row = await rows.row("train", index)
        if row["messages"] and (of_set is None or row["set"] == of_set):
            turns += [turn for turn in row["messages"] if turn["role"] != "system"]
            found += 1
        if found == count:
            break
    return turns


async def asked(screen: StepScreen, manner: Manner) -> Manner | None:
    """Let a person change it; None where it was left as it was."""
    values = {**dataclasses.asdict(manner.settings), "examples": manner.examples}
    fields = [
        Field(key, manner.system if key == "system" else written(values[key]), says, key == "system")
        for key, says in SAYS.items()
    ]
    typed = await screen.app.push_screen_wait(FormScreen("How all columns are asked", fields, _wrong))
    return read(typed) if typed is not None else None


def _wrong(fields: Fields) -> str:
    try:
        read(fields)
    except UserError as error:
        return str(error)
    return ""
