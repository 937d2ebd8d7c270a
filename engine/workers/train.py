"""The detached training process of one run: `python -P -m engine.workers.train RUN_DIRECTORY`.

Reads top to bottom: import Unsloth, render the rows, say what memory they will take, load the model in
4-bit, put the adapter on, probe the longest rows, measure the base model on the validation rows, train on our
own ids and labels, save, have base and tuned answer a few rows. Facts go to events.jsonl; all that libraries
print goes to worker.log. SIGTERM saves what was learnt so far and ends. Started again on the same run it goes
on at the newest complete checkpoint, to the same adapter bit for bit; without one, anew.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from engine import auto, autopsy, dataset, fit, models, private, render, resume, runs, survey, usable
from engine.auto import Choice
from engine.dataset import Sample
from engine.errors import UserError
from engine.events import EventLog, Tail
from engine.ledger import Entry
from engine.memory import Remedy, Rows
from engine.render import ChatFormat
from engine.runs import Run
from engine.schema import Recipe, Settled
from engine.workers import (
    amends,
    checkpoints,
    closing,
    control,
    durable,
    eager,
    failures,
    fetch,
    forecast,
    rows,
    turn,
    watch,
)
from engine.workers.amends import Again, Amends
from engine.workers.control import Controls
from engine.workers.course import Course
from engine.workers.failures import explain
from engine.workers.io import StopFlag, Stopped, keep_printing
from engine.workers.patience import PatientLog, patiently
from engine.workers.rest import Rest


class Probed(Exception):
    """The probe was all that was asked for, and it went well."""


def main() -> int:
    """Run the worker. Exit code 0 for finished or stopped, 1 for failed."""
    os.umask(0o077)
    run = Run(Path(sys.argv[1]))
    return work(run, StopFlag(), runs.hold_lock(run))


def work(run: Run, stop: StopFlag, lock: int) -> int:
    """Train and write the last word, whatever happens; with the run's lock, held until this process ends."""
    keep_printing()
    # A process that reads batches ahead must not hold the lock: it may outlive a killed worker by seconds.
    os.register_at_fork(after_in_child=partial(os.close, lock))
    log = PatientLog(run.events, stop)
    try:
        step, ended = train(run, log, stop)
        if ended:
            closing.measure(run, log, stop)
        log.write("finished" if ended else "stopped", step=step, path=str(run.result))
    except Again as again:
        amends.start_again(run, again.amends, lock)
    except Stopped as stopped:
        _say_stopped(run, log, str(stopped))
    except UserError as error:
        log.last_word("failed", reason=str(error), mend="")
        return 1
    except Exception as error:
        traceback.print_exc()
        reason, mend = explain(error)
        log.last_word("failed", reason=reason, mend=mend)
        return 1
    return 0


