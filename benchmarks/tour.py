"""How long the tour takes: from its key on the empty list of runs to both answers of the comparison.

    python benchmarks/tour.py

The app itself, driven by its keys, with the real workers, in a home that is thrown away. Nobody reads: a key
is pressed as soon as its screen has what it shows, so what is left of three minutes is for reading. Beside
the seconds stand those of processor time, of the app and its workers together: what the machine does besides
lengthens the first and hardly the second. Fails unless, on the held-out row that the tour asks first, base is
wrong and tuned is right.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
from textual.pilot import Pilot

SIZE = (80, 24)
LONGEST_WAIT = 1800.0
SECONDS_BETWEEN_LOOKS = 0.5
"""At the processes: to look is work as well."""


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(IFT_TUI_HOME=home, HF_HUB_OFFLINE="1")
        marks, found = asyncio.run(toured())
    before = 0.0
    print(f"{'':28} {'since t':>9} {'this leg':>9} {'processor':>9}")
    for name, at, processor in marks:
        print(f"{name:28} {at:7.1f} s {at - before:7.1f} s {processor:7.1f} s")
        before = at
    print(json.dumps(found, ensure_ascii=False, indent=1))
    if found["base_right"] or not found["tuned_right"]:
        raise SystemExit("the comparison does not show what was learnt")


async def toured() -> tuple[list[tuple[str, float, float]], dict[str, Any]]:
    """Walk the tour. Each screen, its seconds and processor seconds since the key; and what was answered."""
    from engine import RECIPES, metrics, runs
    from tui.app import IftTui
    from tui.screens.compare import CompareScreen
    from tui.screens.data import DataScreen
    from tui.screens.model import ModelScreen
    from tui.screens.recipe import RecipeScreen
    from tui.screens.train import TrainScreen
    from tui.widgets.model_list import ModelList

    app = IftTui()
    marks: list[tuple[str, float, float]] = []
    spent: dict[int, float] = {}  # by process

    async with app.run_test(size=SIZE) as pilot:

        async def reach(name: str, condition: Callable[[], bool]) -> None:
            await until(pilot, condition, lambda: spent.update(processor_seconds()))
            marks.append((name, time.perf_counter() - began, sum(spent.values()) - at_rest))

        def on(screen: type) -> bool:
            return isinstance(app.screen, screen) and app.screen.stands  # type: ignore[attr-defined]

        await until(pilot, lambda: "Tour" in keys(app))
        at_rest = sum(processor_seconds().values())
        began = time.perf_counter()
        await pilot.press("t")
        await reach("models", lambda: on(ModelScreen) and app.screen.query_one(ModelList).chosen is not None)
        await pilot.press("enter")
        await reach("rows counted", lambda: on(DataScreen) and app.screen.draft.scan is not None)
        await pilot.press("enter")
        await reach("recipe", lambda: on(RecipeScreen) and "Start" in keys(app))
        await pilot.press("ctrl+n")
        await reach("first step", lambda: on(TrainScreen) and app.screen.snapshot.state.step > 0)
        await reach("adapter saved, worker gone", lambda: "Compare" in keys(app))
        await pilot.press("c")
        await reach("model in memory", lambda: on(CompareScreen) and "Test row" in keys(app))
        await pilot.press("ctrl+t")
        talk = app.screen
        assert isinstance(talk, CompareScreen)
        await reach("both answers", lambda: bool(talk.talk.last and talk.talk.last.answers))
        asked = talk.talk.last
        assert asked is not None
        (run,) = runs.list_runs()

    plan = run.recipe()
    name = plan.data.sources[0].path.removeprefix("builtin:")
    first = json.loads((RECIPES / "datasets" / name / "test.jsonl").open(encoding="utf-8").readline())
    assert first["output"] == asked.reference, "the tour asks the first test row of the first set"

    def right(column: str) -> bool | None:
        said = asked.answers[column]
        return metrics.right(plan.data.sources[0].metric, first, asked.reference, said["text"], said["ended"])

    return marks, {
        "steps": plan.train.steps,
        "seconds": round(marks[-1][1], 1),
        "processor_seconds": round(marks[-1][2], 1),
        "load": [round(load, 1) for load in os.getloadavg()],
        "reference": asked.reference,
        "base": asked.answers["base"]["text"][:200],
        "tuned": asked.answers["tuned"]["text"],
        "base_right": right("base"),
        "tuned_right": right("tuned"),
    }


def processor_seconds() -> dict[int, float]:
    """What this process and those that it has started have used so far, by their ids."""
    found = {}
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):  # it has ended
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


async def until(
    pilot: Pilot[Any], condition: Callable[[], bool], looking: Callable[[], None] = lambda: None
) -> None:
    """Let the app work until something holds; meanwhile look at what it costs."""
    deadline = time.monotonic() + LONGEST_WAIT
    looked = 0.0
    while not condition():
        if time.monotonic() - looked > SECONDS_BETWEEN_LOOKS:
            looking()
            looked = time.monotonic()
        if time.monotonic() > deadline:
            raise TimeoutError(f"the app did not come that far within {LONGEST_WAIT:.0f} s")
        await pilot.pause(0.05)


def keys(app: Any) -> set[str]:
    """What the keys of the screen in front do."""
    return {active.binding.description for active in app.screen.active_bindings.values()}


if __name__ == "__main__":
    main()
