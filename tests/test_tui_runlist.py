"""The list of runs: searched, sorted, remarked on, its recipes laid side by side, its sweeps folded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_space import swept
from test_sweeps import made, recorded, trial
from test_tui_walk import on, text
from textual.widgets import DataTable, Input, OptionList
from tui_stage import Stage, record, step_events, until

from engine import contrast, listing, recipe, remarks, runs
from engine.errors import UserError
from engine.remarks import Remarks
from tui import __main__ as front
from tui.feed import RunsFeed
from tui.screens.choose import AskScreen, PickScreen
from tui.screens.form import FormScreen
from tui.screens.home import HomeScreen
from tui.screens.model import ModelScreen
from tui.screens.remarking import ContrastScreen

FIRST = "20300102-120001-a-01"
"""The run of the first trial."""


def names(app: Any) -> list[str]:
    table = app.screen.query_one(DataTable)
    return [table.get_row_at(number)[0].plain for number in range(table.row_count)]


def three() -> None:
    record("lamps", step_events(50, end="stopped"), minutes_ago=3)
    plan = recipe.changed(recipe.load("first-steps"), lora={"rank": 64}, train={"learning_rate": 1e-4})
    record("books", step_events(400), minutes_ago=2, plan=plan.model_copy(update={"name": "books"}))
    measured = {"kind": "measured", "sets": [{"source": "x", "rows": 10, "base": 1, "tuned": 9}]}
    record("chairs", [*step_events(100, end=None), measured, {"kind": "finished"}], minutes_ago=1)


async def test_runs_are_found_sorted_and_all_shown_again() -> None:
    three()
    remarks.write(runs.find("lamps"), Remarks(("bright-as-day",), "the [good] one"))
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        assert names(app) == ["chairs", "books", "lamps"]
        for order in ("books chairs lamps", "lamps chairs books", "books chairs lamps",
                      "chairs books lamps", "chairs books lamps"):  # fmt: skip
            await pilot.press("s")
            assert names(app) == order.split()
        await pilot.press("slash", *"bri")
        await until(pilot, lambda: names(app) == ["lamps"])
        assert str(app.screen.query_one("#runs").border_title) == "Runs · 1 of 3"
        assert str(app.screen.query_one("#runs").border_subtitle) == r"#bright-as-day the \[good] one"
        await pilot.press(*"ck")
        await until(pilot, lambda: "No run is like that" in text(app, "#welcome"))
        await pilot.press("escape")
        assert len(names(app)) == 3 and isinstance(app.focused, DataTable)


async def test_a_run_gets_tags_and_a_note_which_stand_in_its_row() -> None:
    three()
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("e")
        await until(pilot, on(app, FormScreen))
        await pilot.press(*"#wooden, old", "down", *"four legs", "enter")
        await until(pilot, lambda: names(app)[0] == "chairs #wooden #old")
        assert remarks.read(runs.find("chairs")) == Remarks(("wooden", "old"), "four legs")
        assert str(app.screen.query_one("#runs").border_subtitle) == "#wooden #old four legs"
        await pilot.press("e")
        await until(pilot, on(app, FormScreen))
        for field in app.screen.query(Input):
            field.value = ""
        await pilot.press("enter")
        await until(pilot, lambda: names(app)[0] == "chairs")
        assert not remarks.file(runs.find("chairs")).exists()


async def test_two_recipes_are_laid_side_by_side() -> None:
    three()
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("d")
        await until(pilot, lambda: names(app)[0] == "◆ chairs")
        await pilot.press("down", "d")
        await until(pilot, on(app, ContrastScreen))
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2)
        table = app.screen.query_one(DataTable)
        assert [cell.plain for cell in table.get_row_at(0)] == ["lora.rank", "16", "64"]
        assert "lora.rank" in text(app, "#difference-text")
        await pilot.press("escape")
        await until(pilot, on(app, HomeScreen))
        assert names(app)[0] == "chairs"


async def test_runs_of_a_sweep_are_folded_under_it_and_found_there() -> None:
    record("lamps", step_events(50), minutes_ago=3)
    made(recorded(trial(1, [3.0]), trial(2, [2.5])))
    record("a-01", step_events(400)).path.rename(runs.home() / "runs" / FIRST)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.focused is not None)
        assert names(app) == ["▸ run", "lamps"]
        assert app.screen.query_one(DataTable).get_row_at(0)[4].plain == "best 2.500"
        await pilot.press("space")
        assert names(app) == ["▾ run", "  a-01", "lamps"]
        await pilot.press("space", "slash", *"a-01")
        await until(pilot, lambda: names(app) == ["▾ run", "  a-01"])


async def test_a_run_begins_from_a_recipe_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text(
        '# For [lamps].\nname = "mine"\n[[data.sources]]\npath = "builtin:reviews"\n'
    )
    (tmp_path / "other.toml").write_text("[tool.ruff]\nline-length = 110\n")
    (tmp_path / "torn.toml").write_text("name = ")
    monkeypatch.chdir(tmp_path)
    app = Stage().app()
    async with app.run_test(size=(80, 24)) as pilot:
        for keys, wanted in ((["enter"], "mine"), (["e", "n", "s", "e", "m", "enter"], "ensemble")):
            await until(pilot, on(app, HomeScreen))
            await pilot.press("N")
            await until(pilot, on(app, PickScreen))
            listed = app.screen.query_one(OptionList)
            assert str(listed.get_option_at_index(0).prompt) == "mine.toml: For [lamps]."
            assert listed.option_count == len(recipe.bundled()) + 2
            await pilot.press(*keys)
            await until(pilot, on(app, ModelScreen))
            assert app._draft is not None and app._draft.recipe.name == wanted
            await pilot.press("escape")
        await until(pilot, on(app, HomeScreen))
        await pilot.press("N")
        await until(pilot, on(app, PickScreen))
        await pilot.press(*"another", "enter")
        await until(pilot, on(app, AskScreen))
        await pilot.press(*"torn.toml", "enter")
        await until(pilot, lambda: any("not valid TOML" in note.message for note in app._notifications))
        assert isinstance(app.screen, HomeScreen)


def test_remarks_are_whole_or_absent_and_refused_where_too_long() -> None:
    run = record("lamps", step_events(5))
    remarks.write(run, Remarks(("a",), "kept"))
    for sentence in (lambda: remarks.write(run, Remarks((), "x" * 2001)), lambda: remarks.tags("y" * 33),
                     lambda: remarks.tags(" ".join(map(str, range(13))))):  # fmt: skip
        with pytest.raises(UserError, match="note"):
            sentence()
    assert remarks.read(run) == Remarks(("a",), "kept") and not list(run.path.glob("*.part"))
    for torn in ('{"tags": 3', '{"tags": null, "note": ""}', "[]"):
        remarks.file(run).write_text(torn)
        assert remarks.read(run) == Remarks()


def test_what_is_not_known_is_sorted_last() -> None:
    known = record("lamps", step_events(50)), record("none", step_events(5), 1)
    nan = {"kind": "evaluated", "step": 50, "loss": float("nan")}
    wild = record("wild", [*step_events(50, end=None)[:-1], nan, {"kind": "finished"}], 0)
    lines = RunsFeed().poll()
    assert [line.run for line in listing.ordered(lines, "validation")] == [known[0], wild, known[1]]
    assert [line.run for line in listing.ordered(lines, "right")] == [wild, known[1], known[0]]


def test_only_what_differs_is_told_key_by_key() -> None:
    first, second = swept(), swept({"lora.rank": [8]}, data={"validation": 0.1})
    found = {one.key: one[1:] for one in contrast.between(first, second)}
    assert found["data.validation"] == ("0.05", "0.1") or found["data.validation"][1] == "0.1"
    assert found["sweep.over.lora.rank.values"] == ("[8, 16]", "[8]")
    assert found["sweep.over.lora.alpha.factor_of"] == ('"lora.rank"', contrast.ABSENT)
    assert "name" not in found and "lora.rank" not in found
    assert contrast.between(first, first) == []


def test_commands_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    three()
    assert front.main(["tag", "lamps", "#bright", "old", "--note", "four \x1b legs"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{runs.find('lamps').name}: #bright #old", "four ␛ legs"]
    assert front.main(["tag", "lamps", "--remove", "old", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tags"] == ["bright"]
    assert front.main(["tag", "lamps", "--remove", "old"]) == 2
    assert "it has: bright" in capsys.readouterr().err
    for arguments, wanted in (
        (["--tag", "bright"], ["lamps"]),
        (["--tag", "bri"], []),
        (["--search", "#bri LEGS"], ["lamps"]),
        (["--sort", "right"], ["chairs", "books", "lamps"]),
        (["--sort", "validation"], ["books", "chairs", "lamps"]),
    ):
        assert front.main(["runs", "--json", *arguments]) == 0
        found = [one["name"].rpartition("-")[2] for one in json.loads(capsys.readouterr().out)]
        assert found == wanted
    assert front.main(["runs", "--search", "nothing"]) == 0
    assert capsys.readouterr().out == "None of 3 runs is like that.\n"
    assert front.main(["diff", "lamps", "books"]) == 0
    out = capsys.readouterr().out
    assert "lora.rank" in out and "16" in out and "64" in out
    assert front.main(["diff", "lamps", "chairs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differing"] == []
