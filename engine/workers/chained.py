"""Held-out rows whose sub-tasks every column goes through by itself, each on its own answers on the way; the
last answer is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engine import chains, metrics, window
from engine.chains import Link
from engine.dataset import Sample
from engine.errors import UserError
from engine.formats import Conversation, Message, Unusable
from engine.schema import Evaluate, Metric
from engine.workers import held, measure, summary
from engine.workers.conversing import Session
from engine.workers.decode import Answer
from engine.workers.held import Judged, Phase, Row


def measured(
    session: Session,
    samples: Sequence[Sample],
    plan: Evaluate,
    phase: Phase,
    cancelled: Callable[[], bool],
) -> list[Judged]:
    """A set more for each source that is a chain. A row has "steps" by column: what it was asked on the way
    and what it said. Its loss is that of the single sub-tasks, which are sets of their own: here it is null.
    """
    numbers = sorted({sample.one.number for sample in samples if sample.source.chain})
    return [
        found
        for number in numbers
        if (found := _of_set(session, [s for s in samples if s.one.number == number], plan, phase, cancelled))
    ]


def _of_set(
    session: Session, samples: Sequence[Sample], plan: Evaluate, phase: Phase, cancelled: Callable[[], bool]
) -> Judged | None:
    links = chains.links(samples[0].one)
    # A row is asked once, in however many sub-tasks and wordings it stands among the samples.
    rows = list({(str(one.row.file), one.row.line): one for one in samples}.values())
    metric, choices = _judgement(samples[0], links[-1])
    names = list(session.columns)
    data = {name: [dict(one.row.data) for one in rows] for name in names}
    steps: dict[str, list[list[Row]]] = {name: [[] for _ in rows] for name in names}
    last: dict[str, list[Answer | None]] = {}
    for link in links:
        progress = phase("answer")
        for name in names:
            last[name] = _answers(session, name, link, data[name], steps[name], plan, progress, cancelled)
            if cancelled():
                return None  # nobody has come to the end
    found = []
    for i, one in enumerate(rows):
        question, _ = chains.asked(links[0], one.row.data)
        _, reference = chains.asked(links[-1], one.row.data)
        sample = replace(one, example=_conversation(question, reference))
        row: Row = {
            "set": one.source.path,
            "line": one.row.line,
            "metric": metric,
            "question": question,
            "reference": reference,
            "choice": metrics.chosen(reference, choices) if choices else None,
            "cut": 0,
        }
        for name in names:
            answer = last[name][i] or Answer()
            told = held.judged(metric, choices, sample, answer)
            row[name] = {"loss": None, **told, "steps": steps[name][i]}
        row["gain"] = summary.judged(row, names)
        found.append(row)
    title = " → ".join(link.template.name for link in links)
    return Judged(f"{samples[0].source.path} ({title})", metric, choices, found)


def _answers(
    session: Session,
    name: str,
    link: Link,
    data: Sequence[dict[str, Any]],
    steps: Sequence[list[Row]],
    plan: Evaluate,
    progress: measure.Progress,
    cancelled: Callable[[], bool],
) -> list[Answer | None]:
    """A column's answers to one sub-task of all rows; written into the rows' data and steps."""
    pair = session.pair
    prompts: list[list[int]] = []
    of: list[int] = []
    for i, row in enumerate(data):
        try:
            question, _ = chains.asked(link, row)
            ids = window.fitted(pair.chat, question, pair.context, plan.max_new_tokens).ids
        except (Unusable, UserError) as error:
            # What it said before is empty, or too long: it has no answer, and that is its own doing.
            steps[i].append({"question": f"({error})", "text": ""})
            continue
        steps[i].append({"question": question[-1]["content"], "text": ""})
        prompts.append(ids)
        of.append(i)
    own = {name: session.columns[name]}
    told = measure.answers(pair, own, prompts, plan.max_new_tokens, progress, cancelled)[name]
    found: list[Answer | None] = [None] * len(data)
    for i, answer in zip(of, told, strict=True):
        if answer is not None:
            found[i] = answer
            steps[i][-1]["text"] = answer.text
            if link.fills:
                data[i][link.fills] = answer.text.strip()
    return found


def _judgement(sample: Sample, last: Link) -> tuple[Metric, tuple[str, ...]]:
    """As the source says, else as the last sub-task's template does."""
    if sample.source.metric != "exact":
        return sample.source.metric, sample.source.choices
    choices = last.template.choices
    return ("choice" if choices else last.template.metric), choices


def _conversation(question: Sequence[Message], answer: str) -> Conversation:
    return Conversation([*question, Message(role="assistant", content=answer)])
