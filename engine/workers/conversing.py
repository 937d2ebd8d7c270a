"""A comparison under way: named columns on one model in memory, and the proof that each is what it says."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from engine import decoding, ledger, render, runs, window
from engine.decoding import Settings
from engine.errors import UserError
from engine.formats import Conversation, Message, Unusable
from engine.runs import Run
from engine.window import Fitted
from engine.workers import adapters, decode, scoring
from engine.workers import pair as pairs
from engine.workers.decode import Answer, Question
from engine.workers.mixed import BASE
from engine.workers.pair import Pair, Worn

ALIKE_BEFORE_SAID = 3
"""Prompts in a row to which a column says what the base says, after which it is remarked."""

UNCUT = {**ledger.actions({}), "too long": "drop"}
"""How a reference is rendered: whole or not at all."""

Facts = dict[str, Any]


@dataclass
class Session:
    """Columns by name: which adapters each averages. `alike` counts answers in a row equal to the base's."""

    run: Run
    pair: Pair
    columns: dict[str, tuple[str, ...]]
    held: dict[str, int] = field(default_factory=dict)  # locks of the runs that are read, by their folders
    alike: Counter[str] = field(default_factory=Counter)

    def facts(self) -> Facts:
        """What `ready` tells."""
        first = self.pair.first.saved
        return {
            "model": self.run.recipe().model.id,
            "four_bit": self.pair.four_bit,
            "context": self.pair.context,
            "step": first.step,
            "digest": first.digest,
            "columns": [self.described(name) for name in self.columns],
        }

    def described(self, name: str) -> Facts:
        """A COLUMN of the protocol."""
        worn = [self.pair.worn[adapter] for adapter in self.columns[name] if adapter != BASE]
        one = worn[0].saved if len(worn) == 1 else None
        what = "all its weights are the base's" if one and one.whole else "all its B matrices are zero"
        zero = bool(worn) and all(adapter.zero for adapter in worn)
        return {
            "column": name,
            "on": bool(worn),
            "members": self._named(worn) if len(worn) > 1 else [],
            "run": one.run.name if one else None,
            "step": one.step if one else None,
            "digest": one.digest if one else None,
            "rank": one.config.get("r") if one else None,
            "whole": bool(one and one.whole),
            "zero": zero,
            "apart": _apart(worn),
            "warning": f"{what}: it answers exactly as the base does" if zero else "",
        }

    def load(self, column: str, name: str, step: int | None) -> Facts:
        """One more column for a run's adapter or a checkpoint's. Raises UserError."""
        self._check_new(column)
        run = runs.find(name)
        self._keep(run)
        self.columns[column] = (pairs.put_on(self.pair, run, step).name,)
        return self.described(column)

    def average(self, column: str, members: Sequence[str]) -> Facts:
        """One more column that averages others' logits. Raises UserError."""
        self._check_new(column)
        adapters = [self.columns[member] for member in members if member in self.columns]
        if len(adapters) < len(members) or any(len(own) > 1 or own == (BASE,) for own in adapters):
            raise UserError(
                f"members: {', '.join(map(str, members))}; name columns that have one adapter each"
            )
        own = tuple(dict.fromkeys(adapter for adapter, *_ in adapters))
        if len(own) < 2:
            raise UserError("members: an average needs two adapters or more")
        self.columns[column] = own
        return self.described(column)

    def shown(self, examples: int) -> str:
        """One more column for the base, to be asked with examples; its name. Raises UserError."""
        if examples < 1:
            raise UserError(f"{examples} examples: at least one; without any it is the column base")
        column = f"base-{examples}-shot"
        self._check_new(column)
        self.columns[column] = (BASE,)
        return column

    def unload(self, column: str) -> None:
        """Close a column; an adapter that no other one wears leaves memory. Raises UserError, RunFailed."""
        if column not in self.columns or column == "base":
            raise UserError(f"{column}: no column that can be closed; there is {', '.join(self.columns)}")
        left = {name: own for name, own in self.columns.items() if name != column}
        gone = [
            adapter for adapter in self.columns[column] if not any(adapter in own for own in left.values())
        ]
        for adapter in gone:
            pairs.take_off(self.pair, adapter)
        self.columns = left
        del self.alike[column]

    def ask(
        self, request: Mapping[str, Any], told: Callable[[str, str], None], cancelled: Callable[[], bool]
    ) -> Facts:
        """Answer one request; what `answered` tells. Raises UserError, RunFailed, Unusable."""
        messages: Mapping[str, Sequence[Message]] = request["messages"]
        if unknown := [name for name in messages if name not in self.columns]:
            raise UserError(f"{unknown[0]}: no such column; there is {', '.join(self.columns)}")
        if not messages:
            raise UserError("messages: name at least one column")
        settings = decoding.settings(request.get("settings", {}))
        began = time.perf_counter()
        names = list(messages)
        prompts = [self._fitted(name, messages[name], settings) for name in names]
        questions = [
            Question(prompt.ids, self.columns[name]) for name, prompt in zip(names, prompts, strict=True)
        ]
        answers = decode.answers(
            self.pair, questions, settings, lambda i, text: told(names[i], text), cancelled
        )
        reference = request.get("reference")
        liked = self._reference(names, messages, reference) if reference and not cancelled() else {}
        columns = {
            name: {
                **_figures(answer),
                "prompt_tokens": len(prompt.ids),
                "cut": {"turns": prompt.turns, "tokens": prompt.tokens},
                "on": self.columns[name] != (BASE,),
                "digest": self.described(name)["digest"],
                "reference": liked.get(name),
            }
            for name, prompt, answer in zip(names, prompts, answers, strict=True)
        }
        warnings = self._warnings(
            dict(zip(names, prompts, strict=True)), dict(zip(names, answers, strict=True))
        )
        return {"seconds": round(time.perf_counter() - began, 3), "warnings": warnings, "columns": columns}

    def _fitted(self, name: str, messages: Sequence[Message], settings: Settings) -> Fitted:
        try:
            return window.fitted(self.pair.chat, messages, self.pair.context, settings.max_new_tokens)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None

    def _reference(
        self, names: Sequence[str], messages: Mapping[str, Sequence[Message]], reference: str
    ) -> dict[str, float]:
        """Each column's mean log-probability of a token of the reference."""
        texts, of = [], []
        for name in names:
            answer = Message(role="assistant", content=reference)
            try:
                whole = render.render(
                    self.pair.chat, Conversation([*messages[name], answer]), self.pair.context, UNCUT
                )[0]
            except Unusable:
                continue  # too long for the context: no figure is better than one of a part
            texts.append(scoring.Text(whole.ids, whole.labels, self.columns[name]))
            of.append(name)
        found = scoring.scores(self.pair, texts) if texts else []
        return {name: round(score.mean, 5) for name, score in zip(of, found, strict=True)}

    def _warnings(self, prompts: Mapping[str, Fitted], answers: Mapping[str, Answer]) -> list[str]:
        """What speaks against a column's being what it says, a sentence each."""
        said = []
        base = answers.get("base")
        for name, answer in answers.items():
            if name == "base":
                continue
            if facts := self.described(name)["warning"]:
                said.append(f"{name}: {facts}")
            if base is None or prompts[name].ids != prompts["base"].ids:
                continue
            if _equal(base.first_logits, answer.first_logits) and not self.described(name)["zero"]:
                said.append(
                    f"{name}: its first token's logits equal the base's; the adapter changed nothing here"
                )
            same = base.ids == answer.ids and bool(base.ids or base.ended)
            self.alike[name] = self.alike[name] + 1 if same else 0
            if self.alike[name] >= ALIKE_BEFORE_SAID:
                said.append(f"{name}: the last {self.alike[name]} answers are the base's word for word")
        return said

    def _named(self, worn: Sequence[Worn]) -> list[str]:
        names = {own: name for name, own in self.columns.items() if len(own) == 1}
        return [names.get((one.name,), one.saved.run.name) for one in worn]

    def _keep(self, run: Run) -> None:
        """Have nobody remove the run while this process lives: its column may come back."""
        if str(run.path) not in self.held:
            self.held[str(run.path)] = runs.read_on(run)

    def _check_new(self, column: str) -> None:
        if not column.strip() or column in self.columns:
            raise UserError(f"{column!r}: a column of that name is there already; give another")


