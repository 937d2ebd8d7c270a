"""Run directories: create, list, launch detached, alive?, stop, resume. Two processes share nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import platformdirs

from engine import autopsy, lock, private
from engine.errors import RunFailed, UserError
from engine.events import Tail
from engine.state import RunState, fold

if TYPE_CHECKING:
    from engine.schema import Recipe, Settled

LOCK_FD = "IFT_TUI_LOCK_FD"
"""Environment variable by which a launcher hands the held lock to the worker."""

WORKER_ENVIRONMENT = {
    # Idle OpenMP threads sleep instead of spinning: beside any other busy process on the same cores a
    # spinning worker was measured to train at a seventh of the speed.
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONUNBUFFERED": "1",
}
"""Environment of every worker process; what the user has set wins."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

LOG_TAIL_BYTES = 16_384


@dataclass(frozen=True)
class Worked:
    """A folder that one worker at a time works in, with its lock, its events and its log."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    def document(self, file: str) -> dict[str, Any]:
        """A TOML file of the folder, unchecked. Raises UserError where it is missing or torn."""
        try:
            return tomllib.loads((self.path / file).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.name}: its {file} cannot be read ({error}); put it back, or start a new run"
            ) from None


@dataclass(frozen=True)
class Run(Worked):
    """One run directory. It need not be alive, finished or even readable."""

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def rows(self) -> Path:
        """What was counted of the rows, and the rows as they are trained on."""
        return self.path / "rows"

    @property
    def readers(self) -> Path:
        """The lock that comparisons and evaluations of it share."""
        return self.path / "readers"

    @property
    def control(self) -> Path:
        """What people ask of it while it runs; engine/workers/control.py says what can be asked."""
        return self.path / "control.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def model(self) -> Path:
        """The whole model, in the place of an adapter, where all weights were trained."""
        return self.path / "model"

    @property
    def result(self) -> Path:
        """What it has made, or will make: an adapter, or a model."""
        return self.model if self.model.is_dir() else self.adapter

    @property
    def has_result(self) -> bool:
        """Whether it has saved what it was for."""
        return (self.adapter / "adapter_config.json").is_file() or (self.model / "config.json").is_file()

    def recipe(self) -> Recipe:
        """The resolved recipe. Raises UserError where it is missing or torn."""
        from engine import recipe  # with pydantic: not before it is needed, a list of runs does without

        return recipe.load(self.path / "recipe.toml")

    def plan(self) -> Settled | None:
        """[train] as it is run; None while the worker has not chosen what the recipe leaves open."""
        from engine import auto

        return auto.known(self.recipe().train, self.path)

    def state(self) -> RunState:
        """The fold over its events; a run without a last word whose lock is free has crashed."""
        # The lock is asked first: a worker that ends between the two reads has then written its last word.
        alive = is_alive(self)
        state = fold(Tail(self.events).read())
        return judged(state, alive, self)


def judged(state: RunState, alive: bool, run: Run, why: bool = True) -> RunState:
    """Mark as crashed what has no last word and no living worker, and say why, unless nobody asks.

    What is older than the worker was said by a former one: the run is starting again.
    """
    if not alive and not state.over:
        state.status = "crashed"
        if why:
            state.reason, state.mend = autopsy.cause(state.signs, log_tail(run))
    elif alive and launched_at(run) > state.updated_at:
        state.status = "starting"
        state.phase = state.reason = state.mend = ""
    return state


def home() -> Path:
    """$IFT_TUI_HOME, or the user's state folder."""
    given = os.environ.get("IFT_TUI_HOME")
    return Path(given).expanduser() if given else platformdirs.user_state_path("ift-tui")


def create(plan: Recipe, now: datetime | None = None) -> Run:
    """Make the directory of a new run with its resolved recipe in it, private to this user."""
    return Run(new_folder("runs", "recipe.toml", plan, now))


def new_folder(kind: str, file: str, plan: Recipe, now: datetime | None = None) -> Path:
    """A new folder among those of a kind, with the resolved recipe in a file of it. Raises UserError."""
    from engine import recipe

    base = home() / kind
    stamp = f"{now or datetime.now():%Y%m%d-%H%M%S}-{plan.name}"
    try:
        private.folder(base)
        for attempt in range(100):
            path = base / (stamp if attempt == 0 else f"{stamp}-{attempt + 1}")
            try:
                path.mkdir(mode=0o700)
                break
            except FileExistsError:
                continue
        else:
            raise UserError(f"{base / stamp}: a hundred {kind} of this name stand there; use another")
        private.write(path / file, recipe.dumps(plan))
    except OSError as error:
        raise UserError(f"{base}: cannot write {kind} there ({error.strerror}); set IFT_TUI_HOME") from None
    return path


def discard(run: Run) -> None:
    """Remove a run that was made and never started."""
    shutil.rmtree(run.path)


