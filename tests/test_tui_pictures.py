"""Every screen as it looks, at the smallest size and at a comfortable one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pictures import picture
from recorded import overfitting, resumed, whole, with_nan, with_spikes
from test_tui_data import (
    Shapeless,
    Varied,
    at_data,
    at_ledger,
    at_source,
    at_templates,
    at_writing,
    pick,
)
from test_tui_inspect import Inspected, to_inspect
from test_tui_live import MINE, OTHER
from test_tui_walk import at_recipe, row_text, text, to_compare, to_data, to_model
from textual.pilot import Pilot
from textual.widgets import Input, TextArea
from tui_stage import GPU, Stage, alive, record, small_library, step_events, until

from engine import templates
from engine.hardware import Gpu
from tui.app import IftTui
from tui.screens.train import TrainScreen
from tui.widgets.knob import KnobRow

__all__ = ["picture"]

FAILED = {
    "kind": "failed",
    "step": 12,
    "reason": "out of memory at step 12",
    "mend": "halve train.batch_size and double train.gradient_accumulation",
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "TEMPLATES", small_library(tmp_path))


def three_runs() -> None:
    record("support-qwen", step_events(120, end="stopped"), minutes_ago=9000)
    record("no-memory", [*step_events(12, end=None), FAILED], minutes_ago=400)
    record("first-steps", step_events(400), minutes_ago=30)


async def listed(app: Any, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: app.screen.focused is not None)


async def opened(app: Any, pilot: Pilot[Any]) -> None:
    await listed(app, pilot)
    await pilot.press("enter")
    await training(app, pilot)


async def training(app: Any, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.is_mounted)
    await until(
        pilot, lambda: "Processor" in text(app, "#memory-facts") or "H200" in text(app, "#memory-facts")
    )


def test_home_with_nothing_in_it(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: bool(app.screen.query("#welcome")))
        await until(pilot, lambda: "guided" in text(app, "#welcome"))

    picture(Stage().app(), scene)


def test_home(picture: Any) -> None:
    three_runs()
    picture(Stage().app(), listed)


def test_help(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await listed(app, pilot)
        await pilot.press("question_mark")

    three_runs()
    picture(Stage().app(), scene)


def test_model(picture: Any) -> None:
    picture(Stage().app(), to_model)


def test_model_of_the_catalogue(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_model(app, pilot)
        await pilot.press("end")

    picture(Stage().app(), scene)


def test_data(picture: Any) -> None:
    picture(Stage().app(), to_data)


def test_data_of_no_known_shape(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_data(app, pilot, "no known shape")

    picture(Stage(child=Shapeless).app(), scene)


def test_row_with_variants_and_notes(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_data(app, pilot)
        await pilot.press("v")
        await until(pilot, lambda: "variant 2 of 3" in str(app.screen.query_one("#sample").border_title))

    picture(Stage(child=Varied).app(), scene)


@pytest.mark.parametrize(
    "keys", ["3", "1", "2", "4", "f"], ids=["text", "source", "turns", "tokens", "facts"]
)
def test_inspector(picture: Any, keys: str) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_inspect(app, pilot)
        await pilot.press("right", *keys)
        await until(pilot, lambda: "‼ kept: missing end token" in row_text(app))
        await until(pilot, lambda: keys != "4" or "◆" in row_text(app))

    picture(Stage(child=Inspected).app(), scene)


def test_source(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_source(app, pilot)
        await pilot.press("enter")
        await pick(app, pilot, *"question")
        await until(pilot, lambda: "pairs" in text(app, "#tried Quiet"))

    picture(Stage(child=Shapeless).app(), scene)


def test_source_with_a_mistake(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_source(app, pilot)
        knob = app.screen.query_one("#weight", KnobRow)
        knob.query_one(Input).value = "0"
        await until(pilot, lambda: knob.has_class("-wrong"))

    picture(Stage(child=Shapeless).app(), scene)


def test_columns_to_choose_from(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_source(app, pilot)
        app.screen.query_one("#pick-group Value").focus()
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.screen.query(".pick")))
        await pilot.press(*"49")

    picture(Stage(child=Shapeless).app(), scene)


def test_templates(picture: Any, library: None) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_templates(app, pilot)
        await pilot.press("space")
        await until(pilot, lambda: "template" in text(app, "#tried Quiet"))

    picture(Stage(child=Shapeless).app(), scene)


def test_template_being_written(picture: Any, library: None) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_writing(app, pilot)
        for area in app.screen.query(TextArea):
            area.cursor_blink = False
        await pilot.press(*"Is this good?", "enter", "ctrl+t")
        await pick(app, pilot)
        await pilot.press("tab", *"It is ", "ctrl+t")
        await pick(app, pilot, *"odd")
        await until(pilot, lambda: "Is this good?" in text(app, "#tried Quiet"))

    picture(Stage(child=Shapeless).app(), scene)


def test_ledger(picture: Any) -> None:
    picture(Stage().app(), at_ledger)


def test_policy(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_ledger(app, pilot)
        await pilot.press("down", "p")
        await until(pilot, lambda: bool(app.screen.query(".pick")))

    picture(Stage().app(), scene)


def test_entries(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_ledger(app, pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(app.screen.query("#whole")))
        await until(pilot, lambda: "line 5" in text(app, "#whole"))

    picture(Stage().app(), scene)


def test_report(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_data(app, pilot)
        await pilot.press("r")
        await until(pilot, lambda: bool(app.screen.query("#report-text")))
        await until(pilot, lambda: "Longest" in text(app, "#report-text"))

    picture(Stage().app(), scene)


def test_recipe(picture: Any) -> None:
    picture(Stage().app(), at_recipe)


def test_recipe_with_a_mistake(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_recipe(app, pilot)
        rate = app.screen.query_one("#train-learning_rate", KnobRow)
        rate.query_one(Input).value = "20"
        await until(pilot, lambda: rate.has_class("-wrong"))

    picture(Stage().app(), scene)


def test_train_on_a_gpu(picture: Any) -> None:
    run = record("first-steps", step_events(230, end=None), minutes_ago=2)
    with ExitStack() as stack:
        stack.enter_context(alive(run))
        picture(Stage(gpus=[GPU]).app(), training)


def test_train_before_the_first_step(picture: Any) -> None:
    run = record("first-steps", step_events(0, end=None)[:2], minutes_ago=0.5)
    with alive(run):
        picture(Stage().app(), training)


def test_train_finished(picture: Any) -> None:
    record("first-steps", step_events(400))
    picture(Stage().app(), opened)


def test_train_failed(picture: Any) -> None:
    record("no-memory", [*step_events(12, end=None), FAILED])
    picture(Stage().app(), opened)


def live(picture: Any, events: list[dict[str, Any]], keys: str = "", gpus: list[Gpu] | None = None) -> None:
    """A run under way, looked at with these keys."""

    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await training(app, pilot)
        await until(pilot, lambda: text(app, "#reading"))
        await pilot.press(*keys.split())
        await pilot.pause()

    run = record("first-steps", events, minutes_ago=5)
    with alive(run):
        picture(Stage(gpus=gpus or []).app(), scene)


def test_train_with_all_that_a_run_can_say(picture: Any) -> None:
    live(picture, whole(230, end=None, gpu="GPU-mine"), gpus=[MINE, OTHER])


def test_train_after_the_probe(picture: Any) -> None:
    live(picture, whole(0, end=None))


def test_train_with_losses_that_are_no_number(picture: Any) -> None:
    live(picture, with_nan(), "left")


def test_train_with_spikes_in_logarithms(picture: Any) -> None:
    live(picture, with_spikes(), "g")


def test_train_taken_up_again(picture: Any) -> None:
    live(picture, resumed())


def test_train_overfits(picture: Any) -> None:
    live(picture, overfitting())


def test_train_without_an_evaluation(picture: Any) -> None:
    live(picture, [event for event in step_events(230, end=None) if event["kind"] != "evaluated"])


def test_train_memory_alone(picture: Any) -> None:
    live(picture, whole(230, end=None, gpu="GPU-mine"), "3", [MINE, OTHER])


def test_train_samples_alone(picture: Any) -> None:
    live(picture, whole(230, end=None), "4 left_square_bracket")


def test_stop(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await training(app, pilot)
        await pilot.press("s")

    run = record("first-steps", step_events(230, end=None), minutes_ago=2)
    with alive(run):
        picture(Stage().app(), scene)


def test_home_with_a_line(picture: Any) -> None:
    record("done", step_events(400), minutes_ago=300)
    trains = record("trains", step_events(120, end=None), minutes_ago=12)
    queued = {"kind": "queued", "behind": trains.name, "ahead": 1}
    waits = record("waits", [*step_events(0, end=None)[:1], queued], minutes_ago=3)

    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.is_mounted)
        app.pop_screen()
        await listed(app, pilot)
        await until(pilot, lambda: app.screen.query_one("RunTable").row_count == 3)
        app.screen.query_one("RunTable").move_cursor(row=0)

    with ExitStack() as stack:
        for run in (trains, waits):
            stack.enter_context(alive(run))
        picture(Stage().app(), scene)


def test_train_killed(picture: Any) -> None:
    record("killed", step_events(230, end=None))
    picture(Stage().app(), opened)


def test_whose_turn(picture: Any) -> None:
    stage = Stage()
    stage.ahead = [record("other", step_events(10))]

    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_recipe(app, pilot)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: bool(app.screen.query(".dialog")))

    picture(stage.app(), scene)


def test_model_where_none_is_found(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: bool(app.screen.query("#welcome")))
        await pilot.press("n")
        await until(pilot, lambda: bool(app.screen.query("#looking")))
        await until(pilot, lambda: "No model" in text(app, "#looking"))

    picture(IftTui(Stage().but(models=list, fits=lambda plan, models: {})), scene)


def test_memory_forecast(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_recipe(app, pilot)
        await pilot.press("f2")
        await until(pilot, lambda: bool(app.screen.query("#report-text")))
        await until(pilot, lambda: "together" in text(app, "#report-text"))

    picture(Stage().app(), scene)


def test_notes(picture: Any) -> None:
    live(picture, with_nan(), "w")


def test_what_a_run_can_be_told(picture: Any) -> None:
    live(picture, step_events(230, end=None), "o")


def test_ledger_of_a_run(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: bool(app.screen.query("#ledger-state")))
        await until(pilot, lambda: "Nothing" in text(app, "#ledger-state"))

    record("first-steps", step_events(400))
    picture(Stage().app(), scene)


def test_compare(picture: Any) -> None:
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await to_compare(app, pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "positive" in text(app, "#column-1 .said"))
        await until(pilot, lambda: "ready" in text(app, "#chat-status"))

    record("first-steps", step_events(400))
    picture(Stage().app(), scene)
