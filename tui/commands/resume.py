"""Take up a run that was stopped, has failed or was killed, and follow it."""

from __future__ import annotations

import argparse
import sys

from engine import asking, doctor, resume, runs, turns
from engine.errors import UserError
from engine.runs import Run
from tui.commands import _follow, _print, _turn

summary = "go on with a run at its newest checkpoint"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--yes", action="store_true", help="go on although something has changed since")
    parser.add_argument("--detach", action="store_true", help="start it and return; it outlives the terminal")
    _turn.flags(parser)
    parser.add_argument("--json", action="store_true", help="the run's new events, one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    found = runs.find(arguments.run_name)
    if runs.is_alive(found):
        raise UserError(f"{found.name} is alive; follow it: ift-tui attach {found.name}")
    if found.state().status == "finished":
        raise UserError(
            f"{found.name} has come to its end, nothing is left to train; start a new run to train longer"
        )
    if problem := doctor.training_problem():
        raise UserError(problem)
    beside = _turn.beside(arguments)
    _agree(found, resume.changes(found), arguments.yes)
    runs.resume(found, confirmed=True, start=lambda run: turns.start(run, beside))
    if arguments.detach:
        return _follow.detached(found, arguments.json)
    if not arguments.json:
        _print.say(f"run {found.name}\n{asking.start_of_resumed(found)}")
    return _follow.follow(found, arguments.json, stop_on_interrupt=True, from_now=True)


def _agree(found: Run, changed: list[str], yes: bool) -> None:
    """Return where a person means it. Raises UserError with all that has changed."""
    if not changed or yes:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        _print.warn(f"{found.name} is not as it was when it was started:")
        for sentence in changed:
            _print.warn(f"  {sentence}")
        _print.warn("Resume it all the same? [y/N]")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise UserError("not resumed; its checkpoints are kept")
    raise UserError(
        f"{found.name} is not as it was when it was started: {'; '.join(changed)}; its checkpoints are kept;"
        " put it back as it was, or go on so with --yes"
    )
