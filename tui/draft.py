"""The choices made so far on the way to a run: frozen, replaced whole; no widget in here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import recipe, sources
from engine.schema import Recipe, Source

LISTED = (
    "too long", "answer cut", "nothing to train on", "missing end token", "doubled BOS", "lost text",
    "duplicate", "leaked",
)  # fmt: skip
"""What spoils training without a word: listed even where no row has it, for that is worth knowing."""


UNNAMED = "new"
"""The name of a run that was given none (recipes/new)."""


@dataclass(frozen=True)
class Finding:
    """How many rows something was found in."""

    reason: str
    rows: int
    spoils: bool = False
    """Whether training on the rows as they stand would teach what nobody wants."""


@dataclass(frozen=True)
class Draft:
    """A recipe in the making, with what the data worker has said about its rows."""

    recipe: Recipe
    reached: int = 2
    """The furthest step that was opened."""
    opened: dict[str, Any] | None = None
    survey: dict[str, Any] | None = None
    """How many rows each part has, and the ledger as far as reading them goes."""
    phase: str = ""
    done: int = 0
    total: int = 0
    facts: dict[str, Any] | None = None
    """What rendering has counted so far."""
    scan: dict[str, Any] | None = None
    problem: str = ""
    """Why the rows cannot be read; empty where they can."""

    def at(self, step: int) -> Draft:
        return replace(self, reached=max(step, self.reached))

    def with_recipe(self, plan: Recipe) -> Draft:
        """Other choices. What was read of the rows stays only where they are rendered alike."""
        if rows_key(plan) == rows_key(self.recipe):
            return replace(self, recipe=plan)
        return Draft(plan, self.reached)

    def with_model(self, model_id: str) -> Draft:
        """Another model; a run that nobody has named is called after it."""
        plan, id = self.recipe, anchored(model_id)
        named = plan.name not in (UNNAMED, called_after(plan.model.id))
        plan = plan.model_copy(update={"name": plan.name if named else called_after(id)})
        return self.with_recipe(recipe.changed(plan, model={"id": id}))

    def with_sources(self, sources: tuple[Source, ...]) -> Draft:
        data = self.recipe.data.model_copy(update={"sources": sources})
        return self.with_recipe(self.recipe.model_copy(update={"data": data}))

    def with_source(self, number: int, source: Source) -> Draft:
        """One source read in another way, the others as they are."""
        sources = self.recipe.data.sources
        return self.with_sources((*sources[:number], source, *sources[number + 1 :]))

    @property
    def ledger(self) -> list[dict[str, Any]] | None:
        """The totals of the ledger: of all rows once they are rendered, before that of reading them."""
        known = self.scan or self.survey
        return known["ledger"] if known else None

    @property
    def totals(self) -> dict[str, Any] | None:
        """Rows, tokens, trained tokens and the longest row: of all rows, or as far as they are rendered."""
        return self.scan or self.facts

    @property
    def findings(self) -> list[Finding]:
        """What was found in the rows so far."""
        if self.scan is None and self.facts is not None:
            return findings(self.facts["findings"])
        return in_ledger(self.ledger or [])

    @property
    def untrainable(self) -> str:
        """Why no row would be trained, in a sentence; "" where one would, or that is not known yet."""
        if self.scan is None or self.scan["rows"]:
            return ""
        left_out: dict[str, int] = self.scan["left_out"]
        commonest = max(left_out, key=lambda reason: left_out[reason], default="")
        rows = (
            f"{sum(left_out.values()):,} rows left out, {left_out[commonest]:,} for: {commonest}"
            if commonest
            else ""
        )
        return f"No row to train on{'; ' + rows if rows else ''}. i on the data screen shows them."

    @property
    def shapeless(self) -> list[int]:
        """Numbers of the sources that cannot be read before columns or a template are chosen."""
        found = self.opened["sources"] if self.opened else []
        return [number for number, source in enumerate(found) if not source["format"]]

    @property
    def questions(self) -> list[int]:
        """Numbers of the sources whose reading has to be agreed to."""
        found = self.opened["sources"] if self.opened else []
        return [number for number, source in enumerate(found) if source["format"] and source["question"]]

    @property
    def planned(self) -> Recipe:
        """The recipe as it is started: with the digest of the rows that were shown, if it is known."""
        digest = self.scan["digest"] if self.scan else None
        data = self.recipe.data.model_copy(update={"digest": digest})
        return self.recipe.model_copy(update={"data": data})

    @property
    def steps_done(self) -> frozenset[int]:
        return frozenset(range(2, self.reached)) - self.steps_wanting

    @property
    def missing(self) -> str:
        """What the step that wants something wants, in a few words; "" where none does."""
        if self.problem:
            return "the rows cannot be read"
        if self.shapeless:
            return "choose columns or a template"
        return "agree to how a set is read" if self.questions else ""

    @property
    def steps_wanting(self) -> frozenset[int]:
        return frozenset({3}) if self.missing else frozenset()


def findings(counts: Mapping[str, int], spoiling: Collection[str] = ()) -> list[Finding]:
    """Reasons with their rows: those that are always listed first, then all that have rows."""
    reasons = [*LISTED, *(reason for reason, rows in counts.items() if rows and reason not in LISTED)]
    return [Finding(reason, counts.get(reason, 0), reason in spoiling) for reason in reasons]


def in_ledger(totals: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What the totals of a ledger say was found."""
    counts: Counter[str] = Counter()
    for total in totals:
        counts[total["reason"]] += total["rows"]
    return findings(counts, {total["reason"] for total in totals if total.get("spoils")})


def rows_key(plan: Recipe) -> tuple[Any, ...]:
    """What decides how rows are rendered: two recipes with equal keys give equal ids and labels."""
    return plan.model.id, plan.data


def called_after(model_id: str) -> str:
    """The last part of a model's id, as a run's name may be."""
    last = re.split(r"[/:\\]", model_id.rstrip("/"))[-1]
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]+", "-", last).strip("-")[:64] or UNNAMED


def anchored(model_id: str) -> str:
    """A hub id or builtin:NAME as it is; a folder by its full path, for a run starts elsewhere."""
    folder = Path(model_id).expanduser()
    if model_id.startswith((".", "/", "~")) or (folder / "config.json").is_file():
        return str(folder.resolve())
    return model_id


def source_at(path: str) -> Source:
    """What was typed: a bundled set, a Hugging Face id, or a file or folder, whose path is made absolute."""
    if path.startswith(("builtin:", "hf:")):
        return Source(path=path)
    return Source(path=str(Path(path).expanduser().resolve()))


def is_bundled(source: Source) -> bool:
    return source.path.startswith("builtin:")


def bundled_sources() -> list[Source]:
    """The sets that ship with the program, measured as the bundled recipes measure them."""
    known = {source.path: source for path in recipe.bundled() for source in recipe.load(path).data.sources}
    ids = [f"builtin:{name}" for name in sources.bundled()]
    return [known.get(id) or Source(path=id) for id in ids]
