"""Child of the front end: base, tuned and checkpoints on the same held-out rows; and what training cost.

Started as `evaluate RUN [--part PART] [--rows N] [--checkpoint STEP ...] [--with RUN[@STEP] ...] [--average]
[--examples N ...] [--name NAME] [--no-general] [--no-likelihood]`. Columns are base, tuned (the run's
adapter), step-N for each checkpoint, other runs of the same base by their names, "average" of all these
adapters' logits, and base-N-shot: the base with N examples before each question. Greedy, batched, the same
rows for the same recipe: test rows by default, validation rows where there are none.

{"kind": "phase", "phase": "rows" | "load" | "loss" | "answer" | "likelihood" | "general" | "sum up"} ...
{"kind": "progress", "phase", "done", "total"} ...    in rows
{"kind": "evaluated", "file": the rows', "summary": the file of all that follows, **SUMMARY}

Asked on stdin: {"do": "cancel"}: it ends within a token; what was finished is summed up as "cancelled" and
written beside a whole evaluation, not over it. Where nothing was finished it is an error. A closed stdin is
no cancel, so that it runs from a script; SIGTERM ends it and nothing is written.

SUMMARY   {"part", "run", "model", "base": fingerprint of its files, "four_bit", "digest": of the adapter,
           "rows_digest": sha256 of the rows' ids and labels, "columns": [COLUMN of chat.py, ...], "versions",
           "python", "made": ISO time, "seconds", "cancelled", "settings": {"max_new_tokens", "resamples",
           "seed", "share"}, "sets": [SET, ...], "all": FIGURES of all rows by column, loss alone,
           "differences": as in SET, of all rows, "order": numbers of rows, from the one that the first column
           after base gained most on to the one that it lost most on, "general": GENERAL | null}; a
           column with examples has no loss, no likelihoods and no place in GENERAL
SET       {"source", "metric", "choices", "rows": n, column: how many are right or null, ...,
           "columns": {column: FIGURES}, "better": {column: rows on which it gains}, "worse": {column: n},
           "differences": {column: {figure: {"difference": column less base, "low", "high": of the 95%
           interval, "sure": whether it leaves 0 out}}}, "against": {"average": {member: as "differences"}}:
           of a column that averages others, less each of them}
FIGURES   {"loss": mean of a token, "perplexity", "tokens", "right", "exact", "normalised", "ended", "valid":
           rows or null; of free text "rouge1", "rouge2", "rougeL": means from 0 to 1, "bleu", "chrf": of the
           set, from 0 to 100; of choices "said" (by its answer), "likeliest" (by the likelihood of the whole
           choice), "likeliest_by_token" (by that of its mean token): {"rows", "accuracy", "macro_f1",
           "confusion": [[rows answered with choice j, ..., with none], one a choice]}}
GENERAL   {"rows": n, "columns": {column: {"instructions": {"loss", "perplexity", "tokens"}, "texts": {...}}},
           "differences": {column: {"instructions": {...}, "texts": {...}}}: of loss, as in SET,
           "answers": [{"question", "reference", "said": {column: text}, "loss": {column: x}}, ...]}

A line of the rows' file: {"set", "line", "metric", "question": messages, "reference", "choice": of the
reference or null, "cut": tokens left out of the question for the context, "gain": {column: x}, column:
{"loss": mean of a token, "tokens", "text", "ended", "right", "exact", "normalised", "valid", "rouge1", ...,
"said", "likeliest", "likeliest_by_token"}, ...}; a piece of running text has only loss and tokens. Of a set
whose source is a chain there is one more, of its sub-tasks one after the other: it has no loss, "question" is
that of the first, and each column has "steps": [{"question", "text"}, ...], what it was asked and said.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from engine import beside, bootstrap, dataset, evals, models, render, resume, usable
from engine.dataset import Sample
from engine.errors import RunFailed, UserError
from engine.formats import Message
from engine.runs import Run
from engine.schema import Recipe
from engine.sources import Part
from engine.workers import durable, eager
from engine.workers.io import Channel, die_with

if TYPE_CHECKING:
    from engine.workers.conversing import Session

MOST_TIMES = 4
"""So many times as many training rows as examples are held, since copies of one are taken out."""


def main() -> int:
    """Evaluate a run and write evals/NAME.json and evals/NAME.jsonl. Exit code 1 where that failed."""
    channel = Channel()
    os.umask(0o077)
    asked = arguments()
    if asked.parent is not None:
        die_with(asked.parent)
    cancel = threading.Event()
    threading.Thread(target=_listen, args=(channel, cancel), daemon=True).start()
    try:
        evaluate(Run(asked.run), asked, channel, cancel.is_set)
    except (UserError, RunFailed, OSError, ValueError, RuntimeError) as error:
        channel.error(error)
        return 1
    return 0


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What an evaluation can be asked; the process's own words by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", choices=evals.HELD_OUT, default="held-out")
    parser.add_argument("--rows", type=int, help="at most that many rows a set")
    parser.add_argument("--checkpoint", type=int, action="append", default=[])
    parser.add_argument("--with", dest="others", action="append", default=[], help="RUN[@STEP]")
    parser.add_argument("--average", action="store_true")
    parser.add_argument("--examples", type=int, action="append", default=[])
    parser.add_argument("--name", help="of the files; by default the part's")
    parser.add_argument("--no-general", action="store_true")
    parser.add_argument("--no-likelihood", action="store_true")
    parser.add_argument("--parent", type=int, help="process that this one shall not outlive")
    return parser.parse_args(words)


def _listen(channel: Channel, cancel: threading.Event) -> None:
    for request in channel.requests():
        if request.get("do") == "cancel":
            cancel.set()


def evaluate(run: Run, asked: argparse.Namespace, channel: Channel, cancelled: Callable[[], bool]) -> None:
    """The whole evaluation, from its rows to its files. Raises what went wrong."""
    began = time.perf_counter()
    recipe = run.recipe()
    channel.say("phase", phase="rows")
    if asked.examples and any(source.chain for source in recipe.data.sources):
        raise UserError("the sub-tasks of a chain are asked without examples; leave --examples out")
    rows_a_set, most = asked.rows or recipe.evaluate.rows, max(asked.examples, default=0)
    part, samples, examples = first_drawn(recipe, evals.HELD_OUT[asked.part], rows_a_set, most)
    eager.uncompiled()
    from engine.workers import conversing

    channel.say("phase", phase="load", **conversing.needs(run))
    session = conversing.opened(run)
    for step in asked.checkpoint:
        session.load(f"step-{step}", str(run.path), step)
    for words in asked.others:
        other = beside.named(run, words)
        session.load(other.column, str(other.run.path), other.step)
    if asked.average:
        session.average("average", [name for name in session.columns if name != "base"])
    from engine.workers import chained, general, held, summary

    told = Steps(channel)
    shown: dict[str, dict[int, list[Message]]] = {}
    for count in asked.examples:
        shown[session.shown(count)] = shots(examples, count)
    likelihood = not asked.no_likelihood
    found = held.measured(session, samples, recipe.evaluate, likelihood, shown, told, cancelled)
    found += chained.measured(session, samples, recipe.evaluate, told, cancelled)
    rows = [row for one in found for row in one.rows]
    if not rows:
        raise RunFailed("cancelled before a row was answered; nothing was written")
    no_side = asked.no_general or cancelled()
    columns = list(session.columns)
    members = {one["column"]: one["members"] for one in map(session.described, columns)}
    own = {name: session.columns[name] for name in columns if name not in shown}
    side = None if no_side else general.measured(session.pair, own, recipe.evaluate, told, cancelled)
    channel.say("phase", phase="sum up")
    facts = {
        "part": part,
        **_identity(run, recipe, session, samples),
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - began, 2),
        "cancelled": cancelled(),
        "settings": {
            "max_new_tokens": recipe.evaluate.max_new_tokens,
            "resamples": bootstrap.RESAMPLES,
            "share": bootstrap.SHARE,
            "seed": 0,
        },
        "sets": [summary.of_set(one.source, one.metric, one.choices, one.rows, members) for one in found],
        "all": {name: summary.loss(rows, name) for name in columns},
        "differences": {name: summary.differences(rows, name) for name in columns if name != "base"},
        "order": summary.order(rows, columns),
        "general": side,
    }
    name = (asked.name or part) + ("-cancelled" if cancelled() else "")
    written = write(run, name, facts, rows)
    channel.say("evaluated", file=str(written.with_suffix(".jsonl")), summary=str(written), **facts)


class Steps:
    """Tells a phase when it begins, and how far it is, not more often than a screen can show."""

    EVERY = 0.1  # seconds

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._last = 0.0

    def __call__(self, phase: str) -> Callable[[int, int], None]:
        self._channel.say("phase", phase=phase)

        def progress(done: int, total: int) -> None:
            if time.monotonic() - self._last > self.EVERY or done == total:
                self._last = time.monotonic()
                self._channel.say("progress", phase=phase, done=done, total=total)

        return progress


class NoRows(UserError):
    """A part of the data has none."""


def first_drawn(
    recipe: Recipe, parts: Sequence[Part], rows: int, examples: int
) -> tuple[Part, list[Sample], dict[int, list[Sample]]]:
    """What is drawn of the first of these parts that has rows, and which that is. Raises UserError."""
    for part in parts:
        try:
            return part, *drawn(recipe, part, rows, examples)
        except NoRows:
            if part == parts[-1]:
                raise
    raise AssertionError("no part to draw from")


def held_out(recipe: Recipe, part: Part, rows: int) -> list[Sample]:
    """At most `rows` samples of each set, the same ones for the same recipe. Raises UserError."""
    return drawn(recipe, part, rows, 0)[0]


def drawn(
    recipe: Recipe, part: Part, rows: int, examples: int
) -> tuple[list[Sample], dict[int, list[Sample]]]:
    """At most `rows` samples of each set, the same ones for the same recipe; and as many others of each as
    examples are wanted, by the set's number: of its training rows, of a set that is held out whole some of
    those that are then not asked. Raises UserError.
    """
    if examples and part == "train":
        raise UserError("examples are training rows, which cannot be asked as well; take another part")
    chat = dataset.chat_format(recipe)
    data = dataset.opened(recipe, chat)
    spare = [examples if one.source.held_out else 0 for one in data.sets]
    few = [usable.Few(rows + more, recipe.data.seed) for more in spare]
    learnt = [usable.Few(examples * MOST_TIMES, recipe.data.seed) for _ in data.sets]
    with TemporaryDirectory() as folder:
        counted = usable.surveyed(data, Path(folder))
        for of, sample in usable.samples(data, counted, (part, "train") if examples else (part,)):
            (few if of == part else learnt)[sample.one.number].offer(sample)
    chosen: list[Sample] = []
    others: dict[int, list[Sample]] = {}
    for number, own in enumerate(few):
        asked = min(rows, len(own.samples) - spare[number])
        chosen += own.samples[: max(asked, 0)]
        if asked > 0 and examples:
            left = own.samples[asked:] if spare[number] else learnt[number].samples
            # A row may stand in an epoch several times.
            others[number] = list({one.rendered.text: one for one in left if one.messages}.values())
            if 0 < len(others[number]) < examples:
                raise UserError(
                    f"{data.sets[number].source.path}: {len(others[number])} rows to take examples from;"
                    " ask for fewer examples"
                )
    if not chosen:
        raise NoRows(
            f"the recipe has no {part} rows; name a file in data.sources.{part}, or take another part"
        )
    return chosen, others


def shots(examples: Mapping[int, Sequence[Sample]], count: int) -> dict[int, list[Message]]:
    """The turns of the first so many examples of each set, without their system prompts."""
    return {
        number: [turn for one in own[:count] for turn in one.messages if turn["role"] != "system"]
        for number, own in examples.items()
    }


def write(run: Run, name: str, facts: dict[str, Any], rows: Sequence[dict[str, Any]]) -> Path:
    """The summary's file, written after the rows', each whole or not at all."""
    folder = run.path / "evals"
    folder.mkdir(exist_ok=True)
    lines = folder / f"{name}.jsonl"
    beside = lines.with_name(lines.name + durable.PART)
    with beside.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.rename(lines)
    durable.document(folder / f"{name}.json", facts)
    return folder / f"{name}.json"


def _identity(run: Run, recipe: Recipe, session: Session, samples: Sequence[Sample]) -> dict[str, Any]:
    """What was evaluated, so that two evaluations can be told to be of the same."""
    told = resume.facts(run)
    facts = session.facts()
    return {
        "run": run.name,
        "model": recipe.model.id,
        "base": models.fingerprint(recipe.model.id),
        "four_bit": facts["four_bit"],
        "digest": facts["digest"],
        "rows_digest": render.digest((one.rendered.ids, one.rendered.labels) for one in samples),
        "columns": facts["columns"],
        "versions": {**told["versions"], "sacrebleu": metadata.version("sacrebleu")},
        "python": told["python"],
    }


if __name__ == "__main__":
    sys.exit(main())
