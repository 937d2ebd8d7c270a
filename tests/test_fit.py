"""The forecast of a recipe on this machine: in the engine, on the recipe screen, as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_tui_walk import at_recipe, on, text
from tui_stage import Stage, until

from engine import fit, hardware, recipe, schema
from engine.fit import Fit
from engine.footprint import Device
from engine.hardware import Gpu
from engine.memory import Rows
from engine.shapes import Unknown
from tui.__main__ import main
from tui.screens.forecast import ForecastScreen

GIB = 1 << 30


def of(plan: schema.Recipe, free: int, longest: int | None = None) -> Fit:
    found = fit.fit(plan, Device("cpu", free), Rows(longest=longest))
    assert isinstance(found, Fit)
    return found


def test_shorter_rows_and_smaller_batches_take_less() -> None:
    plan = recipe.load("first-steps")
    usual = of(plan, GIB).forecast.total
    assert of(plan, GIB, longest=64).forecast.total < usual
    smaller = recipe.changed(plan, train={"batch_size": 4})
    assert of(smaller, GIB).forecast.total < usual
    assert of(plan, 64 * GIB).forecast.verdict == "fits" and not of(plan, 64 * GIB).remedies


def test_what_does_not_fit_comes_with_what_would() -> None:
    plan = recipe.load("first-steps")
    found = of(plan, of(plan, GIB).forecast.total - 1)
    assert found.forecast.verdict == "does not fit"
    (first, *_) = found.remedies
    assert first.changes == (("train.gradient_checkpointing", True),) and first.total < found.forecast.total


def test_the_disk_knows_how_many_checkpoints_are_kept() -> None:
    plan = recipe.load("first-steps")
    more = recipe.changed(plan, train={"keep_checkpoints": 9})
    assert of(more, GIB).disk.checkpoints == 3 * of(plan, GIB).disk.checkpoints


def test_a_model_that_is_not_here_is_not_guessed_at(tmp_path: Path) -> None:
    plan = recipe.load("first-steps")
    absent = fit.fit(recipe.changed(plan, model={"id": "org/absent"}), Device("cpu", GIB))
    assert absent == Unknown("its config.json is not on this machine yet")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    odd = fit.fit(recipe.changed(plan, model={"id": str(tmp_path)}), Device("cpu", GIB))
    assert isinstance(odd, Unknown) and "mamba" in odd.reason


def test_the_device_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fit.device().kind == "cpu" and fit.device().free > 0
    gpu = Gpu(0, "H200", 144 * GIB, 4 * GIB, 140 * GIB, None, None, None, "")
    monkeypatch.setattr(hardware, "gpus", lambda: [gpu])
    assert fit.device() == Device("cuda", 140 * GIB)


async def test_the_recipe_screen_says_whether_it_fits_as_it_is_typed() -> None:
    app = Stage().app()
    async with app.run_test(size=(120, 40)) as pilot:
        await at_recipe(app, pilot)
        assert "✓ fits: about" in text(app, "#sums") and "8.6 GB host memory" in text(app, "#sums")
        app.screen.query_one("#train-batch_size Input").value = "4096"
        await until(pilot, lambda: "✗ does not fit: about" in text(app, "#sums"))
        assert "train.batch_size = " in text(app, "#sums")
        await pilot.press("f2")
        await until(pilot, on(app, ForecastScreen))
        shown = text(app, "#report-text")
        assert "weights in 4 bits" in shown and "together" in shown and "checkpoints, all kept" in shown
        await pilot.press("escape")


def test_the_command_prints_every_term_and_fails_where_it_does_not_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "device", lambda: Device("cpu", 8 * GIB))
    assert main(["memory", "first-steps", "--longest", "96"]) == 0
    said = capsys.readouterr().out
    assert "weights unpacked" in said and "\nfits\n" in said
    assert main(["memory", "first-steps", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["total"] == sum(term["bytes"] for term in told["terms"]) and told["free"] == 8 * GIB
    monkeypatch.setattr(fit, "device", lambda: Device("cpu", GIB // 4))
    assert main(["memory", "first-steps"]) == 1
    assert "does not fit" in capsys.readouterr().out
    assert main(["memory", "first-steps", "--longest", "0"]) == 2
