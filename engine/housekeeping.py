"""Keeping house among the runs (engine/sweep_keeping.py among the sweeps): what each takes on disk,
archived and brought back, removed for good.

A run is moved and removed under its own lock, so that no worker can start in it meanwhile. The archive is a
folder beside that of the runs; what is to be removed is first renamed into TRASH, of which nothing is listed:
a removal that is interrupted leaves no half run behind, and the next one ends it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import lock, private, runs
from engine.errors import RunFailed, UserError
from engine.runs import Run, Worked

PARTS = ("adapter", "model", "checkpoints", "exports", "evals", "rows")
"""Folders of a run that are told apart; what is in none of them is OTHER."""
OTHER = "log and events"

TRASH = ".trash"
"""Beside the runs, so on their disk: a rename into it never copies."""


def disk(run: Run) -> dict[str, int]:
    """Bytes that a run takes, by part; parts that are not there are left out."""
    seen = set[tuple[int, int]]()
    found = {part: size(run.path / part, seen) for part in PARTS}
    found[OTHER] = size(run.path, seen)
    return {part: bytes for part, bytes in found.items() if bytes}


def archived() -> list[Run]:
    """The runs in the archive, newest first."""
    folder = archive_folder()
    if not folder.is_dir():
        return []
    return [Run(path) for path in sorted(folder.iterdir(), reverse=True) if (path / "recipe.toml").is_file()]


def find_archived(name: str) -> Run:
    """An archived run by its name or a part of it that only one has. Raises UserError."""
    known = archived()
    matches = [run for run in known if run.name == name] or [
        run for run in known if name and name in run.name
    ]
    if not matches:
        raise UserError(f"{name}: no such run in the archive; `ift-tui runs --archived` lists them")
    if len(matches) > 1:
        raise UserError(
            f"{name}: {len(matches)} archived runs match ({matches[0].name}, {matches[1].name} ...); say more"
        )
    return matches[0]


def archive(run: Run) -> Run:
    """Take a run out of the list, whole. Raises UserError where it lives, or cannot be moved."""
    with held(run):
        return Run(moved(run, archive_folder()))


def unarchive(run: Run) -> Run:
    """Put an archived run back into the list. Raises UserError where one of its name stands there."""
    with held(run):
        return Run(moved(run, _listed()))


def delete(run: Run) -> int:
    """Remove a run for good, listed or archived; the bytes that it had taken.

    Raises UserError where it lives, RunFailed where some of it could not be removed; it is not listed then.
    """
    with held(run):
        return removed(run.path, run.name)


def drop_checkpoints(run: Run) -> int:
    """Remove a run's checkpoints, and keep the rest; the bytes that they had taken.

    Raises UserError where it lives, or has no adapter: its checkpoints are then all that it has learned.
    """
    with held(run):
        if not run.has_result:
            raise UserError(
                f"{run.name} has no adapter, its checkpoints are all that it has learned; resume or delete it"
            )
        if not run.checkpoints.is_dir() or run.checkpoints.is_symlink():
            raise UserError(f"{run.name} has no checkpoints of its own; nothing was removed")
        return removed(run.checkpoints, f"{run.name}-checkpoints", run.path.parent / TRASH)


def lost(run: Run) -> list[str]:
    """What goes with a run, for the question before it is removed: "an adapter", "3 checkpoints"."""
    parts = [f"its {run.result.name}"] if run.has_result else []
    for folder, noun in (
        (run.checkpoints.glob("step-*"), "checkpoint"),
        ((run.path / "evals").glob("*.jsonl"), "evaluation"),
        ((run.path / "exports").glob("*/export.json"), "export"),
    ):
        if count := sum(1 for _ in folder):
            parts.append(f"{count} {noun}{'' if count == 1 else 's'}")
    return [*parts, *(["its votes"] if (run.path / "votes.jsonl").is_file() else [])]


@contextmanager
def held(run: Run) -> Iterator[None]:
    """The run with its locks taken, so that nobody works in it or reads it. Raises UserError."""
    with locked(run, _listed()) as taken:
        if not _locked(run.path / "exports" / "lock", taken):
            raise UserError(f"{run.name} is being exported; wait for that or cancel it, nothing was changed")
        if not _locked(run.readers, taken):
            raise UserError(
                f"{run.name} is open in a comparison or an evaluation; leave that first, nothing was changed"
            )
        yield


@contextmanager
def locked(one: Worked, listed: Path) -> Iterator[list[int]]:
    """A folder with the lock of its worker taken; locks that are put into what is given are freed with it.

    listed: where it stands while it is not in the archive. Raises UserError.
    """
    if one.path.parent.resolve() not in (listed.resolve(), archive_folder().resolve()):
        raise UserError(f"{one.path} is not in the list of {listed.name}; move or remove its folder yourself")
    if one.path.is_symlink():
        raise UserError(f"{one.name} is a link to another place; remove it yourself, nothing was touched")
    taken = list[int]()
    try:
        if not _locked(one.path / "lock", taken):
            raise UserError(f"{one.name} is alive, or waits for its turn; stop it first, nothing was changed")
        yield taken
    except OSError as error:
        raise UserError(
            f"{one.name}: its folder cannot be changed ({error.strerror}); it was left as it was"
        ) from None
    finally:
        for descriptor in taken:
            os.close(descriptor)


def _locked(file: Path, held: list[int]) -> bool:
    """Take a lock and put its descriptor into `held`; False where another has it. No folder, no lock."""
    if file.parent.is_symlink() or not file.parent.is_dir():
        return True
    held.append(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    return lock.acquire(held[-1])


def moved(one: Worked, folder: Path) -> Path:
    """Rename it into another folder, under its own name; its path there. Raises UserError or OSError."""
    target = private.folder(folder) / one.name
    if target.exists():
        raise UserError(f"{target}: one of this name stands there; rename one of them, nothing was moved")
    try:
        one.path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        raise UserError(
            f"{target.parent} is on another disk than {one.name}; put both on one, nothing was moved"
        ) from None
    return target


def removed(path: Path, name: str, trash: Path | None = None) -> int:
    """Remove a folder by way of the trash, with what an interrupted removal has left there; its bytes."""
    freed = size(path, set())
    trash = private.folder(trash or path.parent / TRASH)
    target = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=trash)) / path.name
    path.rename(target)
    shutil.rmtree(trash, ignore_errors=True)  # does not follow links: what they point to stays
    if target.exists():
        raise RunFailed(
            f"{name} is gone, but some of its files could not be removed; remove {trash} yourself"
        )
    return freed


def size(path: Path, seen: set[tuple[int, int]]) -> int:
    """Bytes below a path that were not counted before; a file with two names is one, no link is followed."""
    total, folders = 0, [] if path.is_symlink() else [path]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:  # not there, or not ours to read
            continue
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:  # a file that a living run has just replaced
                continue
            if stat.S_ISDIR(facts.st_mode):
                folders.append(Path(entry.path))
            elif (key := (facts.st_dev, facts.st_ino)) not in seen:
                seen.add(key)
                total += facts.st_size
    return total


def _listed() -> Path:
    return runs.home() / "runs"


def archive_folder() -> Path:
    """Where archived runs and sweeps stand, each under its own name."""
    return runs.home() / "archive"
