"""Look into a set of rows: format, mapping, parts, what is left out or changed, the first rows."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path, PurePath
from typing import Any, get_args

from engine import runs
from engine.errors import UserError
from engine.schema import Format
from tui.commands import _ask, _print

summary = "show what a file, a folder or a dataset holds: its format, its columns, its rows"

LONGEST = 1_048_576
"""Tokens: without --max-length no row is too long to be shown."""
MOST_COLUMNS = 20
PAGE = 500
"""Entries of the ledger that are asked for at a time."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a file, a folder, builtin:NAME or hf:ORG/NAME")
    parser.add_argument("--format", choices=get_args(Format), default="auto", help="default: found")
    parser.add_argument(
        "--columns", nargs="+", action="extend", default=[], metavar="ROLE=COLUMN", type=_pair,
        help="which column plays which part: prompt=Frage completion=Antwort",
    )  # fmt: skip
    parser.add_argument(
        "--template", action="append", default=[], metavar="NAME", help="a prompt template; may be repeated"
    )
    parser.add_argument("--encoding", metavar="E", help="of a file that is not UTF-8 or UTF-16")
    parser.add_argument("--no-header", action="store_true", help="the first line of a table is a row")
    parser.add_argument("--delimiter", metavar="D", help="what parts the cells of a table; tab: \\t")
    parser.add_argument(
        "--max-length", type=_count, metavar="N", help="tokens of a row (default: any number)"
    )
    parser.add_argument("--model", metavar="ID", help="whose tokenizer and chat template (default: built in)")
    parser.add_argument("--rows", type=_count, default=3, metavar="N", help="show N rows (default 3)")
    parser.add_argument("--ledger", action="store_true", help="each row that is left out, changed or noted")
    parser.add_argument("--report", action="store_true", help="lengths, answers, languages, the longest rows")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    async def look(worker: _ask.Conversation) -> dict[str, Any]:
        facts = await _facts(worker, arguments)
        if not arguments.json:
            _say(facts, arguments)
        if arguments.ledger:
            facts["entries"] = await _entries(worker, kept=arguments.json)
        return facts

    facts = _ask.talk("data", what=look)
    scanned = facts.pop("scanned")
    if arguments.json:
        _print.say_json(facts)
    used = sum(facts["rows"].values()) - facts["left_out"]
    if scanned is not None and not facts["rows"]["validation"] and not facts["rows"]["test"]:
        used = scanned["rows"]
    if used <= 0:
        raise UserError(f"{facts['path']}: no usable row{_commonest(facts['ledger'])}")
    return 0


def _recipe(asked: argparse.Namespace) -> dict[str, Any]:
    """Only the rows as they stand: parts are not cut from the file."""
    source = {
        "path": asked.file,
        "format": asked.format,
        "columns": dict(asked.columns),
        "templates": [_template(name) for name in asked.template],
        "encoding": asked.encoding,
        "header": not asked.no_header,
        "delimiter": "\t" if asked.delimiter == "\\t" else asked.delimiter,
    }
    if not asked.file.startswith(("builtin:", "hf:")):
        source["path"] = str(Path(asked.file).expanduser().absolute())
    model = {"model": {"id": asked.model}} if asked.model else {}
    return {
        **model,
        "data": {"sources": [source], "validation": 0.0, "max_length": asked.max_length or LONGEST},
    }


def _template(name: str) -> str:
    """A shipped template by its name; a file, or one of the person's own, by its path."""
    own = runs.home() / "templates" / f"{name}.toml"
    if name.endswith(".toml"):
        return str(Path(name).expanduser().absolute())
    return str(own) if own.is_file() else name


async def _facts(worker: _ask.Conversation, asked: argparse.Namespace) -> dict[str, Any]:
    opened = await worker.ask("open", "opened", recipe=_recipe(asked))
    found = opened["sources"][0]
    # Large sets are counted here, and rendered only when asked for: that takes minutes a million rows.
    survey = opened["survey"] or await worker.ask("count", "counted")
    known = {
        "rows": survey["parts"],
        "ledger": survey["ledger"],
        "left_out": survey["sources"][0]["left_out"],
    }
    facts = {**found, **known, "report": None, "shown": [], "scanned": None}
    if not found["format"]:
        return facts
    if opened["survey"] or asked.report:
        scanned = await worker.ask("scan", "scanned")
        facts |= {"ledger": scanned["ledger"], "report": scanned["report"], "scanned": scanned}
    part, count = max(survey["parts"].items(), key=lambda counted: counted[1])
    kept = ("index", "file", "line", "source", "messages", "text", "refused", "notes")
    for index in range(min(asked.rows, count)):
        row = await worker.ask("row", "row", part=part, index=index, variant=0)
        facts["shown"].append({key: row[key] for key in kept})
    return facts


