"""How long a viewer takes to come up with a long run: its whole history is replayed.

    python benchmarks/attach.py

Writes the events of a run of 100,000 steps, with every figure in each event, and as they are written now
(memory only where it has changed). Then, medians of interleaved rounds, in seconds of processor time:
the bare parser over the same lines (the yardstick), the fold, `ift-tui attach` on a terminal and into a file,
and the first look of the train screen. One JSON line each.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import orjson

from engine import recipe, runs
from engine.events import Tail
from engine.runs import Run
from engine.state import fold as state_of
from tui.commands import _follow
from tui.feed import Edges, RunFeed

SOME = {"memory"}
"""What most steps share with the step before, and do not tell."""


def history(name: str, steps: int, leave_out: set[str]) -> Run:
    """A finished run with so many steps; all but each tenth event lack some figures."""
    run = runs.create(recipe.load("first-steps").model_copy(update={"name": name}))
    with run.events.open("w", encoding="utf-8") as file:

        def write(kind: str, **facts: Any) -> None:
            file.write(json.dumps({"kind": kind, "seq": 1, "time": 1.8e9, **facts}) + "\n")

        write("started", name=name, model="builtin:tiny")
        for step in range(1, steps + 1):
            facts = {
                "step": step, "total": steps, "loss": 1.234567, "lr": 0.0001234567, "grad_norm": 0.8123456,
                "tokens": 1078, "trained_tokens": 228, "tokens_per_s": 6900.1,
                "memory": {"rss": 766_000_000, "allocated": 123_456_789, "reserved": 1, "peak": 2},
                "epoch": 0.1234, "eta": 1234.5,
            }  # fmt: skip
            missing = leave_out if step % 10 else set()
            write("step", **{key: value for key, value in facts.items() if key not in missing})
        write("finished", step=steps, path=None)
    return run


def parse(run: Run) -> None:
    for line in run.events.read_bytes().split(b"\n")[:-1]:
        orjson.loads(line)


def fold(run: Run) -> None:
    state_of(Tail(run.events).read())


class Terminal(io.StringIO):
    """Where lines go that a person reads."""

    def isatty(self) -> bool:
        return True


def attach(run: Run, out: io.StringIO) -> None:
    with contextlib.redirect_stdout(out):
        _follow.follow(run, as_json=False, stop_on_interrupt=False)


def look(run: Run) -> None:
    RunFeed(run, Edges(gpus=list, host=lambda: None)).poll()  # type: ignore[arg-type, return-value]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    ways: dict[str, Callable[[Run], None]] = {
        "bare parser": parse,
        "fold": fold,
        "attach, terminal": lambda run: attach(run, Terminal()),
        "attach, file": lambda run: attach(run, io.StringIO()),
        "train screen": look,
    }
    with tempfile.TemporaryDirectory(prefix="ift-tui-attach-") as home:
        os.environ["IFT_TUI_HOME"] = home
        for name, leave_out in (("all", set[str]()), ("changes", SOME)):
            run = history(name, asked.steps, leave_out)
            took: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(asked.rounds):
                for way, do in ways.items():
                    began = time.process_time()
                    do(run)
                    took[way].append(time.process_time() - began)
            medians = {way: round(statistics.median(found), 3) for way, found in took.items()}
            size = round(run.events.stat().st_size / asked.steps)
            print(json.dumps({"events": name, "bytes_each": size, "cpu_s": medians}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
