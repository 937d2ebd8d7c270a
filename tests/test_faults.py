"""Faults of a run: what is warned of, waited for, made good, and said; and real runs in trouble."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from test_worker_turn import until

from engine import hardware, recipe, runs
from engine.errors import UserError
from engine.events import EventLog, Tail
from engine.schema import Settled
from engine.workers import amends, failures, patience, rows, watch
from engine.workers.amends import Amends, Gone
from engine.workers.io import Stopped
from engine.workers.patience import PatientLog, patiently

ROOT = Path(__file__).resolve().parents[1]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoints")


@pytest.fixture
def stop() -> Any:
    return SimpleNamespace(wanted=False)


@pytest.fixture
def log(tmp_path: Path, stop: Any, monkeypatch: pytest.MonkeyPatch) -> PatientLog:
    monkeypatch.setattr(patience, "SECONDS_BETWEEN_TRIES", 0.02)
    monkeypatch.setattr(patience, "SECONDS_BETWEEN_LOOKS", 0.001)
    return PatientLog(tmp_path / "events.jsonl", stop)


def kinds(log: EventLog, folder: Path) -> list[str]:
    return [event["kind"] for event in Tail(folder / "events.jsonl").read()]


def test_what_finds_no_room_is_written_when_there_is_some(log: PatientLog, stop: Any, tmp_path: Path) -> None:
    tries = iter([FULL, FULL, None])

    def write() -> None:
        if error := next(tries):
            raise error

    patiently(write, log, stop)
    assert kinds(log, tmp_path) == ["paused", "unpaused"]
    state = SimpleNamespace(reason=next(Tail(tmp_path / "events.jsonl").read())["reason"])
    assert "No space left" in state.reason and "the run goes on" in state.reason


def test_a_run_that_waits_can_be_stopped_and_other_errors_do_not_wait(log: PatientLog, stop: Any) -> None:
    def write() -> None:
        stop.wanted = True
        raise FULL

    with pytest.raises(Stopped, match="while it waited"):
        patiently(write, log, stop)
    with pytest.raises(FileNotFoundError):
        patiently(lambda: Path("/nowhere/at/all").read_text() and None, log, stop)


def test_the_words_of_safetensors_are_understood() -> None:
    error = type("SafetensorError", (Exception,), {})
    assert patience.passing(error("I/O error: No space left on device (os error 28)"))
    assert not patience.passing(error("header too large"))


def test_events_that_find_no_room_come_later_in_order_and_whole(
    log: PatientLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, times = os.write, iter(range(1000))

    def short_then_full(descriptor: int, data: bytes) -> int:
        match next(times):
            case 0:
                return real(descriptor, data[:9])  # a disk that runs full in mid line
            case 1 | 2:
                raise FULL
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", short_then_full)
    log.write("step", step=1, loss=1.0)
    log.write("step", step=2, loss=1.0)
    assert kinds(log, tmp_path) == ["step", "paused", "unpaused", "step"]


def test_a_disk_that_is_never_free_does_not_hold_back_the_end(log: PatientLog, stop: Any) -> None:
    log.close()
    log._fd = os.open("/dev/full", os.O_WRONLY)
    threading.Timer(0.05, lambda: setattr(stop, "wanted", True)).start()
    log.last_word("stopped", step=1)


def seen(losses: list[float], norms: list[float] | None = None) -> list[tuple[int, str]]:
    one = watch.Watch()
    found = []
    for step, loss in enumerate(losses):
        for text, mend in one.see(loss, norms[step] if norms else 1.0):
            assert mend
            found.append((step, text.partition(":")[0]))
    return found


def test_a_good_run_is_left_in_peace() -> None:
    assert seen([4.0 * 0.99**step + 0.3 * (step % 3) for step in range(300)]) == []


def test_an_exploding_loss_is_warned_of_once_until_it_recovers() -> None:
    falling, risen = [4.0 - step / 20 for step in range(60)], [40.0] * 30
    found = [step for step, text in seen(falling + risen + [1.0] * 60 + risen) if text == watch.EXPLODES]
    assert len(found) == 2 and 60 <= found[0] < 65 and found[1] >= 150
    assert seen([5.0] * 10 + [1.0] * 50 + [4.9] * 30) == []  # higher than its best, not than its start


def test_a_loss_that_stands_still_is_warned_of() -> None:
    still = [4.0 - step / 20 for step in range(50)] + [1.5] * 100
    assert [text for _, text in seen(still)] == [watch.STANDS_STILL]
    assert seen(still[:99]) == []


def test_a_wild_gradient_is_warned_of() -> None:
    norms = [1.0] * 30 + [500.0] + [1.0] * 5 + [1e-9]
    assert seen([1.0 - step / 100 for step in range(37)], norms) == [(30, watch.WILD), (36, watch.WILD)]
    one = watch.Watch()
    assert one.see(1.0, 0.0, last=True) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((4, 2), (2, 4)),
        ((16, 1), (8, 2)),
        ((3, 1), (1, 3)),
        ((6, 1), (3, 2)),
        ((5, 2), (2, 5)),
        ((1, 8), None),
    ],
)
def test_a_smaller_micro_batch_has_the_same_rows_a_step(
    before: tuple[int, int], after: tuple[int, int] | None
) -> None:
    plan = Settled(batch_size=before[0], gradient_accumulation=before[1])
    made = Amends(left_out=[Gone(5, [7])]).shrunk(plan)
    if after is None:
        assert made is None
        return
    assert made is not None and made.left_out == [Gone(5, [7])]
    smaller = made.applied(plan)
    assert (smaller.batch_size, smaller.gradient_accumulation) == after
    assert all(smaller.total_steps(rows) == plan.total_steps(rows) for rows in range(1, 60))


def test_amends_are_added_up_and_read_again(home: Path) -> None:
    run = runs.create(recipe.load("first-steps"))
    assert amends.load(run) == Amends() and Amends().applied(Settled()) == Settled()
    made = Amends().without(4, [5, 3]).without(6, [5, 9])
    assert made.rollbacks == 2 and made.left_out == [Gone(4, [5, 3]), Gone(6, [5, 9])]
    (run.path / "amends.json").write_text(json.dumps(dataclasses.asdict(made)), "utf-8")
    assert amends.load(run) == made


def test_memory_that_ran_out_is_said_with_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)  # the host's own refusal, word for word
    assert failures.ran_out(caught.value) and failures.ran_out(torch.cuda.OutOfMemoryError("x"))
    assert not failures.ran_out(RuntimeError("shapes differ"))
    plan = recipe.load("first-steps")
    small = Settled(batch_size=1, gradient_accumulation=8, gradient_checkpointing=False)
    said = failures.out_of_memory(plan, small, "step 3", 1, 200)
    assert str(said).startswith("memory ran out in step 3, on 1 row of 200 tokens (")
    assert said.mend == "set train.gradient_checkpointing = true, or data.max_length below 200"
    gpu = SimpleNamespace(index=0, name="a GPU", free=10**9, total=24 * 10**9)
    monkeypatch.setattr(hardware, "gpus", lambda: [gpu])
    monkeypatch.setattr(hardware, "others", lambda index: ["ollama (77) holds 12.0 GB"])
    said = failures.out_of_memory(plan, Settled(batch_size=4, gradient_accumulation=4), "step 3", 4, 1200)
    assert "1,200 tokens (1.0 of 24.0 GB are free on a GPU; ollama (77) holds 12.0 GB)" in str(said)
    assert "train.batch_size = 2 with train.gradient_accumulation = 8" in failures.explain(said)[1]


def test_early_stopping_needs_evaluations() -> None:
    with pytest.raises(UserError, match="early_stopping counts evaluations; set eval_every"):
        recipe.parse({"data": {"sources": [{"path": "x"}]}, "train": {"early_stopping": 2, "eval_every": 0}})


def troubled(*scenarios: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "faults.py"), *scenarios],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@pytest.mark.long
def test_real_runs_get_past_a_nan_and_a_full_disk_and_are_probed_without_a_trace() -> None:
    troubled("nan_skip", "disk_full_told", "no_trace")


@pytest.mark.long
def test_real_runs_get_past_every_fault() -> None:
    troubled()


def test_a_log_that_cannot_be_written_does_not_end_a_worker() -> None:
    printing = (
        "from engine.workers.io import keep_printing; keep_printing(); import sys;"
        "print('lost'); print('lost', file=sys.stderr); sys.stdout.flush(); sys.exit(7)"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", printing], stdout=full, stderr=full, cwd=ROOT, check=False
        )
    assert done.returncode == 7


def test_rows_on_disk_know_their_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    with rows.writer(path) as write:
        for number in range(2 * rows.ROWS_A_BATCH + 3):
            write([number], [number], f"/data/{'ab'[number % 2]}.jsonl", 10 * number)
    assert rows.places(path, [1025, 0, 1]) == ["b.jsonl line 10250", "a.jsonl line 0", "b.jsonl line 10"]


def test_the_evaluation_at_the_end_does_not_outlive_the_worker_that_started_it() -> None:
    child = (
        "import os, time; from engine.workers.io import die_with; die_with(os.getppid());"
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert started.stdout is not None
    pid = int(started.stdout.readline())
    assert psutil.pid_exists(pid)
    started.kill()
    started.wait()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
