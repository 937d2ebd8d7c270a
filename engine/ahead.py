"""Answers that were made for a blind vote before anybody was asked: kept in a run's ahead.jsonl, so that a
session that was left begins at once when it is taken up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine import jsonl, votes
from engine.runs import Run

FILE = "ahead.jsonl"


@dataclass(frozen=True)
class Ahead:
    """Those of these columns with these settings. digests: of the columns' weights, null for the base alone.

    Other weights or settings say other things: their answers stand in the same file and are passed over.
    """

    run: Run
    digests: Mapping[str, str | None]
    settings: Mapping[str, Any]

    def keep(self, question: Sequence[Mapping[str, Any]], answers: Mapping[str, str]) -> None:
        """Add one. Raises UserError where it cannot be written."""
        jsonl.append(
            self.run.path / FILE, {**self._made_with, "key": votes.key(question), "answers": answers}
        )

    def kept(self) -> dict[str, dict[str, str]]:
        """Answers by column, by the keys of their questions."""
        found = {}
        for line in jsonl.read(self.run.path / FILE):
            answers = line.get("answers")
            if not isinstance(answers, dict) or any(line.get(k) != v for k, v in self._made_with.items()):
                continue
            if answers.keys() == self.digests.keys() and all(isinstance(x, str) for x in answers.values()):
                found[str(line.get("key"))] = answers
        return found

    @property
    def _made_with(self) -> dict[str, Any]:
        return {"digests": dict(self.digests), "settings": dict(self.settings)}
