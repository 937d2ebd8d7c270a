"""Child of the front end: makes exports of a run's adapter, and asks each what the run was asked.

Started as `export RUN --to KIND[,KIND] [--out FOLDER] [--checkpoint STEP] [--rows N] ...`.

{"kind": "phase", "export": KIND, "phase": "ask the run" | "write" | "ask the export" | "upload"} ...
{"kind": "progress", "phase", "done", "total"} ...    in prompts, or in bytes where it writes
{"kind": "exported", "export": KIND, "folder", **export.json} ...    (engine/exports says what is in it)
{"kind": "done", "exports": [...]: the same, "failed": how many of them}

Asked on stdin: {"do": "cancel"}: it ends at once, also while libraries or a model are still loading; what is
under way leaves nothing behind, what was exported before stays. SIGTERM does the same; a closed stdin is no
cancel, so that it runs from a script.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from engine import exports, lock, resume
from engine.errors import RunFailed, UserError
from engine.exports import llama_cpp, possible, sizes
from engine.runs import Run
from engine.workers import failures
from engine.workers.exporting import placing, upload
from engine.workers.io import Channel, Stopped

ROWS = 16

LEFT = "nothing half written was left, exports made before stay"


def main() -> int:
    """Exit code 0 where every export passed or could not be checked, 1 otherwise."""
    channel = Channel()
    asked = arguments()
    cancel = threading.Event()

    def end(*_: object) -> None:
        if not cancel.is_set():  # once: what cleans up after it is not to be disturbed
            cancel.set()
            raise Stopped("cancelled")

    try:
        for wish in placing.WISHES:
            signal.signal(wish, end)
        threading.Thread(target=_listen, args=(channel,), daemon=True).start()
        return export(Run(asked.run), asked, channel, cancel.is_set)
    except (Stopped, UserError, RunFailed, OSError, ValueError, RuntimeError, MemoryError) as error:
        if cancel.is_set():  # a library may have made another error of it
            channel.error(RunFailed(f"cancelled; {LEFT}"))
        else:
            channel.error(error if isinstance(error, UserError | RunFailed) else unforeseen(error))
    return 1


def unforeseen(error: Exception) -> RunFailed:
    """What nobody looked for beforehand, as a sentence with what to do."""
    said = (str(error).strip().splitlines() or [""])[0]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunFailed(f"the disk is full; {LEFT}; free some space, or name another place with --out")
    if failures.ran_out(error) or isinstance(error, MemoryError):
        return RunFailed(f"memory ran out; {LEFT}; close what else holds it, or export on a larger machine")
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return RunFailed(f"{what}; {LEFT}; export again once that is mended")


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What can be asked; the process's own words by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--checkpoint", type=int)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--onto", choices=("auto", "original", "4-bit"), default="auto")
    parser.add_argument("--dtype", choices=("auto", "bfloat16", "float16", "float32"), default="auto")
    parser.add_argument("--shard", type=int, help="bytes of a file of weights")
    parser.add_argument("--with-rows", type=int, default=0)
    parser.add_argument("--types", default="q8_0", help="of GGUF files")
    parser.add_argument("--ollama", choices=("merged", "adapter"), default="merged")
    parser.add_argument("--llama-cpp", type=Path)
    parser.add_argument("--repo")
    parser.add_argument("--of", default="adapter", help="what is uploaded")
    parser.add_argument("--public", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    return parser.parse_args(words)


def _listen(channel: Channel) -> None:
    for request in channel.requests():
        if request.get("do") == "cancel":
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGTERM)


def export(run: Run, asked: argparse.Namespace, channel: Channel, cancelled: Callable[[], bool]) -> int:
    """Make all that was asked for, one after the other. Raises what went wrong."""
    kinds = exports.kinds(asked.to)
    check(run, asked, kinds)
    held = _locked(run)
    if asked.out is None:
        os.umask(0o077)  # in the run's folder everything is private
    try:
        made = _all(run, kinds, asked, channel, cancelled)
    finally:
        os.close(held)
    failed = sum(one["status"] == "failed" for one in made)
    channel.say("done", exports=made, failed=failed)
    return int(failed > 0)


def _all(
    run: Run,
    kinds: Sequence[str],
    asked: argparse.Namespace,
    channel: Channel,
    cancelled: Callable[[], bool],
) -> list[dict[str, Any]]:
    made = []
    work = None
    for kind in kinds:
        if kind == "hub":
            made.append(_sent(run, asked, channel))
            continue
        if work is None:
            from engine.workers.exporting import making

            work = making.opened(run, asked, channel, cancelled)
        made.append(_made(work, kind, asked, channel, len(kinds) > 1))
    return made


def check(run: Run, asked: argparse.Namespace, kinds: Sequence[str]) -> None:
    """What can be known to go wrong before anything heavy is loaded. Raises UserError."""
    types = llama_cpp.types(asked.types) if "gguf" in kinds else []
    for kind in kinds:
        possible.check(run, kind, types, asked.onto, asked.ollama)
    if "gguf" in kinds:
        llama_cpp.check(llama_cpp.found(asked.llama_cpp), types)
    if "hub" in kinds:
        possible.check(run, asked.of)
        upload.check(asked.repo, asked.dry_run)
        if asked.of not in kinds:
            upload.ready(run, asked.of, asked.checkpoint)
    for kind in kinds:
        if kind != "hub":
            placing.check(_target(run, kind, asked, len(kinds) > 1))


def _made(work: Any, kind: str, asked: argparse.Namespace, channel: Channel, several: bool) -> dict[str, Any]:
    """One export, from its forecast to its final name; its facts with the folder."""
    from engine.workers.exporting import kinds, making

    began = time.perf_counter()
    run: Run = work.run
    first = kinds.planned(work, kind)
    target = _target(run, kind, asked, several)
    if first.bytes:
        sizes.check_room(target, first.bytes)

    def fill(folder: Path) -> dict[str, Any]:
        told, plan = making.filled(work, kind, first, folder)
        return {
            "kind": kind,
            "name": target.name,
            "run": run.name,
            "model": work.base_name,
            "step": work.saved.step,
            "digest": work.saved.digest,
            "made": datetime.now().astimezone().isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - began, 2),
            **told,
            "notes": plan.notes,
            "settings": plan.settings,
            "versions": resume.facts(run)["versions"],
        }

    folder, facts = placing.placed(target, fill)
    told = {"folder": str(folder), **{key: value for key, value in facts.items() if key != "kind"}}
    channel.say("exported", export=kind, **told)
    return {"kind": kind, **told}


def _target(run: Run, kind: str, asked: argparse.Namespace, several: bool) -> Path:
    """Where an export goes: in the run's folder, or in the one that was named, or below that."""
    own = exports.place(run, kind, asked.checkpoint)
    if asked.out is None:
        return own
    out: Path = asked.out.absolute()
    return out / own.name if several else out


def _sent(run: Run, asked: argparse.Namespace, channel: Channel) -> dict[str, Any]:
    """An upload to the hub, or what would go up; its facts."""
    found = upload.ready(run, asked.of, asked.checkpoint)
    facts = {"name": "hub", "run": run.name, "folder": str(found.folder), "status": "not checked"}
    facts |= upload.planned(found, asked.repo, asked.public)
    if asked.dry_run:
        facts["why"] = "a dry run: nothing went up"
    else:
        channel.say("phase", phase="upload", export="hub")
        upload.upload(found, asked.repo, asked.public)
        facts["why"] = "what is on the hub now was not loaded back; the folder that it came from had passed"
    channel.say("exported", export="hub", **facts)
    return {"kind": "hub", **facts}


def _locked(run: Run) -> int:
    """The descriptor of the lock of this run's exports, held until it is closed. Raises UserError."""
    folder = run.path / "exports"
    folder.mkdir(mode=0o700, exist_ok=True)
    held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not lock.acquire(held):
        os.close(held)
        raise UserError(f"{run.name}: another export of it is under way; wait for it, or cancel it")
    return held


if __name__ == "__main__":
    sys.exit(main())
