"""On a CUDA device: every proof of benchmarks/cuda holds, with models of their public sizes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.cuda import __main__ as suite
from benchmarks.cuda import cells, place
from benchmarks.cuda.cells import Cell

pytestmark = pytest.mark.gpu

MODELS = Path(tempfile.gettempdir()) / "ift-tui-cuda-models"
"""Shared with the program: a model of 8B takes a minute to make."""


@pytest.mark.parametrize("cell", cells.chosen(["proof"], []), ids=lambda cell: cell.name)
def test_it_holds(cell: Cell) -> None:
    if not place.on_gpu():
        pytest.skip("no CUDA device here; tests/test_cuda_suite.py runs its logic on a CPU")
    found = suite.in_a_process(cell, SimpleNamespace(models=MODELS, tiny=False), 60 * cell.minutes)  # type: ignore[arg-type]
    assert found["status"] == "measured", found["reason"]
    assert [bar for bar in found["bars"] if not bar["holds"]] == []
