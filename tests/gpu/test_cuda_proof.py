"""On a CUDA device: every proof of benchmarks/cuda holds, with models of their public sizes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.cuda import __main__ as suite
from benchmarks.cuda import cells, place
from benchmarks.cuda.cells import Cell

pytestmark = pytest.mark.gpu

MODELS = Path(tempfile.gettempdir()) / "ift-tui-cuda-models"
"""Shared with the program: a model of 8B takes a minute to make."""


@pytest.mark.parametrize("cell", cells.chosen(["proof"], []), ids=lambda cell: cell.name)
def test_it_holds(cell: Cell, tmp_path: Path) -> None:
    if not place.on_gpu():
        pytest.skip("no CUDA device here; tests/test_cuda_suite.py runs its logic on a CPU")
    asked: Any = SimpleNamespace(models=MODELS, tiny=False, out=tmp_path / "cuda.json")
    found = suite.in_a_process(cell, asked, 60 * cell.minutes)
    assert found["status"] == "measured", found["reason"]
    assert [bar for bar in found["bars"] if not bar["holds"]] == []