def train(run: Run, log: EventLog, stop: StopFlag, probe_only: bool = False) -> tuple[int, bool]:
    """The whole run, or what is left of it: its last step, and whether that is its end.

    Raises what went wrong; `work` turns it into the last word. probe_only: raises Probed behind the probe.
    """
    recipe = run.recipe()
    made = amends.load(run)
    log.write("started", name=run.name, model=recipe.model.id, signs=autopsy.signs(), pid=os.getpid())
    checkpoints.sweep(run.checkpoints)
    came_from = checkpoints.newest(run.checkpoints, lambda path, why: _pass_over(log, path, why))
    if came_from:
        resume.check(run, resume.changes(run))

    turn.follow(run, recipe.after, log, stop)
    turn.wait(run, log, stop)
    _enter("import", log, stop)
    warm()

    _enter("render", log, stop)
    chat = dataset.chat_format(recipe)
    training, digest, validation, reasoning = patiently(lambda: _render(run, recipe, chat, log), log, stop)
    if came_from:
        resume.check(run, resume.changed_rows(run, digest))

    lengths = forecast.lengths(training)
    known = forecast.rows(lengths, [len(sample.rendered.ids) for sample in validation])
    settled, choices = patiently(lambda: _settled(run, recipe, known), log, stop)
    if choices:
        log.write("chosen", **auto.facts(choices))
    if came_from is None and (doubt := auto.doubt(settled, fit.shapes_of(recipe))):
        log.write("warned", text=doubt, mend="")
    plan = made.applied(settled)
    foreseen = forecast.forecast(recipe, plan, known)
    log.write("forecast", **forecast.facts(foreseen))

    _enter("load", log, stop)
    from datasets import Dataset

    from engine.workers import accuracy, probing, samples, snapshot
    from engine.workers import model as loading
    from engine.workers.keeper import Keeper
    from engine.workers.teller import Teller
    from engine.workers.trainer import build

    data = Dataset.from_file(str(training)).select_columns(rows.TRAINED)
    model, tokenizer = loading.load(recipe, plan, log, weights_follow=came_from is not None)
    patiently(lambda: loading.write_environment(run, recipe, model, digest, reasoning), log, stop)
    if came_from is None:
        patiently(lambda: loading.keep_first(run, recipe, model), log, stop)
    step = checkpoints.step_of(came_from) if came_from else 0
    course = _course(run, plan.total_steps(len(data)), made, came_from)
    save, trainable = loading.saver(model, recipe, chat), loading.trainable(model)
    keeper = Keeper(run, plan, course, save, trainable, log, stop)
    keeper.check_room()
    asking = replace(chat, reasoning=reasoning)
    asked = samples.chosen(recipe, validation, asking)
    judged = accuracy.chosen(recipe, validation, asking)
    controls, rest = Controls(run.control, log.continued), Rest(plan, bool(validation))
    watched = watch.replayed(Tail(run.events).read(), step)
    teller = Teller(
        plan, course, log, stop, controls, made, keeper.checkpoint, step, asked, judged, watched, rest
    )

    def before() -> None:
        if plan.probe:
            _enter("probe", log, stop)
            teller.tell_probe(probing.probe(trainer, lengths), forecast.total(foreseen), step)
        if probe_only:
            raise Probed
        if validation and not step:
            _enter("baseline", log, stop)
            teller.evaluate_base()
        _enter("train", log, stop)

    folder, shrunk = str(run.path / "trainer"), made.batch_size is not None
    ratio = recipe.lora.plus_ratio
    trainer = build(
        plan, ratio, model, tokenizer, data, digest, validation, course, teller, before, folder, shrunk
    )
    trainer.train_dataset = rows.Mapped(training)  # the rows that TRL was seen to have left as they are
    keeper.trainer = trainer
    teller.places = lambda numbers: rows.places(training, numbers)

    if log.continued:
        log.write("resumed", step=step, **{"from": str(came_from) if came_from else None})
    if not course.ended(step, plan.early_stopping):
        ways_out = partial(forecast.ways_out, recipe, plan, known, foreseen)
        with _memory_watched(recipe, made, plan, trainer, log, stop, ways_out):
            trainer.train(resume_from_checkpoint=str(came_from) if came_from else None)
        step = trainer.state.global_step
    elif came_from:
        snapshot.load_weights(came_from, model)  # its last step was its last sign of life

    log.write("phase", phase="save")
    ended = course.ended(step, plan.early_stopping)
    if ended and plan.early_stopping:
        keeper.take_best(step)
    keeper.result(step)
    return step, ended


def _settled(run: Run, recipe: Recipe, known: Rows) -> tuple[Settled, tuple[Choice, ...]]:
    """What the recipe leaves open, as it was chosen when the run was first started, or chosen now."""
    choices = auto.load(run.path)
    if choices is not None:
        return auto.applied(recipe.train, choices), choices
    settled, choices = fit.settle(recipe, forecast.here(), known)
    if choices:
        durable.document(run.path / auto.FILE, auto.facts(choices))
    return settled, choices


def _course(run: Run, steps: int, made: Amends, came_from: Path | None) -> Course:
    """Where the run stands: at its start, or where a checkpoint and what was told after it say."""
    course = Course(steps, left_out=made.left_out)
    if came_from:
        course.restore(checkpoints.state(came_from)["course"])
        told = Tail(run.events).read()
        course.changes = control.replayed(course.changes, told, checkpoints.step_of(came_from))
    return course


@contextmanager
def _memory_watched(
    recipe: Recipe,
    made: Amends,
    plan: Settled,
    trainer: Any,
    log: EventLog,
    stop: StopFlag,
    ways_out: Callable[[], list[Remedy]],
) -> Iterator[None]:
    """Turns memory that ran out into a sentence, or into a smaller micro-batch where the recipe says so."""
    try:
        yield
    except Exception as error:
        if not failures.ran_out(error):
            raise
        when, rows, length = trainer.tried
        told = failures.out_of_memory(recipe, plan, when, rows, length, ways_out())
        smaller = made.shrunk(plan) if plan.on_oom == "shrink" else None
        if smaller is None:
            raise told from error
        log.write("warned", text=str(told), mend="")
        if stop.wanted:
            raise Stopped(str(told)) from None
        log.write(
            "shrunk", batch_size=smaller.batch_size, gradient_accumulation=smaller.gradient_accumulation
        )
        raise Again(smaller) from None


