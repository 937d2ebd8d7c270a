"""Proves and measures the CUDA path, and writes one JSON file.

    python -m benchmarks.cuda --out cuda.json [--parts proof,train,compare,context,fit,idle] [--minutes 10]
    python -m benchmarks.cuda --tiny --out tiny.json      the same with tiny models, on a CPU
    python -m benchmarks.cuda --table [cuda.json]         every cell as a table, open ones too

Each cell is a process of its own with a time limit; what it throws costs that cell alone. The file is
written after each, and one that is there is gone on with: what was measured stays, the rest is tried again.
What a cell printed lies beside it, in FILE.logs. With --minutes, cells that would not end in time are left
for the next call. Models are made once, in --models. Real text for the walk is taken from the folder that
IFT_TUI_CUDA_DATA names, if any.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.cuda import cells, place, report  # noqa: E402
from benchmarks.cuda.cells import Cell  # noqa: E402
from engine import hardware, lock, runs  # noqa: E402

COMMITTED = Path(__file__).with_name("cuda.json")
"""What a real GPU gave, once one has."""
CHECKED = Path(__file__).with_name("tiny.json")
"""What --tiny gave on a CPU: that the logic runs, no figure of it counts."""
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "unsloth", "unsloth_zoo")
TINY_MINUTES = 10.0
"""A cell on a CPU takes seconds; other programs on it may take most of its time."""
WHY = 600
"""Characters of what a cell that failed said last."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=[])
    parser.add_argument("--cells", type=lambda text: text.split(","), default=[], help="by name")
    parser.add_argument("--minutes", type=float, help="for all of this call")
    parser.add_argument("--models", type=Path, default=Path(tempfile.gettempdir()) / "ift-tui-cuda-models")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--again", action="store_true", help="cells that were measured already, too")
    parser.add_argument("--table", nargs="?", const=COMMITTED, type=Path, metavar="JSON")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.table:
        print(table(asked.table), end="")
        return 0
    if asked.cell:
        return one(asked)
    if asked.out is None:
        parser.error("--out is needed")
    if not asked.tiny and not place.on_gpu():
        parser.error("no CUDA device here; --tiny runs the same logic on a CPU")
    return all_of(asked)


def table(found: Path) -> str:
    """The table of a document that is there, else of nothing."""
    document, checked = (
        json.loads(file.read_text("utf-8")) if file.is_file() else None for file in (found, CHECKED)
    )
    fits = [cell for cell in cells.CELLS if cell.part == "fit"]
    shown = [cell for cell in cells.CELLS if cell.part != "fit"]
    if not document or not any(name.startswith("fit") for name in document["cells"]):
        last = fits[0]._replace(name=f"fit 01 to {len(fits)}")
        for each in filter(None, (document, checked)):
            each["cells"][last.name] = each["cells"].get(fits[0].name, {})
        shown.append(last)
    else:
        shown += fits
    return report.headline(document) + "\n" + report.table(shown, document, checked)


def all_of(asked: argparse.Namespace) -> int:
    """Run what is asked for. 1 if a cell failed or missed its bar."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started here ends with it
    document = json.loads(asked.out.read_text("utf-8")) if asked.out.is_file() else {"cells": {}}
    document |= heading()
    deadline = time.monotonic() + 60 * asked.minutes if asked.minutes else float("inf")
    bad = 0
    for cell in cells.chosen(asked.parts, asked.cells, asked.tiny):
        known = document["cells"].get(cell.name, {})
        if known.get("status") == "measured" and not asked.again:
            continue
        left = deadline - time.monotonic()
        minutes = TINY_MINUTES if asked.tiny else cell.minutes
        if left < 60 * min(minutes, known.get("seconds", 60 * minutes) / 60):
            if not known:
                document["cells"][cell.name] = {"status": "not run", "reason": "no time was left for it"}
            write(asked.out, document)
            continue
        found = in_a_process(cell, asked, min(left, 60 * minutes))
        document["cells"][cell.name] = {"part": cell.part, "asked": cell.asked, **found}
        write(asked.out, document)
        missed = [each["what"] for each in found.get("bars", []) if not each["holds"]]
        bad += found["status"] == "failed" or bool(missed)
        said = found.get("reason") or report.state(found, {})
        print(f"{cell.name:14} {found['status']:9} {found['seconds']:6.1f} s  {said[:200]}", flush=True)
    return 1 if bad and not asked.tiny else 0


def heading() -> dict[str, Any]:
    gpus = hardware.gpus()
    return {
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": "python -m benchmarks.cuda " + shlex.join(sys.argv[1:]),
        "device": {"name": gpus[0].name if gpus else "CPU", "driver": gpus[0].driver if gpus else "none"},
        "versions": {"Python": sys.version.split()[0], **dict(_versions())},
    }


def _versions() -> Any:
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def in_a_process(cell: Cell, asked: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """What a cell found, or why it did not, in the time it is given."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ift-tui-cuda-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        command = [
            sys.executable, "-m", "benchmarks.cuda", "--cell", cell.name, "--folder", name,
            "--models", str(asked.models), *(["--tiny"] if asked.tiny else []),
        ]  # fmt: skip
        environment = {
            **runs.WORKER_ENVIRONMENT, **os.environ, "HF_HUB_OFFLINE": "1", "IFT_TUI_HOME": name,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }  # fmt: skip
        with (folder / "said.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                process.wait(seconds)
                late = ""
            except subprocess.TimeoutExpired:
                late = f"not done after {seconds:.0f} s"
            finally:
                _end(process, folder)
        logs = asked.out.with_suffix(".logs")
        logs.mkdir(exist_ok=True)
        shutil.copyfile(folder / "said.log", logs / f"{cell.name.replace(' ', '-')}.log")
        found = folder / "found.json"
        if not late and found.is_file():
            told = json.loads(found.read_text("utf-8"))
        else:
            said = (folder / "said.log").read_text("utf-8", "replace").strip()
            told = {"status": "failed", "reason": late or said[-WHY:] or f"exit {process.returncode}"}
    return {**told, "seconds": round(time.monotonic() - began, 1), "date": f"{datetime.now(UTC):%Y-%m-%d}"}


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """End a cell's processes, and the workers of its runs, which have sessions of their own."""
    for run in sorted((folder / "runs").glob("*")):
        if lock.is_held(run / "lock"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int((run / "lock").read_text()), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def one(asked: argparse.Namespace) -> int:
    """In a process of its own: measure a cell and leave what it found in its folder."""
    (cell,) = cells.chosen([], [asked.cell])
    place.use(asked.folder)
    try:
        told = {
            "status": "measured",
            "facts": {},
            **cell.run(place.Place(asked.folder, asked.models, asked.tiny)),
        }
    except place.NotHere as error:
        told = {"status": "not run", "reason": str(error)}
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        told = {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:WHY]}
    (asked.folder / "found.part").write_text(json.dumps(told), "utf-8")
    (asked.folder / "found.part").rename(asked.folder / "found.json")
    return 0


def write(out: Path, document: dict[str, Any]) -> None:
    part = out.with_name(f"{out.name}.part")
    part.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    part.rename(out)


if __name__ == "__main__":
    sys.exit(main())
