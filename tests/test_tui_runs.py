"""Runs from the screens: what they are told, their turns, and how they are taken up again."""

from __future__ import annotations

from typing import Any

import pytest
from test_tui_walk import at_recipe, footer, on, text
from textual.widgets import Input
from tui_stage import Stage, alive, record, step_events, until

from engine.errors import UserError
from tui.app import IftTui
from tui.screens.choose import AskScreen, ChooseScreen, ConfirmScreen
from tui.screens.home import HomeScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen


async def test_a_run_is_told_another_learning_rate() -> None:
    stage, run = Stage(), record("live", step_events(100, end=None))
    app = stage.app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "Control" in footer(app))
            await pilot.press("o")
            await until(pilot, on(app, ChooseScreen))
            await pilot.press("down", "down", "down", "down", "enter")
            await until(pilot, on(app, AskScreen))
            assert app.screen.query_one(Input).value == "0.004"
            app.screen.query_one(Input).value = "20"
            await pilot.press("enter")
            await until(pilot, lambda: "too high for LoRA" in text(app, "#wrong"))
            app.screen.query_one(Input).value = "1e-4"
            await pilot.press("enter")
            await until(pilot, lambda: stage.asked == [("learning rate", 1e-4)])
