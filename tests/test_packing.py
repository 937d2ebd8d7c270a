"""Rows behind one another in one sequence: each has the loss and gradient it has alone, or is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import recipe, render, runs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packing")]  # one process asks the model

ROWS = [([5, 6, 7], [5, 6, 7]), ([8], [-100]), ([9, 10], [-100, 10])]


def test_both_ways_to_make_a_batch() -> None:
    pytest.importorskip("torch")
    from engine.workers.batches import Collator, Size, places

    rows: list[Any] = [{"input_ids": ids, "labels": labels} for ids, labels in ROWS]
    padded = Collator(3, packing=False)(rows)
    assert padded.pop("size") == Size(rows=3, length=3, tokens=6, trained=4, lengths=(3, 1, 2))
    assert {name: value.tolist() for name, value in padded.items()} == {
        "input_ids": [[5, 6, 7], [8, 3, 3], [9, 10, 3]],
        "labels": [[5, 6, 7], [-100, -100, -100], [-100, 10, -100]],
        "attention_mask": [[1, 1, 1], [1, 0, 0], [1, 1, 0]],
    }
    numbers = [{name: np.array(value, np.int32) for name, value in row.items()} for row in rows]
    packed = Collator(3, packing=True)(numbers)
    size = packed.pop("size")
    assert size == Size(rows=3, length=2, tokens=6, trained=4, lengths=(3, 1, 2), packed=True)
    assert size.keys["packed_seq_lengths"].tolist() == [3, 1, 2]
    assert {name: value.tolist() for name, value in packed.items()} == {
        "input_ids": [[5, 6, 7, 8, 9, 10]],
        "labels": [[-100, 6, 7, -100, -100, 10]],
        "position_ids": [[0, 1, 2, 0, 0, 1]],
    }
    # The loss is a mean over as many tokens in both: a row's first label counts for nothing.
    counted = [(batch["labels"][:, 1:] != render.IGNORED).sum() for batch in (padded, packed)]
    assert counted[0] == counted[1] == 3
    assert (places([3, 1, 2], packing=False), places([3, 1, 2], packing=True)) == (9, 6)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("packing")
    environment = {
        **os.environ, **runs.WORKER_ENVIRONMENT, "IFT_TUI_HOME": str(folder), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.packing_stage", str(folder)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads((folder / "told.json").read_text("utf-8")))


@pytest.mark.parametrize("bits", ["4-bit", "32-bit"])
def test_a_row_has_the_loss_it_has_alone(told: dict[str, Any], bits: str) -> None:
    for together, alone in told[bits]["rows"]:
        assert together == pytest.approx(alone, rel=1e-5)
    assert told[bits]["off"] < 1e-5 * told[bits]["gradient"]


def test_a_padded_batch_is_that_of_transformers(told: dict[str, Any]) -> None:
    assert told["4-bit"]["as_theirs"] and told["32-bit"]["as_theirs"]


@pytest.mark.parametrize("bits", ["4-bit", "32-bit"])
def test_a_model_that_lets_rows_see_each_other_is_refused(told: dict[str, Any], bits: str) -> None:
    assert told[bits]["untouched"]
    for said in told[bits]["refused"]:
        assert said.startswith("train.packing: this model") and said.endswith("set train.packing = false")


def test_rows_are_read_by_their_number(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from engine.workers import rows

    count = 2 * rows.ROWS_A_BATCH
    with rows.writer(tmp_path / "train.arrow") as write:
        for number in range(count):
            write([number] * (number % 7 + 1), [-100] * (number % 7) + [number], "rows.jsonl", number)
    read = rows.Mapped(tmp_path / "train.arrow")
    assert len(read) == count
    for number in (0, 1, rows.ROWS_A_BATCH - 1, rows.ROWS_A_BATCH, count - 1):
        found = {name: values.tolist() for name, values in read[number].items()}
        assert found == {
            "input_ids": [number] * (number % 7 + 1), "labels": [-100] * (number % 7) + [number],
        }  # fmt: skip


def test_the_key_is_off_unless_asked_for() -> None:
    assert recipe.load("first-steps").train.packing is False
