"""The app at the end of a terminal line: how soon it stands, what it sends, how fast it answers a key.

    python benchmarks/terminal.py [start rest live keys typing slow]

All is measured from the other side of a real pty of 80x24; one JSON line each:
start  seconds from exec to the first useful paint, interleaved with the smallest app of the same toolkit
rest   bytes a second, share of a core, and memory, while nothing changes
live   the same on the train screen while a run tells 4 steps a second, of a young and of a long run
keys   milliseconds from a key there to the first byte of its answer, to that of escape's, and until another
       screen stands; the toolkit waits up to 0.1 s after escape for the rest of a key that begins like it
typing the same on the comparison while base and tuned answer: until the letter that was typed is painted
slow   over a line of 9,600 bytes a second with 300 ms delay: until the train screen stands, and its lag there
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import pty
import random
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyte

sys.path.insert(0, str(Path(__file__).resolve().parent))

from disconnect import Viewer

from engine import recipe, runs
from engine.events import EventLog
from engine.runs import Run

SMALLEST = """
from textual.app import App
from textual.widgets import Static
class Smallest(App):
    def compose(self):
        yield Static("guided")
Smallest().run()
"""
HOME = b"guided"
RUNS = b"New run"
SELDOM = "¤".encode()
"""A letter that no model answers with."""
STEPS_A_SECOND = 4.0
LINE_BYTES, LINE_DELAY = 9600, 0.3


def start(rounds: int) -> dict[str, Any]:
    """Seconds from exec to the first useful paint."""
    took: dict[str, list[float]] = {"smallest": [], "app": []}
    for _ in range(rounds):
        for name, arguments in (("smallest", ["-c", SMALLEST]), ("app", ["-m", "tui"])):
            took[name].append(_until_painted(arguments))
    smallest, app = statistics.median(took["smallest"]), statistics.median(took["app"])
    return {"smallest_s": round(smallest, 3), "app_s": round(app, 3), "times": round(app / smallest, 2)}


def rest(seconds: float) -> dict[str, Any]:
    """The home screen and the screen of a run that is over, with nobody at the keys."""
    found = {}
    with opened() as viewer:
        viewer.read(3.0)
        found["home"] = _watched(viewer, seconds)
    told(_new(), 2000).write("finished", step=2000, path=None)
    with opened(RUNS) as viewer:
        press(viewer, b"\r", b"Loss")
        viewer.read(3.0)
        found["over"] = _watched(viewer, seconds)
    return found


def live(seconds: float) -> dict[str, Any]:
    """The train screen of a run under way, young and old."""
    found = {}
    for name, before in (("young", 20), ("old", 100_000)):
        with training(before), opened(b"training") as viewer:
            viewer.read(3.0)
            found[name] = _watched(viewer, seconds)
    return found


def keys(presses: int) -> dict[str, Any]:
    """Milliseconds from a key to the first byte of its answer, and until another screen stands."""
    first: dict[str, list[float]] = {"key": [], "escape": []}
    change: dict[str, list[float]] = {"forth": [], "back": []}
    with training(2000), opened(b"training") as viewer:
        screen = Screen(viewer)
        for number in range(presses):
            escape = number % 2 == 0
            for key in (b"?", b"\x1b" if escape else b"q"):  # a dialog opens and closes
                screen.quiet()
                first["escape" if key == b"\x1b" else "key"].append(screen.answer(key))
        for _ in range(max(3, presses // 10)):
            for way, key, sign in (("back", b"\x1b", "n New run"), ("forth", b"\r", "Tokens/s")):
                screen.quiet()
                change[way].append(screen.until(key, sign))
    return {
        **{f"{name}_ms": _spread(times) for name, times in first.items()},
        **{f"screen_{name}_ms": _spread(times) for name, times in change.items()},
    }


def typing(letters: int) -> dict[str, Any]:
    """Milliseconds until a letter is painted that is typed while both columns answer, real worker and all."""
    plan = recipe.load("first-steps")
    plan = recipe.changed(plan, train={"steps": 2, "eval_every": 2}, evaluate={"max_new_tokens": 400})
    run = runs.create(plan)
    runs.launch(run)
    while runs.is_alive(run):
        time.sleep(0.2)
    took: list[float] = []
    with opened(RUNS) as viewer:
        screen = Screen(viewer)
        screen.until(b"c", "Test row", 120.0)
        while len(took) < letters:
            screen.until(b"Tell me a long story about everything\r", "esc stops", 60.0)
            screen.read(0.5)
            while len(took) < letters and "esc stops" in screen.text():
                took.append(screen.until(SELDOM, SELDOM.decode()))
                os.write(viewer.terminal, b"\x7f")
                screen.read(0.1)
            screen.read(1.0)
    return {"letter_ms": _spread(took)}


class Screen:
    """What stands on a viewer's terminal."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._cells = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._cells)
        viewer.resize(81)
        viewer.read(1.0)
        viewer.resize(80)  # what stands there is painted once more, whole
        self.read(1.0)

    def text(self) -> str:
        return "\n".join(self._cells.display)

    def read(self, seconds: float) -> None:
        self._stream.feed(self._viewer.read(seconds))

    def quiet(self) -> None:
        """Wait for a moment without paint: just after one of a run's own."""
        while came := self._viewer.read(0.1):
            self._stream.feed(came)

    def answer(self, key: bytes) -> float:
        """Seconds from a key to the first byte that is painted."""
        began = time.perf_counter()
        os.write(self._viewer.terminal, key)
        select.select([self._viewer.terminal], [], [], 5.0)
        return time.perf_counter() - began

    def until(self, key: bytes, sign: str, seconds: float = 5.0) -> float:
        """Seconds from a key until words stand on the screen that did not before."""
        began = time.perf_counter()
        os.write(self._viewer.terminal, key)
        while (left := began + seconds - time.perf_counter()) > 0:
            if select.select([self._viewer.terminal], [], [], left)[0]:
                came, at = os.read(self._viewer.terminal, 65_536), time.perf_counter() - began
                self._stream.feed(came)
                if sign in self.text():
                    return at
        raise SystemExit(f"{sign!r} did not come after {key!r}:\n{self.text()}")


