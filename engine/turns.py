"""Whose turn it is to train on a device: one run at a time, the others in a line that people can change.

There is no daemon. Every run that waits is a worker of its own (some 40 MB, no torch) that looks each half
second whether it is first and the device is free. A lock of the file system says so, never a process number:
who is killed lets go of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine import private, runs
from engine.errors import UserError
from engine.runs import Run

BESIDE = "IFT_TUI_BESIDE"
"""Environment variable by which a run is started beside the one that has the device."""


@dataclass(frozen=True)
class Line:
    """A device, who trains on it, and who waits for it, the next one first."""

    device: str
    holder: Run | None
    waiting: list[Run]


def lines() -> list[Line]:
    """Every device that some run has, or waits for."""
    names = sorted(path.stem for path in (runs.home() / "turns").glob("*.order"))
    found = [Line(name, holder(name), waiting(name)) for name in names]
    return [line for line in found if line.holder or line.waiting]


def live() -> Run | None:
    """The run to look at first: one that trains, else the newest that has a worker."""
    return next((line.holder for line in lines() if line.holder), None) or runs.live()


def ahead() -> list[Run]:
    """The runs that one which is started here now would wait for: who trains, then who waits."""
    name = device()
    first = holder(name)
    return [*([first] if first else []), *waiting(name)]


def line_of(run: Run) -> str | None:
    """The device that a run waits for; None where it stands in no line."""
    return next((line.device for line in lines() if run in line.waiting), None)


def start(run: Run, beside: bool = False) -> None:
    """Launch the worker of a run: it takes its turn, or trains beside whoever has the device.

    It stands in the line when this returns, so that whoever looks then sees it. Raises what runs.launch does.
    """
    if beside:
        runs.launch(run, {BESIDE: "1"})
    else:
        runs.launch(run)
        join(run, device())


def device() -> str:
    """The device that training here takes: the first GPU that this process may see, or the CPU."""
    from engine import hardware  # a front end that only looks at lines needs none of it

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = (visible or "").split(",")[0].strip()
    gpus = hardware.gpus()
    if not gpus or (visible is not None and chosen in ("", "-1")):
        return "cpu"
    return f"gpu-{re.sub(r'[^A-Za-z0-9-]', '_', chosen) or gpus[0].index}"


def holder(name: str) -> Run | None:
    """The run that has the device; None where it is free."""
    try:
        lock = os.open(_lock(name), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if _locked(lock):
            return None
        return _run(os.pread(lock, 4096, 0).decode("utf-8", "replace"))
    finally:
        os.close(lock)


def waiting(name: str) -> list[Run]:
    """The runs that wait for the device, the next one first."""
    with _order(name) as order:
        return [run for each in order if (run := _run(each)) is not None]


def join(run: Run, name: str) -> None:
    """Stand in the line, at its end; a run that stands there, or has the device, stays where it is."""
    with _order(name) as order:
        if run.name not in order and holder(name) != run:
            order.append(run.name)


def leave(run: Run, name: str) -> None:
    """Stand in the line no longer."""
    with _order(name) as order:
        order[:] = [each for each in order if each != run.name]


def move(run: Run, name: str, by: int) -> None:
    """Let a waiting run go forward (by < 0) or back in the line."""
    with _order(name) as order:
        if run.name in order:
            at = order.index(run.name)
            order.insert(max(0, at + by), order.pop(at))


def let_pass(run: Run, name: str) -> None:
    """Stand in the line, but never as the first where another waits: it could not begin."""
    with _order(name) as order:
        if run.name not in order:
            order.append(run.name)
        elif order[0] == run.name and len(order) > 1:
            order.insert(1, order.pop(0))


def take(run: Run, name: str) -> int | None:
    """In the worker: the descriptor of the device's lock if it is free and this run is first, else None.

    Keep it open for life.
    """
    with _order(name) as order:
        if order and order[0] != run.name:
            return None
        lock = os.open(_lock(name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        os.ftruncate(lock, 0)
        os.pwrite(lock, run.name.encode(), 0)
        order[:] = [each for each in order if each != run.name]
        return lock


@contextmanager
def _order(name: str) -> Iterator[list[str]]:
    """The names of the runs in the line, to be changed in place; those without a worker have left it."""
    folder = _folder()
    lock = os.open(folder / f"{name}.order", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _names(os.pread(lock, 1_000_000, 0))
        order = [each for each in before if (run := _run(each)) is not None and runs.is_alive(run)]
        yield order
        if order != before:
            text = json.dumps(order).encode()
            os.pwrite(lock, text, 0)
            os.ftruncate(lock, len(text))
    finally:
        os.close(lock)


def _names(text: bytes) -> list[str]:
    try:
        found = json.loads(text or b"[]")
    except ValueError:
        return []  # torn by a kill: whoever waits joins again when it looks
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _run(name: str) -> Run | None:
    path = runs.home() / "runs" / Path(name).name
    return Run(path) if name and path.is_dir() else None


def _locked(lock: int) -> bool:
    """Whether the lock could be taken: then nobody has it. It is let go of at once."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(name: str) -> Path:
    return _folder() / f"{name}.lock"


def _folder() -> Path:
    folder = runs.home() / "turns"
    try:
        private.folder(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error.strerror}); set IFT_TUI_HOME") from None
    return folder
