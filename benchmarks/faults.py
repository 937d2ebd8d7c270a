"""Real trainings in trouble: no number for a loss, no memory, no room on the disk, a signal in each phase.

    python benchmarks/faults.py [NAME ...]

Each scenario is a small run with a fault on its way, left to end or taken up again, and held against a run
without it. One JSON line each; exit code 1 if one does not end as it should. As in kill.py, lives are forks.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import kill

from engine import dataset, events, recipe, runs, usable
from engine.events import Event, EventLog
from engine.runs import Run
from engine.schema import Recipe
from engine.workers import checkpoints, faults, order, probe, train
from engine.workers.io import StopFlag

PHASES = ("import", "render", "load", "probe", "baseline", "train", "evaluate", "save")
DISK = 150 * 2**20
BALLAST_SECONDS = 30.0
"""At most: where no byte is free, not even that the run waits can be told."""


def nan_stop() -> None:
    """It ends in that step with its rows told, and goes on to the same adapter once the fault is gone."""
    run = lived(plan(), "nan@5")
    state, told = run.state(), of_kind(run, "non_finite")
    assert (state.status, state.step) == ("failed", 4) and "no number in step 5" in state.reason, state.reason
    assert [(one["step"], one["what"], one["rows"]) for one in told] == [(5, "loss", rows_of(run, 5))]
    assert told[0]["places"] == places_of(run, rows_of(run, 5)) and told[0]["places"][0] in state.reason
    assert kill.life(run, people=False) == 0
    assert kill.outcome(run)["adapter"] == undisturbed()["adapter"]


def nan_skip() -> None:
    """That step is not taken, and no later one is harmed."""
    run = lived(plan(on_nonfinite="skip"), "nan@5")
    assert run.state().status == "finished"
    assert [step for step, loss in run.state().losses if not math.isfinite(loss)] == [5]
    assert [one["done"] for one in of_kind(run, "non_finite")] == ["skipped"]
    assert math.isfinite(run.state().evaluations[-1].loss)


def nan_roll_back() -> None:
    """It goes back, and on without the rows of that batch, whatever stands in them."""
    first = rows_of(runs.create(plan()), 5)
    run = lived(plan(on_nonfinite="roll back"), f"nan@row {first[2]}")
    state = run.state()
    assert state.status == "finished", state.reason
    assert all(math.isfinite(loss) for _, loss in state.losses) and len(state.losses) == state.total
    assert state.resumes == len(of_kind(run, "non_finite")) >= 1
    amends = json.loads((run.path / "amends.json").read_text("utf-8"))
    assert first[2] in amends["left_out"][0][1] and len(amends["left_out"]) == state.resumes


def oom_stop() -> None:
    """One sentence on what was tried, one on what would fit."""
    run = lived(plan(), "oom@5")
    state = run.state()
    assert state.status == "failed" and "memory ran out in step 5, on 4 rows of" in state.reason, state.reason
    assert "train.batch_size = 2 with train.gradient_accumulation = 4" in state.mend, state.mend


def oom_shrink() -> None:
    """A new process goes on from the last checkpoint: the same rows in the same order, in smaller pieces."""
    # Without dropout, whose masks have another shape then.
    calm = recipe.changed(plan(on_oom="shrink"), lora={"dropout": 0.0})
    there = kill.outcome(lived(calm, ""))["steps"]
    run = lived(calm, "oom@5")
    state = run.state()
    assert state.status == "finished" and state.resumes == 1, state.reason
    shrunk = [(one["batch_size"], one["gradient_accumulation"]) for one in of_kind(run, "shrunk")]
    assert shrunk == [(2, 4)]
    here = kill.outcome(run)["steps"]
    for step in range(5, state.total + 1):
        assert abs(here[step][0] - there[step][0]) < 1e-3 * there[step][0], (step, here[step], there[step])
        assert here[step][3] == there[step][3], "other rows"  # tokens


def oom_probe() -> None:
    """Memory that is not enough is known before the first step, with what would be."""
    run = lived(plan(), "oom@probe")
    state = run.state()
    assert state.status == "failed" and state.step == 0, (state.status, state.step)
    assert "memory ran out in the probe before the first step, on 4 rows of" in state.reason, state.reason
    assert "train.batch_size = 2 with train.gradient_accumulation = 4" in state.mend, state.mend
    assert [one["phase"] for one in of_kind(run, "phase")][-1] == "probe"


def oom_probe_shrink() -> None:
    """The micro-batch shrinks in the probe already, and the new one is probed again."""
    run = lived(plan(on_oom="shrink"), "oom@probe")
    state = run.state()
    assert state.status == "finished" and len(state.losses) == state.total, state.reason
    assert [(one["batch_size"], one["gradient_accumulation"]) for one in of_kind(run, "shrunk")] == [(2, 4)]
    assert [one["train"]["rows"] for one in of_kind(run, "probed")] == [2]


def no_trace() -> None:
    """Neither the probe nor the samples move a bit of the adapter, a loss, or a count."""
    bare = recipe.changed(plan(probe=False), evaluate={"samples": 0})
    run = lived(bare, "")
    assert not of_kind(run, "probed", "sampled")
    assert kill.outcome(run) == undisturbed()
    told = of_kind(_kept_run[0], "probed", "sampled")
    assert [one["kind"] for one in told] == ["probed"] + ["sampled"] * 2 * 4, told  # base, steps 3, 6, 9


def probe_on_demand() -> None:
    """It says what was measured, or what ran out, and leaves nothing behind."""
    before = set(Path(tempfile.gettempdir()).glob("ift-tui-probe-*"))
    good, bad = answered_probe(""), answered_probe("oom@probe")
    assert good["fits"] and good["measured"]["train"]["rows"] == 4, good
    assert good["forecast"]["total"] == good["measured"]["forecast"], good
    assert not bad["fits"] and "in the probe" in bad["reason"] and "train.batch_size = 2" in bad["mend"], bad
    assert bad["forecast"] and not bad["measured"], bad
    assert set(Path(tempfile.gettempdir()).glob("ift-tui-probe-*")) == before


def answered_probe(fault: str) -> dict[str, Any]:
    """The answer of engine.workers.probe, from a life of its own."""
    answer = Path(tempfile.mkdtemp(dir=os.environ["IFT_TUI_HOME"])) / "answer.json"

    def ask() -> None:
        os.environ.update({faults.VARIABLE: fault} if fault else {})
        said = probe.probed(plan(), StopFlag(), lambda phase: None)
        answer.write_text(json.dumps(said), "utf-8")
        os._exit(0)

    status = kill.life(runs.create(plan()), ask, people=False)
    assert status == 0, status
    found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    return found


def disk_full_told() -> None:
    """A checkpoint that finds no room is written when there is some, and nothing else is changed."""
    run = lived(plan(), "full@4")
    assert [one["kind"] for one in of_kind(run, "paused", "unpaused")] == ["paused", "unpaused"]
    assert kill.outcome(run) == undisturbed()


def _disk_full(phase: str) -> None:
    with small_disk() as folder:
        run = runs.create(plan())

        def at_phase(event: Event) -> None:
            if event["kind"] == "phase" and event["phase"] == phase:
                threading.Thread(target=fill, args=(folder, run), daemon=True).start()

        ended = kill.life(run, hearing(at_phase), people=False)
        assert ended == 0, (ended, run.state().reason, runs.log_tail(run))
        told = [one["kind"] for one in of_kind(run, "paused", "unpaused")]
        assert told and told.count("paused") == told.count("unpaused"), told
        run_outcome, wanted = kill.outcome(run), undisturbed()
        assert run_outcome == wanted, [key for key in wanted if run_outcome[key] != wanted[key]]


def disk_full() -> None:
    """A small file system runs full under a run: events and checkpoints wait, the former ones stay whole."""
    _disk_full("train")


def disk_full_at_render() -> None:
    """It runs full before the rows are on it: they are rendered again when there is room."""
    _disk_full("render")


def read_only() -> None:
    """The folder of the checkpoints can be read alone for a while: it waits, and all that was there stays."""
    run = runs.create(plan())
    run.checkpoints.mkdir(mode=0o700, exist_ok=True)
    folder = str(run.checkpoints)

    def open_again() -> None:
        until = time.monotonic() + BALLAST_SECONDS
        while time.monotonic() < until and not of_kind(run, "paused"):
            time.sleep(0.05)
        subprocess.run(["umount", folder], check=True)

    def at_first_checkpoint(event: Event) -> None:
        if event["kind"] == "saved" and event["step"] == 2:
            subprocess.run(["mount", "--bind", folder, folder], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
            threading.Thread(target=open_again, daemon=True).start()

    ended = kill.life(run, hearing(at_first_checkpoint), people=False)
    assert ended == 0, (ended, run.state().reason, runs.log_tail(run))
    assert [one["kind"] for one in of_kind(run, "paused", "unpaused")] == ["paused", "unpaused"]
    assert "Read-only" in of_kind(run, "paused")[0]["reason"]
    assert kill.outcome(run) == undisturbed()


def early_stopping() -> None:
    """Where nothing gets better any more, the adapter is that of the best evaluation."""
    wild = plan(early_stopping=2, eval_every=1, learning_rate=0.05, steps=30, warmup_steps=0, save_every=0)
    run = lived(wild, "")
    state, kept = run.state(), of_kind(run, "kept_best")
    assert state.status == "finished" and state.step < 30, (state.status, state.step)
    best = min(state.evaluations, key=lambda one: one.loss)
    assert [(one["step"], one["stopped_early"]) for one in kept] == [(best.step, True)]
    weights = run.checkpoints / f"step-{best.step}" / checkpoints.ADAPTER
    assert weights.read_bytes() == (run.adapter / checkpoints.ADAPTER).read_bytes()


def _signalled(phase: str) -> Callable[[], None]:
    def scenario() -> None:
        """SIGTERM at the beginning of a phase leaves a run that can be taken up."""
        run = runs.create(plan())

        def at_phase(event: Event) -> None:
            if event["kind"] == "phase" and event["phase"] == phase:
                os.kill(os.getpid(), signal.SIGTERM)

        assert kill.life(run, hearing(at_phase), people=False) == 0, runs.log_tail(run)
        late = phase in ("evaluate", "save")  # all steps are done by then
        assert run.state().status == ("finished" if late else "stopped"), run.state().status
        if not late:
            assert kill.life(run, people=False) == 0, runs.log_tail(run)
        assert kill.outcome(run)["adapter"] == undisturbed()["adapter"]

    return scenario


SCENARIOS: dict[str, Callable[[], None]] = {
    **{one.__name__: one for one in (
        nan_stop, nan_skip, nan_roll_back, oom_stop, oom_shrink, oom_probe, oom_probe_shrink, no_trace,
        probe_on_demand, disk_full_told, disk_full, disk_full_at_render, read_only, early_stopping,
    )},
    **{f"sigterm_{phase}": _signalled(phase) for phase in PHASES},
}  # fmt: skip

_kept: dict[str, Any] = {}
_kept_run: list[Run] = []


def undisturbed() -> dict[str, Any]:
    """What the run without a fault comes to."""
    if not _kept:
        _kept_run.append(lived(plan(), ""))
        _kept.update(kill.outcome(_kept_run[0]))
    return _kept


def plan(**changes: Any) -> Recipe:
    """The kill harness's recipe with some keys of [train] replaced."""
    return recipe.changed(kill.plan(), train=changes)


