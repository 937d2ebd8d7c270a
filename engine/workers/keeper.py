"""Writes a run's checkpoints on its way and what it has made at its end, and waits where there is no room."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.events import EventLog
from engine.runs import Run
from engine.schema import Settled
from engine.workers import checkpoints, durable, faults, snapshot
from engine.workers.course import Course
from engine.workers.io import StopFlag
from engine.workers.patience import patiently


@dataclass
class Keeper:
    """`trainer` is set once it is made. Its methods raise Stopped where they wait and are asked to stop."""

    run: Run
    plan: Settled
    course: Course
    save_weights: Callable[[Path], None]
    trainable: int
    log: EventLog
    stop: StopFlag
    trainer: Any = None

    def check_room(self) -> None:
        """Raise UserError before training where checkpoints will not have room."""
        self.run.checkpoints.mkdir(exist_ok=True)
        checkpoints.check_room(self.run.checkpoints, self._size, self.plan.keep_checkpoints)

    def checkpoint(self, step: int) -> None:
        """Write one, complete or not at all, and then take old ones away."""
        self._save(lambda: self._write(step), step, self.run.checkpoints / f"step-{step}")

    def result(self, step: int) -> None:
        """Write what the run was for."""
        path = self.run.model if self.plan.method == "full" else self.run.adapter
        self._save(lambda: durable.folder(path, self.save_weights), step, path)

    def take_best(self, step: int) -> None:
        """Have the weights of the best evaluation, where its checkpoint is there."""
        course = self.course
        path = self.run.checkpoints / f"step-{course.best_step}"
        if not checkpoints.missing(path):
            snapshot.load_weights(path, self.trainer.model)
            early = step < course.total(step)
            self.log.write("kept_best", step=course.best_step, loss=course.best_loss, stopped_early=early)

    def _save(self, write: Callable[[], None], step: int, path: Path) -> None:
        began = time.perf_counter()
        patiently(write, self.log, self.stop)
        seconds = round(time.perf_counter() - began, 3)
        self.log.write("saved", step=step, path=str(path), seconds=seconds)

    @property
    def _size(self) -> int:
        return checkpoints.size(self.trainable, self.plan.optimizer)

    def _write(self, step: int) -> None:
        folder, course = self.run.checkpoints, self.course
        folder.mkdir(parents=True, exist_ok=True)
        checkpoints.check_room_for_one(folder, self._size)
        faults.disk(step)
        checkpoints.write(folder, step, self._fill)
        checkpoints.settle(folder, self.plan.keep_checkpoints, course.best_step, course.best_loss)

    def _fill(self, folder: Path) -> dict[str, Any]:
        facts = snapshot.fill(folder, self.trainer, self.save_weights)
        return {**facts, "course": self.course.facts()}