def needs(run: Run, step: int | None = None) -> Facts:
    """What a run that trained all weights needs: {"bytes": of two models}; {} of an adapter."""
    own = adapters.own_bytes(adapters.place(run, step))
    return {"bytes": 2 * own} if own else {}


def opened(run: Run, step: int | None = None) -> Session:
    """Base and tuned of a run, or of one of its checkpoints. Raises UserError."""
    held = runs.read_on(run)
    pair = pairs.load(run, step)
    return Session(run, pair, {"base": (BASE,), "tuned": (pair.first.name,)}, {str(run.path): held})


def _apart(worn: Sequence[Worn]) -> str:
    why = next((adapter.apart for adapter in worn if adapter.apart), "")
    return why and f"{why} cannot share the base's pass: it answers in one of its own at each token"


def _figures(answer: Answer) -> Facts:
    tokens = len(answer.ids) + answer.ended  # its end is a token that was computed as well
    spoken = answer.seconds - answer.first_after
    return {
        "text": answer.text,
        "tokens": len(answer.ids),
        "ended": answer.ended,
        "first_seconds": round(answer.first_after, 4),
        "seconds": round(answer.seconds, 4),
        "tokens_per_second": round((tokens - 1) / spoken, 2) if tokens > 1 and spoken > 0 else None,
    }


def _equal(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is not None and other is not None and torch.equal(one, other)