def lived(chosen: Recipe, fault: str) -> Run:
    """A new run that has lived once with a fault ordered."""
    run = runs.create(chosen)
    kill.life(run, lambda: os.environ.update({faults.VARIABLE: fault} if fault else {}), people=False)
    return run


def rows_of(run: Run, step: int) -> list[int]:
    plan = run.plan()
    assert plan is not None
    return order.of_step(22, plan.rows_a_step, plan.seed, step)


def places_of(run: Run, numbers: list[int]) -> list[str]:
    """File and line of training rows, counted anew from the recipe."""
    data = dataset.opened(run.recipe())
    with tempfile.TemporaryDirectory() as folder:
        found = usable.samples(data, usable.surveyed(data, Path(folder)), ["train"])
        from_ = [f"{Path(sample.row.file).name} line {sample.row.line}" for _, sample in found]
    return [from_[number] for number in numbers]


def of_kind(run: Run, *kinds: str) -> list[Event]:
    return [event for event in events.Tail(run.events).read() if event["kind"] in kinds]


def hearing(heard: Callable[[Event], None]) -> Callable[[], None]:
    """A doom: each event is heard after it was written."""

    def doom() -> None:
        write = EventLog.write

        def told(log: EventLog, kind: str, **facts: Any) -> None:
            write(log, kind, **facts)
            heard({"kind": kind, **facts})

        EventLog.write = told  # type: ignore[method-assign]

    return doom


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own with the runs on it. Raises CalledProcessError where one may not mount."""
    home = os.environ["IFT_TUI_HOME"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=True)
        os.environ["IFT_TUI_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            os.environ["IFT_TUI_HOME"] = home
            subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, run: Run) -> None:
    """Leave no byte free until the run has said that it waits."""
    ballast = folder / "ballast"
    until = time.monotonic() + BALLAST_SECONDS
    size = DISK
    with ballast.open("wb", buffering=0) as file:
        while time.monotonic() < until and not of_kind(run, "paused"):
            try:
                file.write(bytes(size))
            except OSError:
                size = max(1, size // 2)
                time.sleep(0.001 if size > 1 else 0.05)
    ballast.unlink()


def main() -> int:
    os.umask(0o077)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ift-tui-faults-") as home:
        os.environ |= {**runs.WORKER_ENVIRONMENT, "HF_HUB_OFFLINE": "1", "IFT_TUI_HOME": home}
        train.warm()
        for name in sys.argv[1:] or SCENARIOS:
            began = time.monotonic()
            wrong = ""
            try:
                SCENARIOS[name]()
            except (AssertionError, OSError, subprocess.CalledProcessError) as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                wrong = f"{type(error).__name__} in line {place.lineno}: {error}"
                failed += 1
            seconds = round(time.monotonic() - began, 1)
            print(json.dumps({"scenario": name, "wrong": wrong, "seconds": seconds}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