async def _entries(worker: _ask.Conversation, kept: bool) -> list[dict[str, Any]]:
    """Every entry of the ledger: kept, or printed as it comes."""
    entries: list[dict[str, Any]] = []
    start, total = 0, 1
    if not kept:
        _print.say()
    while start < total:
        page = await worker.ask("ledger", "ledger", reason=None, start=start, rows=PAGE)
        for entry in page["entries"]:
            if kept:
                entries.append(entry)
            else:
                _say_entry(entry)
        start, total = start + PAGE, page["total"]
    return entries


def _say(facts: dict[str, Any], asked: argparse.Namespace) -> None:
    _print.say(f"{facts['path']}\n")
    _print.say(f"format    {facts['format'] or 'not known'}")
    if facts["mapping"]:
        _print.say(f"mapping   {facts['mapping']}")
    more = len(facts["columns"]) - MOST_COLUMNS
    shown = ", ".join(facts["columns"][:MOST_COLUMNS])
    _print.say(f"columns   {shown}" + (f" and {more:,} more" if more > 0 else ""))
    _listed("notes", facts["notes"])
    if facts["question"]:
        _print.say(f"question  {facts['question']} --format {facts['format']} agrees")
    _listed("rows", [", ".join(f"{part} {count:,}" for part, count in facts["rows"].items() if count)])
    _listed("ledger", list(map(_print.totalled, facts["ledger"])) or ["every row is used as it stands"])
    if not facts["format"]:
        _say_shapeless(facts)
        return
    if facts["report"]:
        _listed("warnings", facts["report"]["warnings"])
    else:
        _print.say("rendered  no: --report renders every row of a set as large as this one")
    for row in facts["shown"]:
        _print.say()
        _say_row(row)
    if asked.report:
        from tui.widgets.report import drawn

        width = min(100, shutil.get_terminal_size().columns)
        print("\n" + drawn(facts["scanned"], asked.max_length, width).plain)


def _say_shapeless(facts: dict[str, Any]) -> None:
    """The first row, and what has to be chosen before the others can be read."""
    _print.say("\nfirst row")
    for name, value in list(facts["first"].items())[:MOST_COLUMNS]:
        _print.say(f"  {name}: {_print.short(str(value))}")
    fitting = ", ".join(template["name"] for template in facts["fitting"])
    fits = f"; fitting: {fitting}" if fitting else ""
    _print.say(f"\nchoose columns with --columns or a template with --template{fits}")


def _say_row(row: dict[str, Any]) -> None:
    _print.say(f"{PurePath(row['file']).name} line {row['line']}")
    _print.say_notes(row["notes"])
    if row["refused"]:
        _print.say(f"  not used: {row['refused']}")
        _print.say(f"  {json.dumps(row['source'], ensure_ascii=False, default=str)}")
    elif not row["messages"]:
        _print.say("\n".join(f"  {line}".rstrip() for line in row["text"].split("\n")))
    for message in row["messages"]:
        first, *more = str(message["content"]).split("\n")
        _print.say(f"  {message['role']:<10} {first}".rstrip())
        for line in more:
            _print.say(f"{' ' * 13}{line}".rstrip())


def _say_entry(entry: dict[str, Any]) -> None:
    what = ": ".join(filter(None, (entry["reason"], entry["detail"])))
    place = f"{PurePath(entry['file']).name} {entry['unit']} {entry['line']:,}"
    _print.say(_print.line(f"{place}  {entry['done']}  {what}  {entry['excerpt']}"))


def _listed(name: str, lines: list[str]) -> None:
    """Lines under one name."""
    for number, line in enumerate(lines):
        _print.say(f"{'' if number else name:<10}{line}")


def _commonest(ledger: list[dict[str, Any]]) -> str:
    left_out = [total for total in ledger if total["done"] == "left out"]
    if not left_out:
        return ""
    return f"; {_print.totalled(max(left_out, key=lambda total: total['rows']))}"


def _pair(text: str) -> tuple[str, str]:
    role, equals, column = text.partition("=")
    if not (role and equals and column):
        raise argparse.ArgumentTypeError(f"{text!r} is not ROLE=COLUMN")
    return role, column


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return count
