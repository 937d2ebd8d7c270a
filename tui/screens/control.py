"""What can be asked of a run under way: chosen from a list, with a value where one is needed."""

from __future__ import annotations

import asyncio

from engine import asking
from engine.errors import UserError
from engine.runs import Run
from engine.state import RunState
from tui.feed import Edges
from tui.screens.choose import AskScreen, ChooseScreen, ConfirmScreen
from tui.screens.step import StepScreen

DEEDS = {
    "checkpoint": "Save a checkpoint now and go on",
    "stop": "Save and stop",
    "stop at evaluation": "Save and stop after the next evaluation",
    "abort": "Abort: end now, save nothing new",
    "learning rate": "Change the learning rate",
    "steps": "Change the number of steps",
}
ABORT = "What it has learned since its last checkpoint is lost; that checkpoint is kept, and can be resumed."
STOP = "What it has learned so far is saved as an adapter that you can compare. It can be resumed later."
LEAVE = "It has not begun to train, so there is nothing to save. It can be resumed later."


async def choose(screen: StepScreen, run: Run, edges: Edges, state: RunState) -> None:
    """Ask a person what the run shall do, and have it done."""
    answer = await screen.app.push_screen_wait(ChooseScreen("What shall the run do?", list(DEEDS.values())))
    do = next((do for do, words in DEEDS.items() if words == answer), None)
    if do is None:
        return
    if do == "stop" or (do == "abort" and not trains(state)):
        await stop(screen, run, edges, state)
    elif do in asking.VALUED:
        await _ask_value(screen, run, edges, state, do)
    elif do != "abort" or await screen.app.push_screen_wait(ConfirmScreen("Abort the run?", ABORT)):
        await ask(screen, run, edges, state, do)


async def stop(screen: StepScreen, run: Run, edges: Edges, state: RunState) -> None:
    """Save and stop, once a person has said yes."""
    if trains(state):
        question, explanation = "Save and stop?", STOP
    else:
        question, explanation = ("Take it out of the line?" if waits(state) else "Stop it?"), LEAVE
    if await screen.app.push_screen_wait(ConfirmScreen(question, explanation)) and edges.stop(run):
        screen.notify("stopping: the step under way ends, then all is saved" if trains(state) else "stopping")


async def ask(
    screen: StepScreen, run: Run, edges: Edges, state: RunState, do: str, value: float | None = None
) -> None:
    """Ask the run; its answer comes as an event between two steps."""
    try:
        asking.check(run, state)
        await asyncio.to_thread(edges.control, run, do, **({} if value is None else {"value": value}))
    except (UserError, OSError) as error:
        screen.refuse(str(error))
    else:
        asked = do if value is None else f"{do} {value:g}"
        screen.notify(f"asked: {asked}; it answers between two steps", markup=False)


async def _ask_value(screen: StepScreen, run: Run, edges: Edges, state: RunState, do: str) -> None:
    def wrong(text: str) -> str:
        try:
            asking.value(do, text, state.step, method)
        except UserError as error:
            return str(error)
        return ""

    try:
        asking.check(run, state)
        method = run.recipe().train.method
    except UserError as error:
        screen.refuse(str(error))
        return
    now = f"{state.learning_rate:.3g}" if do == "learning rate" else str(state.total)
    question = "Highest learning rate from the next step on" if do == "learning rate" else "Steps in all"
    typed = await screen.app.push_screen_wait(AskScreen(question, now, "tells the run", wrong))
    if typed is not None:
        await ask(screen, run, edges, state, do, asking.value(do, typed, state.step, method))


def trains(state: RunState) -> bool:
    """Whether it has come to its steps: then there is something to save."""
    return state.phase in ("train", "evaluate", "save") and not waits(state)


def waits(state: RunState) -> bool:
    return state.status == "waiting"
