"""Weights unpacked once train the same adapter, and a load goes by the settings that are chosen for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("dequantised")
    command = [sys.executable, "-m", "tests.dequantised_stage", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IFT_TUI_HOME": str(folder)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return json.loads((folder / "told.json").read_text())


@pytest.mark.slow
@pytest.mark.long
def test_unpacked_weights_train_the_same_adapter_bit_for_bit(told: Any) -> None:
    packed, kept = told["packed"], told["kept"]
    assert packed["layers"] == ["Linear4bit"] and kept["layers"] == ["Kept"]
    assert kept["losses"] == packed["losses"] and kept["adapter"] == packed["adapter"]
    assert kept["losses"][0] != kept["losses"][1]  # the adapter learns
    assert kept["bytes"] == 8 * packed["bytes"]  # of each weight 4 bytes and not half a one


@pytest.mark.slow
@pytest.mark.long
def test_what_auto_left_out_is_not_computed_twice(told: Any) -> None:
    # "auto" reads as true: until it was resolved before the load, activations were always computed again.
    assert told["packed"]["checkpointing"] and not told["kept without checkpointing"]["checkpointing"]
    assert told["kept without checkpointing"]["adapter"] == told["kept"]["adapter"]


@pytest.mark.slow
@pytest.mark.long
def test_attention_is_what_was_asked_for(told: Any) -> None:
    assert (told["eager"]["attention"], told["sdpa"]["attention"]) == ("eager", "sdpa")
    assert told["eager"]["losses"] == pytest.approx(told["sdpa"]["losses"], rel=1e-5)
    assert told["flash"].startswith("train.attention: flash needs")
