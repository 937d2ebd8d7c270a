"""Ask a run to save and stop, and wait until it has."""

from __future__ import annotations

import argparse
import time

from engine import runs
from engine.errors import RunFailed, UserError
from tui.commands import _follow, _print

summary = "save a run's adapter so far and stop it"

LONGEST_WAIT = 60.0
"""Seconds for the step under way and the save."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")


def run(arguments: argparse.Namespace) -> int:
    found = runs.find(arguments.run_name)
    if not runs.is_alive(found):
        raise UserError(f"{found.name} is not running ({found.state().status}); there is nothing to stop")
    deadline = time.monotonic() + LONGEST_WAIT
    asked = False
    while runs.is_alive(found):
        # Before its first word the worker cannot hear: the signal would end it without a last one.
        asked = asked or (found.state().status != "starting" and runs.stop(found))
        if time.monotonic() > deadline:
            raise RunFailed(f"{found.name} is still saving; `ift-tui attach {found.name}` shows how it ends")
        time.sleep(0.1)
    state = found.state()
    if state.status in ("failed", "crashed"):
        raise RunFailed(f"{found.name} {state.status}: {state.reason}. {state.mend}")
    _print.say(f"{found.name} {_follow.ended(found, state)}")
    return 0
