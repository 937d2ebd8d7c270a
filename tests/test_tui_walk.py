"""The walk over all screens, by keys alone, on scripted workers and recorded runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Checkbox, DataTable, Input
from tui_stage import OPENED, SCANNED, Script, Stage, alive, answered, record, row, step_events, until

from engine import recipe, schema
from engine.auto import OPEN
from engine.errors import RunFailed
from engine.state import RunState
from tui.app import IftTui
from tui.draft import Draft, called_after
from tui.screens.compare import CompareScreen
from tui.screens.data import DataScreen
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.model import ModelScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.widgets import curves
from tui.widgets.answer import AnswerColumn
from tui.widgets.curves import View
from tui.widgets.knob import KnobRow
from tui.widgets.loss_plot import LossPlot
from tui.widgets.model_list import ModelList
from tui.widgets.row_view import RowView
from tui.widgets.source_list import SourceList
from tui.widgets.stepper import Stepper, label

Keys = Pilot[Any]


def text(app: IftTui, selector: str) -> str:
    """What a Static shows."""
    return str(app.screen.query_one(selector).render())


def row_text(app: IftTui) -> str:
    """What the row's panel shows."""
    return app.screen.query_one(RowView).text


def on(app: IftTui, screen: type) -> Any:
    return lambda: isinstance(app.screen, screen) and app.screen.is_mounted


def footer(app: IftTui) -> set[str]:
    """What the keys at the bottom say they do."""
    return {a.binding.description for a in app.screen.active_bindings.values() if a.binding.show}


async def to_model(app: IftTui, pilot: Keys) -> None:
    """With the recipe of the first run where there is none yet, else with that of a new one."""
    await until(pilot, lambda: "First run" in footer(app) or "Compare" in footer(app))
    await pilot.press("enter" if "First run" in footer(app) else "n")
    await until(pilot, on(app, ModelScreen))
    await until(pilot, lambda: app.screen.query_one(ModelList).chosen is not None)


async def to_data(app: IftTui, pilot: Keys) -> None:
    await to_model(app, pilot)
    await pilot.press("enter")
    await until(pilot, on(app, DataScreen))
    await until(pilot, lambda: "digest" in text(app, "#facts"))
    await until(pilot, lambda: "train 1 of" in str(app.screen.query_one(RowView).border_title))


async def to_recipe(app: IftTui, pilot: Keys) -> None:
    await to_data(app, pilot)
    await pilot.press("enter")
    await until(pilot, on(app, RecipeScreen))
    await until(pilot, lambda: "epochs" in text(app, "#sums"))


async def at_recipe(app: IftTui, pilot: Keys, scan: dict[str, Any] = SCANNED) -> None:
    """The recipe screen without the way to it, for tests of that screen alone."""
    app._draft = Draft(recipe.load("first-steps"), reached=4, opened=OPENED, scan=scan)
    app._push(RecipeScreen(app.edges, app._draft))
    await until(pilot, on(app, RecipeScreen))
    await until(pilot, lambda: "an epoch" in text(app, "#sums"))


async def test_a_run_without_a_trained_row_is_not_started() -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_recipe(app, pilot, {**SCANNED, "rows": 0, "left_out": {"nothing to train on": 40}})
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "No row to train on; 40 rows left out" in text(app, "#sums"))
        assert not stage.started and "Start" in footer(app)


async def test_what_would_spoil_the_training_stands_above_the_start() -> None:
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_recipe(app, pilot, {**SCANNED, "spoiling": ["9 rows: \x1bmissing end token"]})
        assert "‼ 9 rows: ␛missing end token" in text(app, "#sums")


async def to_compare(app: IftTui, pilot: Keys, seconds: float = 10.0) -> None:
    await until(pilot, lambda: "Compare" in footer(app))
    await pilot.press("c")
    await until(pilot, on(app, CompareScreen))
    await until(pilot, lambda: "Test row" in footer(app), seconds)


async def test_the_whole_walk() -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_recipe(app, pilot)
        await pilot.press("ctrl+n")
        await until(pilot, on(app, TrainScreen))
        assert stage.started[0].data.digest == "5e55ed0123456789abcdef"
        await until(pilot, lambda: "finished" in text(app, "#status"))
        assert app.screen.query_one(Stepper).progress.done == {2, 3, 4, 5}
        await to_compare(app, pilot)
        await pilot.press(*"Hello", "enter")
        await until(pilot, lambda: "ready" in text(app, "#chat-status"))
        assert text(app, "#column-1 .said").startswith("▸ Hello\n\npositive, 5 stars\n48 tokens/s")
        await pilot.press("escape")
        await until(pilot, on(app, TrainScreen))
        await pilot.press("escape")
        await until(pilot, on(app, HomeScreen))
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 1)
    assert all(child.closed for child in stage.children)


