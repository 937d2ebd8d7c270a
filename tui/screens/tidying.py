"""Runs and sweeps put into the archive, brought back from it and deleted, from the list of runs."""

from __future__ import annotations

import asyncio

from engine import housekeeping, sweep_keeping
from engine.errors import RunFailed, UserError
from tui.feed import RunLine, SweepLine
from tui.safe import clean
from tui.screens.choose import AskScreen, ChooseScreen, PickScreen
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
    """Ask which of the archived runs and sweeps, and put it back; whether that was done."""
    kept = await asyncio.to_thread(housekeeping.archived)
    swept = await asyncio.to_thread(sweep_keeping.archived)
    if not kept and not swept:
        screen.notify("the archive is empty; a puts what is under the cursor into it")
        return False
    counts = [len(await asyncio.to_thread(sweep_keeping.runs_of, one)) for one in swept]
    offered = [f"{one.name}: a sweep{_with(count)}" for one, count in zip(swept, counts, strict=True)]
    offered += [run.name for run in kept]
    number = await screen.app.push_screen_wait(PickScreen("Bring back what?", offered))
    if number is None:
        return False
    try:
        if number < len(swept):
            await asyncio.to_thread(sweep_keeping.unarchive, swept[number])
        else:
            await asyncio.to_thread(housekeeping.unarchive, kept[number - len(swept)])
    except UserError as error:
        screen.refuse(str(error))
        return False
    return True


async def archive_sweep(screen: StepScreen, line: SweepLine) -> bool:
    """Take it out of the list, with its runs or alone; whether that was done."""
    with_runs = await _along(screen, line, "Archive")
    if with_runs is None:
        return False
    try:
        along = await asyncio.to_thread(sweep_keeping.archive, line.sweep, with_runs)
    except UserError as error:
        screen.refuse(str(error))
        return False
    said = f"{clean(line.name)}{_with(len(along))} is archived, whole; A brings it back"
    screen.notify(said, markup=False)
    return True


async def delete_sweep(screen: StepScreen, line: SweepLine) -> bool:
    """Ask for what goes, have the name typed, and remove it; whether it is out of the list."""
    with_runs = await _along(screen, line, "Delete")
    if with_runs is None:
        return False
    name, folder = clean(line.name, newlines=False), clean(line.sweep.name, newlines=False)
    count = len(await asyncio.to_thread(sweep_keeping.runs_of, line.sweep)) if with_runs else 0
    bytes = await asyncio.to_thread(sweep_keeping.disk, line.sweep, with_runs)
    stay = "" if with_runs else " Its runs stay, as runs of their own."
    says = (
        f"{folder}{_with(count)}, {size(bytes)}: all of it goes for good; the archive (a) would keep it."
        f"{stay} To delete it, type its name: {name}"
    )
    if not await _named(screen, "Delete this sweep?", says, (name, folder)):
        return False
    try:
        freed = await asyncio.to_thread(sweep_keeping.delete, line.sweep, with_runs)
    except UserError as error:
        screen.refuse(str(error))
        return False
    except RunFailed as error:
        screen.refuse(str(error))
    else:
        screen.notify(f"{name}{_with(count)} is deleted; {size(freed)} are free again", markup=False)
    return True


async def _along(screen: StepScreen, line: SweepLine, do: str) -> bool | None:
    """Whether the runs of a sweep go along with it; None: not now. Without runs nothing is asked."""
    runs = await asyncio.to_thread(sweep_keeping.runs_of, line.sweep)
    if not runs:
        return False
    whole, alone = [
        size(await asyncio.to_thread(sweep_keeping.disk, line.sweep, with_runs))
        for with_runs in (True, False)
    ]
    answers = [
        f"The sweep{_with(len(runs))} ({whole})",
        f"The sweep alone ({alone}); its runs stay in the list",
        "Not now",
    ]
    question = f"{do} {clean(line.sweep.name, newlines=False)}?"
    answer = await screen.app.push_screen_wait(ChooseScreen(question, answers))
    return {answers[0]: True, answers[1]: False}.get(answer or "Not now")


async def _named(screen: StepScreen, question: str, says: str, names: tuple[str, str]) -> bool:
    """Whether a person has typed one of the names of what is to go."""

    def wrong(typed: str) -> str:
        return "" if typed in names else f"its name is {names[0]}"

    return await screen.app.push_screen_wait(AskScreen(question, "", "deletes it", wrong, says)) is not None


def _with(count: int) -> str:
    return f" with its {count} runs" if count > 1 else " with its run" if count else ""


async def delete(screen: StepScreen, line: RunLine) -> bool:
    """Say what goes, have the name typed, and remove it; whether it is out of the list."""
    taken = await asyncio.to_thread(housekeeping.disk, line.run)
    parts = ", ".join(await asyncio.to_thread(housekeeping.lost, line.run)) or "no adapter, nothing learned"
    name = clean(line.name, newlines=False)
    says = (
        f"{clean(line.run.name)}, {size(sum(taken.values()))}: {parts}. All of it goes for good; the archive "
        f"(a) would keep it. To delete it, type its name: {name}"
    )
    if not await _named(screen, "Delete this run?", says, (name, clean(line.run.name, newlines=False))):
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
