"""Other ways to train than a plain adapter: what cannot go together, what they take, how chains wait."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine import chain, fit, initial, lora, memory, models, recipe, runs, shapes, turns
from engine.errors import UserError
from engine.events import EventLog
from engine.footprint import Device, Plan
from engine.runs import Run
from engine.schema import Recipe
from engine.shapes import Shapes
from tests.conftest import wait_for_end

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"data": {"sources": [{"path": "builtin:reviews"}]}}
WHOLE = {"method": "full", "learning_rate": 2e-5}
GB = 10**9


def parsed(**tables: Any) -> Recipe:
    return recipe.parse({**SOURCES, **tables})


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"train": WHOLE}, "model.load_in_4bit: weights in 4 bits cannot be trained"),
        ({"train": {**WHOLE, "learning_rate": 0.02}}, "0.02 is too high for the training of all"),
        ({"train": WHOLE, "model": {"load_in_4bit": False, "adapter": "a"}}, "model.adapter: where all"),
        ({"train": WHOLE, "model": {"load_in_4bit": False}, "lora": {"dora": True}}, "lora: there is no"),
        ({"model": {"load_in_4bit": False}, "lora": {"init": "loftq"}}, "lora.init: loftq makes up for"),
        ({"model": {"adapter": "a"}, "lora": {"init": "loftq"}}, "has its first weights already"),
        ({"lora": {"init": "loftq", "dora": True}}, "keep one of them"),
        ({"model": {"adapter": "previous"}}, "no run comes before the first one"),
        ({"data": {**SOURCES["data"], "all_data": True}, "train": {"eval_every": 5, "early_stopping": 2}},
         "train.early_stopping: data.all_data"),
        ({"then": [{"trian": {}}]}, "then.0: trian: unknown key; did you mean train?"),
        ({"then": [{}, {"train": {"learning_rate": 3.0}}]}, "then.1: train.learning_rate: 3 is too high"),
        ({"then": [{"then": []}]}, "then.0.then: the order of a chain is that of its tables"),
        ({"then": [{"after": "x"}]}, "then.0.after: the order"),
    ],
)  # fmt: skip
def test_what_cannot_go_together_is_one_sentence(tables: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        parsed(**tables)
    assert words in str(caught.value) and "\n" not in str(caught.value)


CHAIN = {
    "name": "two-phase",
    "train": {"epochs": 2.0, "learning_rate": 1e-4},
    "then": [
        {"model": {"adapter": "previous"}, "train": {"steps": 4}},
        {"name": "last", "data": {"all_data": True}},
    ],
}


def test_each_table_of_a_chain_is_laid_over_the_recipe_before_it() -> None:
    first, second, third = recipe.links(parsed(**CHAIN))
    assert first.then == () and first == parsed(name="two-phase", train=CHAIN["train"])
    assert second.name == "two-phase-2" and second.model.adapter == "previous"
    assert second.train.steps == 4 and second.train.epochs is None and second.train.learning_rate == 1e-4
    assert third.name == "last" and third.data.all_data and third.data.sources == first.data.sources
    assert third.model.adapter == "previous" and third.train.steps == 4


def test_a_chain_is_written_out_and_read_back(tmp_path: Path) -> None:
    rows = tmp_path / "later.jsonl"
    plan = parsed(**CHAIN)
    assert recipe.parse(tomllib.loads(recipe.dumps(plan))) == plan
    (tmp_path / "recipe.toml").write_text(
        '[[data.sources]]\npath = "rows.jsonl"\n[[then]]\n[[then.data.sources]]\npath = "later.jsonl"\n'
    )
    _, second = recipe.links(recipe.load(tmp_path / "recipe.toml"))
    assert [source.path for source in second.data.sources] == [str(rows)]


@pytest.fixture
def held() -> Any:
    """The device, held by this process, so that no run begins to train."""
    other = Run(runs.home() / "runs" / "holder")
    other.path.mkdir(parents=True)
    (other.path / "recipe.toml").touch()
    lock = turns.take(other, turns.device())
    assert lock is not None
    yield other
    os.close(lock)


def test_the_runs_of_a_chain_wait_for_each_other(held: Run) -> None:
    """Real workers that wait: the second says why it ends where the first was stopped, and goes on later."""
    first, second = chain.start(parsed(name="one", then=[{"model": {"adapter": "previous"}}]))
    line = turns.waiting(turns.device())
    assert line == [first, second] and (first.name, second.name) == (f"{first.name[:15]}-one", second.name)
    assert second.recipe().after == second.recipe().model.adapter == first.name and not second.recipe().then
    turns.move(second, turns.device(), -1)
    assert runs.stop(first)
    wait_for_end(first)
    wait_for_end(second)
    state = second.state()
    assert state.status == "stopped" and not turns.waiting(turns.device())
    assert f"{first.name}, which this run goes on from, is stopped: nothing was trained" in state.reason

    EventLog(first.events).write("finished", step=1, path=str(first.adapter))
    runs.resume(second, start=turns.start)
    while second.state().behind != held.name:  # it has passed the one before it, and waits for the device
        assert runs.is_alive(second), "\n".join(runs.log_tail(second))
        time.sleep(0.05)
    assert runs.stop(second)
    wait_for_end(second)


def test_who_waits_for_another_run_lets_others_pass(held: Run) -> None:
    waiting = []
    for name in ("a", "b"):
        run = Run(runs.home() / "runs" / name)
        run.path.mkdir()
        waiting.append((run, runs.hold_lock(run)))
    (a, held_a), (b, held_b) = waiting
    device = turns.device()
    turns.let_pass(a, device)
    assert turns.waiting(device) == [a]
    turns.let_pass(b, device)
    turns.let_pass(a, device)
    assert turns.waiting(device) == [b, a]
    turns.let_pass(a, device)
    assert turns.waiting(device) == [b, a]
    os.close(held_a)
    os.close(held_b)


def adapter(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shape = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "use_rslora": False, "use_dora": False}
    (folder / "adapter_config.json").write_text(json.dumps({**shape, **config}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_an_adapter_to_go_on_with_is_looked_at_before_anything_starts(tmp_path: Path) -> None:
    plan = parsed(model={"adapter": str(tmp_path / "mine")})
    with pytest.raises(UserError, match=r"holds no adapter_model\.safetensors; give the name of a run"):
        initial.check(plan)
    adapter(tmp_path / "mine")
    initial.check(plan)
    before = initial.digest(plan)
    adapter(tmp_path / "mine", r=64, use_dora=True)
    with pytest.raises(UserError, match=r"write lora.rank = 64, lora.dora = true"):
        initial.check(plan)
    adapter(tmp_path / "mine", peft_type="LOHA")
    with pytest.raises(UserError, match="of the kind LOHA"):
        initial.check(plan)
    (tmp_path / "mine" / "adapter_model.safetensors").write_bytes(b"others")
    assert initial.digest(plan) != before


def test_a_run_is_gone_on_with_by_its_name_and_on_its_own_model() -> None:
    run = runs.create(parsed(name="former"))
    plan = parsed(model={"adapter": run.name})
    assert initial.folder(plan) == run.adapter and initial.digest(plan) is None
    adapter(run.adapter)
    (run.path / "environment.json").write_text(json.dumps({"base": models.fingerprint("builtin:tiny")}))
    initial.check(plan)
    (run.path / "environment.json").write_text(json.dumps({"base": "another"}))
    with pytest.raises(UserError, match="was trained on another model than builtin:tiny"):
        initial.check(plan)


def shape_of(model_id: str) -> Shapes:
    config = models.catalogue_config(model_id)
    assert config is not None
    found = shapes.read(config)
    assert isinstance(found, Shapes)
    return found


def test_parameters_of_an_adapter_are_those_that_peft_makes() -> None:
    tiny = fit.shapes_of(parsed())
    assert isinstance(tiny, Shapes)
    assert lora.trainable(tiny, 8) == 116_736  # counted by PEFT 0.21 on the loaded model
    assert lora.trainable(tiny, 8, dora=True) == 124_672


def test_the_forecast_tells_why_most_people_use_lora() -> None:
    model = shape_of(next(info.id for info in models.catalogue() if (info.parameters or 0) > 7 * GB))
    gpu = Device("cuda", 80 * GB)
    adapter_run = memory.forecast(Plan(length=1024, batch=1, four_bit=False), model, gpu)
    plan = Plan(length=1024, batch=1, four_bit=False, full=True)
    whole = memory.forecast(plan, model, gpu)
    terms = {term.name: term.bytes for term in whole.terms}
    assert terms["weights in 32 bits"] == terms["gradients"] == 4 * model.count()
    assert terms["optimizer"] == 8 * model.count() and "LoRA weights" not in terms
    assert adapter_run.verdict == "fits" and whole.verdict == "does not fit"
    enough = [dict(remedy.changes) for remedy in memory.remedies(plan, model, gpu)]
    assert {"train.method": "lora"} in enough
    assert not any("model.load_in_4bit" in changes for changes in enough)  # it would be refused
    assert memory.disk(plan, model).result == 4 * model.count()


@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe", "qwen3_moe"])
def test_what_peft_cannot_put_on_experts_is_refused_before_anything_starts(kind: str) -> None:
    """Seen with PEFT 0.21, the model loaded: "lora.ParamWrapper does not work with lora_dropout != 0"."""
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 2048}  # fmt: skip
    config = {"architectures": [kind], "model_type": kind, **sizes}
    found = shapes.read(config)
    assert isinstance(found, Shapes) and found.count("expert")
    lora.check(parsed(), found)
    lora.check(parsed(lora={"dropout": 0.1, "target_modules": ["q_proj"]}), found)
    lora.check(parsed(train=WHOLE, model={"load_in_4bit": False}, lora={"dropout": 0.1}), found)
    for table in ({"dropout": 0.1}, {"dora": True}):
        if kind == "qwen2_moe":  # PEFT's names do not reach its experts
            lora.check(parsed(lora=table), found)
            continue
        with pytest.raises(UserError, match=r"bare parameters.*target_modules"):
            lora.check(parsed(lora=table), found)


def test_dora_takes_more_than_lora() -> None:
    tiny = fit.shapes_of(parsed())
    assert isinstance(tiny, Shapes)
    plain, dora = (
        memory.forecast(Plan(length=256, dora=dora), tiny, Device("cpu", GB)).total for dora in (False, True)
    )
    assert dora > plain


def test_a_model_with_learnt_positions_takes_no_longer_rows(tmp_path: Path) -> None:
    tiny = models.tokenizer_folder("builtin:tiny")
    shutil.copytree(tiny, tmp_path / "gpt2")
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_positions": 1024}
    (tmp_path / "gpt2" / "config.json").write_text(json.dumps(config))
    models.check_length(str(tmp_path / "gpt2"), 1024)
    with pytest.raises(
        UserError, match="has learnt 1,024 positions, and no row can be longer; set it to 1024"
    ):
        models.check_length(str(tmp_path / "gpt2"), 2048)
    models.check_length("builtin:tiny", 100_000)  # reckons its positions


@pytest.mark.long
@pytest.mark.slow
def test_every_way_is_resumed_to_the_same_end() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "ways.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    found = {
        one["way"]: one
        for line in done.stdout.splitlines()
        if line.startswith("{")
        if (one := json.loads(line))
    }
    assert done.returncode == 0 and all(one["same"] for one in found.values()), (
        done.stdout + done.stderr[-2000:]
    )
    plain, result = found["plain"], {way: one["result"] for way, one in found.items()}
    assert result.pop("full-again") == result["full"]  # what is computed twice comes out the same
    assert len(set(result.values())) == len(result)  # each is another way
    assert found["dora"]["base"] == found["neftune"]["base"] == plain["base"]  # measured without it
    assert (
        "model.safetensors" in found["full"]["files"] and "adapter_config.json" not in found["full"]["files"]
    )
    assert abs(found["gpt2"]["base"] / found["gpt2-4bit"]["base"] - 1) < 0.05
