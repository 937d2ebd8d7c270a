"""The choices made so far on the way to a run: frozen, replaced whole; no widget in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import recipe, sources
from engine.recipe import Recipe, Source

GUIDED = "first-steps"
"""The bundled recipe that needs neither network nor GPU."""


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
        return self.with_recipe(recipe.changed(self.recipe, model={"id": anchored(model_id)}))

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
    def steps_wanting(self) -> frozenset[int]:
        return frozenset({3}) if self.problem or self.shapeless or self.questions else frozenset()


def rows_key(plan: Recipe) -> tuple[Any, ...]:
    """What decides how rows are rendered: two recipes with equal keys give equal ids and labels."""
    return plan.model.id, plan.data


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


def bundled_sources() -> list[Source]:
    """The sets that ship with the program, measured as the bundled recipes measure them."""
    known = {source.path: source for path in recipe.bundled() for source in recipe.load(path).data.sources}
    ids = [f"builtin:{name}" for name in sources.bundled()]
    return [known.get(id) or Source(path=id) for id in ids]
