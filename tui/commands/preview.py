"""Show rows exactly as the model will read them, or count all of them."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any, get_args

from engine import recipe, sources
from engine.errors import UserError
from engine.ledger import REASONS
from engine.schema import Recipe, TrainOn
from tui.commands import _ask, _print, _row

summary = "show a recipe's rows as the model will read them, with the trained part marked"

ANY = "any"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe file, or the name of a bundled one")
    parser.add_argument("--row", type=int, default=1, metavar="N", help="which row, from 1 (default 1)")
    parser.add_argument("--part", choices=sources.PARTS, default="train", help="default: train")
    parser.add_argument(
        "--variant", type=int, default=1, metavar="N", help="which wording or piece of the row, from 1"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--tokens", action="store_true", help="token by token, with ids")
    form.add_argument("--source", action="store_true", help="as it stands in its file")
    form.add_argument("--conversation", action="store_true", help="turn by turn")
    parser.add_argument(
        "--finding", metavar="REASON", help="from --row on the first row with this, or with any finding"
    )
    parser.add_argument("--search", metavar="TEXT", help="from --row on the first row that holds this text")
    parser.add_argument(
        "--train-on", choices=get_args(TrainOn), help="in place of the recipe's data.train_on"
    )
    parser.add_argument("--chat-template", metavar="NAME", help="in place of the recipe's data.chat_template")
    parser.add_argument(
        "--max-length", type=int, metavar="N", help="in place of the recipe's data.max_length"
    )
    parser.add_argument("--all", action="store_true", help="render every training row and count")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.epilog = "Exit code 1: the row, or with --all what was found, would spoil the training."


def run(arguments: argparse.Namespace) -> int:
    document = _plan(arguments).model_dump(mode="json")
    finding = _reason(arguments.finding) if arguments.finding is not None else ""
    if arguments.search == "":
        raise UserError("--search is empty: give a text to look for")

    async def look(worker: _ask.Conversation) -> dict[str, Any]:
        opened = await worker.ask("open", "opened", recipe=document)
        if arguments.all:
            return await worker.ask("scan", "scanned")
        index = arguments.row - 1
        if finding or arguments.search:
            if finding:
                await worker.ask("scan", "scanned")
            elif opened["survey"] is None:
                await worker.ask("count", "counted")
            index = await _find(worker, arguments, finding)
        return await worker.ask(
            "row",
            "row",
            part=arguments.part,
            index=index,
            variant=arguments.variant - 1,
            tokens=arguments.tokens,
        )

    answer = _ask.talk("data", what=look)
    if not arguments.all:
        _check(arguments, answer, anywhere=bool(finding or arguments.search))
    if arguments.json:
        facts = {key: value for key, value in answer.items() if key not in ("kind", "id")}
        _print.say_json(facts if arguments.all else {"row": answer["index"] + 1, **facts})
    elif arguments.all:
        _row.counts(answer)
    else:
        form = _form(arguments)
        _row.head(answer, form)
        _row.body(answer, form)
    return 1 if _spoils(answer, arguments.all) else 0


def _plan(asked: argparse.Namespace) -> Recipe:
    """The recipe with what was asked for in its place. Raises UserError."""
    plan = recipe.load(asked.recipe)
    layout = asked.chat_template
    if layout is not None and layout.endswith(".jinja"):
        layout = str(Path(layout).expanduser().resolve())
    asked_for = {"train_on": asked.train_on, "chat_template": layout, "max_length": asked.max_length}
    other = {key: value for key, value in asked_for.items() if value is not None}
    return recipe.changed(plan, data=other) if other else plan


def _reason(asked: str) -> str:
    """A reason of the ledger as it is written there. Raises UserError."""
    reason = asked.replace("_", " ").strip()
    for known in (ANY, *REASONS):
        if known.casefold() == reason.casefold():
            return known
    near = difflib.get_close_matches(reason, REASONS, n=1)
    mend = f"did you mean {near[0]}?" if near else f"one of: {', '.join((ANY, *REASONS))}"
    raise UserError(f"--finding {asked}: no such reason; {mend}")


async def _find(worker: _ask.Conversation, asked: argparse.Namespace, finding: str) -> int:
    """The index of the first row that was asked for. Raises UserError."""
    reached, more = asked.row - 2, True
    while more:
        found = await worker.ask(
            "find", "found", part=asked.part, index=reached, step=1, finding=finding, text=asked.search or ""
        )
        if found["index"] is not None:
            return int(found["index"])
        reached, more = found["reached"], found["more"]
        _print.progress(f"looking, row {reached + 1:,}")
    what = [f"with {'a finding' if finding == ANY else finding}"] if finding else []
    what += [f"that holds {asked.search!r}"] if asked.search else []
    raise UserError(f"no row of {asked.part} from row {asked.row} on {' and '.join(what)}")


def _check(asked: argparse.Namespace, row: dict[str, Any], anywhere: bool) -> None:
    """The worker answers what is not there with what is nearest. Raises UserError."""
    if row["index"] != asked.row - 1 and not anywhere:
        last = row["index"] + 1 if row["count"] is None else row["count"]
        raise UserError(f"--row {asked.row}: the {asked.part} part has rows 1 to {last:,}")
    if row["variants"] and row["variant"] != asked.variant - 1:
        raise UserError(f"--variant {asked.variant}: this row has variants 1 to {row['variants']}")


def _form(asked: argparse.Namespace) -> str:
    return next((form for form in ("tokens", "source", "conversation") if getattr(asked, form)), "text")


def _spoils(answer: dict[str, Any], all_rows: bool) -> bool:
    if all_rows:
        return not answer["rows"] or bool(answer["spoiling"])
    return bool(answer["refused"]) or any(note["spoils"] for note in answer["notes"])
