"""Takes the terminal away from the viewers of one training run, again and again, and looks at both.

    python benchmarks/disconnect.py --times 200

The embedded model trains all the while. Each time a viewer (`ift-tui`) is opened on a pty of its own, watches
for a while, and loses its terminal in one of four ways: a hang-up (SIGHUP, as a closed SSH connection sends
it), a closed terminal with SIGHUP ignored, SIGKILL, and SIGSTOP with SIGCONT after it. Printed as JSON: how
long the viewers took to leave and the processor time they used after that moment, and the time between two
steps of the run with nobody watching, with a viewer, and from the disconnect on. Exit code 1 if the run
ended, or a viewer stayed for more than a second.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from engine import events, recipe, runs
from engine.runs import Run
from engine.schema import Recipe

KINDS = ("hang-up", "closed", "killed", "stopped")
LONGEST_START = 60.0
LONGEST_STAY = 20.0
SECONDS_STOPPED = 1.0


class Viewer:
    """`ift-tui` with a terminal of its own."""

    def __init__(
        self, ignore_hangup: bool = False, arguments: tuple[str, ...] = (), kind: str = "xterm-256color"
    ) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            if ignore_hangup:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            environment = {**os.environ, "TERM": kind}
            os.execve(sys.executable, [sys.executable, "-P", "-m", "tui", *arguments], environment)
        self.resize(80)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self, seconds: float, until: bytes | None = None) -> bytes:
        """What it paints in so many seconds, or until it paints certain bytes."""
        painted, deadline = b"", time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    painted += os.read(self.terminal, 65_536)
                except OSError:
                    break
            if until is not None and until in painted:
                break
        return painted

    def wait_for(self, words: bytes) -> None:
        if words not in self.read(LONGEST_START, until=words):
            raise SystemExit(f"the viewer did not show {words!r}")

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        process = psutil.Process(self.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise SystemExit("the viewer ended by itself")
        used = process.cpu_times()
        return float(used.user + used.system)

    def wait(self) -> tuple[float | None, float]:
        """Seconds until it has ended (None: it has not, and is killed), and its processor time in all."""
        began = time.monotonic()
        while time.monotonic() - began < LONGEST_STAY:
            pid, _, used = os.wait4(self.pid, os.WNOHANG)
            if pid:
                return time.monotonic() - began, used.ru_utime + used.ru_stime
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGKILL)
        used = os.wait4(self.pid, 0)[2]
        return None, used.ru_utime + used.ru_stime


@dataclass
class Parted:
    """How a viewer and its terminal were parted."""

    kind: str
    seconds: float | None
    """Until it had left; None where it stayed."""
    cpu: float
    """Seconds of processor time that it used after that moment."""
    lively: bool = True
    """Whether a viewer that was stopped painted again when it went on."""


def part(viewer: Viewer, kind: str) -> Parted:
    """Take the terminal from a viewer, or the viewer from its terminal."""
    lively = True
    if kind == "stopped":
        os.kill(viewer.pid, signal.SIGSTOP)
        time.sleep(SECONDS_STOPPED)
        os.kill(viewer.pid, signal.SIGCONT)
        lively = bool(viewer.read(5.0, until=b"\x1b["))
        viewer.read(0.5)
    before = viewer.cpu()
    if kind == "killed":
        os.kill(viewer.pid, signal.SIGKILL)
    elif kind == "hang-up":
        os.kill(viewer.pid, signal.SIGHUP)
    os.close(viewer.terminal)
    seconds, used = viewer.wait()
    return Parted(kind, seconds, used - before, lively)


@dataclass
class Cadence:
    """Seconds between steps, by what went on meanwhile."""

    windows: list[tuple[float, float, str]] = field(default_factory=list)

    def during(self, what: str, seconds: float, viewer: Viewer | None = None) -> None:
        began = time.time()
        if viewer is not None:
            viewer.read(seconds)
        else:
            time.sleep(seconds)
        self.windows.append((began, time.time(), what))

    def figures(self, run: Run) -> dict[str, Any]:
        """Median, 95 of 100, and number of the intervals that lie in each kind of window."""
        times = [event["time"] for event in events.Tail(run.events).read() if event["kind"] == "step"]
        between: dict[str, list[float]] = {}
        for earlier, later in itertools.pairwise(times):
            for began, ended, what in self.windows:
                if began <= earlier and later <= ended:
                    between.setdefault(what, []).append(later - earlier)
        return {
            what: {
                "steps": len(found),
                "median_s": round(statistics.median(found), 4),
                "p95_s": round(sorted(found)[int(0.95 * (len(found) - 1))], 4),
            }
            for what, found in between.items()
        }


def plan() -> Recipe:
    """The default recipe without evaluations and checkpoints, for ever: all its steps are alike."""
    train = {"steps": 1_000_000, "eval_every": 0, "save_every": 0}
    return recipe.changed(recipe.load("first-steps"), train=train)


def disconnects(run: Run, times: int, window: float) -> tuple[list[Parted], dict[str, Any]]:
    """So many viewers, one after the other, in turn of each kind; windows of so many seconds between."""
    parted, cadence = [], Cadence()
    for _, kind in zip(range(times), itertools.cycle(KINDS), strict=False):
        cadence.during("nobody watches", window)
        viewer = Viewer(ignore_hangup=kind == "closed")
        viewer.wait_for(b"running")
        viewer.read(1.0)
        cadence.during("a viewer watches", window, viewer)
        began = time.time()
        parted.append(part(viewer, kind))
        time.sleep(max(0.0, window - (time.time() - began)))
        cadence.windows.append((began, time.time(), "disconnected"))
    return parted, cadence.figures(run)


def summed(parted: list[Parted]) -> dict[str, Any]:
    """For each kind: how many, the longest stay, the most processor time after."""
    kinds = {}
    for kind in KINDS:
        own = [each for each in parted if each.kind == kind]
        if own:
            kinds[kind] = {
                "times": len(own),
                "stayed": sum(each.seconds is None for each in own),
                "longest_s": round(max(each.seconds or LONGEST_STAY for each in own), 3),
                "most_cpu_s": round(max(each.cpu for each in own), 3),
            }
    return kinds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=8, help="how many disconnects in all")
    parser.add_argument("--window", type=float, default=2.0, help="seconds of each window")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ift-tui-disconnect-") as home:
        os.environ |= {"IFT_TUI_HOME": home, "HF_HUB_OFFLINE": "1"}
        run = runs.create(plan())
        runs.launch(run)
        try:
            return _all(run, asked)
        finally:
            runs.stop(run)
            while runs.is_alive(run):
                time.sleep(0.1)


def _all(run: Run, asked: argparse.Namespace) -> int:
    while run.state().step < 10:
        if not runs.is_alive(run):
            raise SystemExit("the run did not start:\n" + "\n".join(runs.log_tail(run)))
        time.sleep(0.5)
    began, first = time.monotonic(), run.state().step
    parted, cadence = disconnects(run, asked.times, asked.window)
    state = run.state()
    right = state.status == "running" and all(
        each.lively and each.seconds is not None and each.seconds <= 1.0 for each in parted
    )
    for line in (
        {"viewers": summed(parted)},
        {"between steps": cadence},
        {
            "disconnects": len(parted), "right": right, "run": state.status,
            "steps": state.step - first, "seconds": round(time.monotonic() - began),
        },
    ):  # fmt: skip
        print(json.dumps(line), flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
