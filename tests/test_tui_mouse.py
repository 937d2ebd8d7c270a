"""The mouse is never needed, and works: on the stepper, on tables and lists, on the keys at the bottom."""

from __future__ import annotations

from typing import Any

from test_tui_walk import on, text, to_data
from textual.widgets import DataTable
from tui_stage import Stage, record, step_events, until

from tui.screens.home import HomeScreen
from tui.screens.model import ModelScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.widgets.key_line import KeyLine
from tui.widgets.stepper import Stepper


async def click_step(pilot: Any, number: int) -> None:
    stepper = pilot.app.screen.query_one(Stepper)
    column = next(start for start, _, step in stepper.placed() if step == number)
    await pilot.click(stepper, offset=(stepper.gutter.left + column + 1, 0))


async def click_key(pilot: Any, says: str) -> None:
    line = pilot.app.screen.query_one(KeyLine)
    await pilot.click(line, offset=(next(start for start, text, _ in line.placed() if says in text) + 1, 0))


async def test_a_click_on_a_step_goes_back_there_and_on_a_key_does_what_it_says() -> None:
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_data(app, pilot)
        await click_key(pilot, "Next")
        await until(pilot, on(app, RecipeScreen))
        await click_step(pilot, 2)
        await until(pilot, on(app, ModelScreen))
        await click_step(pilot, 5)
        await click_step(pilot, 6)
        await pilot.pause()
        assert isinstance(app.screen, ModelScreen), "steps ahead are not reached by a click"
        await click_step(pilot, 1)
        await until(pilot, on(app, HomeScreen))


async def test_a_run_is_opened_by_clicks() -> None:
    for number in range(3):
        record(f"run-{number}", step_events(400), minutes_ago=10 * number)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.click(DataTable, offset=(4, 2))
        assert app.screen.query_one(DataTable).cursor_row == 1 and isinstance(app.screen, HomeScreen)
        await pilot.click(DataTable, offset=(4, 2))
        await until(pilot, on(app, TrainScreen))
        await until(pilot, lambda: "finished" in text(app, "#status"))
        assert app.screen.followed.name.endswith("run-1")
