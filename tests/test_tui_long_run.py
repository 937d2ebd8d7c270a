"""A run of a million steps on the train screen: read from its file, drawn whole and near its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pictures import picture
from recorded import write_long
from test_tui_pictures import listed
from test_tui_walk import text
from textual.pilot import Pilot
from tui_stage import Stage, record, until

from tui.screens.train import TrainScreen

pytestmark = pytest.mark.long

STEPS = 1_000_000
SECONDS_TO_READ = 60.0

__all__ = ["picture"]


def million() -> None:
    run = record("night", [], minutes_ago=30)
    write_long(run.events, STEPS, every=50_000)


async def read(app: Any, pilot: Pilot[Any]) -> None:
    await listed(app, pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.is_mounted)
    await until(pilot, lambda: "1,000,000 / 1,000,000" in text(app, "#progress-facts"), SECONDS_TO_READ)


def test_a_million_steps(picture: Callable[..., None]) -> None:
    million()
    picture(Stage().app(), read)


def test_the_last_of_a_million_steps(picture: Callable[..., None]) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await read(app, pilot)
        await pilot.press("plus", "plus", "plus")

    million()
    picture(Stage().app(), scene)
