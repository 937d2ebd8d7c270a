"""Of each way to train: every kind of export that can be made of it, and the script's losses the run's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import exports, models, runs
from engine.events import Tail
from engine.exports import llama_cpp, ollama
from engine.runs import Run
from tests.short_runs import PLANS, STEPS, short_run

pytestmark = [pytest.mark.slow, pytest.mark.long]

MODELS = ("merged", "ollama")
OTHERS = ("script", "axolotl", "llamafactory")


@pytest.fixture(scope="module", params=PLANS)
def way(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def run(way: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return short_run(way, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def made(run: Run) -> dict[str, Any]:
    """All kinds that can be made here, by the command."""
    kinds = ",".join((*has_adapter(run), *MODELS, *OTHERS))
    words = ["export", str(run.path), "--to", kinds, "--rows", "6", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tui", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[:500]
    return {one["kind"]: one for one in json.loads(done.stdout)["exports"]}


def has_adapter(run: Run) -> tuple[str, ...]:
    return ("adapter",) if run.recipe().train.method == "lora" else ()


def test_what_can_be_loaded_here_answers_as_the_run_did(run: Run, made: dict[str, Any]) -> None:
    four_bit = run.recipe().model.load_in_4bit
    for kind in (*has_adapter(run), *MODELS):
        assert made[kind]["status"] == "passed", made[kind]
    for kind in has_adapter(run):
        assert made[kind]["parity"]["identical"] == made[kind]["parity"]["rows"]
    # In the same precision every token is the same; 16 bits of a 4-bit run may differ late in an answer.
    assert made["merged"]["parity"]["bar"] == (0.95 if four_bit else 1.0)
    for kind in OTHERS:
        assert made[kind]["status"] == "not checked" and "was not run" in made[kind]["why"]


def test_gguf_files_answer_as_the_run_did(way: str, run: Run) -> None:
    """By llama.cpp's own converter, quantiser and server, of the folder that LLAMA_CPP names."""
    if not os.environ.get(llama_cpp.VARIABLE):
        pytest.skip(f"no llama.cpp: {llama_cpp.VARIABLE} names its folder")
    lora = run.recipe().lora
    alone = bool(has_adapter(run)) and not lora.dora
    # Fewer bits are made of f16, whatever way that came about.
    types = ["f16", *(["q8_0", "q4_k_m"] if way in ("tiny", "stories") else []), *(["lora"] if alone else [])]
    words = ["--to", "gguf", "--types", ",".join(types), "--rows", "6", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tui", "export", str(run.path), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[:2000]
    (made,) = json.loads(done.stdout)["exports"]
    assert made["status"] == "passed" and made["parity"]["logits"] < made["parity"]["gap"], made
    files = {file for file in made["files"] if file.endswith(".gguf")}
    # What it learnt on is nowhere else to be had where that was 4-bit weights and the originals did not do.
    own_base = alone and made["settings"]["onto"] == "4-bit"
    assert files == {*map(gguf_name, types), *(["base-f16.gguf"] if own_base else [])}


def gguf_name(kind: str) -> str:
    return "adapter-lora.gguf" if kind == "lora" else f"model-{kind}.gguf"


def test_an_adapter_beside_its_base_for_ollama_answers_as_the_run_did(run: Run) -> None:
    if not has_adapter(run) or run.recipe().lora.dora:
        pytest.skip("what cannot be made is asked of in test_exports.py")
    words = ["--to", "ollama", "--ollama", "adapter", "--rows", "6", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tui", "export", str(run.path), *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[:500]
    folder = exports.place(run, "ollama")
    written = ollama.parts((folder / "Modelfile").read_text("utf-8"))
    assert (written["FROM"], written["ADAPTER"]) == (["./model"], ["./adapter"])
    assert not json.loads((folder / "adapter" / "adapter_config.json").read_text()).get("use_rslora")


def test_the_script_gives_the_losses_of_the_run(run: Run, made: dict[str, Any], tmp_path: Path) -> None:
    """To all seven digits that are written down, and the same weights byte for byte."""
    base = models.locate(run.recipe().model.id)
    folder = exports.place(run, "script")
    done = subprocess.run(
        [sys.executable, "-P", str(folder / "train.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **runs.WORKER_ENVIRONMENT, "HF_HUB_OFFLINE": "1", "BASE": str(base)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    words = [line.split() for line in done.stdout.splitlines() if line.startswith("step ")]
    said = [(int(step), float(loss)) for _, step, _, loss in words]
    own = [(event["step"], event["loss"]) for event in Tail(run.events).read() if event["kind"] == "step"]
    assert said == own and len(own) == STEPS
    weights = "adapter_model.safetensors" if has_adapter(run) else "model.safetensors"
    assert (folder / run.result.name / weights).read_bytes() == (run.result / weights).read_bytes()


def test_the_rows_of_the_others_are_those_of_the_run(run: Run, made: dict[str, Any]) -> None:
    from datasets import load_from_disk

    folder = exports.place(run, "llamafactory")
    tokenized = load_from_disk(str(folder / "tokenized"))["train"]
    lines = (exports.place(run, "axolotl") / "rows.jsonl").read_text().splitlines()
    assert len(lines) == len(tokenized) == run.state().rendered["count"]
    assert json.loads(lines[-1]) == tokenized[len(lines) - 1]
    told = [json.loads(line) for line in (folder / "conversations.jsonl").read_text("utf-8").splitlines()]
    assert len(told) == len(lines) and told[0]["messages"][-1]["role"] == "assistant"
