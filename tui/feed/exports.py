"""Exports of a run: what can be made of it here and what that takes, what was made, and how it is run."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import exports, hub, models
from engine.errors import UserError
from engine.exports import Export, axolotl, llama_cpp, llamafactory, possible, running, script, sizes
from engine.runs import Run
from tui.feed.child import Message

TOKEN = "HF_TOKEN"


@dataclass(frozen=True)
class Options:
    """What an export is made with; the worker's own words for each."""

    prompts: int = 16
    onto: str = "auto"
    dtype: str = "auto"
    types: str = "q8_0"
    ollama: str = "merged"
    llama_cpp: str = ""
    repo: str = ""
    of: str = "adapter"
    public: bool = False
    dry_run: bool = True
    checkpoint: str = ""  # a step; of the run's end where it is empty

    def words(self, kinds: Sequence[str]) -> list[str]:
        """What stands after the run, for the worker and for `ift-tui export` alike: what is not usual."""
        usual = Options()
        folder = str(_folder(self.llama_cpp)) if self.llama_cpp else ""
        asked = ["--to", ",".join(kinds)]
        for flag, value, other in (
            ("--rows", str(self.prompts), str(usual.prompts)),
            ("--dtype", self.dtype, usual.dtype),
            ("--onto", self.onto, usual.onto),
            ("--types", self.types, usual.types),
            ("--ollama", self.ollama, usual.ollama),
            ("--llama-cpp", folder, ""),
            ("--repo", self.repo, ""),
            ("--of", self.of, usual.of),
            ("--checkpoint", self.checkpoint, usual.checkpoint),
        ):
            asked += [flag, value] if value != other else []
        if "hub" in kinds:
            asked += ["--public"] * self.public + ["--dry-run"] * self.dry_run
        return asked


@dataclass(frozen=True)
class Choice:
    """A kind of export: its size as it will stand, None where that is not known or nothing is written; what
    it takes while it is made; why it cannot be made here, "" where it can; the kind that has to be made
    before it or with it; and the last one that was made."""

    kind: str
    size: int | None
    needs: int
    missing: str
    after: str = ""
    made: Export | None = None


def choices(run: Run, options: Options) -> list[Choice]:
    """All kinds, in the order in which the command lists them. Reads files: call it in a thread."""
    made = {one.facts.get("kind"): one for one in sorted(exports.listed(run), key=_made)}
    gone = _gone(run)
    found = []
    for kind in exports.KINDS:
        size, missing = None, gone
        try:
            size = None if kind == "hub" else _size(run, kind, options)
            missing = gone or _missing(run, kind, options)
        except UserError as error:
            missing = gone or str(error)
        whole = 2 * _weights(run, options) if kind == "gguf" and size is not None else 0
        after = options.of if kind == "hub" and not _passed(made.get(options.of)) else ""
        found.append(Choice(kind, size, (size or 0) + whole, missing, after, made.get(kind)))
    return found


def free(run: Run) -> int:
    """Bytes that the disk of a run's exports has left."""
    return shutil.disk_usage(run.path).free


def finished(message: Message) -> Export:
    """The export that the worker tells of."""
    return Export(Path(str(message.get("folder"))), {**message, "kind": message.get("export")})


def how_to_run(run: Run, export: Export) -> list[str]:
    """The lines with which an export is used, as they can be pasted into a shell."""
    folder = str(export.folder)
    match export.facts.get("kind"):
        case "adapter" | "merged":
            return _asking(run, export)
        case "gguf":
            files = sorted(export.folder.glob("model-*.gguf"))
            lora = sorted(export.folder.glob("adapter-*.gguf"))
            if files:
                return [f"llama-cli -m {_quoted(files[0])} -cnv"]
            base = export.folder / llama_cpp.BASE
            own = _quoted(base) if base.is_file() else "BASE.gguf"
            return [f"llama-cli -m {own} --lora {_quoted(one)} -cnv" for one in lora]
        case "ollama":
            return [f"cd {_quoted(folder)}", "ollama create tuned -f Modelfile", "ollama run tuned"]
        case "script":
            return [f"cd {_quoted(folder)}", f"python {script.NAME}"]
        case "axolotl":
            return [f"cd {_quoted(folder)}", f"axolotl train {axolotl.NAME}"]
        case "llamafactory":
            return [f"cd {_quoted(folder)}", f"llamafactory-cli train {llamafactory.NAME}"]
    return []


def _asking(run: Run, export: Export) -> list[str]:
    """The program in its folder, told where the base lies that is on no hub."""
    if not (export.folder / running.PROGRAM).is_file():
        return []
    asked = f'python {running.PROGRAM} "{running.QUESTION}"'
    if export.facts.get("kind") == "adapter":
        try:
            base = None if exports.on_the_hub(run) else models.locate(run.recipe().model.id)
        except UserError:
            return []
        asked = f"BASE={_quoted(base)} {asked}" if base else asked
    return [f"cd {_quoted(export.folder)}", asked]


def _missing(run: Run, kind: str, options: Options) -> str:
    """Why a kind cannot be made here with these options; "" where it can, as far as is seen here. Raises
    UserError with the reason as well."""
    types = llama_cpp.types(options.types) if kind == "gguf" else []
    possible.check(run, kind, types, options.onto, options.ollama)
    if kind == "gguf":
        llama_cpp.check(llama_cpp.found(_folder(options.llama_cpp) if options.llama_cpp else None), types)
    if kind == "hub":
        possible.check(run, options.of)
        if not options.repo:
            return "it is not said where it goes: o takes ORG/NAME"
        if not options.dry_run and (variable := hub.offline()):
            return f"{variable} forbids to go to the hub; leave, unset it, and come back"
        if not options.dry_run and not os.environ.get(TOKEN):
            return f"{TOKEN} is not set; leave, put a token that may write into that variable, and come back"
    return ""


def _passed(export: Export | None) -> bool:
    return export is not None and export.status != "failed"


def _gone(run: Run) -> str:
    try:
        if models.locate(run.recipe().model.id) is not None:
            return ""
        return f"{run.recipe().model.id}: its files are not on this machine any more; fetch it again"
    except UserError as error:
        return str(error)


def _size(run: Run, kind: str, options: Options) -> int:
    types = tuple(one for one in llama_cpp.types(options.types) if one != "lora") if kind == "gguf" else ()
    return sizes.forecast(run, kind, types or ("q8_0",), _width(run, options))


def _weights(run: Run, options: Options) -> int:
    return sizes.forecast(run, "merged", dtype_bytes=_width(run, options))


def _width(run: Run, options: Options) -> int:
    """Bytes of a merged weight: what was asked for, else what the run computed in, 16 bits of a 4-bit one."""
    dtype = options.dtype
    if dtype == "auto":
        facts = _environment(run)
        dtype = "bfloat16" if facts.get("quantization") else str(facts.get("dtype"))
    return 4 if dtype == "float32" else 2


def _environment(run: Run) -> dict[str, Any]:
    try:
        facts = json.loads((run.path / "environment.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _made(export: Export) -> str:
    return str(export.facts.get("made", ""))


def _quoted(path: object) -> str:
    return shlex.quote(str(path))
