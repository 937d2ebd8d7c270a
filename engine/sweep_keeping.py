"""Keeping house among the sweeps: archived and brought back, removed for good, with their runs or without.

All locks are taken before anything is moved, the sweep's and those of every run that goes along: where one of
them lives or is read, nothing is changed. Runs go first and the sweep last, on the way back too, so whatever
was interrupted is ended by doing it again. Its runs are those that its events name, where it stands itself:
an archived sweep has those in the archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine import housekeeping, runs
from engine.errors import UserError
from engine.runs import Run
from engine.sweeps import FILE, Sweep


def runs_of(sweep: Sweep) -> list[Run]:
    """Those of its runs that stand where it does, in their order."""
    folder = housekeeping.archive_folder() if _is_archived(sweep) else runs.home() / "runs"
    names = [name for trial in sweep.state().trials for name in trial.runs]
    found = [Run(folder / Path(name).name) for name in names]
    return [run for run in found if (run.path / "recipe.toml").is_file()]


def disk(sweep: Sweep, with_runs: bool = True) -> int:
    """Bytes that it takes, with its runs or alone; a file that two of them share is counted once."""
    seen = set[tuple[int, int]]()
    folders = [sweep.path, *(run.path for run in (runs_of(sweep) if with_runs else ()))]
    return sum(housekeeping.size(path, seen) for path in folders)


def archived() -> list[Sweep]:
    """The sweeps in the archive, newest first."""
    folder = housekeeping.archive_folder()
    if not folder.is_dir():
        return []
    return [Sweep(path) for path in sorted(folder.iterdir(), reverse=True) if (path / FILE).is_file()]


def find_archived(name: str) -> Sweep:
    """An archived sweep by its name or a part of it that only one has. Raises UserError."""
    known = archived()
    exact = [sweep for sweep in known if sweep.name == name]
    matches = exact or [sweep for sweep in known if name and name in sweep.name]
    if not matches:
        raise UserError(f"{name}: no such sweep in the archive; `ift-tui sweeps --archived` lists them")
    if len(matches) > 1:
        raise UserError(
            f"{name}: {len(matches)} sweeps there match ({matches[0].name}, {matches[1].name} ...); say more"
        )
    return matches[0]


def archive(sweep: Sweep, with_runs: bool) -> list[Run]:
    """Take it out of the list, whole; the runs that went along. Raises UserError, and nothing was moved."""
    return _moved(sweep, runs_of(sweep) if with_runs else [], archive=True)


def unarchive(sweep: Sweep) -> list[Run]:
    """Bring it back with all of its runs in the archive: those. Raises UserError, and nothing was moved."""
    return _moved(sweep, runs_of(sweep), archive=False)


def delete(sweep: Sweep, with_runs: bool) -> int:
    """Remove it for good; the bytes that it had taken. Without them its runs stay, as runs of their own.

    Raises UserError where nothing was removed, RunFailed where not all could be.
    """
    along = runs_of(sweep) if with_runs else []
    freed = 0
    with _held(sweep, along):
        for one in (*along, sweep):
            freed += housekeeping.removed(one.path, one.name)
    return freed


def _moved(sweep: Sweep, along: list[Run], archive: bool) -> list[Run]:
    with _held(sweep, along):
        moves = [
            (one, housekeeping.archive_folder() if archive else runs.home() / kind)
            for one, kind in (*((run, "runs") for run in along), (sweep, "sweeps"))
        ]
        if taken := next((folder / one.name for one, folder in moves if (folder / one.name).exists()), None):
            raise UserError(f"{taken}: one of this name stands there; rename one of them, nothing was moved")
        *ended, _ = [housekeeping.moved(one, folder) for one, folder in moves]
    return [Run(path) for path in ended]


@contextmanager
def _held(sweep: Sweep, along: list[Run]) -> Iterator[None]:
    with ExitStack() as locks:
        locks.enter_context(housekeeping.locked(sweep, runs.home() / "sweeps"))
        for run in along:
            locks.enter_context(housekeeping.held(run))
        yield


def _is_archived(sweep: Sweep) -> bool:
    return sweep.path.parent.resolve() == housekeeping.archive_folder().resolve()
