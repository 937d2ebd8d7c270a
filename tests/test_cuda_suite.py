"""The suite for a GPU: its arithmetic, its turns, its file, and with tiny models all of it on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.cuda import __main__ as suite
from benchmarks.cuda import bounds, cells, place, report, shapes, turns
from benchmarks.cuda.turns import Arm, Step
from engine import hardware
from engine import shapes as known
from engine.shapes import Shapes

ROOT = Path(__file__).resolve().parents[1]

PARAMETERS = {
    "Llama-3.1-8B": 8_030_261_248,
    "Qwen3-4B": 4_022_468_096,
    "Llama-3.2-1B": 1_235_814_400,
    "SmolLM-135M": 134_515_008,
}
"""As their model cards count them."""


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_the_shapes_are_the_public_ones(name: str) -> None:
    whole = known.read(shapes.config(name, tiny=False))
    assert isinstance(whole, Shapes) and whole.count() == PARAMETERS[name]
    assert all(key in shapes.config(name, tiny=True) for key in shapes.SHAPES[name])


@pytest.mark.slow
def test_a_random_model_is_written_in_shards_and_loads_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(shapes, "SHARD", 1_000_000)
    folder = shapes.make("Qwen3-4B", tmp_path, tiny=True)
    shards = [file.stat().st_size for file in folder.glob("*.safetensors")]
    assert len(shards) > 2 and max(shards) < 1_100_000
    model, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    with torch.no_grad():
        loss = model(input_ids=torch.arange(4, 100)[None], labels=torch.arange(4, 100)[None]).loss
    assert 6.5 < float(loss) < 8.5  # knows nothing yet: ln(2048) is 7.6
    written = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert shapes.make("Qwen3-4B", tmp_path, tiny=True) == folder
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == written


def test_short_rows_have_the_mean_that_is_asked_for() -> None:
    lengths = place.short_rows(2000, 150)
    assert abs(sum(lengths) / 2000 - 150) < 3 and min(lengths) >= 8 and max(lengths) > 600
    assert lengths == place.short_rows(2000, 150)


def test_figures_have_medians_and_intervals() -> None:
    found = report.figure([3.0, 1.0, 2.0, 2.0, 9.0], "tokens/s")
    assert (found["median"], found["unit"]) == (2.0, "tokens/s")
    low, high = found["interval"]
    assert 1.0 <= low <= 2.0 <= high <= 9.0
    assert report.figure([4.0], "s")["interval"] == [4.0, 4.0]
    assert report.ratios([6.0, 8.0], [3.0, 2.0])["samples"] == [2.0, 4.0]
    assert [report.bar("x", 1.0, least=1.0)["holds"], report.bar("x", 1.01, most=1.0)["holds"]] == [
        True,
        False,
    ]
    assert not report.bar("x", float("nan"), most=1.0)["holds"]


def test_the_longest_is_found_by_doubling_and_halving() -> None:
    asked: list[int] = []

    def goes(length: int) -> bool:
        asked.append(length)
        return length <= 77_000

    found = bounds.bisected(goes, 8192, 1 << 20, 2048)
    assert 77_000 - 2048 <= found <= 77_000 and len(asked) < 12
    assert bounds.bisected(lambda length: False, 8192, 1 << 20, 2048) == 0
    assert bounds.bisected(lambda length: True, 8, 64, 2) == 64


def test_idle_is_what_no_kernel_covers() -> None:
    assert bounds.idle_share([(0, 4), (2, 6), (8, 10)]) == pytest.approx(0.2)
    assert bounds.idle_share([(8, 10), (0, 10), (3, 4)]) == 0.0
    with pytest.raises(SystemExit):
        bounds.idle_share([])


STEPPING = """
import json, sys, time
with open(sys.argv[1], "w", buffering=1) as out:
    while True:
        time.sleep(0.01)
        out.write(json.dumps({"time": time.time(), "tokens": 10, "reserved": 1}) + chr(10))
