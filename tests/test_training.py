"""The real thing: Unsloth, TRL, PEFT and bitsandbytes train the default recipe in 4-bit, and it works."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine import RECIPES, dataset, ledger, recipe, render, runs, sources, usable
from engine.dataset import Sample
from engine.decoding import Settings
from engine.events import Tail
from engine.runs import Run
from engine.schema import Recipe
from engine.state import RunState
from tests.conftest import wait_for_end

pytestmark = pytest.mark.slow


def small(**train: Any) -> Recipe:
    """The default recipe, cut down so that a test can afford several runs."""
    plan = recipe.load("first-steps")
    return recipe.changed(
        plan,
        train={"batch_size": 4, "eval_every": 0, **train},
        evaluate={"rows": 8, "samples": 1, "sample_tokens": 8, "at_end": 0},
    )


def launched_until(plan: Recipe, reached: Any) -> Run:
    """Launch and come back when `reached(state)` holds."""
    run = runs.create(plan)
    runs.launch(run)
    state, tail = RunState(), Tail(run.events)
    while not reached(state):
        assert runs.is_alive(run), "\n".join(runs.log_tail(run))
        for event in tail.read():
            state.fold(event)
    return run


def test_the_events_tell_the_whole_run(trained: Run) -> None:
    state = trained.state()
    plan = trained.recipe()
    assert (state.status, state.step, state.total) == ("finished", plan.train.steps, plan.train.steps)
    assert [step for step, _ in state.losses] == list(range(1, state.total + 1))
    assert state.loaded["four_bit"] is True and state.loaded["trainable"] > 0
    assert state.rendered["left_out"] == 0 and trained.ledger.read_text() == ""
    assert state.base_loss is not None and state.evaluations[-1].step == state.total
    assert state.evaluations[-1].loss < state.base_loss / 2
    seen = [event["seq"] for event in Tail(trained.events).read()]
    assert seen == list(range(1, len(seen) + 1))


def told(run: Run, *kinds: str) -> list[dict[str, Any]]:
    return [event for event in Tail(run.events).read() if event["kind"] in kinds]


def test_the_longest_rows_were_probed_and_forecast_before_the_first_step(
    trained: Run, tmp_path: Path
) -> None:
    plan, (forecast,), (probed,) = trained.recipe(), told(trained, "forecast"), told(trained, "probed")
    longest = max(len(sample.rendered.ids) for sample in samples(plan, "train", tmp_path))
    assert probed["train"]["rows"] == plan.train.batch_size == probed["evaluation"]["rows"]
    assert probed["train"]["length"] == longest >= probed["evaluation"]["length"] > longest / 2
    assert probed["forecast"] == forecast["total"] == sum(forecast["terms"].values())
    peaks = [probed[part]["peak"] for part in ("train", "evaluation")]
    first = told(trained, "step")[0]["memory"]
    for peak in peaks:  # as much as the first step used, in the same process a moment later
        assert 0.8 * first["rss"] < peak < 1.25 * first["rss_peak"]
    assert abs(max(peaks) / forecast["total"] - 1) < 0.15
    assert forecast["verdict"] == "fits" and forecast["free"] > forecast["total"]
    order = [event.get("phase", event["kind"]) for event in told(trained, "phase", "forecast", "probed")]
    assert order == [
        "import",
        "render",
        "forecast",
        "load",
        "probe",
        "probed",
        "baseline",
        "train",
        "evaluate",
        "save",
        "measure",
    ]


def test_the_time_of_a_run_is_split_and_adds_up(trained: Run) -> None:
    steps, evaluated = told(trained, "step"), told(trained, "evaluated")
    known = sum(event["seconds"] + event["data"] for event in steps)
    known += sum(event["seconds"] for event in (*evaluated[1:], *told(trained, "saved")))
    phases = {event["phase"]: event["time"] for event in told(trained, "phase")}
    whole = phases["measure"] - phases["train"]
    assert 0.9 * whole < known < 1.001 * whole
    assert all(event["seconds"] > 0 and event["data"] >= 0 for event in steps)
    assert steps[-2]["eta"] > steps[-1]["seconds"]  # an evaluation and a checkpoint are still to come
    assert told(trained, "started")[0]["pid"] > 0


def test_the_same_questions_are_answered_at_each_evaluation(trained: Run, tmp_path: Path) -> None:
    plan, heard = trained.recipe(), told(trained, "sampled")
    assert len(heard) == plan.evaluate.samples * len(told(trained, "evaluated"))
    base, tuned = ([one for one in heard if one["adapter"] is adapter] for adapter in (False, True))
    asked = {
        (sample.question[-1]["content"], sample.reference) for sample in samples(plan, "validation", tmp_path)
    }
    assert {(one["prompt"], one["reference"]) for one in base} <= asked and len(base) == 3
    assert [one["number"] for one in tuned] == [0, 1, 2] * (len(tuned) // 3)
    last = {one["number"]: one for one in tuned}
    assert all(one["ended"] for one in last.values())  # it was taught to stop
    assert [last[one["number"]]["answer"] for one in base] != [one["answer"] for one in base]


def test_what_was_said_under_way_is_what_the_adapter_says(trained: Run, tmp_path: Path) -> None:
    """The samples of the last evaluation equal those of the comparison, which loads without Unsloth."""
    from engine.workers import conversing, decode

    if trained.state().loaded["device"] != "cpu":
        pytest.skip("Unsloth's kernels on a GPU round otherwise")
    session = conversing.opened(trained)
    asked = {one["number"]: one["prompt"] for one in told(trained, "sampled") if not one["adapter"]}
    heard = {one["number"]: one["answer"] for one in told(trained, "sampled") if one["adapter"]}
    rows = {s.question[-1]["content"]: s for s in samples(trained.recipe(), "validation", tmp_path)}
    ids = [session.pair.chat.prompt_ids(rows[asked[number]].question) for number in sorted(asked)]
    questions = [decode.Question(one, session.columns["tuned"]) for one in ids]
    said = decode.answers(session.pair, questions, Settings(trained.recipe().evaluate.sample_tokens))
    assert [answer.text for answer in said] == [heard[number] for number in sorted(asked)]


def samples(plan: Recipe, part: sources.Part, folder: Path) -> list[Sample]:
    """All samples of a part, from the recipe alone."""
    data = dataset.opened(plan)
    return [sample for _, sample in usable.samples(data, usable.surveyed(data, folder), [part])]


def test_right_answers_are_counted_at_the_end(trained: Run) -> None:
    state, most = trained.state(), trained.recipe().evaluate.at_end
    rows = [
        json.loads(line) for line in (trained.path / "evals" / "end.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(state.measured) == len(trained.recipe().data.sources)
    for one in state.measured:
        own = [row for row in rows if row["set"] == one["source"]]
        assert one["rows"] == len(own) == most
        assert [one[each] for each in ("base", "tuned")] == [
            sum(row[each]["right"] for row in own) for each in ("base", "tuned")
        ]
    assert state.right is not None and state.right[1] > 0.9 > 0.1 > state.right[0]
    kinds = [event["kind"] for event in Tail(trained.events).read()]
    assert kinds[-2:] == ["measured", "finished"]


def test_what_was_trained_is_what_is_previewed(trained: Run, tmp_path: Path) -> None:
    rows = samples(trained.recipe(), "train", tmp_path)
    digest = render.digest((sample.rendered.ids, sample.rendered.labels) for sample in rows)
    assert trained.state().rendered["digest"] == digest


def test_the_run_is_private_and_its_adapter_whole(trained: Run) -> None:
    from safetensors.torch import load_file

    for path in [trained.path, *trained.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    weights = load_file(str(trained.adapter / "adapter_model.safetensors"))
    assert all(str(tensor.dtype) == "torch.float32" for tensor in weights.values())
    assert all(float(tensor.abs().max()) > 0 for tensor in weights.values())
    assert (trained.adapter / "tokenizer.json").read_bytes() == (
        RECIPES / "models" / "tiny" / "tokenizer.json"
    ).read_bytes()
    assert render.load(trained.adapter).template == dataset.chat_format(trained.recipe()).template


@pytest.mark.long
def test_stopping_keeps_what_was_learnt() -> None:
    run = launched_until(small(steps=5000), lambda state: state.step >= 3)
    assert runs.stop(run)
    wait_for_end(run)
    state = run.state()
    assert state.status == "stopped" and 3 <= state.step < 5000
    assert (run.adapter / "adapter_model.safetensors").is_file()
    assert not list(run.path.glob("*.part"))


def test_stopping_before_the_first_step_leaves_no_half_adapter() -> None:
    run = launched_until(small(steps=5000), lambda state: True)  # at once: the worker does not listen yet
    assert runs.stop(run)
    wait_for_end(run)
    state = run.state()
    assert (state.status, state.step) == ("stopped", 0) and "nothing was trained" in state.reason
    assert not run.adapter.exists()


@pytest.mark.long
def test_other_rows_than_those_previewed_are_not_trained_on() -> None:
    plan = recipe.changed(small(steps=5), data={"digest": "0" * 64})
    run = runs.create(plan)
    runs.launch(run)
    wait_for_end(run)
    state = run.state()
    assert state.status == "failed" and "not those that were previewed" in state.reason
    assert state.step == 0 and not run.adapter.exists()


@pytest.mark.long
def test_a_mix_with_bad_rows_is_trained_as_it_is_previewed(tmp_path: Path) -> None:
    rows = [{"instruction": f"Add {i} and {i}.", "output": f"It is {2 * i}."} for i in range(80)]
    lines = [json.dumps(row) for row in (*rows, rows[3], {"instruction": "why?", "output": ""})]
    (tmp_path / "sums.jsonl").write_text("\n".join([*lines, "{torn"]), "utf-8")
    (tmp_path / "wiki").mkdir()
    text = "\n\n".join(f"The lamp {i} is bright and small." for i in range(60))
    (tmp_path / "wiki" / "lamp.md").write_text(text, "utf-8")
    (tmp_path / "signs.csv").write_text("said,sign\n" + "".join(f"lamp {i},{i % 2}\n" for i in range(20)))
    mix = [
        {"path": str(tmp_path / "sums.jsonl"), "weight": 1.5},
        {"path": str(tmp_path / "wiki"), "questions": True},
        {"path": str(tmp_path / "signs.csv"), "format": "pairs", "held_out": True,
         "columns": {"prompt": "said", "completion": "sign"}},
    ]  # fmt: skip
    data = {"sources": mix, "max_length": 256, "validation": 8, "augment": {"copies": 1}}
    plan = recipe.parse(
        {"name": "mix", "data": data, "train": {"steps": 2, "batch_size": 4}, "evaluate": {"at_end": 0}}
    )
    used = samples(plan, "train", tmp_path / "counted")
    run = runs.create(plan)
    runs.launch(run)
    wait_for_end(run)
    state = run.state()
    assert state.status == "finished", "\n".join(runs.log_tail(run))
    assert state.rendered["count"] == len(used)
    assert state.rendered["digest"] == render.digest((s.rendered.ids, s.rendered.labels) for s in used)
    reasons = Counter(entry.reason for entry in ledger.read(run.ledger) if entry.done == "left out")
    assert reasons == {"duplicate": 1, "empty answer": 1, "malformed": 1}
    assert any(entry.reason == "augmented" for entry in ledger.read(run.ledger))
    assert {sample.source.path for sample in samples(plan, "test", tmp_path / "again")} == {mix[2]["path"]}


def test_a_killed_worker_is_seen_and_a_hang_up_is_not() -> None:
    run = launched_until(small(steps=5000), lambda state: state.step >= 2)
    pid = int((run.path / "lock").read_text())
    os.kill(pid, signal.SIGHUP)  # what a closed terminal sends
    state, tail = RunState(), Tail(run.events)
    before = run.state().step
    while state.step < before + 3:
        assert runs.is_alive(run)
        for event in tail.read():
            state.fold(event)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(run)
    assert run.state().status == "crashed"
