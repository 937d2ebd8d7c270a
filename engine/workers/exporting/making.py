"""How an export is made and checked, whatever its kind: what all share, a plan, its check."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import models
from engine.errors import RunFailed, UserError
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import adapters
from engine.workers.adapters import Saved
from engine.workers.exporting import adapter
from engine.workers.exporting import asked as questions
from engine.workers.exporting.asked import Asked, Progress
from engine.workers.io import Channel, Stopped

SCRATCH = ".scratch"
"""The folder in an export for what only its making and its check need."""

EVERY = 0.1
"""Seconds between two words on how far it is."""


@dataclass
class Work:
    """One call of the worker: the adapter to be exported, its format, and the run's answers once asked."""

    run: Run
    saved: Saved
    chat: ChatFormat
    base: Path
    asked: argparse.Namespace
    channel: Channel
    cancelled: Callable[[], bool]
    answers: Asked | None = None
    refuted: list[str] = field(default_factory=list)
    """Of the ways to merge those that were found not to answer as the run did, a sentence each."""
    _last: float = 0.0

    @property
    def base_name(self) -> str:
        return adapter.base_name(self.saved)

    def tell(self, phase: str, kind: str = "") -> Progress:
        """Begin a phase; what it gives tells how far that is, and raises Stopped where it was cancelled."""
        self.channel.say("phase", phase=phase, export=kind)

        told = -1

        def progress(done: int, total: int) -> None:
            nonlocal told
            if self.cancelled():
                raise Stopped("cancelled")
            if told != done and (time.monotonic() - self._last > EVERY or done == total):
                told, self._last = done, time.monotonic()
                self.channel.say("progress", phase=phase, done=done, total=total)

        return progress

    def asked_run(self) -> Asked:
        """What the run answered; asked once for all kinds. Raises UserError where it cannot be asked."""
        if self.answers is None:
            progress = self.tell("ask the run")
            step = self.asked.checkpoint
            self.answers = questions.answered(self.run, step, self.asked.rows, progress, self.cancelled)
        return self.answers


@dataclass
class Plan:
    """How one export is made: `fill` writes it into a folder, which takes that many bytes.

    ask: the folder, asked what the run was asked: its PARITY; None where that is not done, and `unchecked`
        says why
    otherwise: another plan, given the parity of this one where it did not pass
    """

    fill: Callable[[Path], None]
    bytes: int
    ask: Callable[[Path, Asked, Progress], dict[str, Any]] | None = None
    unchecked: str = ""
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    otherwise: Callable[[dict[str, Any]], Plan] | None = None


def opened(run: Run, asked: argparse.Namespace, channel: Channel, cancelled: Callable[[], bool]) -> Work:
    """What all kinds need. Raises UserError where the run has no adapter, or the base is not what it was."""
    saved = adapters.saved(run, asked.checkpoint)
    base = models.locate(run.recipe().model.id)
    if base is None:
        raise UserError(f"{run.recipe().model.id}: its files are not on this machine any more")
    return Work(run, saved, adapters.chat_format(saved), base, asked, channel, cancelled)


def filled(work: Work, kind: str, plan: Plan, folder: Path) -> tuple[dict[str, Any], Plan]:
    """Fill the folder and check it, the plan's other way where the first does not pass; what came of it by
    which plan."""
    work.tell("write", kind)
    plan.fill(folder)
    told = checked(work, kind, plan, folder)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    if told["status"] != "failed" or not told["parity"] or plan.otherwise is None:
        return told, plan
    other = plan.otherwise(told["parity"])
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return filled(work, kind, other, folder)


def checked(work: Work, kind: str, plan: Plan, folder: Path) -> dict[str, Any]:
    """Status, why and parity of export.json."""
    if plan.ask is None:
        return {"status": "not checked", "why": plan.unchecked, "parity": None}
    try:
        asked = work.asked_run()
    except UserError as error:
        return {"status": "not checked", "why": str(error), "parity": None}
    progress = work.tell("ask the export", kind)
    try:
        found = plan.ask(folder, asked, progress)
    except RunFailed as error:
        return {"status": "failed", "why": str(error), "parity": None}
    why = "" if found["passed"] else f"it does not answer as the run did: {found['differs'][0]}"
    return {"status": "passed" if found["passed"] else "failed", "why": why, "parity": found}
