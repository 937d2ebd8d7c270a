"""A sweep on its screen: its trials, its curves, what it can be told; and how one is started."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from test_space import swept
from test_sweeps import made, recorded, trial
from test_tui_runlist import names
from test_tui_walk import at_recipe, footer, on, text
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList
from tui_stage import Stage, alive, record, step_events, until

from engine import recipe, runs, sweeps
from engine.schema import Recipe
from engine.sweeps import Sweep
from tui.app import IftTui
from tui.draft import Draft
from tui.screens.choose import AskScreen, ChooseScreen, PickScreen
from tui.screens.compare import CompareScreen
from tui.screens.form import FormScreen
from tui.screens.messages import StartAsked
from tui.screens.recipe import RecipeScreen
from tui.screens.sweep import SweepScreen
from tui.screens.sweep_plan import SweepPlanScreen
from tui.screens.train import TrainScreen
from tui.widgets.knob import KnobRow
from tui.widgets.sweep_curves import draw

OVER = {"lora.rank": [8, 16], "train.learning_rate": {"low": 1e-4, "high": 1e-3}}
SHARES = {
    "kind": "importance", "shares": {"train.learning_rate": 0.75, "lora.rank": 0.25}, "trials": 8,
}  # fmt: skip
FOUR = (trial(1, [3.0, 3.1]), trial(2, [2.5, 2.6]), trial(3, state="pruned"), trial(4, state=""))


def a_sweep(*more: dict[str, Any], trials: Iterable[list[dict[str, Any]]] = FOUR) -> Sweep:
    return made([*recorded(*trials, [SHARES]), *more], swept(OVER))


def run_of(number: int) -> Any:
    """The run of a trial, with an adapter."""
    name = f"20300102-1200{number:02}-a-{number:02}"
    path = record(name, step_events(400)).path.rename(runs.home() / "runs" / name)
    (path / "adapter").mkdir()
    (path / "adapter" / "adapter_config.json").write_text("{}")
    return runs.Run(path)


async def to_sweep(app: Any, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: app.screen.focused is not None)
    await pilot.press("enter")
    await until(pilot, on(app, SweepScreen))
    await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 4)


async def test_a_sweep_is_shown_with_its_best_and_what_matters() -> None:
    a_sweep({"kind": "stopped", "reason": "by hand"})
    run_of(2)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_sweep(app, pilot)
        assert text(app, "#sweep-status") == "■ stopped  4 of 12 runs · 3 min 00 s of training · tpe"
        assert text(app, "#sweep-standing").endswith(
            "Best: trial 2, validation loss 2.5500 [1.915, 3.185], the mean of 2 seeds: "
            "rank 16, learning_rate 0.0002"
        )
        table = app.screen.query_one(DataTable)
        rows = [[cell.plain for cell in table.get_row_at(number)] for number in range(4)]
        assert rows[1] == ["2", "✓ best", "2.5500 [1.915, 3.185]", "16", "0.0002"]
        assert rows[2][1:3] == ["■ pruned", "–"] and rows[3][1] == "● unfinished"
        assert "learning_rate" in text(app, "#importance-text") and "75%" in text(app, "#importance-text")
        assert table.cursor_row == 1  # on the best one
        await until(pilot, lambda: "Compare" in footer(app))
        await pilot.press("up")
        await until(pilot, lambda: "Compare" not in footer(app))  # its run has gone
        assert "Stop" not in footer(app) and "Go on" in footer(app)
        await pilot.press("down", "enter")
        await until(pilot, on(app, TrainScreen))


async def test_two_trials_are_compared_in_chat() -> None:
    a_sweep({"kind": "finished", "reason": "its runs are made"})
    first, second = run_of(1), run_of(2)
    stage = Stage()
    app = stage.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await to_sweep(app, pilot)
        await until(pilot, lambda: "Compare" in footer(app))
        await pilot.press("up", "space", "down", "c")
        await until(pilot, on(app, CompareScreen))
        chat = stage.children[0]
        assert chat.arguments == (str(second.path),)
        await until(pilot, lambda: any(asked["do"] == "load" for asked in chat.asked))
        asked = next(asked for asked in chat.asked if asked["do"] == "load")
        assert (asked["run"], asked["column"], asked["step"]) == (str(first.path), first.name, None)
        await until(pilot, lambda: len(app.screen.query("AnswerColumn")) == 3)
        await pilot.press("escape")
        await until(pilot, on(app, SweepScreen))
        await pilot.press("f6")
        await until(pilot, on(app, FormScreen))
        assert app.screen.query_one("#form-beside Input", Input).value == first.name
        await pilot.press("enter")
        await until(pilot, lambda: any(child.worker == "evaluate" for child in stage.children))
        words = stage.children[-1].arguments
        assert words[0] == str(second.path) and words[words.index("--with") + 1] == first.name


async def test_a_sweep_is_stopped_enlarged_and_its_best_trained() -> None:
    stage, told = Stage(), list[Any]()
    sweep = a_sweep()
    app = IftTui(
        stage.but(
            stop_sweep=lambda sweep, with_run: told.append(("stop", sweep, with_run)),
            resume_sweep=lambda sweep: told.append(("go on", sweep)),
        )
    )
    run = record("a-04", step_events(30, end=None))
    run = runs.Run(run.path.rename(runs.home() / "runs" / "20300102-120004-a-04"))
    async with app.run_test(size=(80, 24)) as pilot:
        await to_sweep(app, pilot)
        with alive(sweep), alive(run):  # type: ignore[arg-type]
            await until(pilot, lambda: "Stop" in footer(app))
            assert app.screen.query_one(DataTable).get_row_at(3)[1].plain == "● 30/400"
            await pilot.press("s")
            await until(pilot, on(app, ChooseScreen))
            await pilot.press("down", "enter")
            await until(pilot, lambda: told == [("stop", sweep, True)])
        await until(pilot, lambda: "Go on" in footer(app))
        await pilot.press("m")
        await until(pilot, on(app, AskScreen))
        app.screen.query_one(Input).value = "0"
        await pilot.press("enter")
        await until(pilot, lambda: "above 0" in text(app, "#wrong"))
        app.screen.query_one(Input).value = "24"
        await pilot.press("enter")
        await until(pilot, lambda: told[1:] == [("go on", sweep)])
        plan = sweep.recipe().sweep
        assert plan is not None and plan.runs == 24
        await until(pilot, lambda: "4 of 24" in text(app, "#sweep-status"))
        await pilot.press("b")
        await until(pilot, on(app, TrainScreen))
        assert [(one.name, one.data.all_data, one.lora.rank) for one in stage.started] == [
            ("run-best", True, 16)
        ]


@pytest.mark.parametrize("downs", [0, 1, 2])
async def test_a_recipe_with_a_sweep_asks_whether_it_is_meant(downs: int) -> None:
    stage, begun = Stage(), list[Recipe]()

    def start(plan: Recipe) -> Sweep:
        begun.append(plan)
        return a_sweep()

    app = IftTui(stage.but(start_sweep=start))
    async with app.run_test(size=(80, 24)) as pilot:
        app._draft = Draft(swept(OVER, hours=2.0), scan={"digest": "abc", "rows": 1})
        app.post_message(StartAsked())
        await until(pilot, on(app, ChooseScreen))
        question = str(app.screen.query_one(".dialog").border_title)
        assert question == "At most 12 runs, one after another; none begins after 2 hours"
        await pilot.press(*["down"] * downs, "enter")
        await until(pilot, lambda: not isinstance(app.screen, ChooseScreen))
        if downs == 0:
            await until(pilot, on(app, SweepScreen))
            assert begun[0].data.digest is None and begun[0].sweep is not None
        else:
            await until(pilot, lambda: len(stage.started) == (downs == 1))
        assert len(begun) == (downs == 0)


def lines_of_form(app: Any) -> dict[str, str]:
    """What stands in each field, by its key."""
    return {row.knob.key: row.query_one(Input).value for row in app.screen.query(KnobRow) if row.query(Input)}


def at(app: Any, key: str) -> Input:
    return next(row for row in app.screen.query(KnobRow) if row.knob.key == key).query_one(Input)


async def test_a_sweep_is_laid_out_from_the_recipe_and_started() -> None:
    stage, begun = Stage(), list[Recipe]()

    def start(plan: Recipe) -> Sweep:
        begun.append(plan)
        return a_sweep()

    app = IftTui(stage.but(start_sweep=start))
    async with app.run_test(size=(80, 24)) as pilot:
        await at_recipe(app, pilot)
        await pilot.press("f3")
        await until(pilot, on(app, SweepPlanScreen))
        await until(pilot, lambda: "At most 12 runs" in text(app, "#sums"))
        assert lines_of_form(app)["lora.alpha"] == "1x, 2x"
        await pilot.press("escape")
        await until(pilot, on(app, RecipeScreen))
        assert app._draft is not None and app._draft.recipe.sweep is None  # it was only suggested
        await pilot.press("f3")
        await until(pilot, on(app, SweepPlanScreen))
        at(app, "lora.alpha").value = ""
        at(app, "train.learning_rate").value = "1e-3, 2e-3"
        at(app, "lora.rank").value = "8, 16x"
        await until(pilot, lambda: "behind each of the factors" in text(app, "#sums"))
        assert "Start" not in footer(app)
        at(app, "lora.rank").value = "8, 9999"
        await until(pilot, lambda: "lora.rank = 9999" in text(app, "#sums"))  # checked before any run is made
        at(app, "lora.rank").value = "8, 16"
        at(app, "other-keys").value = "train.seed = 1, 2; train.schedule = linear"
        at(app, "runs").value = "5"
        await until(pilot, lambda: "At most 5 runs of 8 settings" in text(app, "#sums"))
        app.screen.query_one("#pick-method Value").focus()
        await pilot.press("enter")
        await until(pilot, on(app, PickScreen))
        await pilot.press(*"grid", "enter")
        await until(pilot, lambda: "every combination" in text(app, "#pick-method .knob-says"))
        await pilot.press("ctrl+n")
        await until(pilot, on(app, SweepScreen))
        (plan,) = begun
        assert plan.sweep is not None and (plan.sweep.method, plan.sweep.runs) == ("grid", 5)
        assert {key: list(over.values) for key, over in plan.sweep.over.items()} == {
            "train.learning_rate": [1e-3, 2e-3], "lora.rank": [8, 16], "train.seed": [1, 2],
            "train.schedule": ["linear"],
        }  # fmt: skip


async def test_what_is_tried_stays_in_the_recipe_and_can_be_taken_out_again() -> None:
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_recipe(app, pilot)
        await pilot.press("f3")
        await until(pilot, on(app, SweepPlanScreen))
        at(app, "runs").value = "7"
        await until(pilot, lambda: "At most 7 runs" in text(app, "#sums"))
        await pilot.press("escape")
        await until(pilot, lambda: "sweep over learning_rate" in text(app, "#sums"))
        assert "ift-tui sweep" in text(app, "#sums") and app._draft.recipe.sweep.runs == 7  # type: ignore[union-attr]
        at(app, "steps").value = "50"  # other knobs leave it alone
        await until(pilot, lambda: app._draft is not None and app._draft.recipe.train.steps == 50)
        await pilot.press("f3")
        await until(pilot, on(app, SweepPlanScreen))
        for row in app.screen.query(KnobRow):
            if row.knob.table == "sweep.over":
                row.query_one(Input).value = ""
        await until(pilot, lambda: "Nothing is tried" in text(app, "#sums"))
        assert "Start" not in footer(app)
        await pilot.press("escape")
        await until(pilot, on(app, RecipeScreen))
        await until(pilot, lambda: app._draft is not None and app._draft.recipe.sweep is None)


async def test_a_sweep_is_archived_brought_back_and_deleted_with_its_runs() -> None:
    sweep = a_sweep({"kind": "finished", "reason": "its runs are made"})
    first, second = run_of(1), run_of(2)
    record("lamps", step_events(5), minutes_ago=3)
    app = Stage().app()

    def listed() -> list[str]:
        return [] if not app.screen.query(DataTable) else names(app)

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("a")
        await until(pilot, on(app, ChooseScreen))
        answers = app.screen.query_one(OptionList)
        assert "with its 2 runs" in str(answers.get_option_at_index(0).prompt)
        await pilot.press("enter")
        await until(pilot, lambda: listed() == ["lamps"])
        assert sweeps.list_sweeps() == [] and not first.path.exists()
        await pilot.press("A")
        await until(pilot, on(app, PickScreen))
        assert "a sweep with its 2 runs" in str(
            app.screen.query_one(OptionList).get_option_at_index(0).prompt
        )
        await pilot.press("enter")
        await until(pilot, lambda: listed() == ["▸ run", "lamps"])
        assert second.has_result and sweeps.find("last") == sweep
        await pilot.press("up", "D")
        await until(pilot, on(app, ChooseScreen))
        await pilot.press("down", "enter")
        await until(pilot, on(app, AskScreen))
        await pilot.press(*"run", "enter")
        await until(pilot, lambda: len(listed()) == 3)
        assert first.path.is_dir() and sweeps.list_sweeps() == []


async def test_the_app_opens_on_a_live_sweep() -> None:
    sweep = a_sweep()
    with alive(sweep):  # type: ignore[arg-type]
        app = Stage().app()
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, on(app, SweepScreen))
            assert app.screen.query_one(DataTable).cursor_row == 3  # on the trial under way


async def test_a_chain_says_how_many_runs_were_started() -> None:
    plan = recipe.load("first-steps").model_dump(mode="json", exclude_none=True)
    chain = recipe.parse({**plan, "then": [{"lora": {"rank": 8}}]})
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        app._draft = Draft(chain)
        app.post_message(StartAsked())
        await until(pilot, lambda: len(app._notifications) > 0)
        said = [notice.message for notice in app._notifications]
        assert said == ["2 runs were started; each waits for the one before it"]
        assert isinstance(app.screen, TrainScreen)


def test_curves_lie_over_each_other_and_two_stand_out() -> None:
    state = sweeps.fold(recorded(*FOUR))
    lines = [line.plain for line in draw(state.trials, 2, 3, 60, 12)]
    assert len(lines) == 12 and all(len(line) <= 60 for line in lines)
    assert sum(line.count("◆") for line in lines) == 2 and sum(line.count("●") for line in lines) == 2
    assert lines[-1] == "◆ trial 3  ● best, trial 2  ⠒ others"
    assert "first evaluation" in draw([], 0, 0, 60, 12)[0].plain