async def test_escape_goes_back_step_by_step_and_keeps_the_choices() -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_recipe(app, pilot)
        for screen in (DataScreen, ModelScreen, HomeScreen):
            await pilot.press("escape")
            await until(pilot, on(app, screen))
        await pilot.press("escape")
        assert isinstance(app.screen, HomeScreen)


async def test_every_screen_explains_itself_and_its_keys() -> None:
    record("done", step_events(400))
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_recipe(app, pilot)
        for screen in [s for s in app.screen_stack if not isinstance(s, RecipeScreen)]:
            assert len(screen.HELP) > 150  # type: ignore[attr-defined]
        await pilot.press("f1")
        await until(pilot, on(app, HelpScreen))
        keys = str(app.screen.query_one("#help-keys").render())
        assert "Start the training" in keys and "f1" in keys
        await pilot.press("escape")
        await until(pilot, on(app, RecipeScreen))


async def test_every_key_has_an_id_and_says_what_it_does() -> None:
    for screen in (
        IftTui, HomeScreen, ModelScreen, DataScreen, RecipeScreen, TrainScreen, CompareScreen,
        HelpScreen, RowView,
    ):  # fmt: skip
        for binding in screen.BINDINGS:
            assert binding.description, (screen, binding)  # type: ignore[union-attr]
            if binding.show:  # type: ignore[union-attr]
                assert binding.id, (screen, binding)  # type: ignore[union-attr]


async def test_letters_that_a_field_takes_are_not_offered_as_keys() -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_model(app, pilot)
        assert "q" in app.screen.active_bindings
        await pilot.press("slash", "q", "question_mark")
        await pilot.pause()
        assert app.screen.query_one(Input).value == "q?"
        assert "q" not in app.screen.active_bindings
        assert "f1" in app.screen.active_bindings


