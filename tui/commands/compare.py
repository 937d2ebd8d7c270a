"""Answer one prompt twice: as the base model, and with the adapter."""

from __future__ import annotations

import argparse
from typing import Any

from engine.errors import UserError
from tui.commands import _ask, _print
from tui.commands.eval import trained

summary = "answer one prompt as base and as tuned"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--prompt", required=True, metavar="P", help="what the user says")
    parser.add_argument("--max-new-tokens", type=int, default=256, metavar="N", help="default 256")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    if not arguments.prompt.strip():
        raise UserError("--prompt is empty; say something to the models")
    if arguments.max_new_tokens < 1:
        raise UserError(f"--max-new-tokens {arguments.max_new_tokens}: must be 1 or more")
    found = trained(arguments.run_name)
    said = [{"role": "user", "content": arguments.prompt}]
    settings = {"max_new_tokens": arguments.max_new_tokens, "temperature": 0.0, "seed": 0}

    async def compare(worker: _ask.Conversation) -> tuple[dict[str, Any], dict[str, Any]]:
        ready = await worker.wait("ready")
        both = {"base": said, "tuned": said}
        return ready, await worker.ask("ask", "answered", messages=both, settings=settings)

    ready, answer = _ask.talk("chat", str(found.path), what=compare)
    if arguments.json:
        facts = {key: ready[key] for key in ("model", "four_bit", "step", "digest")}
        columns = {"prompt": arguments.prompt, **answer["columns"]}
        _print.say_json({"run": found.name, **facts, **columns, "seconds": answer["seconds"]})
        return 0
    titles = {"base": f"base  {ready['model']}", "tuned": f"tuned  {found.name}, step {ready['step']}"}
    for column, title in titles.items():
        one = answer["columns"][column]
        end = "" if one["ended"] else ", cut at the limit"
        _print.say(f"{title}  ({one['tokens']:,} tokens{end})")
        _print.say("  " + one["text"].replace("\n", "\n  ") + "\n")
    return 0