"""


def stepping(file: Path) -> tuple[subprocess.Popen[bytes], Arm]:
    process = subprocess.Popen([sys.executable, "-c", STEPPING, str(file)])

    def steps() -> Sequence[Step]:
        text = file.read_text("ascii") if file.is_file() else ""
        lines = text.rpartition("\n")[0].splitlines()
        return [Step(one["time"], one["tokens"], one["reserved"]) for one in map(json.loads, lines)]

    return process, Arm(file.stem, process.pid, steps, lambda: process.poll() is None)


def test_while_one_trains_the_others_stand_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [stepping(tmp_path / name) for name in ("a", "b")]
    arms = [arm for _, arm in made]
    spans: list[tuple[str, int, int]] = []
    turn: Callable[..., float] = turns._turn

    def seen(arm: Arm, seconds: float, least: int) -> float:
        (other,) = (one for one in arms if one is not arm)
        before = len(other.steps()), len(arm.steps())
        found = turn(arm, seconds, least)
        spans.append((arm.name, len(other.steps()) - before[0], len(arm.steps()) - before[1]))
        return found

    monkeypatch.setattr(turns, "_turn", seen)
    try:
        found = turns.interleaved(arms, turns=2, seconds=0.0, least=3)
    finally:
        turns.end(arms)
        for process, _ in made:
            process.wait()
    assert [name for name, _, _ in spans] == ["a", "b", "b", "a"]
    assert all(others == 0 and own > 3 for _, others, own in spans)
    assert all(len(rates) == 2 and min(rates) > 0 for rates in found.values())
    steps = [Step(10.0, 99, 0), Step(12.0, 30, 0), Step(15.0, 20, 0)]
    assert turns.rate(steps) == 10.0
    with pytest.raises(SystemExit, match="ended before"):
        turns._until(arms[0], lambda: False)


def asked(folder: Path, **more: Any) -> Any:
    named = {"out": folder / "out.json", "models": folder / "models", "minutes": None, "tiny": True}
    return SimpleNamespace(**{**named, "parts": [], "cells": ["nvml"], "again": False, **more})


@pytest.mark.skipif(bool(hardware.gpus()), reason="there is a GPU, and the cell would run")
def test_a_file_that_is_there_is_gone_on_with(tmp_path: Path) -> None:
    kept = {"cells": {"idle": {"status": "measured", "figures": {}, "bars": []}}}
    (tmp_path / "out.json").write_text(json.dumps(kept))
    assert suite.all_of(asked(tmp_path, cells=["nvml", "idle"])) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["cells"]["idle"] == kept["cells"]["idle"]
    assert found["cells"]["nvml"]["status"] == "not run"
    assert found["cells"]["nvml"]["reason"] == "nvidia-smi needs a CUDA device"
    assert found["versions"]["Python"] and found["device"]["name"]
    assert suite.all_of(asked(tmp_path, cells=["resume"], minutes=0.001)) == 0
    assert json.loads((tmp_path / "out.json").read_text())["cells"]["resume"]["status"] == "not run"


def test_a_cell_that_takes_too_long_costs_itself_alone(tmp_path: Path) -> None:
    (cell,) = cells.chosen([], ["nvml"])
    found = suite.in_a_process(cell, asked(tmp_path), 0.01)
    assert found["status"] == "failed" and found["reason"] == "not done after 0 s"


def test_every_cell_has_a_name_of_its_own_and_a_way_to_run() -> None:
    names = [cell.name for cell in cells.CELLS]
    assert len(set(names)) == len(names) and {cell.part for cell in cells.CELLS} == {
        "proof", "train", "compare", "context", "fit", "idle",
    }  # fmt: skip
    assert all(cell.minutes <= 10 for cell in cells.CELLS)  # a lent GPU takes no longer call


def test_the_table_in_the_figures_is_what_the_program_says() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    shown = text.split("<!-- python -m benchmarks.cuda --table -->\n")[1].split("<!-- end -->")[0]
    assert shown == suite.table(suite.COMMITTED)


def test_every_line_of_what_is_asked_has_cells_and_every_cell_a_line() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    lines = text.split("<!-- what is asked -> cells -->\n")[1].split("<!-- end -->")[0].splitlines()[2:]
    named = {name.strip() for line in lines for name in line.split("|")[2].split(",")}
    assert named == {cell.name if cell.part != "fit" else "fit 01 to 60" for cell in cells.CELLS}


def test_a_table_tells_figures_missed_bars_and_what_is_open() -> None:
    figure = report.figure([2.0, 2.0], "tokens/s")
    bars = [report.bar("quick", 2.0, least=3)]
    found = {"cells": {"idle": {"status": "measured", "figures": {"ours": figure}, "bars": bars}}}
    (idle, nvml) = cells.chosen([], ["idle", "nvml"])
    said = report.table([idle, nvml], found, {"cells": {"nvml": {"status": "measured"}}})
    assert "ours 2 [2, 2] tokens/s; quick: MISSED" in said
    assert "| nvml | our figures against nvidia-smi's | open; its logic runs on a CPU |" in said
    assert "every cell is open" in report.headline(None)


@pytest.mark.long
def test_all_of_it_runs_on_a_cpu_with_tiny_models(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.cuda", "--tiny", "--out", str(tmp_path / "tiny.json")]
    names = ",".join(cell.name for cell in cells.CELLS if cell.part != "fit")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--cells", f"{names},fit 01"], cwd=ROOT, env=environment, check=True)
    found = json.loads((tmp_path / "tiny.json").read_text())["cells"]
    assert {name: one["reason"] for name, one in found.items() if one["status"] == "failed"} == {}
    assert [name for name, one in found.items() if one["status"] == "not run"] == ["nvml"]
    missed = [
        (name, bar)
        for name, one in found.items()
        for bar in one.get("bars", [])
        if one["part"] == "proof" and not bar["holds"]
    ]
    assert missed == []
