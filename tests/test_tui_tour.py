"""The tour: what it says on each screen of the walk, and that nobody is held by it. On scripted workers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from test_tui_walk import on, text, to_data
from textual.pilot import Pilot
from tui_stage import Script, Stage, alive, record, step_events, until

from engine import recipe
from tui import tour
from tui.app import IftTui
from tui.screens.compare import CompareScreen
from tui.screens.data import DataScreen
from tui.screens.home import GUIDED, HomeScreen
from tui.screens.inspect import InspectScreen
from tui.screens.model import ModelScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.widgets.coach import Coach, told
from tui.widgets.model_list import ModelList

Keys = Pilot[Any]


def coach(app: IftTui) -> str:
    """What the coach of the screen in front says; empty while it is hidden."""
    found = app.screen.query(Coach)
    return str(found.first().render()) if found and found.first().size.height else ""


async def begun(app: IftTui, pilot: Keys) -> None:
    await until(pilot, lambda: "Tour" in keys(app))
    await pilot.press("t")
    await until(pilot, on(app, ModelScreen))
    await until(pilot, lambda: app.screen.query_one(ModelList).chosen is not None)


def keys(app: IftTui) -> set[str]:
    return {active.binding.description for active in app.screen.active_bindings.values()}


@pytest.mark.parametrize(("width", "lines"), [(80, 3), (110, 2)])
def test_all_that_it_says_fits(width: int, lines: int) -> None:
    for stop in tour.STOPS:
        said = told(stop.says, stop.key, stop.does)
        assert said.get_height({}, width - 4) <= lines, stop.says


def test_its_recipe_is_the_default_one_but_shorter() -> None:
    short, whole = recipe.load(tour.RECIPE), recipe.load(GUIDED)
    assert (short.model, short.data, short.lora) == (whole.model, whole.data, whole.lora)
    changed = {"steps": whole.train.steps, "warmup_steps": 20, "eval_every": 55}
    assert short.train.model_copy(update=changed) == whole.train
    assert short.train.steps is not None and short.train.steps < 220
    assert short.name == tour.NAME


async def test_the_whole_way_by_the_keys_that_it_names() -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await begun(app, pilot)
        for screen, word in (
            (ModelScreen, "base model"),
            (DataScreen, "sample"),
            (RecipeScreen, "settings"),
            (TrainScreen, "Trained"),
            (CompareScreen, "held out"),
        ):
            await until(pilot, on(app, screen))
            await until(pilot, lambda word=word: word in coach(app))  # type: ignore[misc]
            _, key, _ = tour.said(app.screen)  # type: ignore[arg-type]
            await until(pilot, lambda key=key: key in app.screen.active_bindings or key == "enter")  # type: ignore[misc]
            await pilot.press(key)
        assert stage.started[0].name == tour.NAME and stage.started[0].data.digest is not None
        await until(pilot, lambda: "one right answer" in coach(app))
        for screen in (TrainScreen, HomeScreen):
            _, key, _ = tour.said(app.screen)  # type: ignore[arg-type]
            await pilot.press("escape")
            await until(pilot, on(app, screen))
        await until(pilot, lambda: "Now your own" in coach(app))
        await pilot.press("n")
        await until(pilot, on(app, ModelScreen))
        await until(pilot, lambda: tour.ELSEWHERE in coach(app))


FIRST = step_events(0, end=None)


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([], "4 bits"),
        (FIRST[:2], "4 bits"),
        ([*FIRST[:3], {"kind": "phase", "phase": "probe"}], "longest rows"),
        (FIRST[:4], "dashed line"),
        (step_events(3, end=None), "first steps"),
        (step_events(30, end=None), "Soon rows"),
        (step_events(60, end=None), "answers so far"),
        (step_events(60), "the worker leaves"),
        ([{"kind": "queued", "behind": "other", "ahead": 1}], "waits for its turn"),
    ],
)
async def test_while_it_trains_it_says_what_happens(events: list[dict[str, Any]], word: str) -> None:
    run = record(tour.NAME, events, plan=recipe.load(tour.RECIPE))
    with ExitStack() as held:
        held.enter_context(alive(run))
        app = Stage().app()
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, on(app, TrainScreen))
            app.action_tour()
            await until(pilot, lambda: word in coach(app))
            assert not drafting(app)


def drafting(app: IftTui) -> bool:
    return any(isinstance(screen, ModelScreen) for screen in app.screen_stack)


async def test_a_run_that_failed_is_no_dead_end() -> None:
    failed = {"kind": "failed", "step": 5, "reason": "no memory", "mend": "halve it"}
    record(tour.NAME, [*step_events(5, end=None), failed], plan=recipe.load(tour.RECIPE))
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("enter")
        await until(pilot, on(app, TrainScreen))
        app.action_tour()
        await until(pilot, lambda: "r takes it up again" in coach(app))


async def test_going_elsewhere_leaves_it_waiting_and_one_key_hides_it() -> None:
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await begun(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "sample" in coach(app))
        await pilot.press("i")
        await until(pilot, on(app, InspectScreen))
        await until(pilot, lambda: tour.ELSEWHERE in coach(app))
        await pilot.press("escape")
        await until(pilot, lambda: "sample" in coach(app))
        await pilot.press("ctrl+l")
        await until(pilot, lambda: coach(app) == "")
        await pilot.press("escape", "escape")
        await until(pilot, on(app, HomeScreen))
        await pilot.pause(2 * tour.SECONDS_BETWEEN_LOOKS)
        assert coach(app) == "", "hidden on the screens behind as well"
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "nothing is trained yet" in coach(app))


async def test_a_draft_of_ones_own_is_not_touched_by_it() -> None:
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_data(app, pilot)
        draft = app._draft
        app.action_tour()
        await pilot.pause()
        assert app._draft is draft and isinstance(app.screen, DataScreen) and coach(app) == ""


async def test_of_another_run_it_says_nothing() -> None:
    record("mine", step_events(30))
    record(tour.NAME, step_events(30), minutes_ago=60, plan=recipe.load(tour.RECIPE))
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        assert "Tour" not in keys(app)
        app.action_tour()
        await until(pilot, on(app, ModelScreen))
        await pilot.press("escape", "enter")
        await until(pilot, on(app, TrainScreen))
        await until(pilot, lambda: tour.ELSEWHERE in coach(app))


async def test_while_the_answers_come_it_says_which_is_whose() -> None:
    class Slow(Script):
        def answer(self, request: dict[str, Any]) -> Any:
            yield {"kind": "token", "column": "base", "text": "The "}

    record(tour.NAME, step_events(30), plan=recipe.load(tour.RECIPE))
    app = Stage(child=Slow).app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("c")
        await until(pilot, on(app, CompareScreen))
        app.action_tour()
        await until(pilot, lambda: "held out" in coach(app))
        await until(pilot, lambda: "Test row" in keys(app))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Both answer at once" in coach(app))
        await until(pilot, lambda: text(app, "#chat-status").startswith("answering"))
