"""Held-out rows as every column reads and answers them, each answer judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine import judging, metrics, window
from engine.dataset import Sample
from engine.formats import Message
from engine.schema import Evaluate, Metric
from engine.workers import measure, summary
from engine.workers.conversing import Session
from engine.workers.decode import Answer
from engine.workers.scoring import Score

Phase = Callable[[str], measure.Progress]
"""Begins a phase by its name, and gives what tells how far it is."""

Row = dict[str, Any]

Shown = Mapping[str, Mapping[int, Sequence[Message]]]
"""Turns that stand before each question in a column, by the number of the question's set."""


@dataclass(frozen=True)
class Judged:
    """One set's rows: lines of the rows' file."""

    source: str
    metric: Metric
    choices: tuple[str, ...]
    rows: list[Row]


def measured(
    session: Session,
    samples: Sequence[Sample],
    plan: Evaluate,
    likelihood: bool,
    shown: Shown,
    phase: Phase,
    cancelled: Callable[[], bool],
) -> list[Judged]:
    """The sets of these samples, in their order. Rows that were not answered when it was cancelled are left
    out; so are sets without a row. A column with examples has no loss: it would be that of another text.
    Raises UserError where a question does not fit into the context.
    """
    pair, columns = session.pair, session.columns
    asking = [sample for sample in samples if sample.messages]
    plain = {name: own for name, own in columns.items() if name not in shown}
    texts = [(sample.rendered.ids, sample.rendered.labels) for sample in samples]
    losses = measure.losses(pair, plain, texts, phase("loss"), cancelled)
    said: dict[str, list[Answer | None]] = {}
    cut: dict[str, list[int]] = {}
    for alike in (plain, *({name: columns[name]} for name in shown)):  # columns that are asked the same
        before = shown.get(next(iter(alike)), {})
        prompts = [
            window.fitted(pair.chat, led(sample.question, before, sample), pair.context, plan.max_new_tokens)
            for sample in asking
        ]
        ids = [prompt.ids for prompt in prompts]
        said |= measure.answers(pair, alike, ids, plan.max_new_tokens, phase("answer"), cancelled)
        cut |= {name: [prompt.tokens for prompt in prompts] for name in alike}
    places = {id(sample): i for i, sample in enumerate(asking)}
    sets: list[Judged] = []
    for number in sorted({sample.one.number for sample in samples}):
        own = [i for i, sample in enumerate(samples) if sample.one.number == number]
        metric, choices = judging.judgement([samples[i] for i in own])
        rows = []
        for i in own:
            sample, place = samples[i], places.get(id(samples[i]))
            row: Row = {
                "set": sample.source.path,
                "line": sample.row.line,
                "metric": metric,
                "question": sample.question,
                "reference": sample.reference,
                "choice": metrics.chosen(sample.reference, choices) if choices else None,
                "cut": 0 if place is None else max(tokens[place] for tokens in cut.values()),
            }
            for name in columns:
                answer = None if place is None else said[name][place]
                score = None if name in shown else losses[name][i]
                if (score is None and name not in shown) or (place is not None and answer is None):
                    break  # cancelled before this row
                row[name] = {
                    **_loss(score),
                    **(judged(metric, choices, sample, answer) if answer else {}),
                }
            else:
                rows.append(row)
        sets.append(Judged(samples[own[0]].source.path, metric, choices, rows))
    if likelihood:
        _choose(session, sets, shown, phase("likelihood"), cancelled)
    for one in sets:
        for row in one.rows:
            row["gain"] = summary.judged(row, list(columns))
    return [one for one in sets if one.rows]


def led(
    question: Sequence[Message], before: Mapping[int, Sequence[Message]], sample: Sample
) -> list[Message]:
    """The question with its set's examples before it, behind its own system prompt."""
    at = 1 if question and question[0]["role"] == "system" else 0
    return [*question[:at], *before.get(sample.one.number, ()), *question[at:]]


def _loss(score: Score | None) -> Row:
    return (
        {"loss": round(-score.mean, 6), "tokens": score.tokens} if score and score.tokens else {"loss": None}
    )


def judged(metric: Metric, choices: Sequence[str], sample: Sample, answer: Answer) -> Row:
    """What an answer to a sample is worth: a column's part of a line of the rows' file, without its loss."""
    reference, text, ended = sample.reference, answer.text, answer.ended
    found: Row = {
        "text": text,
        "ended": ended,
        "right": metrics.right(metric, sample.row.data, reference, text, ended, choices),
        "exact": ended and text.strip() == reference.strip(),
        "normalised": ended and metrics.normalised(text) == metrics.normalised(reference),
        "valid": metrics.valid(sample.source.valid, text),
    }
    if metric in summary.FREE:
        found |= summary.overlapping(reference, text)
    if choices:
        found["said"] = metrics.chosen(text, choices) if ended else None
    return found


def _choose(
    session: Session,
    sets: Sequence[Judged],
    shown: Shown,
    progress: measure.Progress,
    cancelled: Callable[[], bool],
) -> None:
    """Write into the rows of sets with choices which of them each column holds the likeliest.

    Columns with examples are left out: they are asked what they say.
    """
    columns = {name: own for name, own in session.columns.items() if name not in shown}
    for one in sets:
        if not one.choices or not one.rows:
            continue
        questions = [row["question"] for row in one.rows]
        found = measure.likeliest(session.pair, columns, questions, one.choices, progress, cancelled)
        for name, chosen in found.items():
            for row, best in zip(one.rows, chosen, strict=True):
                if best is not None:
                    row[name]["likeliest"], row[name]["likeliest_by_token"] = best
