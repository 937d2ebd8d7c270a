"""The list of runs with a sweep in it, two recipes side by side, and a sweep, as they look."""

from __future__ import annotations

import json
from typing import Any

from pictures import picture  # noqa: F401 - a fixture
from test_sweeps import trial
from test_tui_runlist import three
from test_tui_sweep import a_sweep, to_sweep
from test_tui_walk import at_recipe, on, text
from textual.pilot import Pilot
from textual.widgets import DataTable
from tui_stage import NOW, Stage, until

from engine import remarks, runs
from engine.remarks import Remarks
from tui.screens.remarking import ContrastScreen
from tui.screens.sweep_plan import SweepPlanScreen


def learned(number: int, value: float | None, state: str = "complete") -> list[dict[str, Any]]:
    """The events of a trial whose loss was taken at each tenth of its way."""
    first, run, *_, ended = trial(number, [] if value is None else [value - 0.05, value + 0.05], state)
    until_step = 100 if value is not None else 40
    curve = [
        {
            "kind": "evaluated", "number": number, "seed": 0, "step": step, "total": 100,
            "loss": round((value or 3.0) + (100 - step) ** 2 / (4000 + 900 * number), 4),
        }
        for step in range(10, until_step + 1, 10)
    ]  # fmt: skip
    return [first, run, *curve, ended]


def begun() -> None:
    """A sweep that was stopped, an hour before now."""
    trials = [learned(1, 2.6), learned(2, 2.2), learned(3, None, "pruned"), learned(4, 2.4)]
    sweep = a_sweep({"kind": "stopped", "reason": "stopped between two runs"}, trials=trials)
    lines = [json.loads(line) for line in sweep.events.read_text().splitlines()]
    timed = [{**line, "time": NOW - 3600 + number} for number, line in enumerate(lines)]
    sweep.events.write_text("".join(json.dumps(line) + "\n" for line in timed))


def test_runs_that_were_searched_for(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("s", "s", "s", "slash", *"tiny", "enter", "up", "up", "up")
        await until(pilot, lambda: str(app.screen.query_one("#runs").border_subtitle).startswith("#"))

    three()
    begun()
    remarks.write(runs.find("books"), Remarks(("good", "rank-64"), "with the cleaned rows"))
    picture(Stage().app(), scene)


def test_two_recipes_side_by_side(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("d", "down", "d")
        await until(pilot, on(app, ContrastScreen))
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2)
        app.clear_notifications()
        await pilot.press("down")

    three()
    picture(Stage().app(), scene)


def test_sweep_laid_out(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_recipe(app, pilot)
        await pilot.press("f3")
        await until(pilot, on(app, SweepPlanScreen))
        await until(pilot, lambda: "At most" in text(app, "#sums"))
        await pilot.press("down", "x")
        await until(pilot, lambda: "behind each of the factors" in text(app, "#sums"))

    picture(Stage().app(), scene)


def test_sweep(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_sweep(app, pilot)
        await pilot.press("down", "down", "space")

    begun()
    picture(Stage().app(), scene)
