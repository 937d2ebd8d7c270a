"""List the base models that can be trained from here."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from engine import models
from engine.errors import UserError
from tui.commands import _print

summary = "list base models: bundled, in folders, in the Hugging Face cache, and well-known ones"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], metavar="DIR", help="also look in DIR"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(arguments: argparse.Namespace) -> int:
    for folder in arguments.folder:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give --folder a folder that holds models")
    found = models.list_models(arguments.folder)
    if arguments.json:
        _print.say_json([dataclasses.asdict(info) for info in found])
        return 0
    head = ("MODEL", "WHERE", "PARAMETERS", "CONTEXT", "IN 4-BIT", "LICENCE")
    rows = [
        (
            info.id,
            info.origin,
            _print.parameters(info.parameters),
            _print.number(info.context),
            _print.size(info.bytes_4bit),
            info.licence + (" (gated)" if info.gated else ""),
        )
        for info in found
    ]
    print(_print.table(head, rows, right=("PARAMETERS", "CONTEXT", "IN 4-BIT")), flush=True)
    for info in found:
        if info.problem:
            _print.say(f"cannot be trained: {info.problem}")
    return 0