def slow(seconds: float) -> dict[str, Any]:
    """Through a line of few bytes: until the train screen stands, and how far it lags behind there."""
    with training(2000):
        viewer = Viewer()
        line = _Line(viewer.terminal)
        began = time.monotonic()
        line.read(60.0, until=b"training")
        there = time.monotonic() - began
        line.read(seconds)
        lag = line.lag()
        os.write(viewer.terminal, b"q")
        left = line.read(30.0, until=b"\x1b[?1049l")
        os.close(viewer.terminal)
        viewer.wait()
        return {
            "train_screen_s": round(there, 1), "lag_s": round(lag, 2), "left": b"\x1b[?1049l" in left
        }  # fmt: skip


class _Line:
    """The far end of a slow line: what the program has painted comes through late and bit by bit."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._sent = self._came = time.monotonic()

    def read(self, seconds: float, until: bytes | None = None) -> bytes:
        came, end = b"", time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if not select.select([self._terminal], [], [], min(0.05, end - now))[0]:
                continue
            try:
                piece = os.read(self._terminal, LINE_BYTES // 20)
            except OSError:
                break
            time.sleep(len(piece) / LINE_BYTES)  # the pty's buffer is full meanwhile, as ssh's would be
            came += piece
            if until is not None and until in came:
                time.sleep(LINE_DELAY)
                break
        return came

    def lag(self) -> float:
        """Seconds until what has been painted by now has come through."""
        began = time.monotonic()
        while select.select([self._terminal], [], [], 0.05)[0] and time.monotonic() - began < 30:
            time.sleep(len(os.read(self._terminal, LINE_BYTES // 20)) / LINE_BYTES)
        return time.monotonic() - began + LINE_DELAY


def told(run: Run, steps: int, total: int = 0) -> EventLog:
    """So many steps of a run, written as a worker writes them."""
    log = EventLog(run.events)
    log.write("started", name=run.name, model="builtin:tiny", signs={})
    log.write(
        "rendered", count=2400, tokens=240_000, trained_tokens=60_000, digest="", validation=32, left_out=0
    )
    log.write("phase", phase="baseline")
    log.write("evaluated", step=0, loss=4.2, rows=32, adapter=False, seconds=1.0)
    log.write("phase", phase="train")
    for number in range(1, steps + 1):
        step(log, number, total or steps)
    return log


def step(log: EventLog, number: int, total: int) -> None:
    noise = random.Random(number).uniform(-0.3, 0.3)
    log.write(
        "step", step=number, total=total, loss=round(3.0 / (1 + number / 400) + noise, 4),
        lr=2e-4, grad_norm=0.8 + noise, tokens=1078, trained_tokens=228, tokens_per_s=6900.1 + 100 * noise,
        memory={"rss": 766_000_000 + number * 1000}, epoch=round(number / 150, 4), eta=(total - number) / 4,
        seconds=0.2, data=0.01,
    )  # fmt: skip
    if number % 500 == 0:
        log.write("evaluated", step=number, loss=3.0 / (1 + number / 400), rows=32, adapter=True, seconds=1.0)


@contextmanager
def training(before: int) -> Iterator[Run]:
    """A run that looks alive: its lock is held, and it tells a step now and then, until the end."""
    run = _new()
    told(run, before, 10 * before).close()
    ready = multiprocessing.Event()
    worker = multiprocessing.Process(target=_go_on, args=(run, before, ready), daemon=True)
    worker.start()
    ready.wait()
    try:
        yield run
    finally:
        worker.kill()
        worker.join()
        log = EventLog(run.events)
        log.write("stopped", step=before, path=None)


def _go_on(run: Run, before: int, ready: Any) -> None:
    runs.hold_lock(run)
    log = EventLog(run.events)
    ready.set()
    for number in range(before + 1, 10 * before):
        time.sleep(1 / STEPS_A_SECOND)
        step(log, number, 10 * before)


@contextmanager
def opened(sign: bytes = HOME) -> Iterator[Viewer]:
    viewer = Viewer()
    viewer.wait_for(sign)
    try:
        yield viewer
    finally:
        os.write(viewer.terminal, b"q")
        viewer.read(1.0)
        os.close(viewer.terminal)
        viewer.wait()


def press(viewer: Viewer, what: bytes, sign: bytes) -> None:
    viewer.read(1.0)
    os.write(viewer.terminal, what)
    viewer.wait_for(sign)


def _watched(viewer: Viewer, seconds: float) -> dict[str, Any]:
    used, began = viewer.cpu(), time.monotonic()
    painted = viewer.read(seconds)
    took = time.monotonic() - began
    memory = psutil.Process(viewer.pid).memory_info().rss
    return {
        "bytes_per_s": round(len(painted) / took), "core": round((viewer.cpu() - used) / took, 4),
        "rss_mb": round(memory / 1e6, 1),
    }  # fmt: skip


def _until_painted(arguments: list[str]) -> float:
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable, [sys.executable, "-P", *arguments], {**os.environ, "TERM": "xterm-256color"}
        )
    painted = b""
    while HOME not in painted:
        painted += os.read(terminal, 65_536)
    took = time.perf_counter() - began
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return took


def _new() -> Run:
    return runs.create(recipe.load("first-steps"))


def _spread(seconds: list[float]) -> dict[str, float]:
    """Median, 99th percentile and number of some times, in milliseconds."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)]
    return {
        "median": round(1000 * statistics.median(ordered), 1), "p99": round(1000 * last, 1), "n": len(ordered)
    }  # fmt: skip


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "start": lambda: start(10),
    "rest": lambda: rest(20.0),
    "live": lambda: live(20.0),
    "keys": lambda: keys(100),
    "typing": lambda: typing(100),
    "slow": lambda: slow(20.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    for part in parser.parse_args().parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="ift-tui-screen-") as home:
            os.environ["IFT_TUI_HOME"] = home
            print(json.dumps({part: PARTS[part]()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
