"""Starts the runs of a recipe: one, or with [[then]] a chain of which each waits for the one before it."""

from __future__ import annotations

from engine import recipe, runs, turns
from engine.errors import RunFailed, UserError
from engine.runs import Run
from engine.schema import PREVIOUS, Recipe


def start(plan: Recipe, beside: bool = False) -> list[Run]:
    """Make and launch all of them at once, in their order; whoever looks then sees the whole chain.

    beside: they do not wait for other runs on the device, only for each other. Raises UserError, RunFailed or
    OSError; what was not launched by then is gone, and what was is stopped.
    """
    made: list[Run] = []
    try:
        for link in recipe.links(plan):
            made.append(runs.create(_behind(made[-1], link) if made else link))
        for run in made:
            turns.start(run, beside)
    except (OSError, UserError, RunFailed):
        for run in made:
            if runs.is_alive(run):
                runs.stop(run)
            else:
                runs.discard(run)
        raise
    return made


def _behind(former: Run, link: Recipe) -> Recipe:
    """The recipe of a run that waits for another, with that one's name in the place of `previous`."""
    model = link.model
    if model.adapter == PREVIOUS:
        model = model.model_copy(update={"adapter": former.name})
    return link.model_copy(update={"after": former.name, "model": model})
