"""A comparison's conversation: what each column was asked and said; as Markdown and as rows to train on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Message = dict[str, Any]
Facts = Mapping[str, Any]

_FENCE = re.compile(r"`{3,}")


@dataclass(frozen=True)
class Exchange:
    """A question that went to all columns, and each one's answer: ANSWER of the chat worker by column.

    own: where each column was asked its own, as in a chain of sub-tasks; fresh: nothing before it is read.
    """

    question: tuple[Message, ...]
    reference: str = ""
    answers: Mapping[str, Facts] = field(default_factory=dict)
    own: Mapping[str, tuple[Message, ...]] = field(default_factory=dict)
    fresh: bool = False

    def put_to(self, column: str) -> tuple[Message, ...]:
        """What this column was asked."""
        return self.own.get(column, self.question)

    @property
    def asked(self) -> str:
        """What the user said last in it."""
        said = [turn["content"] for turn in self.question if turn["role"] == "user"]
        return str(said[-1]) if said else ""


@dataclass(frozen=True)
class Conversation:
    """Questions in their order. system: goes before all else, in the place of a row's own."""

    system: str = ""
    exchanges: tuple[Exchange, ...] = ()

    @property
    def last(self) -> Exchange | None:
        return self.exchanges[-1] if self.exchanges else None

    def asking(self, exchange: Exchange) -> Conversation:
        """With one question more."""
        return replace(self, exchanges=(*self.exchanges, exchange))

    def answered(self, answers: Mapping[str, Facts], number: int = -1) -> Conversation:
        """With answers to a question, the last one by default, beside those that it has."""
        changed = list(self.exchanges)
        changed[number] = replace(changed[number], answers={**changed[number].answers, **answers})
        return replace(self, exchanges=tuple(changed))

    def up_to(self, number: int) -> Conversation:
        """That question and those before it."""
        return replace(self, exchanges=self.exchanges[: number + 1])

    def without_last(self) -> Conversation:
        return replace(self, exchanges=self.exchanges[:-1])

    def without(self, column: str) -> Conversation:
        """Without what a column said."""
        return replace(
            self,
            exchanges=tuple(
                replace(one, answers={name: said for name, said in one.answers.items() if name != column})
                for one in self.exchanges
            ),
        )


def messages(talk: Conversation, column: str, examples: Sequence[Message] = ()) -> list[Message]:
    """What a column reads: the system prompt, examples, its own history, the last question.

    A question that it was not there to answer is left out of its history.
    """
    turns: list[Message] = []
    for number, exchange in enumerate(talk.exchanges, 1):
        answer = exchange.answers.get(column)
        if exchange.fresh:
            turns = []
        if answer is not None:
            turns += [*exchange.put_to(column), {"role": "assistant", "content": answer["text"]}]
        elif number == len(talk.exchanges):
            turns += exchange.put_to(column)
    if talk.system:
        turns = [turn for turn in turns if turn["role"] != "system"]
        return [{"role": "system", "content": talk.system}, *examples, *turns]
    lead = 1 if turns and turns[0]["role"] == "system" else 0
    return [*turns[:lead], *examples, *turns[lead:]]


def row(talk: Conversation, column: str, answer: str | None = None) -> Message | None:
    """The conversation of a column as a row to train on, its last answer as it is or corrected.

    None where it has answered nothing.
    """
    last = talk.last
    if last is None or column not in last.answers:
        return None
    if answer is not None:
        talk = talk.answered({column: {**last.answers[column], "text": answer}})
    return {"messages": messages(talk, column)}


def markdown(title: str, facts: Sequence[str], talk: Conversation, columns: Sequence[str]) -> str:
    """The whole conversation; what was said stands in fenced blocks, exactly as it is.

    facts: lines about the model and the settings.
    """
    lines = [f"# {_line(title)}", "", *(f"- {_line(fact)}" for fact in facts)]
    if talk.system:
        lines += ["", "## System prompt", "", *_fenced(talk.system)]
    for number, exchange in enumerate(talk.exchanges, 1):
        lines += ["", f"## Question {number}"]
        lines += _turns(exchange.question)
        for column in columns:
            if (said := exchange.answers.get(column)) is not None:
                lines += [
                    "",
                    f"### {_line(column)}",
                    *(_turns(exchange.own[column]) if column in exchange.own else []),
                    "",
                    *_fenced(said["text"]),
                    "",
                    " · ".join(figures(said)),
                ]
        if exchange.reference:
            lines += ["", "### Reference", "", *_fenced(exchange.reference)]
    return "\n".join(lines) + "\n"


def figures(said: Facts) -> list[str]:
    """How an answer came, in words: its tokens first, how it ended last."""
    words = [f"{said['tokens']:,} token{'' if said['tokens'] == 1 else 's'}"]
    if said.get("tokens_per_second"):
        words.append(f"{said['tokens_per_second']:,.0f} tokens/s")
    if said.get("first_seconds") is not None and said["tokens"]:
        words.append(f"first after {said['first_seconds']:.2f} s")
    if said.get("reference") is not None:
        words.append(f"reference {said['reference']:.2f} a token")
    if said.get("cancelled"):
        return [*words, "cancelled"]
    return [*words, "ended by itself" if said["ended"] else "cut off at the limit"]


def cut(said: Facts) -> str:
    """What of the conversation the model did not see, as a sentence; empty where it saw all."""
    gone = said.get("cut") or {"turns": 0, "tokens": 0}
    if not gone["turns"]:
        return ""
    turns = "the oldest turn" if gone["turns"] == 1 else f"the oldest {gone['turns']:,} turns"
    is_ = "is" if gone["turns"] == 1 else "are"
    return f"{turns}, {gone['tokens']:,} tokens, {is_} left out: the context is full"


def _turns(turns: Sequence[Message]) -> list[str]:
    lines = []
    for turn in turns:
        role = "" if turn["role"] == "user" else f"{_line(str(turn['role']))}:"
        lines += ["", *([role, ""] if role else []), *_fenced(str(turn["content"]))]
    return lines


def _fenced(text: str) -> list[str]:
    """In a fence that is longer than any in the text."""
    fence = "`" * max(3, *(len(found) + 1 for found in _FENCE.findall(text)), 3)
    return [fence + "text", text, fence]


def _line(text: str) -> str:
    return " ".join(text.split())
