"""What is asked before a run starts: its turn, what has changed, whether a sweep is meant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.app import App

from engine.runs import Run
from tui.feed import Edges
from tui.safe import clean
from tui.screens.choose import ChooseScreen, ConfirmScreen

if TYPE_CHECKING:
    from engine.schema import Recipe

SWEEP, ONCE = "Start the sweep", "Train it once, with the settings of the recipe"
WAIT, BESIDE, NOT_NOW = "Wait its turn", "Start beside it: they share memory and speed", "Not now"


async def turn(app: App[Any], edges: Edges) -> bool | None:
    """False: it takes its turn; True: it starts beside the run that has the device; None: not now."""
    ahead = await asyncio.to_thread(edges.ahead)
    if not ahead:
        return False
    more = "" if len(ahead) == 1 else f", {len(ahead) - 1} wait" + "s" * (len(ahead) == 2)
    question = f"{clean(ahead[0].name, newlines=False)} trains now{more}"
    answer = await app.push_screen_wait(ChooseScreen(question, [WAIT, BESIDE, NOT_NOW]))
    return {WAIT: False, BESIDE: True}.get(answer or NOT_NOW)


async def sweep(app: App[Any], plan: Recipe) -> bool | None:
    """True: start the sweep of the recipe; False: train it once, as it stands; None: not now."""
    from engine import steering

    assert plan.sweep is not None
    runs, hours = steering.most_runs(plan), plan.sweep.hours
    most = f"At most {runs:,} runs" if runs is not None else "Runs"
    ends = f"; none begins after {hours:g} hours" if hours else ""
    question = f"{most}, one after another{ends}"
    answer = await app.push_screen_wait(ChooseScreen(question, [SWEEP, ONCE, NOT_NOW]))
    return {SWEEP: True, ONCE: False}.get(answer or NOT_NOW)


async def agreed(app: App[Any], edges: Edges, run: Run) -> bool:
    """Whether a person wants it resumed in spite of what has changed. Raises UserError or RunFailed."""
    from engine import asking  # with the recipe's checks: not before the home screen stands

    changed = await asyncio.to_thread(edges.changes, run)
    explanation = asking.start_of_resumed(run)
    if changed:
        listed = "".join(f"\n· {sentence}" for sentence in changed)
        explanation += f"\n\nNot as it was when it was started:{listed}\n\nResume it all the same?"
    return await app.push_screen_wait(
        ConfirmScreen(f"Resume {clean(run.name, newlines=False)}?", explanation)
    )
