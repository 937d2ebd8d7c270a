"""Whatever the terminal's size is in between, a screen looks as before; too small a one says so."""

from __future__ import annotations

from typing import Any

import looks
import pytest
from test_tui_walk import at_recipe, on, text, to_compare, to_data
from textual._compositor import CompositorUpdate, LayoutUpdate
from textual.geometry import Size
from tui_stage import Stage, alive, record, step_events, until

from tui import small
from tui.screens.data import DataScreen
from tui.screens.home import HomeScreen
from tui.screens.model import ModelScreen
from tui.screens.train import TrainScreen


@pytest.mark.pictures
async def test_each_screen_of_the_walk_comes_back_as_it_was_beside_a_live_run() -> None:
    record("done", step_events(400), minutes_ago=1)
    live = record("live", step_events(100, end=None))
    app = Stage().app()
    with alive(live):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, on(app, TrainScreen))
            await until(
                pilot, lambda: "running" in text(app, "#status") and "Processor" in text(app, "#memory-facts")
            )
            await looks.sizes(app, pilot)
            await pilot.press("escape")
            await until(pilot, on(app, HomeScreen))
            app.clear_notifications()
            await looks.sizes(app, pilot)
            await to_data(app, pilot)
            await looks.sizes(app, pilot)
            await pilot.press("escape")
            await until(pilot, on(app, ModelScreen))
            await looks.sizes(app, pilot)
            await at_recipe(app, pilot)
            await looks.sizes(app, pilot)


@pytest.mark.pictures
async def test_a_comparison_and_a_dialog_come_back_as_they_were() -> None:
    record("done", step_events(400))
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_compare(app, pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "positive" in text(app, "#column-1 .said"))
        await until(pilot, lambda: "ready" in text(app, "#chat-status"))
        await looks.sizes(app, pilot)
        await pilot.press("f2")
        await until(pilot, lambda: bool(app.screen.query(".form")))
        await looks.sizes(app, pilot)


@pytest.mark.parametrize("size", [(59, 24), (80, 14), (20, 5), (1, 1)])
def test_the_sentence_fits_where_it_can(size: tuple[int, int]) -> None:
    assert small.is_too_small(Size(*size))
    rows = [strip.text for (strip,) in small.notice(Size(*size)).strips]
    assert len(rows) == size[1] and all(len(row) == size[0] for row in rows)
    if size[0] >= 20:
        assert " ".join(" ".join(rows).split()) == small.SENTENCE
    assert not small.is_too_small(Size(60, 15))


async def test_too_small_a_terminal_shows_the_sentence_and_takes_no_key_but_quit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Stage().app()
    painted: list[Any] = []
    taken = app._shown.changes

    def changes(update: CompositorUpdate, size: tuple[int, int]) -> CompositorUpdate:
        painted.append(update)
        return taken(update, size)

    monkeypatch.setattr(app._shown, "changes", changes)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "guided" in text(app, "#welcome"))
        painted.clear()
        await pilot.resize_terminal(40, 10)
        await pilot.press("n", "enter", "question_mark")
        await pilot.click(offset=(5, 5))
        assert isinstance(app.screen, HomeScreen) and painted
        assert all(isinstance(update, LayoutUpdate) for update in painted)
        assert any("Make the terminal larger" in strip.text for (strip,) in painted[-1].strips)
        await pilot.resize_terminal(80, 24)
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, HomeScreen))
        assert not isinstance(app.screen, DataScreen)
        await pilot.resize_terminal(40, 10)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
