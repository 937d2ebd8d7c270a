"""Look into a file of rows: format, mapping, parts, what is left out, the first rows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from engine.recipe import Format
from tui.commands import _ask, _print

summary = "show what a data file holds: its format, its columns, its rows"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a data file, or builtin:NAME")
    parser.add_argument("--format", choices=get_args(Format), default="auto", help="default: detected")
    parser.add_argument("--rows", type=_count, default=3, metavar="N", help="show N rows (default 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    path = arguments.file
    if not path.startswith("builtin:"):
        path = str(Path(path).expanduser().absolute())
    # Only the rows as they stand: parts are not cut from the file, and no row is too long to be shown.
    recipe = {
        "data": {
            "sources": [{"path": path, "format": arguments.format}],
            "validation": 0.0,
            "max_length": 1_048_576,
        }
    }

    async def look(worker: _ask.Conversation) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        opened = await worker.ask("open", "opened", recipe=recipe)
        rows = min(arguments.rows, opened["sources"][0]["rows"]["train"])
        shown = [await worker.ask("row", "row", part="train", index=i) for i in range(rows)]
        return opened["sources"][0], shown, await worker.ask("scan", "scanned")

    source, rows, scanned = _ask.talk("data", what=look)
    left_out = scanned["left_out"]
    if arguments.json:
        kept = ("index", "file", "line", "source", "messages", "refused")
        shown = [{key: row[key] for key in kept} for row in rows]
        _print.say_json({**source, "left_out": left_out, "usable": scanned["rows"], "shown": shown})
        return 0
    _print.say(f"{source['path']}\n")
    _print.say(f"format    {source['format']}")
    _print.say(f"mapping   {source['mapping']}")
    _print.say(f"columns   {', '.join(source['columns'])}")
    parts = [f"{part} {count:,}" for part, count in source["rows"].items() if count]
    _print.say(f"rows      {', '.join(parts)}")
    _print.say(f"left out  {sum(left_out.values()):,}")
    for reason, count in sorted(left_out.items(), key=lambda item: -item[1]):
        _print.say(f"          {count:,} {reason}")
    for row in rows:
        _print.say()
        _show(row)
    return 0


def _show(row: dict[str, Any]) -> None:
    _print.say(f"{Path(row['file']).name} line {row['line']}")
    if row["refused"]:
        _print.say(f"  not used: {row['refused']}")
        _print.say(f"  {json.dumps(row['source'], ensure_ascii=False, default=str)}")
    for message in row["messages"]:
        first, *more = str(message["content"]).split("\n")
        _print.say(f"  {message['role']:<10} {first}".rstrip())
        for line in more:
            _print.say(f"{' ' * 13}{line}".rstrip())


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return count
