"""How each kind of export is made and checked: a plan for each, made of what all of them share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import models
from engine.errors import RunFailed, UserError
from engine.exports import parity, sizes
from engine.render import ChatFormat
from engine.runs import Run
from engine.workers import adapters
from engine.workers.adapters import Saved
from engine.workers.exporting import about, adapter, check, merged, parts
from engine.workers.exporting import asked as questions
from engine.workers.exporting.asked import Asked, Progress
from engine.workers.io import Channel, Stopped

EVERY = 0.1
"""Seconds between two words on how far it is."""

ROUNDING = "the weights were rounded to {}"
REQUANTISED = (
    "the run learnt on 4-bit weights and is merged onto the originals, which 4 bits had rounded;"
    " --onto 4-bit merges onto what it learnt on"
)


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
    _last: float = 0.0

    @property
    def base_name(self) -> str:
        return adapter.base_name(self.saved)

    def tell(self, phase: str, kind: str = "") -> Progress:
        """Begin a phase; what it gives tells how far that is, and raises Stopped where it was cancelled."""
        self.channel.say("phase", phase=phase, export=kind)

        def progress(done: int, total: int) -> None:
            if self.cancelled():
                raise Stopped("cancelled")
            if time.monotonic() - self._last > EVERY or done == total:
                self._last = time.monotonic()
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
    """How one export is made. loading: how its users load it (stranger.py), None where that is not done here,
    and `unchecked` says why; numbers: why its numbers may differ. in_place: does all of it, without a folder.
    """

    fill: Callable[[Path], None]
    bytes: int
    loading: dict[str, Any] | None = None
    unchecked: str = ""
    bar: float = parity.SAME
    numbers: str = ""
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    in_place: Callable[[], dict[str, Any]] | None = None


def opened(run: Run, asked: argparse.Namespace, channel: Channel, cancelled: Callable[[], bool]) -> Work:
    """What all kinds need. Raises UserError where the run has no adapter, or the base is not what it was."""
    saved = adapters.saved(run, asked.checkpoint)
    base = models.locate(run.recipe().model.id)
    if base is None:
        raise UserError(f"{run.recipe().model.id}: its files are not on this machine any more")
    return Work(run, saved, adapters.chat_format(saved), base, asked, channel, cancelled)


def planned(work: Work, kind: str) -> Plan:
    """Raises UserError for what cannot be exported so."""
    return PLANS[kind](work)


def checked(work: Work, kind: str, plan: Plan, folder: Path) -> dict[str, Any]:
    """Status, why and parity of export.json."""
    if plan.loading is None:
        return {"status": "not checked", "why": plan.unchecked, "parity": None}
    try:
        asked = work.asked_run()
    except UserError as error:
        return {"status": "not checked", "why": str(error), "parity": None}
    progress = work.tell("ask the export", kind)
    try:
        found = check.compared(asked, folder, plan.loading, plan.bar, plan.numbers, progress, work.cancelled)
    except RunFailed as error:
        return {"status": "failed", "why": str(error), "parity": None}
    why = "" if found["passed"] else f"it does not answer as the run did: {found['differs'][0]}"
    return {"status": "passed" if found["passed"] else "failed", "why": why, "parity": found}


def _adapter(work: Work) -> Plan:
    saved = work.saved
    notes = adapter.notes(saved)

    def fill(folder: Path) -> None:
        adapter.fill(saved, work.chat, work.base, folder)
        _describe(work, "adapter", notes, folder)

    loading = {
        "base": None if adapter.is_public(saved) else str(work.base),
        "dtype": saved.made_with["dtype"],
        "quantization": saved.made_with.get("quantization"),
    }
    return Plan(fill, sizes.forecast(work.run, "adapter"), loading, notes=notes)


def _merged(work: Work) -> Plan:
    how = merged.plan(work.saved, work.base, work.asked.dtype, work.asked.onto)
    dtype = str(how.dtype).removeprefix("torch.")
    limit = work.asked.shard or merged.SHARD

    def fill(folder: Path) -> None:
        progress = work.tell("write", "merged")
        merged.fill(how, work.saved, work.chat, folder, limit, progress)
        _describe(work, "merged", how.notes, folder)

    same = work.saved.made_with.get("quantization") is None and how.dtype.itemsize == 4
    quantised = work.saved.made_with.get("quantization") is not None
    return Plan(
        fill,
        sizes.forecast(work.run, "merged", dtype_bytes=how.dtype.itemsize),
        {"base": None, "dtype": None, "quantization": None},
        bar=parity.SAME if same else parity.ROUNDED,
        numbers=(
            REQUANTISED if quantised and how.onto == "original" else "" if same else ROUNDING.format(dtype)
        ),
        notes=how.notes,
        settings={"dtype": dtype, "onto": how.onto},
    )


def _describe(work: Work, kind: str, notes: list[str], folder: Path) -> None:
    copied = [file.name for pattern in parts.LICENCES for file in sorted(folder.glob(pattern))]
    described = about.gathered(work.saved, work.chat, kind, notes, copied, work.asked.with_rows)
    about.write(described, folder)


PLANS: dict[str, Callable[[Work], Plan]] = {"adapter": _adapter, "merged": _merged}
