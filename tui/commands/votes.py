"""The blind votes of a run: counts by set, and how sure the win rate is."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from engine import runs, votes
from engine.errors import UserError
from engine.votes import Pair, Tally
from tui.commands import _print

summary = "count the blind votes on a run's answers"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    found = runs.find(arguments.run_name)
    said = votes.read(found)
    if arguments.json:
        counted = [
            {
                **asdict(pair),
                "all": votes.tally(said, pair).facts(),
                "tags": {tag: tally.facts() for tag, tally in votes.by_tag(said, pair).items()},
            }
            for pair in votes.pairs(said)
        ]
        _print.say_json({"run": found.name, "file": str(votes.file(found)), "pairs": counted})
        return 0
    if not said:
        raise UserError(f"{found.name} has no votes yet; f5 on the comparison's screen begins a blind vote")
    for pair in votes.pairs(said):
        _print.say(f"{_title(pair)}: {votes.words(votes.tally(said, pair))}")
        rows = [_cells(tag, tally) for tag, tally in votes.by_tag(said, pair).items()]
        rows.append(_cells("all", votes.tally(said, pair)))
        head = ["SET", "WINS", "LOSSES", "TIES", "BOTH BAD", "SAME", "WIN RATE (95%)"]
        print(_print.table(head, rows, right=head[1:]) + "\n", flush=True)
    _print.say(f"SAME: both said the same, nobody was asked. Each vote: {votes.file(found)}")
    return 0


def _cells(tag: str, tally: Tally) -> list[str]:
    counts = (tally.wins, tally.losses, tally.ties, tally.both_bad, tally.identical)
    return [tag, *(f"{count:,}" for count in counts), votes.rate(tally)]


def _title(pair: Pair) -> str:
    adapter = f" (adapter {pair.digest[:8]})" if pair.digest else ""
    return f"{pair.column}{adapter} against {pair.other}"
