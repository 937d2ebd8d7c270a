"""[sweep] of a recipe: what is tried, how it is drawn, and by what the best is known."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from engine.table import Count, Table

Method = Literal["grid", "random", "tpe"]
Objective = Literal[
    "validation loss", "right", "exact", "normalised", "valid", "ended", "ROUGE-1", "ROUGE-2", "ROUGE-L",
    "BLEU", "chrF", "choice said: accuracy", "choice said: macro-F1",
]  # fmt: skip


class Over(Table):
    """What one key of a recipe is tried with. A list is short for `values`."""

    # What it is tried with: numbers, texts, or true and false.
    values: tuple[Any, ...] = ()
    # The key whose value each of `values` is multiplied with: alpha as once and twice the rank.
    factor_of: str | None = None
    # The least number of a range; whole numbers are drawn where both ends are whole.
    low: int | float | None = None
    # The greatest number of a range.
    high: int | float | None = None
    # Draw as often between 1e-5 and 1e-4 as between 1e-4 and 1e-3.
    log: bool = False
    # How many numbers a grid takes of a range, both ends among them.
    points: Annotated[int, Field(ge=2, le=100)] = 3

    @model_validator(mode="before")
    @classmethod
    def _list_is_values(cls, given: Any) -> Any:
        return {"values": given} if isinstance(given, list | tuple) else given

    @field_validator("values")
    @classmethod
    def _values_can_be_tried(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        for value in values:
            if type(value) not in (bool, int, float, str):
                raise ValueError(f"{value!r:.60} cannot be tried; give numbers, texts, true or false")
        if len({(type(value), value) for value in values}) < len(values):
            raise ValueError("a value stands there twice; name each once")
        return values

    @field_validator("low", "high", mode="before")
    @classmethod
    def _ends_are_numbers(cls, end: Any) -> Any:
        if end is not None and (type(end) not in (int, float) or not math.isfinite(end)):
            raise ValueError(f"{end!r:.60} is no end of a range; give a number")
        return end

    @model_validator(mode="after")
    def _values_or_range(self) -> Over:
        if bool(self.values) == (self.low is not None or self.high is not None):
            raise ValueError("give a list of values, or low and high of a range; one of the two")
        if self.values:
            if self.factor_of and not all(type(one) in (int, float) and one > 0 for one in self.values):
                raise ValueError("factors are numbers above 0; give [1, 2], say")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("a range has a low and a high above it; give both")
        if self.factor_of:
            raise ValueError("factors are a list; give values = [1, 2], say")
        if self.log and self.low <= 0:
            raise ValueError("log needs a low above 0; raise it, or leave log out")
        return self


class Sweep(Table):
    """What `ift-tui sweep` tries, and by what it knows the best. `ift-tui train` passes it over."""

    # What is tried, each key by its whole name: a list of values, or a table with the keys below.
    over: dict[str, Over] = Field(min_length=1)
    # Every combination, drawn by chance, or drawn near what was good so far (TPE, by Optuna).
    method: Method = "tpe"
    # The lowest validation loss is best, or the highest of these figures in the evaluation at a run's end.
    objective: Objective = "validation loss"
    # How many runs it makes at most, all seeds counted.
    runs: Count | None = None
    # After so many hours of training nothing new is begun.
    hours: Annotated[float, Field(gt=0)] | None = None
    # How many runs each setting gets, from train.seed on; their mean is what counts.
    seeds: Annotated[int, Field(ge=1, le=20)] = 1
    # Stop a run whose best validation loss lies above the median of the others at the same part of their way.
    prune: bool = True
    # Draws the settings.
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _ends(self) -> Sweep:
        if self.method != "grid" and self.runs is None and self.hours is None:
            raise ValueError(f"{self.method} goes on for ever; set runs or hours")
        if self.runs is not None and self.runs < self.seeds:
            raise ValueError(f"{self.runs} runs do not make one setting of {self.seeds} seeds; raise runs")
        if self.seeds > 1 and "train.seed" in self.over:
            raise ValueError("seeds repeats each setting with other seeds; leave train.seed out of over")
        return self
