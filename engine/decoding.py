"""How an answer is drawn from what a model says: the settings of a comparison, the same for every column."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import UserError

HIGHEST_TEMPERATURE = 10.0
HIGHEST_PENALTY = 10.0


@dataclass(frozen=True)
class Settings:
    """Greedy at temperature 0. Raises UserError for values that make no sense, naming the key.

    top_p keeps the likeliest tokens that together reach this probability, top_k at most that many (0: all).
    repetition_penalty is that of CTRL (arXiv 1909.05858): 1 changes nothing. seed draws one number for each
    position of the answers, and every column takes the same one.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens: must be 1 or more (found {self.max_new_tokens})")
        if not 0 <= self.temperature <= HIGHEST_TEMPERATURE:
            raise UserError(
                f"temperature: must be from 0 to {HIGHEST_TEMPERATURE:g} (found {self.temperature})"
            )
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p: must be above 0 and at most 1 (found {self.top_p})")
        if self.top_k < 0:
            raise UserError(f"top_k: must be 0 (all tokens) or more (found {self.top_k})")
        if not 0 < self.repetition_penalty <= HIGHEST_PENALTY:
            raise UserError(
                f"repetition_penalty: must be above 0 and at most {HIGHEST_PENALTY:g}, 1 changes nothing"
                f" (found {self.repetition_penalty})"
            )
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed: must be a whole number from 0 (found {self.seed})")


def settings(asked: Mapping[str, Any]) -> Settings:
    """The settings that a request or a command names; the rest stay as they are. Raises UserError."""
    types = {field.name: type(field.default) for field in dataclasses.fields(Settings)}
    for key, value in asked.items():
        if key not in types:
            raise UserError(f"{key}: no such setting; there is {', '.join(types)}")
        number = int | float if types[key] is float else int
        if isinstance(value, bool) or not isinstance(value, number):
            raise UserError(
                f"{key}: must be a {'' if types[key] is float else 'whole '}number (found {value!r})"
            )
    return Settings(**asked)
