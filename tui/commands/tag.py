"""Give a run tags to find it by, and a note; `ift-tui runs --tag` lists those that have one."""

from __future__ import annotations

import argparse

from engine import remarks, runs
from engine.errors import UserError
from engine.remarks import Remarks
from tui.commands import _print

summary = "give a run tags and a note"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("tags", metavar="TAG", nargs="*", help="tags that it gets; none: say what it has")
    parser.add_argument(
        "--remove", metavar="TAG", action="append", default=[], help="a tag that it has no more"
    )
    parser.add_argument("--note", metavar="TEXT", help='a note, in the place of the one it has; "" takes it')
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    named = runs.find(arguments.run_name)
    before = remarks.read(named)
    taken = remarks.tags(" ".join(arguments.remove))
    if unknown := next((tag for tag in taken if tag not in before.tags), None):
        raise UserError(f"{named.name} has no tag {unknown}; it has: {' '.join(before.tags) or 'none'}")
    tags = remarks.tags(" ".join([*before.tags, *arguments.tags]))
    note = before.note if arguments.note is None else arguments.note.strip()
    after = Remarks(tuple(tag for tag in tags if tag not in taken), note)
    if after != before:
        remarks.write(named, after)
    if arguments.json:
        _print.say_json({"run": named.name, "tags": after.tags, "note": after.note})
        return 0
    _print.say(f"{named.name}: {' '.join('#' + tag for tag in after.tags) or 'no tags'}")
    if after.note:
        _print.say(after.note)
    return 0
