"""Tells each step as an event, evaluates and saves on time, and passes a wish to stop on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

from engine.events import EventLog
from engine.schema import Settled
from engine.workers import failures, peak, samples
from engine.workers.accuracy import Judged
from engine.workers.amends import MOST_ROLLBACKS, Again, Amends
from engine.workers.control import Asked, Controls, added, not_a_deed, objection
from engine.workers.course import Course
from engine.workers.io import StopFlag, Stopped
from engine.workers.pace import Change
from engine.workers.probing import Probe
from engine.workers.rest import Rest
from engine.workers.samples import Samples
from engine.workers.watch import Watch

SHOWN = 8
"""Rows of a step whose loss is no number that are named in a sentence; the event has them all."""


class Teller(TrainerCallback):  # type: ignore[misc]
    """Hears of each step from transformers. `trainer` is set when it is made: it wants callbacks first."""

    trainer: Any
    places: Callable[[list[int]], list[str]]
    """File and line of training rows, by their numbers."""

    def __init__(
        self,
        plan: Settled,
        course: Course,
        log: EventLog,
        stop: StopFlag,
        controls: Controls,
        made: Amends,
        save: Callable[[int], None],
        step: int,
        asked: Samples,
        judged: Judged,
        watch: Watch,
        rest: Rest,
    ) -> None:
        self._plan, self._course, self._log, self._stop, self._save = plan, course, log, stop, save
        self._controls, self._made, self._watch = controls, made, watch
        self._samples, self._judged, self._rest = asked, judged, rest
        self._saved_at = step  # where a rollback leads
        self._save_now = self._stop_at_evaluation = False
        self._told = (course.tokens, course.trained_tokens)
        self._used: dict[str, int] = {}

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for asked in self._controls.read():
            self._take(asked, state.global_step)
        state.max_steps = self._course.total(state.global_step)
        self.trainer.set_rate(state.global_step)
        self.trainer.losses = ()
        self._began = time.perf_counter()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if what := self.trainer.unsound():
            self._unsound(what, state.global_step + 1)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._took = time.perf_counter() - self._began
        control.should_training_stop |= self._stop.wanted

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "loss" not in logs:
            return
        step, plan = state.global_step, self._plan
        self._tell(state, logs)
        if not math.isfinite(logs["loss"]):
            self.trainer.forget_loss()
        for text, mend in self._watch.see(logs["loss"], logs.get("grad_norm", 0.0), step >= state.max_steps):
            self._log.write("warned", text=f"step {step}: {text}", mend=mend)
        best, before = False, self._course.evaluated_at
        if step >= state.max_steps and self.trainer.validation:
            self._log.write("phase", phase="evaluate")
            best = self.evaluate(step)
        elif plan.eval_every and step % plan.eval_every == 0:
            best = self.evaluate(step)
        control.should_training_stop |= self._course.ended(step, plan.early_stopping)
        control.should_training_stop |= self._stop_at_evaluation and self._course.evaluated_at != before
        last = step >= state.max_steps or control.should_training_stop
        due, self._save_now = self._save_now, False
        if last or best or due or (plan.save_every and step % plan.save_every == 0):
            began = time.perf_counter()
            self._save(step)
            self._saved_at = step
            self._rest.saved(time.perf_counter() - began)

    def evaluate(self, step: int) -> bool:
        """Tell the validation loss; whether it is the best so far."""
        if not self.trainer.validation or self._course.evaluated_at == step:
            return False
        return self._course.evaluated(step, self._evaluated(step, f"the evaluation after step {step}"))

    def evaluate_base(self) -> None:
        """Tell the validation loss with the adapter switched off; without one, before anything is trained."""
        model = self.trainer.model
        with nullcontext() if self._plan.method == "full" else model.disable_adapter():
            self._evaluated(0, "the evaluation of the base model", adapter=False)

    def _evaluated(self, step: int, when: str, adapter: bool = True) -> float:
        began = time.perf_counter()
        loss: float = self.trainer.validation_loss(when)
        self._answer(step, adapter)
        right = self._right(step)
        seconds = time.perf_counter() - began
        self._rest.evaluated(seconds)
        rows = len(self.trainer.validation)
        self._log.write(
            "evaluated",
            step=step,
            loss=loss,
            rows=rows,
            **({} if right is None else {"right": right, "answered": len(self._judged.asked)}),
            adapter=adapter,
            seconds=round(seconds, 3),
        )
        return loss

    def _right(self, step: int) -> int | None:
        """How many validation answers are right; where memory runs out, none are counted from then on."""
        if not self._judged.asked:
            return None
        try:
            return self._judged.right(self.trainer.model)
        except Exception as error:
            if not failures.ran_out(error):
                raise
            self._judged = self._judged.none()
            self._log.write(
                "warned",
                text=f"step {step}: memory ran out while validation rows were answered; no more of them",
                mend="lower evaluate.max_new_tokens, or set evaluate.accuracy_rows = 0",
            )
            return None

    def _answer(self, step: int, adapter: bool) -> None:
        """Tell what the model answers as it is now; where memory runs out, that is left out from then on."""
        try:
            answers = samples.answered(self.trainer.model, self._samples)
        except Exception as error:
            if not failures.ran_out(error):
                raise
            self._samples = self._samples.none()
            self._log.write(
                "warned",
                text=f"step {step}: memory ran out while the samples were answered; no more of them",
                mend="lower evaluate.samples or evaluate.sample_tokens",
            )
            return
        for number, (asked, (answer, ended)) in enumerate(zip(self._samples.asked, answers, strict=True)):
            told = {} if adapter else {"prompt": asked.question, "reference": asked.reference}
            self._log.write(
                "sampled", step=step, number=number, adapter=adapter, **told, answer=answer, ended=ended
            )

    def tell_probe(self, found: Probe, forecast: int | None, step: int) -> None:
        """Tell what was measured before the first step, and how long the run will take by it."""
        self._rest.expected = found.evaluation_seconds
        remaining = self._rest.seconds(step, self._course.total(step), found.seconds)
        self._log.write(
            "probed",
            train=found.train.facts(),
            evaluation=found.evaluation.facts() if found.evaluation else None,
            forecast=forecast,
            seconds=float(f"{found.seconds:.4g}"),
            tokens_per_s=round(found.tokens / found.seconds, 1),
            eta=round(remaining, 1),
        )

    def _unsound(self, what: str, step: int) -> None:
        """A loss or gradient that is no number, in this very step and before the optimizer takes it in."""
        rows, policy = self.trainer.rows_of_step(), self._plan.on_nonfinite
        made = self._made.without(self._saved_at, rows)
        gone = {row for _, some in made.left_out for row in some}
        if made.rollbacks > MOST_ROLLBACKS or len(gone) >= len(self.trainer.order):
            policy = "stop" if policy == "roll back" else policy
        done = {"stop": "stopped", "skip": "skipped", "roll back": "rolled back"}[policy]
        places = self.places(rows)
        self._log.write("non_finite", step=step, what=what, rows=rows, places=places, done=done)
        shown = ", ".join(places[:SHOWN]) + (" ..." if len(places) > SHOWN else "")
        said = f"the {what} is no number in step {step}, with {shown}; that step was not taken"
        match policy:
            case "skip":  # without a gradient the optimizer moves, decays and counts nothing
                self.trainer.model.zero_grad(set_to_none=True)
            case "roll back" if self._stop.wanted:
                raise Stopped(said)
            case "roll back":
                raise Again(made)
            case _:
                raise FloatingPointError(said)

    def _take(self, asked: Asked | str, step: int) -> None:
        evaluates = bool(self._plan.eval_every and self.trainer.validation)
        method = self._plan.method
        if not isinstance(asked, dict) or (why := objection(asked, step, evaluates, method)):
            self._log.write("warned", text=why if isinstance(asked, dict) else not_a_deed(asked), mend="")
            return
        what, value = asked["do"], asked.get("value")
        self._log.write("told", what=what, step=step, **({} if value is None else {"value": value}))
        match what:
            case "checkpoint":
                self._save_now = True
            case "stop":
                self._stop.wanted = True
            case "stop at evaluation":
                self._stop_at_evaluation = True
            case "abort":
                raise Stopped(f"aborted after step {step}; nothing new was saved")
            case _:
                self._course.changes = added(self._course.changes, Change(step, what, asked["value"]))

    def _tell(self, state: Any, logs: dict[str, Any]) -> None:
        course = self._course
        tokens, trained = course.tokens - self._told[0], course.trained_tokens - self._told[1]
        self._told = (course.tokens, course.trained_tokens)
        waited = self.trainer.waited
        self._rest.stepped(self._took + waited, tokens)
        # A viewer reads the whole history when it comes: what is as it was is not said again.
        used, self._used = self._used, memory()
        self._log.write(
            "step",
            step=state.global_step,
            total=state.max_steps,
            loss=shortened(logs["loss"]),
            lr=shortened(logs["learning_rate"]),
            grad_norm=shortened(logs.get("grad_norm", 0.0)),
            tokens=tokens,
            trained_tokens=trained,
            tokens_per_s=round(self._rest.tokens_per_s, 1),
            **({"memory": self._used} if self._used != used else {}),
            epoch=round(float(state.epoch or 0.0), 4),
            eta=round(self._rest.seconds(state.global_step, state.max_steps), 1),
            seconds=round(self._took, 4),
            data=round(waited, 4),
        )


def shortened(figure: float) -> float:
    """To the seven digits that a float32 holds."""
    return float(f"{figure:.7g}")


def memory() -> dict[str, int]:
    """Bytes, to the million: of this process in host memory, and torch's share of the GPU if there is one."""
    used = {"rss": psutil.Process().memory_info().rss}
    if torch.cuda.is_available():
        used["allocated"] = torch.cuda.memory_allocated()
        used["reserved"] = torch.cuda.memory_reserved()
        used["peak"] = torch.cuda.max_memory_reserved()
    else:
        used["rss_peak"] = peak.resident()
    return {name: round(count, -6) for name, count in used.items()}
