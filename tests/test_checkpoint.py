"""Checkpoints as folders: whole or absent, the newest whole one is found, the best and the last stay."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from engine import events, recipe, runs
from engine.errors import UserError
from engine.events import EventLog
from engine.runs import Run
from engine.schema import Settled
from engine.state import fold as state_of
from engine.workers import checkpoints, durable, order, pace
from engine.workers.amends import Gone
from engine.workers.course import Course
from engine.workers.pace import Change


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def put(folder: Path, *steps: int) -> None:
    def fill(path: Path) -> dict[str, Any]:
        (path / checkpoints.ADAPTER).write_bytes(b"weights")
        return {"course": {}}

    for step in steps:
        checkpoints.write(folder, step, fill)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_whole_one_is_found_whatever_stands_beside_it(folder: Path) -> None:
    assert checkpoints.newest(folder) is None
    put(folder, 5, 10, 20, 30, 40)
    (folder / "step-50.part").mkdir()
    (folder / "step-60").mkdir()
    (folder / "step-70").write_text("a file")
    (folder / "step-x").mkdir()
    (folder / "step-007").mkdir()
    (folder / "notes.txt").write_text("")
    (folder / "step-40" / checkpoints.ADAPTER).write_bytes(b"weig")
    (folder / "step-30" / checkpoints.STATE).write_text("{torn")
    shutil.rmtree(folder / "step-20")
    (folder / "step-10").rename(folder / "step-20")
    passed: dict[str, str] = {}
    newest = checkpoints.newest(folder, lambda path, why: passed.update({path.name: why}))
    assert newest == folder / "step-5"
    assert passed == {
        "step-70": "state.json cannot be read (NotADirectoryError)",
        "step-60": "state.json is missing",
        "step-40": "adapter_model.safetensors is cut short",
        "step-30": "state.json cannot be read (JSONDecodeError)",
        "step-20": "state.json is that of another step",
    }


def test_old_ones_go_but_never_the_best_nor_the_only_one(folder: Path) -> None:
    put(folder, 1, 2, 3, 4)
    checkpoints.settle(folder, 2, best=1, loss=0.5)
    assert names(folder) == ["index.json", "step-1", "step-3", "step-4"]
    assert json.loads((folder / "index.json").read_text()) == {"last": 4, "best": 1, "loss": 0.5}
    (folder / "step-4" / checkpoints.STATE).unlink()  # what is not whole does not count as kept
    checkpoints.settle(folder, 1, best=2, loss=0.4)
    assert names(folder) == ["index.json", "step-3", "step-4"]
    assert json.loads((folder / "index.json").read_text())["best"] is None
    checkpoints.settle(folder, 1, best=None, loss=None)
    assert names(folder) == ["index.json", "step-3", "step-4"]


def test_a_write_that_dies_leaves_the_former_one_whole(folder: Path) -> None:
    put(folder, 1)

    def dies(path: Path) -> dict[str, Any]:
        (path / checkpoints.ADAPTER).write_bytes(b"we")
        raise OSError("full")

    for step in (1, 2):
        with pytest.raises(OSError, match="full"):
            checkpoints.write(folder, step, dies)
    assert checkpoints.newest(folder) == folder / "step-1"
    (folder / "step-9.gone").mkdir()
    checkpoints.sweep(folder)
    assert names(folder) == ["step-1"]


def test_a_document_is_replaced_in_one_move(tmp_path: Path) -> None:
    for number in (1, 2):
        durable.document(tmp_path / "index.json", {"last": number})
    assert names(tmp_path) == ["index.json"] and '"last": 2' in (tmp_path / "index.json").read_text()


def test_room_is_asked_for_before_it_is_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=40 * 10**6))
    checkpoints.check_room(folder, 10 * 10**6, keep=3)
    with pytest.raises(UserError, match=r"40 MB are free, and checkpoints need 50 MB.*keep_checkpoints"):
        checkpoints.check_room(folder, 10 * 10**6, keep=4)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.check_room_for_one(folder, 41 * 10**6)
    assert checkpoints.size(1_000_000, "adamw") > 12_000_000


def test_every_row_has_its_turn_and_a_step_knows_its_rows() -> None:
    rows, size = 11, 4
    for epoch in range(3):
        steps = [order.of_step(rows, size, 7, 3 * epoch + place + 1) for place in range(3)]
        assert [len(one) for one in steps] == [4, 4, 3]
        in_a_row = [row for one in steps for row in one]
        assert in_a_row == order.of_epoch(rows, size, 7, epoch) and sorted(in_a_row) == list(range(rows))
    assert order.of_epoch(rows, size, 7, 0) != order.of_epoch(rows, size, 7, 1)
    sampler = order.Order(rows, size, 7)
    sampler.set_epoch(2)
    assert list(sampler) == order.of_epoch(rows, size, 7, 2) and len(sampler) == rows


def test_rows_left_out_change_nothing_that_was_trained_before() -> None:
    first, second = order.of_epoch(11, 4, 7, 0), order.of_epoch(11, 4, 7, 1)
    in_step_2 = [Gone(1, first[4:8])]  # a step of the first epoch, rolled back to the end of step 1
    assert order.of_epoch(11, 4, 7, 0, in_step_2) == first[:4] + first[8:] + first[:4]
    assert order.of_epoch(11, 4, 7, 1, in_step_2) != second
    in_step_5 = [Gone(2, second[4:8])]  # of the second epoch, rolled back into the first
    kept = order.of_epoch(11, 4, 7, 0, in_step_5)
    assert kept[:8] == first[:8] and not set(kept[8:]) & set(second[4:8]) and len(kept) == 11
    both = order.of_epoch(11, 4, 7, 0, [*in_step_2, Gone(2, [first[8]])])
    assert both[:8] == order.of_epoch(11, 4, 7, 0, in_step_2)[:8] and first[8] not in both[8:]
    assert order.of_epoch(3, 4, 7, 0, [Gone(0, [0, 1, 2])]) == []


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_the_schedule_is_that_of_transformers(schedule: Any) -> None:
    torch = pytest.importorskip("torch")
    from transformers import get_scheduler

    plan = Settled(schedule=schedule, warmup_steps=5, steps=40)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=plan.learning_rate)
    theirs = get_scheduler(schedule, optimizer, num_warmup_steps=5, num_training_steps=40)
    for step in range(40):
        assert theirs.get_last_lr()[0] == plan.learning_rate * pace.rate(plan, 40, [], step)
        optimizer.step()
        theirs.step()


def test_a_changed_rate_scales_and_a_changed_length_stretches() -> None:
    plan = Settled(schedule="linear", warmup_steps=0, learning_rate=1e-4)
    changes = [Change(10, "learning rate", 2e-4), Change(50, "steps", 150), Change(100, "steps", 120)]
    assert [pace.total(100, changes, step) for step in (0, 49, 50, 99, 100)] == [100, 100, 150, 150, 120]
    rates = [pace.rate(plan, 100, changes, step) for step in (0, 9, 10, 50, 100, 110, 120)]
    assert rates == pytest.approx([1.0, 0.91, 1.8, 1.0, 0.5, 0.25, 0.0])
    for step in range(50):  # what was told later changes nothing that was before
        assert pace.rate(plan, 100, changes, step) == pace.rate(plan, 100, changes[:1], step)


@pytest.mark.parametrize("bits", [8, 32])
def test_an_optimizer_goes_on_from_its_files_bit_for_bit(bits: int, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from bitsandbytes.optim import AdamW8bit

    from engine.workers import randomness, snapshot

    def made() -> tuple[Any, Any]:
        weights = torch.nn.Parameter(torch.linspace(-1, 1, 128 * 64).reshape(128, 64))
        other = torch.nn.Parameter(torch.ones(8))
        groups = [{"params": [weights], "weight_decay": 0.1}, {"params": [other], "weight_decay": 0.0}]
        return [weights, other], AdamW8bit(groups) if bits == 8 else torch.optim.AdamW(groups)

    def steps(parameters: Any, optimizer: Any) -> None:
        for _ in range(3):
            for one in parameters:
                one.grad = torch.randn_like(one) + np.random.rand() + random.random()
            optimizer.step()

    parameters, optimizer = made()
    steps(parameters, optimizer)
    tensors, facts = snapshot._taken_apart(optimizer.state_dict())
    save_file(tensors, tmp_path / "optimizer.safetensors")
    numbers, words = randomness.captured()
    save_file(numbers, tmp_path / "random.safetensors")
    text = json.dumps([facts, words])
    weights = [one.detach().clone() for one in parameters]
    steps(parameters, optimizer)

    again, other = made()
    for one, weight in zip(again, weights, strict=True):
        one.data = weight
    facts, words = json.loads(text)
    other.load_state_dict(snapshot._put_together(load_file(tmp_path / "optimizer.safetensors"), facts))
    randomness.restore(load_file(tmp_path / "random.safetensors"), words)
    steps(again, other)
    assert all(torch.equal(one, two) for one, two in zip(parameters, again, strict=True))
    if bits == 8:
        assert any(tensor.dtype == torch.uint8 for tensor in tensors.values())


def test_nothing_of_the_program_reads_a_pickle() -> None:
    for file in (Path(checkpoints.__file__).parents[2] / "engine").rglob("*.py"):
        text = file.read_text("utf-8")
        assert not [word for word in ("torch.load(", "import pickle", "allow_pickle=True") if word in text]


def test_the_best_evaluation_is_known_and_a_nan_is_none() -> None:
    course = Course(planned=10)
    losses = [float("nan"), 3.0, 3.0, 2.0]
    assert [course.evaluated(step, loss) for step, loss in enumerate(losses, 1)] == [False, True, False, True]
    assert (course.best_step, course.best_loss, course.waited) == (4, 2.0, 0)
    again = Course(planned=10)
    course.changes.append(Change(3, "steps", 20))
    again.restore(json.loads(json.dumps(course.facts())))
    assert again == course and again.total(3) == 20


def test_steps_after_the_one_taken_up_have_not_happened(home: Path) -> None:
    run = runs.create(recipe.load("first-steps"))
    log = EventLog(run.events, clock=lambda: 100.0)
    assert not log.continued
    log.write("started", name="n", model="builtin:tiny")
    log.write("evaluated", step=0, loss=4.0, rows=8, adapter=False)
    for step in range(1, 8):
        log.write("step", step=step, total=10, loss=float(step), tokens=10)
    log.write("evaluated", step=4, loss=3.0, rows=8, adapter=True)
    log.write("evaluated", step=6, loss=2.0, rows=8, adapter=True)
    log.write("failed", reason="broken", mend="mend it")
    log.close()
    log = EventLog(run.events, clock=lambda: 200.0)
    assert log.continued
    log.write("started", name="n", model="builtin:tiny")
    log.write("resumed", step=5, **{"from": "checkpoints/step-5"})
    state = state_of(events.Tail(run.events).read())
    assert (state.status, state.step, state.tokens, state.reason, state.mend) == ("running", 5, 50, "", "")
    assert [step for step, _ in state.losses] == [1, 2, 3, 4, 5] and state.started_at == 100.0
    assert [one.step for one in state.evaluations] == [4] and state.base_loss == 4.0
    assert state.resumes == 1
    log.write("resumed", step=0, **{"from": None})
    state = state_of(events.Tail(run.events).read())
    assert (state.step, state.tokens, state.losses, state.base_loss) == (0, 0, [], None)


def whole(home: Path) -> Run:
    """A run as one that was started and broke off leaves it."""
    from engine import resume

    run = runs.create(recipe.load("first-steps"))
    facts = {**resume.facts(run), "digest": "d" * 64}
    durable.document(run.path / "environment.json", facts)
    return run


def test_what_changed_is_said_and_must_be_confirmed(home: Path) -> None:
    from engine import resume

    run = whole(home)
    started: list[Run] = []
    assert resume.changes(run) == []
    runs.resume(run, start=started.append)
    assert started == [run]
    facts = json.loads((run.path / "environment.json").read_text())
    facts["base"] = "0" * 64
    facts["versions"]["peft"] = "0.1"
    durable.document(run.path / "environment.json", facts)
    with (run.path / "recipe.toml").open("a") as file:
        file.write("# other\n")
    log = EventLog(run.events)
    log.write("rendered", digest="e" * 64)
    found = resume.changes(run)
    assert [text.split()[0] for text in found] == ["recipe.toml", "the", "peft", "the"]
    with pytest.raises(UserError, match=r"not as it was: recipe.toml .*; peft is .*, it was 0.1; the rows"):
        runs.resume(run, start=started.append)
    assert started == [run]
    runs.resume(run, confirmed=True, start=started.append)
    assert started == [run, run]
    resume.check(run, resume.changes(run))


def test_a_run_that_has_ended_is_not_resumed(home: Path) -> None:
    run = whole(home)
    log = EventLog(run.events)
    log.write("finished", step=3, path="adapter")
    with pytest.raises(UserError, match="come to its end"):
        runs.resume(run)
