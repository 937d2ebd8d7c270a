"""Flags of what starts a run: whether it waits for its turn, or starts beside the one that trains."""

from __future__ import annotations

import argparse
import os

from engine import turns
from engine.errors import UserError
from engine.runs import Run


def flags(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--queue", action="store_true", help="where another run trains, wait for its turn")
    choice.add_argument("--beside", action="store_true", help="train beside a run that trains here already")


def beside(arguments: argparse.Namespace) -> bool:
    """Whether to start beside another run. Raises UserError where one trains and neither was asked for."""
    if arguments.beside or os.environ.get(turns.BESIDE):
        return True
    if not arguments.queue and (ahead := turns.ahead()):
        raise UserError(
            f"{_trains(ahead)}; nothing was started: --queue waits for its turn, --beside trains beside it"
        )
    return False


def _trains(ahead: list[Run]) -> str:
    state = ahead[0].state()
    where = f" (step {state.step} of {state.total})" if state.total else ""
    others = len(ahead) - 1
    more = f" and {others} more wait{'s' * (others == 1)}" if others else ""
    return f"{ahead[0].name} trains here{where}{more}"
