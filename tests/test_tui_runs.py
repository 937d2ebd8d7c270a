"""Runs from the screens: what they are told, their turns, and how they are taken up again."""

from __future__ import annotations

import fcntl
import os
from typing import Any

import pytest
from test_tui_walk import at_recipe, footer, on, text
from textual.widgets import DataTable, Input
from tui_stage import Stage, alive, record, step_events, until

from engine.errors import UserError
from tui.app import IftTui
from tui.screens.choose import AskScreen, ChooseScreen, ConfirmScreen
from tui.screens.home import HomeScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.widgets.figures import place_in_line


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


async def test_all_else_that_a_run_can_be_told() -> None:
    stage, run = Stage(), record("live", step_events(100, end=None))
    app = stage.app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "Checkpoint" in footer(app))
            await pilot.press("k")
            await until(pilot, lambda: stage.asked == [("checkpoint", None)])
            for downs, asked in ((2, "stop at evaluation"), (3, "abort")):
                await pilot.press("o")
                await until(pilot, on(app, ChooseScreen))
                await pilot.press(*["down"] * downs, "enter")
                if asked == "abort":
                    await until(pilot, on(app, ConfirmScreen))
                    await pilot.press("enter")
                await until(pilot, lambda asked=asked: stage.asked[-1] == (asked, None))
            await until(pilot, on(app, TrainScreen))
            await pilot.press("o", "escape")
            await until(pilot, on(app, TrainScreen))
            assert len(stage.asked) == 3 and stage.stopped == []


async def test_what_a_run_was_told_and_why_it_waits_is_shown() -> None:
    told = {"kind": "told", "what": "learning rate", "step": 100, "value": 1e-4}
    paused = {"kind": "paused", "reason": "the disk is [full]"}
    run = record("live", [*step_events(100, end=None), told, paused])
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "0.0001 from step 101 on" in text(app, "#outcome"))
            assert "it waits: the disk is [full]" in text(app, "#outcome")


async def test_before_its_first_step_a_run_is_only_stopped() -> None:
    stage, run = Stage(), record("young", step_events(0, end=None)[:3])
    app = stage.app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "Control" in footer(app))
            assert "Checkpoint" not in footer(app)
            await pilot.press("o")
            await until(pilot, on(app, ChooseScreen))
            await pilot.press("down", "down", "down", "down", "down", "enter")
            await until(pilot, lambda: bool(app._notifications))
            assert "has not begun to train" in next(iter(app._notifications)).message
            await pilot.press("s")
            await until(pilot, on(app, ConfirmScreen))
            await pilot.press("enter")
            await until(pilot, lambda: stage.stopped == [run])


@pytest.mark.parametrize(("downs", "beside"), [(0, [False]), (1, [True]), (2, [])])
async def test_where_another_trains_a_start_asks_for_its_turn(downs: int, beside: list[bool]) -> None:
    stage = Stage()
    stage.ahead = [record("other", step_events(10, end=None)), record("third", [])]
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_recipe(app, pilot)
        await pilot.press("ctrl+n")
        await until(pilot, on(app, ChooseScreen))
        assert "1 waits" in str(app.screen.query_one(".dialog").border_title)
        await pilot.press(*["down"] * downs, "enter")
        await until(pilot, on(app, TrainScreen if beside else RecipeScreen))
        assert stage.beside == beside
        if not beside:
            await until(pilot, lambda: "Start" in footer(app))


async def test_a_killed_run_says_why_and_is_resumed_on_its_screen() -> None:
    stage = Stage()
    stage.changes = ["torch is 9, it was 8"]
    run = record("killed", step_events(120, end=None))
    (run.checkpoints / "step-100").mkdir(parents=True)
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Resume" in footer(app))
        await pilot.press("enter")
        await until(pilot, on(app, TrainScreen))
        await until(pilot, lambda: "its worker was killed" in text(app, "#outcome"))
        assert "[bold]log[/bold]" in text(app, "LogPane Quiet")
        screen = app.screen
        await pilot.press("r")
        await until(pilot, on(app, ConfirmScreen))
        asked = str(app.screen.query_one(".dialog Static").render())
        assert "step 100" in asked and "torch is 9" in asked
        await pilot.press("escape")
        await until(pilot, on(app, TrainScreen))
        assert stage.resumed == []
        await pilot.press("r")
        await until(pilot, on(app, ConfirmScreen))
        with alive(run):
            await pilot.press("enter")
            await until(pilot, lambda: stage.resumed == [run])
            await until(pilot, lambda: "running" in text(app, "#status"))
            assert app.screen is screen and "Resume" not in footer(app)


async def test_a_run_that_cannot_be_resumed_is_one_sentence() -> None:
    def refuse(run: Any) -> list[str]:
        raise UserError("recipe.toml is [gone]")

    record("stopped", step_events(120, end="stopped"))
    app = IftTui(Stage().but(changes=refuse))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Resume" in footer(app))
        await pilot.press("r")
        await until(pilot, lambda: bool(app._notifications))
        assert next(iter(app._notifications)).message == "✗ recipe.toml is [gone]"
        assert isinstance(app.screen, HomeScreen)


async def test_the_line_is_changed_from_the_list_of_runs() -> None:
    stage = Stage()
    queued = {"kind": "queued", "behind": "first", "ahead": 2}
    run = record("patient", [*step_events(0, end=None)[:1], queued], minutes_ago=1)
    record("done", step_events(400), minutes_ago=20)
    app = stage.app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, on(app, TrainScreen))
            await until(pilot, lambda: "2nd in line" in text(app, "#status"))
            assert "behind first" in text(app, "#status")
            await pilot.press("escape")
            await until(pilot, lambda: "Sooner" in footer(app))
            assert "waits, 2nd" in str(app.screen.query_one(DataTable).get_row_at(0)[2])
            await pilot.press("K", "shift+down")
            await until(pilot, lambda: stage.moved == [(run, -1), (run, 1)])
            await pilot.press("x")
            await until(pilot, lambda: stage.stopped == [run])
            await pilot.press("down")
            await until(pilot, lambda: "Sooner" not in footer(app) and "Compare" in footer(app))


async def test_the_app_opens_on_the_run_that_trains(home: Any) -> None:
    trains, waits = (
        record(name, step_events(3, end=None), minutes_ago=ago) for name, ago in (("a", 9), ("b", 1))
    )
    app = Stage().app()
    (home / "turns").mkdir()
    (home / "turns" / "cpu.order").touch()
    lock = os.open(home / "turns" / "cpu.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, trains.name.encode())
    with alive(trains), alive(waits):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, on(app, TrainScreen))
            assert isinstance(app.screen, TrainScreen) and app.screen.followed == trains
    os.close(lock)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(0, "1st"), (1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")],
)
def test_places_in_line(ahead: int, said: str) -> None:
    assert place_in_line(ahead) == f"{said} in line"
