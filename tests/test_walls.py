"""Who may load what, looked at in fresh processes; lint-imports holds the same for the source."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "unsloth", "trl", "peft", "bitsandbytes", "datasets", "accelerate", "optuna"}


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_light_half_knows_neither_torch_nor_screens() -> None:
    modules = loaded_after(
        "from engine import dataset, doctor, events, formats, hardware, metrics, models, recipe, render\n"
        "from engine import resume, runs, space, sweeps"
    )
    assert not modules & (HEAVY | {"transformers", "numpy", "textual", "rich", "tui"})


def test_the_app_opens_without_what_trains() -> None:
    modules = loaded_after("import tui.app")
    late = {"transformers", "numpy", "tokenizers", "pydantic", "jinja2", "engine.workers"}
    assert not modules & (HEAVY | late)


def test_the_data_worker_needs_no_torch() -> None:
    assert not loaded_after("import engine.workers.data") & HEAVY


def test_a_sweep_is_conducted_without_what_trains() -> None:
    assert loaded_after("import engine.workers.sweep") & HEAVY == {"optuna"}


@pytest.mark.parametrize("worker", ["conversing"])
def test_the_comparison_never_loads_unsloth(worker: str) -> None:
    assert not loaded_after(f"import engine.workers.{worker}") & {"unsloth", "unsloth_zoo"}
