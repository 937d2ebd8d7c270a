"""Kills a training again and again and has it go on: at the end the adapter is that of a run left alone.

    python benchmarks/kill.py --kills 1000

SIGKILL comes at random moments of the whole life of a worker, and at the calls by which checkpoints and the
adapter are written (each open, mkdir, fsync, rename and removal in their folders, and the moments after it).
On the way each run is told another learning rate and another number of steps, once. Everything is imported
once, then each life is a fork of this process. One JSON line a run, one at the end; exit code 1 if a run
ended with another adapter, other losses, or not at all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine import events, recipe, runs
from engine.events import EventLog
from engine.runs import Run
from engine.schema import Recipe
from engine.workers import train
from engine.workers.io import StopFlag

WRITES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.fsync"}
LIVES = 60
"""Of one run at most: one that has not ended by then never will."""


def plan() -> Recipe:
    """Small, with what makes resuming hard: 4-bit, dropout, accumulation, short epochs, evaluations."""
    whole = recipe.load("first-steps")
    document = recipe.changed(
        whole,
        lora={"dropout": 0.1},
        train={
            "steps": 9, "batch_size": 4, "gradient_accumulation": 2, "warmup_steps": 2,
            "save_every": 2, "eval_every": 3, "keep_checkpoints": 2,
        },
        evaluate={"rows": 8, "samples": 2, "sample_tokens": 4, "at_end": 0},
    )  # fmt: skip
    sources = tuple(source.model_copy(update={"cap": 11}) for source in document.data.sources)
    return document.model_copy(update={"data": document.data.model_copy(update={"sources": sources})})


def short() -> Recipe:
    """As short as a run can be whose writer does all it ever does: the best one is named, old ones go."""
    train = {"steps": 5, "save_every": 1, "eval_every": 2, "keep_checkpoints": 1, "probe": False}
    return recipe.changed(plan(), train=train, evaluate={"rows": 2, "samples": 0})


def life(
    run: Run, doom: Callable[[], None] = lambda: None, seconds: float | None = None, people: bool = True
) -> int:
    """One worker from its start to its end, killed after some seconds or by what doom() has set up in it.

    Its exit status, negative where a signal ended it.
    """
    pid = os.fork()
    if pid == 0:
        try:
            log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            lock = runs.hold_lock(run)
            stop = StopFlag()
            if people:
                _people(run)
            doom()
            os._exit(train.work(run, stop, lock))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_call(run: Run, number: int, delay: float) -> Callable[[], None]:
    """A doom: SIGKILL before the numbered call that writes, or that long after it."""
    seen = 0

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in WRITES or not _concerns(run, arguments):
            return
        seen += 1
        if seen == number:
            _kill_soon(delay)

    def doom() -> None:
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            heard("os.fsync", (f"{run.path}/checkpoints",))
            sync(descriptor)

        os.fsync = fsync  # the only one of these calls that has no audit event of its own
        sys.addaudithook(heard)

    return doom


def outcome(run: Run) -> dict[str, Any]:
    """What two runs must have in common: the adapter's bytes, each step's loss and rate, each evaluation."""
    state = run.state()
    name = "model" if run.recipe().train.method == "full" else "adapter_model"
    weights = run.result / f"{name}.safetensors"
    steps: dict[int, Any] = {}
    for event in events.Tail(run.events).read():
        if event["kind"] == "step":
            told = [event[key] for key in ("loss", "lr", "grad_norm", "tokens", "epoch", "total")]
            if steps.setdefault(event["step"], told) != told:
                steps[event["step"]] = ["told in two ways", told]
    return {
        "status": state.status,
        "reason": state.reason,
        "adapter": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else None,
        "losses": state.losses,
        "steps": steps,
        "tokens": state.tokens,
        "evaluations": [(one.step, one.loss) for one in state.evaluations],
        "base": state.base_loss,
    }


def _people(run: Run) -> None:
    """In a life: ask for another rate and another length after fixed steps, unless a former life was told.

    These are steps without a checkpoint, so that a life that dies before it is told comes by them again.
    """
    told = {event["what"] for event in events.Tail(run.events).read() if event["kind"] == "told"}
    asked = {5: ("learning rate", 2e-3), 7: ("steps", 11)}
    write = EventLog.write

    def heard(log: EventLog, kind: str, **facts: Any) -> None:
        write(log, kind, **facts)
        if kind == "step" and facts["step"] in asked:
            do, value = asked[facts["step"]]
            if do not in told:
                runs.control(run, do, value=value)
                told.add(do)

    EventLog.write = heard  # type: ignore[method-assign]


def _concerns(run: Run, arguments: tuple[Any, ...]) -> bool:
    path = str(arguments[0]) if arguments else ""
    return path.startswith((f"{run.path}/checkpoints", str(run.result)))


def _kill_soon(delay: float) -> None:
    if delay == 0 or os.fork() == 0:
        victim = os.getpid() if delay == 0 else os.getppid()
        time.sleep(delay)
        os.kill(victim, signal.SIGKILL)
        os._exit(0)


def _calls(run: Run, people: bool = True) -> int:
    """Let a run live undisturbed; how many calls wrote its checkpoints and its adapter."""
    read, write = os.pipe()

    def count() -> None:
        sync = os.fsync

        def heard(event: str, arguments: tuple[Any, ...]) -> None:
            if event in WRITES and _concerns(run, arguments):
                os.write(write, b".")

        def fsync(descriptor: int) -> None:
            heard("os.fsync", (f"{run.path}/checkpoints",))
            sync(descriptor)

        os.fsync = fsync
        sys.addaudithook(heard)

    status = life(run, count, people=people)
    os.close(write)
    if status != 0:
        raise SystemExit("the undisturbed run failed:\n" + "\n".join(runs.log_tail(run)))
    total = 0
    while piece := os.read(read, 65536):
        total += len(piece)
    return total


def tormented(
    run: Run, kills: int, calls: int, whole: float, people: bool, chance: random.Random
) -> tuple[Run, int]:
    """A run that is killed so many times, or ends before, and then left to end. How often it was killed."""
    killed = 0
    for _ in range(LIVES):
        if killed >= kills:
            status = life(run, people=people)
        elif chance.random() < 0.5:
            status = life(run, seconds=chance.uniform(0, whole), people=people)
        else:
            delay = chance.choice((0.0, 0.0, chance.uniform(0, 0.004)))
            # What is left to write grows less with each life.
            doom = at_call(run, chance.randint(1, max(1, calls // (1 + killed))), delay)
            status = life(run, doom, people=people)
        killed += status == -signal.SIGKILL
        if status == 0 or (status > 0 and killed >= kills):
            break
    return run, killed


def at_every_call(calls: int) -> Iterator[tuple[Run, int]]:
    """For each call that writes, a short run that is killed at it and then left to end."""
    for number in range(1, calls + 1):
        run = runs.create(short())
        killed = life(run, at_call(run, number, 0.0), people=False) == -signal.SIGKILL
        life(run, people=False)
        yield run, int(killed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="how many in all")
    parser.add_argument("--each", type=int, default=5, help="how many of one run")
    parser.add_argument(
        "--calls", type=int, default=0, help="also one run for each of the first calls that write"
    )
    parser.add_argument("--short", action="store_true", help="runs of five steps, that nobody tells anything")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ift-tui-kill-") as home:
        os.environ |= {**runs.WORKER_ENVIRONMENT, "HF_HUB_OFFLINE": "1", "IFT_TUI_HOME": home}
        return _all(asked)


def _all(asked: argparse.Namespace) -> int:
    os.umask(0o077)
    train.warm()
    chance = random.Random(asked.seed)
    people, chosen = not asked.short, short() if asked.short else plan()
    alone = runs.create(chosen)
    began = time.monotonic()
    calls = _calls(alone, people)
    whole = time.monotonic() - began
    wanted = outcome(alone)
    print(json.dumps({"calls": calls, "seconds": round(whole, 1), "adapter": wanted["adapter"]}), flush=True)
    killed = ended = wrong = 0
    while killed < asked.kills:
        run = runs.create(chosen)
        run, times = tormented(run, min(asked.each, asked.kills - killed), calls, whole, people, chance)
        killed, ended = killed + times, ended + 1
        wrong += not _same(run, wanted, times)
    if asked.calls:
        alone = runs.create(short())
        calls = min(asked.calls, _calls(alone, people=False))
        print(json.dumps({"calls of a short run": calls}), flush=True)
        wanted = outcome(alone)
    for run, times in at_every_call(calls if asked.calls else 0):
        killed, ended = killed + times, ended + 1
        wrong += not _same(run, wanted, times)
    seconds = round(time.monotonic() - began)
    print(json.dumps({"kills": killed, "runs": ended, "wrong": wrong, "seconds": seconds}), flush=True)
    return 1 if wrong else 0


def _same(run: Run, wanted: dict[str, Any], times: int) -> bool:
    found = outcome(run)
    different = [key for key in wanted if found[key] != wanted[key]]
    told: dict[str, Any] = {"run": run.name, "kills": times, "resumed": run.state().resumes}
    if different:
        here, there = found["steps"], wanted["steps"]
        steps = [step for step in there if here.get(step) != there[step]]
        told |= {"different": different, "status": found["status"], "reason": found["reason"]}
        told |= {"first step": [steps[0], here.get(steps[0]), there[steps[0]]]} if steps else {}
        kept = Path(tempfile.mkdtemp(prefix="ift-tui-killed-")) / run.name
        told["kept"] = str(shutil.copytree(run.path, kept))
    print(json.dumps(told), flush=True)
    return not different


if __name__ == "__main__":
    sys.exit(main())
