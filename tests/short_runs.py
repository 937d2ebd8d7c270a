"""Short runs of both small models and of each way to train, by the real worker; each is trained once."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from engine import recipe, runs
from engine.runs import Run
from tests.conftest import CASES, wait_for_end

STORIES = CASES / "models" / "stories260K-hf-bos-eos-padded"
STEPS = 24
ONE_BATCH = {"batch_size": 8, "gradient_accumulation": 1}
STABLE = {"rank": 8, "alpha": 12, "rank_stabilised": True}
FORMER = "rank-stabilised"

PLANS: dict[str, dict[str, Any]] = {
    # In 4 bits, with gradients kept; the whole step is one micro-batch.
    "tiny": {
        "model": {"id": "builtin:tiny", "load_in_4bit": True},
        "train": {"batch_size": 8, "gradient_accumulation": 1, "schedule": "cosine"},
    },
    # Unquantised, a step of two micro-batches, an alpha that scales by no power of two.
    "stories": {
        "model": {"id": str(STORIES), "load_in_4bit": False},
        "lora": {"rank": 8, "alpha": 12},
        "train": {"batch_size": 4, "gradient_accumulation": 2, "schedule": "linear"},
    },
    "all weights": {
        "model": {"id": "builtin:tiny", "load_in_4bit": False},
        "train": {"method": "full", "learning_rate": 1e-3, "neftune": 5.0, **ONE_BATCH},
    },
    "DoRA": {
        "model": {"id": "builtin:tiny", "load_in_4bit": True},
        "lora": {"rank": 8, "alpha": 12, "dora": True, "rank_stabilised": True, "plus_ratio": 4.0},
        "train": ONE_BATCH,
    },
    "LoftQ": {
        "model": {"id": "builtin:tiny", "load_in_4bit": True},
        "lora": {**STABLE, "init": "loftq"},
        "train": {"neftune": 5.0, **ONE_BATCH},
    },
    # From the adapter of FORMER.
    "went on": {"model": {"id": "builtin:tiny", "load_in_4bit": True}, "lora": STABLE, "train": ONE_BATCH},
}
FIRST = {FORMER: PLANS["went on"]}


@functools.cache
def short_run(way: str, folder: Path) -> Run:
    """A run of a plan, trained to its end, in a home of its own below a folder. Skips where its model is not
    here."""
    if way == "stories" and not STORIES.is_dir():
        pytest.skip("no shared/cases beside this checkout; IFT_TUI_CASES names them")
    shape = {**PLANS, **FIRST}[way]
    model = {**shape["model"], "adapter": str(short_run(FORMER, folder).adapter) if way == "went on" else ""}
    common = {"steps": STEPS, "learning_rate": 4e-3, "warmup_steps": 4, "gradient_checkpointing": False}
    plan = recipe.changed(
        recipe.load("first-steps"),
        model=model,
        lora=shape.get("lora", {}),
        train={**common, "optimizer": "adamw", "eval_every": 0, **shape["train"]},
        data={"max_length": 512},
        evaluate={"rows": 8, "samples": 0, "at_end": 0, "max_new_tokens": 32},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IFT_TUI_HOME", str(folder / f"short-{way.replace(' ', '-')}"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        made = runs.create(plan)
        runs.launch(made)
        wait_for_end(made)
    assert made.state().status == "finished", made.state().reason
    return made
