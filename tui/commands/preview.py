"""Show rows exactly as the model will read them, or count all of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine import recipe, sources
from engine.errors import UserError
from tui.commands import _ask, _print

summary = "show a recipe's rows as the model will read them, with the trained part marked"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe file, or the name of a bundled one")
    parser.add_argument("--row", type=int, default=1, metavar="N", help="which row, from 1 (default 1)")
    parser.add_argument("--part", choices=sources.PARTS, default="train", help="default: train")
    parser.add_argument(
        "--variant", type=int, default=1, metavar="N", help="which wording or piece of the row, from 1"
    )
    parser.add_argument("--all", action="store_true", help="render every training row and count")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    document = recipe.load(arguments.recipe).model_dump(mode="json")

    async def look(worker: _ask.Conversation) -> dict[str, Any]:
        await worker.ask("open", "opened", recipe=document)
        if arguments.all:
            return await worker.ask("scan", "scanned")
        return await worker.ask(
            "row", "row", part=arguments.part, index=arguments.row - 1, variant=arguments.variant - 1
        )

    answer = _ask.talk("data", what=look)
    if not arguments.all:
        _check(arguments, answer)
    if arguments.json:
        facts = {key: value for key, value in answer.items() if key not in ("kind", "id")}
        _print.say_json({"row": arguments.row, **facts} if not arguments.all else facts)
    elif arguments.all:
        _counts(answer)
    else:
        _row(answer)
    trained = answer["rows"] if arguments.all else not answer["refused"]
    return 0 if trained else 1


def _check(asked: argparse.Namespace, row: dict[str, Any]) -> None:
    """The worker answers what is not there with what is nearest. Raises UserError."""
    if row["index"] != asked.row - 1:
        last = row["index"] + 1 if row["count"] is None else row["count"]
        raise UserError(f"--row {asked.row}: the {asked.part} part has rows 1 to {last:,}")
    if row["variants"] and row["variant"] != asked.variant - 1:
        raise UserError(f"--variant {asked.variant}: this row has variants 1 to {row['variants']}")


def _counts(scanned: dict[str, Any]) -> None:
    trained, tokens = scanned["trained_tokens"], scanned["tokens"]
    _print.say(f"rows      {scanned['rows']:,}")
    _print.say(f"tokens    {tokens:,}")
    _print.say(f"trained   {trained:,}" + (f"  ({trained / tokens:.1%})" if tokens else ""))
    _print.say(f"longest   {scanned['longest']:,} tokens")
    _print.say(f"digest    {scanned['digest']}")
    _print.say(f"left out  {sum(scanned['left_out'].values()):,}")
    for total in scanned["ledger"]:
        _print.say(f"          {_print.totalled(total)}")
    if not scanned["rows"]:
        _print.warn("ift-tui: no row can be trained; the reasons are above")


def _row(row: dict[str, Any]) -> None:
    place = f"{Path(row['file']).name} {row['unit']} {row['line']}"
    count = "" if row["count"] is None else f" of {row['count']:,}"
    _print.say(f"{row['part']} row {row['index'] + 1:,}{count}  {place}")
    if row["variants"] > 1:
        _print.say(f"variant {row['variant'] + 1} of {row['variants']}")
    if row["piece"]:
        _print.say(row["piece"])
    _print.say_notes(row["notes"])
    if row["refused"]:
        _print.say(f"not trained on: {row['refused']}")
        return
    _print.say(f"{row['tokens']:,} tokens, {row['trained_tokens']:,} trained (marked)\n")
    print(_print.marked(row["text"], row["spans"]))
