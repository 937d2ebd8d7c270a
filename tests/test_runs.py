"""Run directories: private, found by name; alive is what holds the lock; events fold to a state."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from engine import recipe, runs
from engine.errors import RunFailed, UserError
from engine.events import NEEDED, EventLog, Tail
from engine.runs import Run
from engine.state import fold as state_of

NOON = datetime(2030, 1, 2, 12, 0, 0)


@pytest.fixture
def run(home: Path) -> Run:
    return runs.create(recipe.load("first-steps"), NOON)


def test_a_new_run_is_private_and_holds_its_recipe(run: Run) -> None:
    os.umask(0o022)
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((run.path / "recipe.toml").stat().st_mode) == 0o600
    assert run.recipe() == recipe.load("first-steps")
    assert run.name == "20300102-120000-first-steps"


def test_two_runs_of_one_second_do_not_share_a_folder(run: Run) -> None:
    second = runs.create(recipe.load("first-steps"), NOON)
    assert second.path != run.path
    assert [r.name for r in runs.list_runs()] == sorted([run.name, second.name], reverse=True)


def test_a_home_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IFT_TUI_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set IFT_TUI_HOME"):
        runs.create(recipe.load("first-steps"))


def test_finding_a_run(run: Run) -> None:
    assert runs.find("last") == runs.find(run.name) == runs.find("120000") == runs.find(str(run.path)) == run
    with pytest.raises(UserError, match="no such run"):
        runs.find("nowhere")
    runs.create(recipe.load("first-steps"), NOON)
    with pytest.raises(UserError, match="2 runs match"):
        runs.find("first-steps")


def test_alive_is_what_holds_the_lock(run: Run) -> None:
    assert not runs.is_alive(run)
    # Another process, as a lock held here would be this process's own.
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from engine import runs\n"
            "lock = runs.hold_lock(runs.Run(Path(sys.argv[1]))); print('held', flush=True); sys.stdin.read()",
            str(run.path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    assert runs.is_alive(run) and runs.live() == run
    assert run.state().status == "starting"
    with pytest.raises(RunFailed, match="already being worked on"):
        runs.launch(run)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    # The pid still stands in the file; the lock is free all the same.
    assert not runs.is_alive(run) and not runs.stop(run)
    assert run.state().status == "crashed"


def test_events_fold_to_a_state(run: Run) -> None:
    log = EventLog(run.events, clock=lambda: 100.0)
    log.write("started", name="n", model="builtin:tiny")
    log.write("evaluated", step=0, loss=4.0, rows=8, adapter=False)
    log.write("step", step=1, total=2, loss=3.0, lr=1e-3, tokens=10, tokens_per_s=5.0, eta=1.5)
    log.write("step", step=2, total=2, loss=2.0, lr=1e-3, tokens=12, tokens_per_s=6.0, eta=0.0)
    log.write("evaluated", step=2, loss=2.5, rows=8, adapter=True)
    log.write("a kind of tomorrow", x=1)
    log.write("finished", step=2, path="adapter")
    log.close()
    state = run.state()
    assert (state.status, state.step, state.total, state.tokens) == ("finished", 2, 2, 22)
    assert state.losses == [(1, 3.0), (2, 2.0)] and state.base_loss == 4.0
    assert [(e.step, e.loss) for e in state.evaluations] == [(2, 2.5)]
    assert state.eta is None and state.over


def test_numbering_goes_on_after_a_restart(run: Run) -> None:
    for _ in range(2):
        log = EventLog(run.events)
        log.write("phase", phase="load")
        log.close()
    assert [event["seq"] for event in Tail(run.events).read()] == [1, 2]


def test_a_torn_line_waits_and_a_broken_one_is_passed_over(run: Run) -> None:
    tail = Tail(run.events)
    assert list(tail.read()) == []
    whole = json.dumps({"kind": "phase", "phase": "load"}).encode() + b"\n"
    run.events.write_bytes(whole + whole[:7])
    assert len(list(tail.read())) == 1
    with run.events.open("ab") as file:
        file.write(whole[7:] + b"{broken\n" + whole)
    assert len(list(tail.read())) == 2


def test_an_event_that_lacks_its_facts_is_passed_over(run: Run) -> None:
    log = EventLog(run.events)
    for kind in NEEDED:
        log.write(kind)
    for line in ('{"seq": 1}', '{"kind": ["step"]}', '{"kind": null}', "[]", "7"):
        run.events.write_text(run.events.read_text() + line + "\n")
    log.write("step", step=3, loss=0.5)
    state = run.state()
    assert (state.step, state.loss, state.warnings, list(state.losses.steps)) == (3, 0.5, [], [3])


def test_a_nan_survives_the_way_through_the_file(run: Run) -> None:
    log = EventLog(run.events)
    log.write("step", step=1, total=2, loss=float("nan"))
    log.close()
    loss = state_of(Tail(run.events).read()).loss
    assert loss is not None and loss != loss


def test_a_long_log_is_not_read_whole(run: Run) -> None:
    run.log.write_text("x" * 1_000_000 + "\n" + "\n".join(f"line {n}" for n in range(100)))
    assert runs.log_tail(run, 2) == ["line 98", "line 99"]
