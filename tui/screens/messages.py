"""What screens tell the app, in the past tense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from engine.runs import Run
    from engine.schema import Recipe, Source
    from engine.sweeps import Sweep


@dataclass
class RunBegun(Message):
    """A new run was asked for, from the recipe at a path or of a bundled name."""

    recipe: str


@dataclass
class RunOpened(Message):
    run: Run


@dataclass
class SweepOpened(Message):
    sweep: Sweep


@dataclass
class RecipeReady(Message):
    """A recipe that nothing is to be changed in should become a run."""

    recipe: Recipe


@dataclass
class ModelChosen(Message):
    id: str


@dataclass
class SourcesChosen(Message):
    """Other rows were chosen; the data screen stays."""

    sources: tuple[Source, ...]


@dataclass
class DataLeft(Message):
    """The rows were left for an earlier step: nothing need be counted any more."""


@dataclass
class DataChosen(Message):
    """The rows are as they should be: on to the recipe."""


@dataclass
class RecipeChanged(Message):
    recipe: Recipe


@dataclass
class StartAsked(Message):
    """The draft should become a run. sweep: it was said already that its sweep is meant."""

    sweep: bool = False


@dataclass
class ResumeAsked(Message):
    """A run that is over before its end should go on."""

    run: Run


@dataclass
class CompareAsked(Message):
    """vote: a blind vote is to begin as soon as the model is there; other: a run that is a column too."""

    run: Run
    vote: bool = False
    other: Run | None = None


@dataclass
class EvaluationAsked(Message):
    """other: a run that is to be measured beside it."""

    run: Run
    other: Run | None = None


@dataclass
class ResultsAsked(Message):
    run: Run


@dataclass
class ExportAsked(Message):
    run: Run