def _say_stopped(run: Run, log: PatientLog, reason: str) -> None:
    """The last word where nothing new was saved: what was there before is there still."""
    found = checkpoints.newest(run.checkpoints)
    step = checkpoints.step_of(found) if found else 0
    log.last_word(
        "stopped",
        step=step,
        path=str(run.result) if run.result.is_dir() else None,
        reason=f"{reason}; the checkpoint of step {step} is kept" if step else reason,
    )


PASSED_OVER = "it goes on at the newest whole one, or begins anew"


def _pass_over(log: EventLog, path: Path, why: str) -> None:
    log.write("warned", text=f"checkpoints/{path.name} is not whole ({why})", mend=PASSED_OVER)


def _enter(phase: str, log: EventLog, stop: StopFlag) -> None:
    if stop.wanted:
        raise Stopped("stopped before its first step; nothing was trained")
    log.write("phase", phase=phase)


def warm() -> None:
    """Import what trains: the slow part of a start, the same for every run."""
    _private_settings()
    eager.uncompiled()
    import unsloth  # noqa: F401  (before transformers, trl and peft: it patches them)

    from engine.workers import trainer  # noqa: F401


def _private_settings() -> None:
    """What libraries read from the environment: compiled code to a private folder, no calls home."""
    compiled = runs.home() / "compiled"
    private.folder(compiled)
    os.environ["UNSLOTH_COMPILE_LOCATION"] = str(compiled)
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _render(
    run: Run, recipe: Recipe, chat: ChatFormat, log: EventLog
) -> tuple[Path, str, list[Sample], bool]:
    """Training rows as ids and labels in a file, their digest, the validation rows, and whether most of the
    training rows think before they answer.

    Each row that is not used as it stands gets its line in the ledger.
    """
    fetch.fetch(recipe)
    models.check_length(recipe.model.id, recipe.data.max_length)
    shutil.rmtree(run.rows, ignore_errors=True)  # of a former life
    data = dataset.opened(recipe, chat)
    counted = usable.surveyed(data, run.rows)
    totals = counted.totals()
    shutil.move(counted.entries, run.ledger)
    held = usable.Few(recipe.evaluate.rows, recipe.data.seed)
    facts: Counter[str] = Counter()
    with run.ledger.open("a", encoding="ascii") as ledger, rows.writer(run.rows / "train.arrow") as write:

        def note(entry: Entry) -> None:
            ledger.write(entry.dumps() + "\n")
            if entry.reason not in survey.COMPARED:
                totals.add(entry)

        def training() -> Iterator[tuple[list[int], list[int]]]:
            for part, sample in usable.samples(data, counted, ("train", "validation"), note):
                rendered = sample.rendered
                if part == "validation":
                    held.offer(sample)
                    continue
                thinks = render.thinks(chat, sample.messages)
                facts.update(
                    count=1, tokens=len(rendered.ids), trained_tokens=rendered.trained, thinks=thinks
                )
                write(rendered.ids, rendered.labels, sample.row.file, sample.row.line)
                yield rendered.ids, rendered.labels

        digest = render.digest(training())
    left_out = totals.left_out()
    if not facts["count"]:
        raise UserError(
            f"no row to train on: {sum(left_out.values())} were left out; ledger.jsonl of the run says why"
        )
    if recipe.data.digest not in (None, digest):
        raise UserError("the rows are not those that were previewed; look at the data again, then start anew")
    log.write(
        "rendered",
        count=facts["count"],
        tokens=facts["tokens"],
        trained_tokens=facts["trained_tokens"],
        digest=digest,
        validation=len(held.samples),
        left_out=sum(left_out.values()),
        template=chat.origin,
    )
    if lost := totals.rows["lost text", "kept"]:
        log.write(
            "warned",
            text=f"the chat template leaves text out of {lost} row{'s' * (lost > 1)}",
            mend="the ledger lists them; another data.chat_template may keep it",
        )
    return run.rows / "train.arrow", digest, held.samples, 2 * facts["thinks"] > facts["count"]


if __name__ == "__main__":
    sys.exit(main())
