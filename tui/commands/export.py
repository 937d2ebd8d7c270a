"""Take a run's adapter elsewhere; each export is asked what the run was asked before it is called done."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engine import beside, exports, runs
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui.commands import _ask, _print
from tui.commands.eval import trained

summary = "make a model of a run for use elsewhere, and check that it answers the same"

FLAGS = ("onto", "dtype", "shard", "with_rows", "types", "ollama", "llama_cpp", "repo", "of")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name or part of it, or `last`")
    parser.add_argument("--to", metavar="KIND[,KIND]", help=", ".join(exports.KINDS))
    parser.add_argument("--list", action="store_true", help="the exports of this run; nothing is made")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="default: exports/KIND in the run's folder"
    )
    parser.add_argument("--checkpoint", metavar="STEP", help="of a checkpoint: its step, or `best`")
    parser.add_argument(
        "--rows", type=int, default=16, metavar="N", help="held-out prompts of the check (default: 16)"
    )
    parser.add_argument("--with-rows", type=int, metavar="N", help="show N training rows in the model card")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    merging = parser.add_argument_group("merged, ollama and gguf")
    merging.add_argument(
        "--onto",
        choices=("auto", "original", "4-bit"),
        help="onto the base's own weights, or onto what 4 bits left of them (default: the first that passes)",
    )
    merging.add_argument("--dtype", choices=("auto", "bfloat16", "float16", "float32"), help="default: auto")
    merging.add_argument("--shard", type=int, metavar="BYTES", help="most in a file (default: 5 GB)")
    merging.add_argument("--types", metavar="TYPE[,TYPE]", help="of GGUF: f16, q8_0 (default), q4_k_m, lora")
    merging.add_argument(
        "--ollama",
        choices=("merged", "adapter"),
        help="of ollama: FROM the merged model (default), or FROM the base with the adapter beside it",
    )
    merging.add_argument("--llama-cpp", type=Path, metavar="FOLDER", help="default: $LLAMA_CPP, then PATH")
    hub = parser.add_argument_group("hub (the token is taken from HF_TOKEN)")
    hub.add_argument("--repo", metavar="ORG/NAME", help="where it goes")
    hub.add_argument("--of", choices=("adapter", "merged", "gguf"), help="what goes up (default: adapter)")
    hub.add_argument("--public", action="store_true", help="for all to see; private otherwise")
    hub.add_argument("--dry-run", action="store_true", help="say what would go up")


def run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        return _list(runs.find(arguments.run_name), arguments.json)
    exports.kinds(arguments.to or "")
    if arguments.rows < 1:
        raise UserError(f"--rows {arguments.rows}: must be 1 or more")
    found = trained(arguments.run_name)

    async def made(worker: _ask.Conversation) -> dict[str, Any]:
        return await worker.wait("done")

    told = _ask.talk("export", str(found.path), *_asked(found, arguments), what=made)
    if arguments.json:
        _print.say_json({"run": found.name, "exports": told["exports"], "failed": told["failed"]})
        return int(told["failed"] > 0)
    for one in told["exports"]:
        _say(one)
    if told["failed"]:
        raise RunFailed(_failed(told))
    return 0


def _asked(found: Run, arguments: argparse.Namespace) -> list[str]:
    asked = ["--to", arguments.to, "--rows", str(arguments.rows)]
    if arguments.out is not None:
        asked += ["--out", str(arguments.out.expanduser().absolute())]
    if arguments.checkpoint is not None:
        asked += ["--checkpoint", str(_step(found, arguments.checkpoint))]
    for name in FLAGS:
        value = getattr(arguments, name)
        asked += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
    asked += ["--public"] * arguments.public + ["--dry-run"] * arguments.dry_run
    return asked


def _step(found: Run, text: str) -> int:
    """The step that is meant. Raises UserError."""
    steps = beside.steps(found)
    if text == "best":
        best = beside.best(found)
        if best is None:
            raise UserError(f"{found.name} has no best checkpoint: its validation loss was never measured")
        return best
    if not text.isdecimal() or int(text) not in steps:
        there = ", ".join(map(str, steps)) or "none"
        raise UserError(f"--checkpoint {text}: no such checkpoint; there is {there}, and `best`")
    return int(text)


def _say(one: dict[str, Any]) -> None:
    size = f", {_print.size(one['bytes'])}" if "bytes" in one else ""
    _print.say(f"{one['kind']}: {one['status']}{size}{', ' + one['folder'] if one.get('folder') else ''}")
    if one["why"]:
        _print.say(f"  {one['why']}")
    if parity := one.get("parity"):
        _print.say(f"  {said(parity)}")
        for difference in parity["differs"][1:]:
            _print.say(f"  besides: {difference}")
    for note in one.get("notes", ()):
        _print.say(f"  {note}")
    if "repo" in one:
        seen = "private" if one["private"] else "public"
        _print.say(f"  {one['repo']} ({seen})")
        rows = [[file["file"], _print.size(file["bytes"])] for file in one["files"]]
        _print.say(_print.table(("FILE", "SIZE"), rows, right=("SIZE",)))


def said(parity: dict[str, Any]) -> str:
    """The comparison in a sentence without its full stop."""
    ended = parity["ended"]
    return (
        f"{parity['identical']} of {parity['rows']} {parity['part']} answers are the run's word for word,"
        f" {parity['share']:.1%} of the tokens before a difference (wanted {parity['bar']:.0%}),"
        f" ended {ended['export']} of {ended['run']}; first logits differ by at most {parity['logits']:.2g}"
    )


def _failed(told: dict[str, Any]) -> str:
    names = [one["name"] for one in told["exports"] if one["status"] == "failed"]
    kept = ", ".join(name + exports.FAILED for name in names)
    return f"{', '.join(names)}: does not answer as the run did; kept as {kept}, not to be passed on"


def _list(found: Run, as_json: bool) -> int:
    made = exports.listed(found)
    if as_json:
        _print.say_json({"run": found.name, "exports": [{"folder": str(e.folder), **e.facts} for e in made]})
        return 0
    if not made:
        _print.say(f"{found.name} has no export yet; `ift-tui export {found.name} --to adapter` makes one")
        return 0
    rows = [
        [
            one.folder.name,
            one.status,
            f"{one.facts['step']:,}",
            _print.size(one.facts["bytes"]),
            one.facts["made"],
        ]
        for one in made
    ]
    head = ("EXPORT", "STATUS", "STEP", "SIZE", "MADE")
    _print.say(_print.table(head, rows, right=("STEP", "SIZE")))
    return 0
