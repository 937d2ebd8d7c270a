"""Which adapters stand beside the base: one is added, or taken away, while the comparison goes on."""

from __future__ import annotations

import asyncio
from typing import Any

from engine import beside
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui.feed import Dialogue
from tui.screens.choose import PickScreen
from tui.screens.step import StepScreen

MOST = 4
"""Columns that a wide terminal still shows."""

Column = dict[str, Any]
Choice = tuple[str, dict[str, Any]]
"""What is asked of the worker, and with what."""


async def change(screen: StepScreen, run: Run, chat: Dialogue, columns: list[Column]) -> list[Column]:
    """Ask a person for another column, or one to close, and have it done: the columns as they are then.

    A refusal is shown with its reason, and nothing has changed.
    """
    try:
        found = await asyncio.to_thread(beside.candidates, run)
    except (UserError, OSError) as error:
        screen.refuse(str(error))
        return columns
    offered = choices(columns, found)
    if not offered:
        screen.refuse(
            f"{run.name} has no checkpoint, and no other run has the same base model: nothing to add"
        )
        return columns
    words = [word for word, _ in offered]
    number = await screen.app.push_screen_wait(PickScreen(f"Columns ({MOST} at most)", words))
    if number is None:
        return columns
    do, facts = offered[number][1]["do"], {k: v for k, v in offered[number][1].items() if k != "do"}
    try:
        told = await chat.answer(do, **facts)
    except RunFailed as error:
        screen.refuse(str(error))
        return columns
    if do == "unload":
        return [column for column in columns if column["column"] != facts["column"]]
    return [*columns, told]


def choices(columns: list[Column], found: list[beside.Beside]) -> list[Choice]:
    """What can be done now: in words, and as a request."""
    there = [column["column"] for column in columns]
    dressed = [column for column in columns if column["on"]]
    offered: list[Choice] = []
    ask: dict[str, Any]
    if len(columns) < MOST:
        for one in found:
            if one.column not in there:
                words = f"add     {one.column}" + (" of this run" if one.step is not None else "")
                ask = {"do": "load", "column": one.column, "run": str(one.run.path), "step": one.step}
                offered.append((words, ask))
        single = [column["column"] for column in dressed if not column["members"]]
        if len(single) > 1 and "average" not in there:
            ask = {"do": "average", "column": "average", "members": single}
            offered.append((f"add     average of the logits of {', '.join(single)}", ask))
    if len(dressed) > 1:
        offered += [
            (f"close   {column['column']}", {"do": "unload", "column": column["column"]})
            for column in dressed
        ]
    return offered
