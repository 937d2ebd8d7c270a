"""What `preview` prints of a row, in its four forms, and of all rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui.commands import _print
from tui.draft import in_ledger
from tui.safe import visible


def counts(scanned: dict[str, Any]) -> None:
    """Figures, what was found, what would spoil training."""
    trained, tokens = scanned["trained_tokens"], scanned["tokens"]
    _print.say(f"rows      {scanned['rows']:,}")
    _print.say(f"tokens    {tokens:,}")
    _print.say(f"trained   {trained:,}" + (f"  ({trained / tokens:.1%})" if tokens else ""))
    _print.say(f"longest   {scanned['longest']:,} tokens")
    _print.say(f"digest    {scanned['digest']}")
    _print.say(f"left out  {sum(scanned['left_out'].values()):,}")
    for total in scanned["ledger"]:
        _print.say(f"          {_print.totalled(total)}")
    none = [finding.reason for finding in in_ledger(scanned["ledger"]) if not finding.rows]
    if none:
        _print.say(f"no row    {', '.join(none)}")
    for sentence in scanned["spoiling"]:
        _print.say(f"spoils    {sentence}")
    if not scanned["rows"]:
        _print.warn("ift-tui: no row can be trained; the reasons are above")


def head(row: dict[str, Any], form: str) -> None:
    """Which row it is, what was found in it, how long it is."""
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
    elif row["length"] > row["max_length"]:
        _print.say(f"cut: {row['length']:,} tokens, max_length {row['max_length']:,}")
    if row["text"]:
        trained = "would be trained" if row["refused"] else "trained"
        marked = " (marked)" if form == "text" else ""
        _print.say(f"{row['tokens']:,} tokens, {row['trained_tokens']:,} {trained}{marked}\n")


def body(row: dict[str, Any], form: str) -> None:
    """The row in one of its forms."""
    match form:
        case "source":
            for name, value in row["source"].items():
                _print.say(f"{name}: {value if isinstance(value, str) else _json(value)}")
        case "conversation":
            for turn in row["messages"]:
                _turn(turn)
        case "tokens":
            _tokens(row)
        case _ if row["text"]:
            print(_print.marked(row["text"], row["spans"]))


def _turn(turn: dict[str, Any]) -> None:
    _print.say(f"[{turn['role']}]")
    for name, value in turn.items():
        if name not in ("role", "content"):
            _print.say(f"{name}: {value if isinstance(value, str) else _json(value)}")
    _print.say(turn["content"])


def _tokens(row: dict[str, Any]) -> None:
    rows = [
        (str(at), str(id), visible(text or piece), "yes" if trained else "", "yes" if special else "")
        for at, (id, text, piece, trained, special) in enumerate(row["token_list"])
    ]
    print(_print.table(("AT", "ID", "TEXT", "TRAINED", "SPECIAL"), rows, right=("AT", "ID")))
    more = row["tokens"] - len(rows)
    if more > 0:
        _print.warn(f"{more:,} tokens more are not listed")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
