"""What is asked before a run starts: whether it waits for its turn, and whether what has changed is meant."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.app import App

from engine.runs import Run
from tui.feed import Edges
from tui.safe import clean
from tui.screens.choose import ChooseScreen, ConfirmScreen

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
