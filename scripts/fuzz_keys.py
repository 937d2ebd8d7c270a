"""Random keys, clicks and sizes at random moments: nothing breaks, each screen has a way back and answers ?.

    python scripts/fuzz_keys.py --seconds 600 --seed 1

The app is the real one; the workers are the scripted ones of the tests, which answer late, refuse now and
then and sometimes die. A finding is printed with its seed and the last things that were done; the same seed
does the same things, though not always at the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from test_tui_data import Asking, Shapeless, Varied
from test_tui_evaluation import evaluated
from test_tui_inspect import Inspected
from test_tui_vote import Saying
from textual.pilot import OutOfBounds, Pilot
from tui_stage import GPU, Script, Stage, alive, record, step_events

from engine.runs import Run
from tui.app import IftTui
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen

COMMON = (
    *("enter", "tab", "shift+tab", "escape", "space", "up", "down", "left", "right", "pageup", "pagedown"),
    *("home", "end", "backspace", "delete", "question_mark", "f1", "ctrl+p", "ctrl+c", "ctrl+a", "ctrl+v"),
)
TYPED = "a1 ./:?q[]{%\\éß中🙂"
SIZES = ((20, 5), (40, 10), (60, 15), (80, 24), (120, 40), (200, 60), (1, 1))
LEAVES = frozenset({"quit", "app.quit"})

MOST_ESCAPES = 40
"""Presses of escape that lead home from anywhere: dialogs, searches, enlarged panels, answers under way."""

STEPS_BETWEEN_CHECKS = 30


class Late:
    """Mixed into a script: answers after a moment, now and then with an error, rarely never again."""

    draws = random.Random(0)

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        async for message in super().messages():  # type: ignore[misc]
            await asyncio.sleep(self.draws.choice((0, 0, 0.001, 0.01, 0.1)))
            if "id" in message and self.draws.random() < 0.02:
                message = {"kind": "error", "id": message["id"], "message": "the [rows] cannot be \x1b read"}
            yield message
            if self.draws.random() < 0.002:
                yield {"kind": "error", "message": f"the {self.worker} worker ended (-9)"}  # type: ignore[attr-defined]
                return

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match request["do"]:
            case "layouts" | "find" if not isinstance(self, Inspected):
                yield {"kind": "error", "message": "this set has nothing to look for"}
            case _:
                yield from super().answers(request)  # type: ignore[misc]


class Evaluating(Inspected):  # type: ignore[misc]
    """Also measures, until it is cancelled."""

    folder: Run

    async def start(self) -> None:
        await super().start()
        if self.worker == "evaluate":
            self.say(kind="phase", phase="load")
            self.say(kind="progress", phase="answer", done=16, total=40)

    def answers(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if request["do"] == "cancel" and self.worker == "evaluate":
            evaluated(self.folder, "test-cancelled", cancelled=True)
            self.say(kind="evaluated", summary=str(self.folder.path / "evals" / "test-cancelled.json"))
        else:
            yield from super().answers(request)


class Lost(AssertionError):
    """A screen without a way back, or one that does not answer."""


async def play(draws: random.Random, seconds: float, trail: deque[str]) -> int:
    """One session of the app; how many things were done in it. Raises whatever the app raises."""
    done = record("first-steps", step_events(400), minutes_ago=300)
    evaluated(done)
    for step in (100, 200):
        (done.checkpoints / f"step-{step}").mkdir(parents=True)
    failed = {"kind": "failed", "step": 12, "reason": "out of memory", "mend": "halve train.batch_size"}
    record("no-memory", [*step_events(12, end=None), failed], minutes_ago=40)
    live = record("live", step_events(20, end=None), minutes_ago=3)
    Evaluating.folder = done
    Late.draws = draws
    script = draws.choice((Script, Evaluating, Evaluating, Shapeless, Asking, Varied, Saying))
    stage = Stage(draws.choice(([], [GPU])), type("Actor", (Late, script), {}))
    with ExitStack() as held:
        if draws.random() < 0.5:
            held.enter_context(alive(live))
        app = stage.app()
        async with app.run_test(size=draws.choice(SIZES[2:6])) as pilot:
            ends, count = time.monotonic() + seconds, 0
            while time.monotonic() < ends and app.is_running:
                count += 1
                await act(app, pilot, draws, trail)
                if draws.random() < 0.05 and live.events.exists():  # it may have gone into the archive
                    grow(live, draws)
                if count % STEPS_BETWEEN_CHECKS == 0:
                    await check(app, pilot, trail)
            if app.is_running:
                await check(app, pilot, trail)
    if app._exception is not None:
        raise app._exception
    return count


async def act(app: IftTui, pilot: Pilot[Any], draws: random.Random, trail: deque[str]) -> None:
    """Do one thing; wait until it is done, or for a moment, or not at all."""
    kind = draws.random()
    if kind < 0.06:
        size = draws.choice(SIZES)
        trail.append(f"resize {size}")
        await pilot.resize_terminal(*size)
    elif kind < 0.14:
        place = (draws.randrange(max(1, app.size.width)), draws.randrange(max(1, app.size.height)))
        trail.append(f"click {place}")
        with suppress(OutOfBounds):
            await pilot.click(offset=place, times=draws.choice((1, 1, 1, 2)))
    else:
        key = chosen(app, draws)
        trail.append(f"{type(app.screen).__name__} {key}")
        await app._press_keys([key])
    if draws.random() < 0.5:
        await pilot.pause()
    else:
        await asyncio.sleep(draws.choice((0, 0, 0.001, 0.02, 0.1)))


def chosen(app: IftTui, draws: random.Random) -> str:
    """A key of the present screen, one that every screen gets, or a character."""
    kind = draws.random()
    bound = [
        key
        for key, active in app.screen.active_bindings.items()
        if active.binding.action not in LEAVES and key != "ctrl+z"  # ctrl+z would suspend the process
    ]
    if kind < 0.55 and bound:
        return draws.choice(bound)
    return draws.choice(COMMON) if kind < 0.85 else draws.choice(TYPED.replace("q", ""))


async def check(app: IftTui, pilot: Pilot[Any], trail: deque[str]) -> None:
    """Escape leads home, where `?` is answered; the terminal is as large as it should be."""
    await pilot.resize_terminal(80, 24)
    for _ in range(MOST_ESCAPES):
        if not app.is_running or (isinstance(app.screen, HomeScreen) and len(app.screen_stack) == 1):
            break
        await pilot.press("escape")
        await pilot.pause(0.02)
    else:
        raise Lost(f"escape does not lead back from {type(app.screen).__name__}")
    trail.append("home")
    if app.is_running:
        await pilot.press("f1")
        if not isinstance(app.screen, HelpScreen):
            raise Lost(f"{type(app.screen).__name__} does not explain itself")
        await pilot.press("escape")


def grow(run: Run, draws: random.Random) -> None:
    """The live run has made a few steps more."""
    with run.events.open("a", encoding="utf-8") as file:
        at = sum(1 for _ in run.events.open(encoding="utf-8"))
        for number in range(draws.randrange(1, 5)):
            event = {
                "kind": "step",
                "seq": at + number,
                "time": 1.8e9 + at,
                "step": at,
                "total": 400,
                "loss": 1.5,
            }
            file.write(json.dumps(event) + "\n")


def session(seed: int, seconds: float) -> int:
    """A session in a home of its own; how many things were done. Raises what was found, with the trail."""
    trail: deque[str] = deque(maxlen=40)
    # A recipe is written where one stands: there, then.
    with tempfile.TemporaryDirectory(prefix="ift-fuzz-") as home, contextlib.chdir(home):
        os.environ.update(IFT_TUI_HOME=home, HF_HOME=home, HF_HUB_OFFLINE="1")
        try:
            return asyncio.run(play(random.Random(seed), seconds, trail))
        except BaseException:
            print(f"seed {seed}, at the end:\n  " + "\n  ".join(trail), file=sys.stderr)
            raise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="in all")
    parser.add_argument("--each", type=float, default=15.0, help="of one session")
    parser.add_argument("--seed", type=int, default=0, help="of the first session; the next ones count on")
    asked = parser.parse_args()
    ends, seed, count = time.monotonic() + asked.seconds, asked.seed, 0
    while time.monotonic() < ends:
        count += session(seed, min(asked.each, asked.seconds))
        seed += 1
    print(f"{seed - asked.seed} sessions, {count:,} keys, clicks and sizes: nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
