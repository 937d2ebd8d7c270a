"""Results, exports and the question before a run is deleted as they look, at two sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pictures import picture  # noqa: F401 - a fixture
from test_tui_evaluation import evaluated
from test_tui_results import SABOTAGED, Exporting, at_export, at_results, cast, exported, trained
from test_tui_walk import on, text
from textual.pilot import Pilot
from tui_stage import Stage, record, step_events, until

from tui.screens.choose import AskScreen
from tui.screens.notes import NotesScreen
from tui.widgets.exports import KindList


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same disk, the same programs and the same folders wherever the pictures are drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IFT_TUI_HOME", "ift-home")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    monkeypatch.setattr("tui.screens.export.free", lambda _: 74_900_000_000)
    monkeypatch.setattr("tui.screens.export.how_to_run", lambda *_: ["cd exports/merged", "python run.py"])
    monkeypatch.setattr("tui.screens.results.how_to_run", lambda *_: ["cd exports/merged", "python run.py"])


@pytest.fixture
def run() -> Any:
    run = trained()
    evaluated(run)
    cast(run, *["tuned"] * 8, "base", "base")
    exported(run, "adapter")
    exported(run, "merged", "failed", **SABOTAGED)
    exported(run, "script", "not checked", why="it trains anew and was not run")
    return run


def test_results(picture: Any, run: Any) -> None:  # noqa: F811
    picture(Stage().app(), at_results)


def test_results_of_a_run_with_nothing_yet(picture: Any) -> None:  # noqa: F811
    record("done", step_events(400))
    picture(Stage().app(), at_results)


def test_kinds_of_exports(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_export(app, pilot)
        await pilot.press("down", "space", "down")
        await until(pilot, lambda: "llama.cpp" in text(app, "#export-text"))
        await until(pilot, lambda: app.screen.query_one(KindList).selected == ["merged"])

    exported(trained(), "adapter", files={})
    picture(Stage().app(), scene)


def test_an_export_under_way(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_export(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: "writing · 120 MB" in text(app, "#export-text"))

    trained()
    picture(Stage(child=Exporting).app(), scene)


def test_a_failed_export(picture: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await at_results(app, pilot)
        await pilot.press("o")
        await until(pilot, on(app, NotesScreen))

    folder = exported(trained(), "merged", "failed", **SABOTAGED)
    picture(Stage().app(), scene)
    assert folder.is_dir()


def test_before_a_run_is_deleted(picture: Any, run: Any) -> None:  # noqa: F811
    async def scene(app: Any, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.screen.check_action("delete", ()))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and app.screen.is_mounted)

    picture(Stage().app(), scene)