async def test_a_live_run_is_shown_at_the_start_and_left_alive() -> None:
    run = record("live", step_events(100, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test() as pilot:
            await until(pilot, on(app, TrainScreen))
            await until(pilot, lambda: "running" in text(app, "#status"))
            assert "Stop" in footer(app) and "Compare" not in footer(app)
            await pilot.press("escape")
            await until(pilot, on(app, HomeScreen))
            await until(pilot, lambda: bool(app._notifications))
            assert "goes on" in next(iter(app._notifications)).message


async def test_quitting_says_that_a_live_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    run = record("live", step_events(100, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test() as pilot:
            await until(pilot, on(app, TrainScreen))
            await pilot.press("q")
            await until(pilot, lambda: app._exit)
    assert f"{run.name} goes on" in capsys.readouterr().err


async def test_stopping_asks_once() -> None:
    stage, run = Stage(), record("live", step_events(100, end=None))
    app = stage.app()
    with alive(run):
        async with app.run_test() as pilot:
            await until(pilot, on(app, TrainScreen))
            await until(pilot, lambda: "Stop" in footer(app))
            await pilot.press("s", "escape")
            await pilot.pause()
            assert stage.stopped == []
            await pilot.press("s", "enter")
            await until(pilot, lambda: stage.stopped == [run])


async def test_a_failed_run_says_why_and_shows_its_log() -> None:
    failed = {"kind": "failed", "reason": "out of [memory]", "mend": "halve it", "step": 3}
    record("bad", [*step_events(3, end=None), failed])
    app = Stage().app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 1)
        await pilot.press("enter")
        await until(pilot, on(app, TrainScreen))
        await until(pilot, lambda: "out of [memory]" in text(app, "#outcome"))
        assert "halve it" in text(app, "#outcome")
        log = text(app, "LogPane Quiet")
        assert "[bold]log[/bold]" in log and "\x1b" not in log
        assert app.screen.query_one(Stepper).progress.wanting == {5}


async def test_the_plot_is_drawn_again_only_for_new_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = record("live", step_events(100, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test() as pilot:
            await until(pilot, lambda: "running" in text(app, "#status"))
            await until(pilot, lambda: "◆" in text(app, "LossPlot"))
            screen = app.screen
            assert isinstance(screen, TrainScreen)
            drawn: list[View] = []
            draw = curves.draw

            def spy(state: RunState, other: RunState | None, view: View, *size: int) -> Any:
                drawn.append(view)
                return draw(state, other, view, *size)

            monkeypatch.setattr(curves, "draw", spy)
            plot = screen.query_one(LossPlot)
            plot.show_run(screen.snapshot.state, None, View())
            assert drawn == []
            plot.show_run(screen.snapshot.state, None, View(log=True))
            assert drawn == [View(log=True)]


async def test_a_wrong_value_is_told_beside_its_field_and_stops_the_start() -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await at_recipe(app, pilot)
        rate = app.screen.query_one("#train-learning_rate", KnobRow)
        rate.query_one(Input).value = "20"
        await until(pilot, lambda: rate.has_class("-wrong"))
        assert "too high for LoRA" in str(rate.query_one(".knob-says").render())
        assert "Start" not in footer(app)
        assert app.screen.query_one(Stepper).progress.wanting == {4}
        rate.query_one(Input).value = "1e-4"
        await until(pilot, lambda: not rate.has_class("-wrong"))
        assert "Start" in footer(app)


WRONG = [
    ("#train-steps", "many", "must be a valid integer"),
    ("#train-epochs", "2", "contradict each other"),
    ("#name", "a/b", "should match pattern"),
    ("#lora-dropout", "1", "must be less than 1"),
    ("#train-batch_size", "", "must be a valid integer"),
]


async def test_each_error_stands_at_its_own_field() -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await at_recipe(app, pilot)
        for name, value, sentence in WRONG:
            knob = app.screen.query_one(name, KnobRow)
            field = knob.query_one(Input)
            right, field.value = field.value, value
            await until(pilot, lambda knob=knob: knob.has_class("-wrong"))
            assert sentence in str(knob.query_one(".knob-says").render())
            assert len(app.screen.query(".-wrong")) == 1
            field.value = right
            await until(pilot, lambda knob=knob: not knob.has_class("-wrong"))


async def test_what_is_turned_is_what_is_started() -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await at_recipe(app, pilot)
        app.screen.query_one("#train-steps Input", Input).value = ""
        app.screen.query_one("#train-epochs Input", Input).value = "2"
        app.screen.query_one("#model-load_in_4bit Checkbox", Checkbox).value = False
        await until(pilot, lambda: "300 steps" in text(app, "#sums"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: bool(stage.started))
        plan = stage.started[0]
        assert (plan.train.steps, plan.train.epochs) == (None, 2.0)
        assert not plan.model.load_in_4bit


async def test_a_longer_row_reads_the_rows_again() -> None:
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await at_recipe(app, pilot)
        before = len(stage.children)
        app.screen.query_one("#data-max_length Input", Input).value = "128"
        await until(pilot, lambda: len(stage.children) > before)
        await until(pilot, lambda: "epochs" in text(app, "#sums"))
        opened = [r for child in stage.children for r in child.asked if r["do"] == "open"]
        assert opened[-1]["recipe"]["data"]["max_length"] == 128


async def test_the_saved_recipe_is_the_shown_one(tmp_path: Path) -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await at_recipe(app, pilot)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: bool(app.screen.query(".dialog Input")))
        file = tmp_path / "mine.toml"
        app.screen.query_one(Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, file.exists)
        assert recipe.load(file).data.digest == "5e55ed0123456789abcdef"
        await until(pilot, lambda: "mine.toml" in text(app, "#sums"))


async def test_a_start_that_cannot_be_is_one_sentence_and_can_be_tried_again() -> None:
    def refuse(plan: schema.Recipe, beside: bool) -> Any:
        raise RunFailed("torch is missing; run `make run`")

    stage = Stage()
    app = IftTui(stage.but(start=refuse))
    async with app.run_test() as pilot:
        await at_recipe(app, pilot)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "torch is missing" in text(app, "#sums"))
        assert isinstance(app.screen, RecipeScreen)
        assert "Start" in footer(app)


async def test_rows_are_paged_and_parts_are_switched() -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_data(app, pilot)
        view = app.screen.query_one(RowView)
        for key, title in (
            ("right", "train 2 of 2,400"), ("pagedown", "train 12 of"), ("pageup", "train 2 of"),
            ("left", "train 1 of"), ("left", "train 1 of"), ("t", "validation 1 of 200"),
            ("t", "test 1 of 400"),
        ):  # fmt: skip
            await pilot.press(key)
            await until(pilot, lambda title=title: title in str(view.border_title))
        assert "40 tokens, 7 trained" in str(view.border_subtitle)


class Refusing(Script):
    """Rows that cannot be read, and rows that are not trained on."""

    def answers(self, request: dict[str, Any]) -> Any:
        if request["do"] == "row":
            yield {**row("train", 0), "refused": "no [answer]", "text": "", "spans": []}
        elif request["do"] == "open" and request["recipe"]["data"]["sources"][0]["path"] == "/x.csv":
            yield {"kind": "error", "message": "/x.csv: no such file; give its full path"}
        elif request["do"] == "open":
            yield OPENED
        else:
            yield from super().answers(request)


async def test_a_new_run_leaves_open_what_goes_by_the_model_and_the_rows() -> None:
    record("done", step_events(40))
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await to_model(app, pilot)
        await pilot.press("down", "down", "enter")
        await until(pilot, on(app, DataScreen))
        chosen = app.screen.draft.recipe
        assert chosen.model.id != "builtin:tiny" and chosen.name == called_after(chosen.model.id)
        train = chosen.train
        assert (train.steps, train.epochs) == (None, 2.0)
        open_keys = {key for key in OPEN if getattr(train, key) == "auto"}
        assert open_keys >= {"learning_rate", "batch_size", "warmup_steps", "eval_every"}
        await until(pilot, lambda: "digest" in text(app, "#facts"))
        await pilot.press("enter")
        await until(pilot, on(app, RecipeScreen))
        assert app.screen.query_one("#train-learning_rate Input", Input).value == "auto"
        assert app.screen.query_one("#name Input", Input).value == chosen.name
        await pilot.press("escape", "escape")
        await until(pilot, on(app, ModelScreen))
        await pilot.press("up", "up", "enter")
        await until(pilot, on(app, DataScreen))
        assert app.screen.draft.recipe.name == "tiny"


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("builtin:tiny", "tiny"),
        ("Qwen/Qwen3-4B", "Qwen3-4B"),
        ("/models/my model/", "my-model"),
        ("/", "new"),
    ],
)
def test_a_run_can_be_called_after_any_model(id: str, name: str) -> None:
    assert called_after(id) == name


async def test_a_refused_row_says_why_and_a_missing_file_stops_the_walk() -> None:
    app = Stage(child=Refusing).app()
    async with app.run_test() as pilot:
        await to_model(app, pilot)
        await pilot.press("enter")
        await until(pilot, on(app, DataScreen))
        await until(pilot, lambda: "no [answer]" in row_text(app))
        await pilot.press("slash", *"/x.csv", "enter")
        await until(pilot, lambda: "no such file" in text(app, "#facts"))
        assert [one.path for one in app.screen.query_one(SourceList).taken] == ["/x.csv"], "not beside others"
        assert "Next" not in footer(app)
        assert app.screen.query_one(Stepper).progress.wanting == {3}


async def test_a_typed_model_is_taken_and_a_broken_one_refused() -> None:
    app = Stage().app()
    async with app.run_test() as pilot:
        await to_model(app, pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(app._notifications))
        assert isinstance(app.screen, ModelScreen)
        assert "tokenizer.json" in next(iter(app._notifications)).message
        await pilot.press("slash", *"org/mine", "enter")
        await until(pilot, on(app, DataScreen))
        assert app.screen.draft is not None  # type: ignore[attr-defined]
        assert app.screen.draft.recipe.model.id == "org/mine"  # type: ignore[attr-defined]


async def test_held_out_rows_are_asked_in_turn_with_their_reference() -> None:
    record("done", step_events(400))
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        for number in (1, 2):
            await pilot.press("ctrl+t")
            title = f"test row {number} of 400"
            reference = app.screen.query_one("#reference")
            await until(pilot, lambda r=reference, t=title: t in str(r.border_title))
            await until(pilot, lambda: "ready" in text(app, "#chat-status"))
        assert text(app, "#reference-text") == "positive, 5 stars"
        base = app.screen.query_one("#column-0", AnswerColumn)
        assert str(base.query_one(".said").render()).count("▸ ") == 1, "a row is a conversation of its own"
        assert "cut off" in str(base.border_subtitle)


async def test_each_column_keeps_its_own_history() -> None:
    record("done", step_events(400))
    stage = Stage()
    app = stage.app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        for question in ("one", "two"):
            await pilot.press(*question, "enter")
            await until(pilot, lambda: "ready" in text(app, "#chat-status"))
        chat = next(child for child in stage.children if child.worker == "chat")
        second = [r for r in chat.asked if r["do"] == "ask"][1]["messages"]
        assert second["tuned"][1]["content"] == "positive, 5 stars"
        assert second["base"][1]["content"].startswith("The lamp is bright.")
        await pilot.press("ctrl+n")
        assert text(app, "#column-0 .said").startswith("Answers stand here")


class Slow(Script):
    """An answer that begins and ends only when it is cancelled."""

    def answers(self, request: dict[str, Any]) -> Any:
        if request["do"] == "cancel":
            part = answered("half", "base", tokens=1)
            self.say(
                kind="answered", id=self.asked[-2]["id"], cancelled=True, seconds=0.1,
                columns={"base": part, "tuned": part},
            )  # fmt: skip
        else:
            yield from super().answers(request)

    def answer(self, request: dict[str, Any]) -> Any:
        yield {"kind": "token", "column": "base", "text": "half"}


async def test_escape_stops_an_answer_and_keeps_it_and_the_next_one_leaves() -> None:
    record("done", step_events(400))
    app = Stage(child=Slow).app()
    async with app.run_test() as pilot:
        await to_compare(app, pilot)
        await pilot.press(*"go", "enter")
        await until(pilot, lambda: "answering" in text(app, "#chat-status"))
        await pilot.press("escape")
        await until(pilot, lambda: "ready" in text(app, "#chat-status"))
        base = app.screen.query_one("#column-0", AnswerColumn)
        assert text(app, "#column-0 .said").startswith("▸ go\n\nhalf\n")
        assert "cancelled" in str(base.border_subtitle)
        await pilot.press("escape")
        await until(pilot, on(app, HomeScreen))


class Broken(Script):
    async def start(self) -> None:
        if self.worker == "chat":
            self.say(kind="error", message="the adapter is of another base model")
            self._said.put_nowait(None)


async def test_a_model_that_cannot_be_loaded_is_one_sentence() -> None:
    record("done", step_events(400))
    app = Stage(child=Broken).app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Compare" in footer(app))
        await pilot.press("c")
        await until(pilot, on(app, CompareScreen))
        await until(pilot, lambda: "another base model" in text(app, "#chat-status"))


class Loading(Script):
    async def start(self) -> None:
        if self.worker == "chat":
            self.say(kind="phase", phase="load")
        else:
            await super().start()


async def test_leaving_while_the_model_loads_leads_home() -> None:
    record("done", step_events(400))
    app = Stage(child=Loading).app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Compare" in footer(app))
        await pilot.press("c")
        await until(pilot, on(app, CompareScreen))
        await until(pilot, lambda: "loading the model" in text(app, "#chat-status"))
        await pilot.press("escape")
        await until(pilot, on(app, HomeScreen))
        await until(pilot, lambda: "Compare" in footer(app))
        assert app.is_running and app.return_code is None


async def test_resizing_breaks_nothing() -> None:
    run = record("live", step_events(100, end=None))
    app = Stage().app()
    with alive(run):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, on(app, TrainScreen))
            for size in ((200, 60), (40, 12), (10, 4), (120, 40)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
            await until(pilot, lambda: "running" in text(app, "#status"))


def test_a_step_is_marked_by_more_than_colour() -> None:
    from tui.widgets.stepper import Progress

    progress = Progress(done=frozenset({2}), wanting=frozenset({3}))
    assert [label(n, progress) for n in (1, 2, 3)] == ["1 Runs", "2 Model ✓", "3 Data !"]


@pytest.mark.parametrize(("columns", "shown"), [(80, False), (120, True)])
async def test_what_is_missing_is_said_in_words_where_there_is_room(columns: int, shown: bool) -> None:
    app = Stage().app()
    async with app.run_test(size=(columns, 24)) as pilot:
        await at_recipe(app, pilot)
        app.screen.query_one("#train-learning_rate Input", Input).value = "20"
        stepper = app.screen.query_one(Stepper)
        await until(pilot, lambda: " 4 Recipe ! " in stepper.render().plain)
        assert ("! a setting is wrong" in stepper.render().plain) is shown


def test_over_ssh_the_frame_rate_is_lower() -> None:
    code = "import tui.app, textual.constants; print(textual.constants.MAX_FPS)"
    for tty, fps in (("/dev/pts/0", "15"), ("", "60")):
        environment = {**os.environ, "SSH_TTY": tty}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout.strip() == fps
