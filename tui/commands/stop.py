"""Ask a run to save and stop, and wait until it has."""

from __future__ import annotations

import argparse
import time

from engine import asking, runs
from engine.errors import RunFailed, UserError
from tui.commands import _follow, _print, _tell

summary = "save a run's adapter so far and stop it, at once or at its next evaluation"

LONGEST_WAIT = 60.0
"""Seconds for the step under way and the save."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--at-evaluation", action="store_true", help="save and stop after its next evaluation")
    how.add_argument("--abort", action="store_true", help="end it at once; nothing new is saved")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    found = runs.find(arguments.run_name)
    if not runs.is_alive(found):
        raise UserError(f"{found.name} is not running ({found.state().status}); there is nothing to stop")
    if arguments.at_evaluation:
        _tell.tell(found, "stop at evaluation", as_json=arguments.json)
        return 0
    # Before its first step there is nothing to abort: to stop is the same, and is heard at any time.
    asked = arguments.abort and found.state().phase == "train"
    if asked:
        asking.Question(found, "abort")
    deadline = time.monotonic() + LONGEST_WAIT
    while runs.is_alive(found):
        # Before its first word the worker cannot hear: the signal would end it without a last one.
        asked = asked or (found.state().status != "starting" and runs.stop(found))
        if time.monotonic() > deadline:
            raise RunFailed(f"{found.name} is still saving; `ift-tui attach {found.name}` shows how it ends")
        time.sleep(0.1)
    state = found.state()
    if state.status in ("failed", "crashed"):
        raise RunFailed(f"{found.name} {state.status}: {state.reason}. {state.mend}")
    if arguments.json:
        _print.say_json({"run": found.name, "status": state.status, "step": state.step})
    else:
        _print.say(f"{found.name} {_follow.ended(found, state)}")
    return 0