def launch(run: Worked, environment: Mapping[str, str] = MappingProxyType({}), worker: str = "train") -> None:
    """Start the worker in a session of its own, with the lock already held for it.

    environment: variables besides those of this process. The worker outlives this process and its
    terminal. Raises RunFailed if the run has a worker.
    """
    held = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not lock.acquire(held):
            raise RunFailed(f"{run.name} is already being worked on; attach to it instead")
        log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # Signals wait until the worker listens: one that comes while it is still starting would
        # else end it without a last word (StopFlag unblocks them).
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            # -P: a folder named "engine" where the user stands must not be taken for ours.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"engine.workers.{worker}", str(run.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[held],
                env={**WORKER_ENVIRONMENT, **os.environ, **environment, LOCK_FD: str(held)},
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(log)
        os.ftruncate(held, 0)
        os.pwrite(held, str(process.pid).encode(), 0)
    finally:
        os.close(held)  # the worker's copy keeps the lock


def resume(run: Run, confirmed: bool = False, start: Callable[[Run], None] = launch) -> None:
    """Start the worker again where its newest checkpoint is, or anew where there is none.

    confirmed: a person agrees to what has changed since. Raises UserError for a run that is alive, that has
    come to its end, or that is not as it was; RunFailed if a worker came first.
    """
    from engine import resume  # it reads runs itself

    status = run.state().status
    if is_alive(run):
        raise UserError(f"{run.name} is alive; attach to it instead")
    if status == "finished":
        raise UserError(
            f"{run.name} has come to its end, nothing is left to train; start a new run to train longer"
        )
    changed = resume.changes(run)
    if confirmed:
        resume.confirm(run, changed)
    resume.check(run, changed)
    start(run)


def hold_lock(run: Worked) -> int:
    """In the worker: the descriptor of the run's lock, handed over or taken now; keep it open for life."""
    handed = os.environ.pop(LOCK_FD, None)
    if handed is not None:
        os.set_inheritable(int(handed), False)
        return int(handed)
    held = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not lock.acquire(held):
        raise RunFailed(f"{run.name} is already being worked on; attach to it instead")
    os.ftruncate(held, 0)
    os.pwrite(held, str(os.getpid()).encode(), 0)
    return held


def read_on(run: Run) -> int:
    """Keep a run from being archived or removed while it is read: until the descriptor is closed, or the
    process ends. Raises UserError where that is under way.
    """
    held = lock.share(run.readers)
    if held is None:
        raise UserError(f"{run.name} is being moved or removed; look whether it is still in the list")
    return held


def is_alive(run: Worked) -> bool:
    """Whether a worker holds the run's lock. A pid alone would lie after a reboot."""
    return lock.is_held(run.path / "lock")


def launched_at(run: Worked) -> float:
    """When its last worker was given the lock, in Unix seconds; 0 where it had none."""
    return lock.given_at(run.path / "lock")


def stop(run: Worked) -> bool:
    """Ask the worker to save and stop. False if there is none."""
    if not is_alive(run):
        return False
    pid = (run.path / "lock").read_text()
    if not pid:
        return False  # a launcher holds the lock and has not named its worker yet
    try:
        os.kill(int(pid), signal.SIGTERM)  # the lock is held, so this pid is its holder's
    except ProcessLookupError:
        return False
    return True


def control(run: Run, do: str, **facts: Any) -> None:
    """Ask something of a living run: "checkpoint", "steps" with a value, and so on. Raises UserError."""
    if not is_alive(run):
        raise UserError(f"{run.name} is not running; resume it first")
    line = json.dumps({"do": do, **facts}) + "\n"
    descriptor = os.open(run.control, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode("utf-8"))
    finally:
        os.close(descriptor)


def list_runs() -> list[Run]:
    """All runs, newest first."""
    base = home() / "runs"
    if not base.is_dir():
        return []
    return [Run(p) for p in sorted(base.iterdir(), reverse=True) if (p / "recipe.toml").is_file()]


def find(name: str) -> Run:
    """A run by its name, a part of it that only one has, its folder, or "last"."""
    if (Path(name) / "recipe.toml").is_file():
        return Run(Path(name).resolve())
    if not name:
        raise UserError("name a run, or `last`; `ift-tui runs` lists them")
    known = list_runs()
    if name == "last" and known:
        return known[0]
    exact = [run for run in known if run.name == name]
    matches = exact or [run for run in known if name in run.name]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UserError(f"{name}: no such run; `ift-tui runs` lists them")
    raise UserError(f"{name}: {len(matches)} runs match ({matches[0].name}, {matches[1].name} ...); say more")


def live() -> Run | None:
    """The newest run that has a worker."""
    return next((run for run in list_runs() if is_alive(run)), None)


def log_tail(run: Worked, lines: int = 40) -> list[str]:
    """The last lines of worker.log, without reading a long log whole."""
    try:
        with run.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:]
