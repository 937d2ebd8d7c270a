"""Runs put into the archive, brought back from it and deleted, from the list of runs."""

from __future__ import annotations

import asyncio

from engine import housekeeping
from engine.errors import RunFailed, UserError
from tui.feed import RunLine
from tui.safe import clean
from tui.screens.choose import AskScreen, PickScreen
from tui.screens.step import StepScreen
from tui.widgets.figures import size


async def archive(screen: StepScreen, line: RunLine) -> bool:
    """Take it out of the list; whether that was done. Nothing is asked, for nothing is lost."""
    try:
        await asyncio.to_thread(housekeeping.archive, line.run)
    except UserError as error:
        screen.refuse(str(error))
        return False
    screen.notify(f"{clean(line.name)} is archived, whole; A brings it back", markup=False)
    return True


async def unarchive(screen: StepScreen) -> bool:
    """Ask which of the archived runs, and put it back; whether that was done."""
    known = await asyncio.to_thread(housekeeping.archived)
    if not known:
        screen.notify("the archive is empty; a puts the run under the cursor into it")
        return False
    number = await screen.app.push_screen_wait(
        PickScreen("Bring back which run?", [run.name for run in known])
    )
    if number is None:
        return False
    try:
        await asyncio.to_thread(housekeeping.unarchive, known[number])
    except UserError as error:
        screen.refuse(str(error))
        return False
    return True


async def delete(screen: StepScreen, line: RunLine) -> bool:
    """Say what goes, have the name typed, and remove it; whether it is out of the list."""
    taken = await asyncio.to_thread(housekeeping.disk, line.run)
    parts = ", ".join(await asyncio.to_thread(housekeeping.lost, line.run)) or "no adapter, nothing learned"
    name = clean(line.name, newlines=False)
    says = (
        f"{clean(line.run.name)}, {size(sum(taken.values()))}: {parts}. All of it goes for good; the archive "
        f"(a) would keep it. To delete it, type its name: {name}"
    )

    def wrong(typed: str) -> str:
        return "" if typed in (name, clean(line.run.name, newlines=False)) else f"its name is {name}"

    asked = AskScreen("Delete this run?", "", "deletes it", wrong, says)
    if await screen.app.push_screen_wait(asked) is None:
        return False
    try:
        freed = await asyncio.to_thread(housekeeping.delete, line.run)
    except UserError as error:
        screen.refuse(str(error))
        return False
    except RunFailed as error:
        screen.refuse(str(error))
    else:
        screen.notify(f"{name} is deleted; {size(freed)} are free again", markup=False)
    return True
