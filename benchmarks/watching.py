"""What it costs to watch a run: memory and time for a long one, bytes and processor time for a live one.

    python benchmarks/watching.py

First, for runs of 10 to 1,000,000 steps, each in a process of its own: the first look of the train screen
(its whole history is replayed), the memory that it adds to the process, and the medians of drawing the plot
and of the sentence on how it goes. Then a viewer on a terminal of its own, 120 columns by 40 rows, on a run
of 10,000 steps that is alive: bytes that it paints and processor time that it takes in a second, while
nothing happens and while steps come. One JSON line each.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

LENGTHS = (10, 10_000, 100_000, 1_000_000)
RATES = (0, 4, 50)
"""Steps a second of the live run."""


def of_length(steps: int) -> dict[str, float]:
    """In this process: look once at a run of so many steps, and draw it."""
    from recorded import write_long

    from engine import reading, recipe, runs
    from tui.feed import Edges, RunFeed
    from tui.widgets import curves

    run = runs.create(recipe.load("first-steps"))
    write_long(run.events, steps, every=max(1, steps // 1_000))
    feed = RunFeed(run, Edges(gpus=list, host=lambda: None))  # type: ignore[arg-type, return-value]
    here = psutil.Process()
    base, began = here.memory_info().rss, time.process_time()
    snapshot = feed.poll()
    assert snapshot is not None and snapshot.state.step == steps
    looked = time.process_time() - began
    grown = here.memory_info().rss - base

    def median(times: int, do: object) -> float:
        took = []
        for _ in range(times):
            began = time.perf_counter()
            do()  # type: ignore[operator]
            took.append(time.perf_counter() - began)
        return round(1000 * statistics.median(took), 2)

    return {
        "steps": steps,
        "file_mb": round(run.events.stat().st_size / 1e6, 1),
        "first_look_cpu_s": round(looked, 3),
        "memory_mb": round(grown / 1e6, 1),
        "plot_ms": median(20, lambda: curves.draw(snapshot.state, None, curves.View(), 74, 22)),
        "sentence_ms": median(20, lambda: reading.sentence(snapshot.state)),
    }


def live(rate: int, seconds: float) -> dict[str, float]:
    """A viewer on a live run that makes so many steps a second."""
    from disconnect import Viewer
    from recorded import write_long

    from engine import recipe, runs
    from engine.events import EventLog

    run = runs.create(recipe.load("first-steps"))
    write_long(run.events, 10_000)
    run.log.write_text("")
    lock = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    viewer = Viewer()
    fcntl.ioctl(viewer.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    viewer.wait_for(b"training")
    viewer.read(3.0)
    log, before, painted = EventLog(run.events), viewer.cpu(), 0
    deadline, step = time.monotonic() + seconds, 10_000
    while time.monotonic() < deadline:
        if rate:
            step += 1
            log.write(
                "step", step=step, total=20_000, loss=0.3 + step % 7 / 50, lr=2e-4,
                grad_norm=0.8 + step % 5 / 9, tokens=1078, trained_tokens=228,
                tokens_per_s=6900.0 + step % 90, epoch=step / 150, eta=(20_000 - step) / rate,
                seconds=0.15, data=0.01,
            )  # fmt: skip
        painted += len(viewer.read(1 / rate if rate else 0.5))
    used = viewer.cpu() - before
    os.write(viewer.terminal, b"q")
    viewer.wait()
    os.close(lock)
    return {
        "steps_per_s": rate,
        "bytes_per_s": round(painted / seconds),
        "cpu_share": round(used / seconds, 4),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="for which each live run is watched")
    parser.add_argument("--of-length", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ift-tui-watching-") as home:
        os.environ["IFT_TUI_HOME"] = home
        if asked.of_length:
            print(json.dumps(of_length(asked.of_length)), flush=True)
            return 0
        for steps in LENGTHS:
            subprocess.run([sys.executable, __file__, "--of-length", str(steps)], check=True)
        for rate in RATES:
            print(json.dumps(live(rate, asked.seconds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
