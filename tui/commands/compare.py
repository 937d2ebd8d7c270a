"""Answer one prompt as the base model, with the adapter, and with others beside it."""

from __future__ import annotations

import argparse
from typing import Any

from engine import beside, decoding
from engine.errors import UserError
from tui.commands import _ask, _print
from tui.commands.eval import trained

summary = "answer one prompt as base and as tuned"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--prompt", required=True, metavar="P", help="what the user says")
    parser.add_argument("--system", default="", metavar="S", help="a system prompt, for every column")
    parser.add_argument(
        "--with", dest="others", action="append", default=[], metavar="RUN[@STEP]",
        help="one more column: another run's adapter, or a checkpoint (@100 for this run's); repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--average", action="store_true", help="one more column: all adapters' logits averaged"
    )
    parser.add_argument("--reference", default="", metavar="A", help="an answer; how likely is it to each?")
    parser.add_argument("--max-new-tokens", type=int, default=256, metavar="N", help="default 256")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="default 0: greedy")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P", help="default 1: all tokens")
    parser.add_argument("--top-k", type=int, default=0, metavar="K", help="default 0: all tokens")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="R", help="default 1: none")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn, the same for all")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    if not arguments.prompt.strip():
        raise UserError("--prompt is empty; say something to the models")
    keys = ("max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed")
    settings = {key: getattr(arguments, key) for key in keys}
    decoding.settings(settings)
    if arguments.average and not arguments.others:
        raise UserError("--average needs two adapters or more; name --with too")
    found = trained(arguments.run_name)
    others = [beside.named(found, each) for each in arguments.others]
    said = [{"role": "user", "content": arguments.prompt}]
    if arguments.system:
        said.insert(0, {"role": "system", "content": arguments.system})

    async def compare(worker: _ask.Conversation) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
        ready = await worker.wait("ready")
        columns = list(ready["columns"])
        for one in others:
            facts = {"column": one.column, "run": str(one.run.path), "step": one.step}
            columns.append(await worker.ask("load", "loaded", **facts))
        if arguments.average:
            members = [one["column"] for one in columns if one["on"]]
            columns.append(await worker.ask("average", "loaded", column="average", members=members))
        asked = {
            "messages": {one["column"]: said for one in columns},
            "settings": settings,
            "reference": arguments.reference or None,
        }
        return ready, columns, await worker.ask("ask", "answered", **asked)

    ready, columns, answer = _ask.talk("chat", str(found.path), what=compare)
    if arguments.json:
        facts = {key: ready[key] for key in ("model", "four_bit", "step", "digest")}
        told = {"prompt": arguments.prompt, **answer["columns"]}
        _print.say_json(
            {"run": found.name, **facts, **told, "seconds": answer["seconds"], "warnings": answer["warnings"]}
        )
        return 0
    for one in columns:
        _say(one, ready["model"], answer["columns"][one["column"]])
    for one in columns:
        if one["apart"]:
            _print.say(f"{one['column']}: {one['apart']}")
    for warning in answer["warnings"]:
        _print.warn(f"warning: {warning}")
    return 0


def _say(one: dict[str, Any], model: str, said: dict[str, Any]) -> None:
    match one:
        case {"on": False}:
            what = model
        case {"members": [*members]} if members:
            what = "of " + ", ".join(members)
        case _:
            kind = "weights" if one["whole"] else "adapter"
            what = f"{one['run']}, step {one['step']}, {kind} {one['digest'][:8]}"
    speed = said["tokens_per_second"]
    facts = [f"{said['tokens']:,} tokens"]
    facts += [f"{speed:,.0f} tokens/s"] if speed else []
    facts += [] if said["ended"] else ["cut at the limit"]
    facts += [f"reference {said['reference']:.3f} a token"] if said["reference"] is not None else []
    if said["cut"]["turns"]:
        facts.append(f"{said['cut']['turns']} turns left out")
    _print.say(f"{one['column']}  {what}  ({', '.join(facts)})")
    _print.say("  " + said["text"].replace("\n", "\n  ") + "\n")
