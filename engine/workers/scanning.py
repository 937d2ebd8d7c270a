"""The whole set as a run will get it: every training row rendered, its findings and figures, the digest."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import counting, findings, ledger, quality, render, survey, usable
from engine.dataset import Sample
from engine.errors import UserError
from engine.findings import Findings
from engine.ledger import Entry
from engine.survey import Totals
from engine.workers.session import Session, count, counts, rendered_ledger

SECONDS_BETWEEN_WORDS = 0.1

Tell = Callable[[str, Mapping[str, Any]], None]
"""Called with a kind of message and its facts."""


def scanned(session: Session, tell: Tell) -> dict[str, Any]:
    """Count all rows, then render every training row in the run's own order: the `scanned` message.

    Raises UserError.
    """
    for one in session.data.sets:
        if one.shape is None:
            raise UserError(f"{one.source.path}: choose a template, or a format and its columns")
    count(session, counting_told(tell))
    counted = session.counted
    assert counted is not None
    heard = Findings()
    totals = counted.totals(heard.add)
    tell("surveyed", counts(session, totals))
    # What still has to be agreed to can be looked at.
    data = replace(session.data, sets=[one.shown for one in session.data.sets])
    report = quality.Report([one.source.path for one in data.sets])
    full = rendered_ledger(session)
    beside = full.with_name(f"{full.name}.{os.getpid()}")
    shutil.copyfile(counted.entries, beside)
    with beside.open("a", encoding="ascii") as file:

        def note(entry: Entry) -> None:
            file.write(entry.dumps() + "\n")
            heard.add(entry)
            if entry.reason not in survey.COMPARED:  # the survey's totals have told these
                totals.add(entry)

        samples = (one for _, one in usable.samples(data, counted, ["train"], note, report.left_out))
        told = _told(samples, report, totals, len(counted.rows["train"]), tell)
        digest = render.digest((sample.rendered.ids, sample.rendered.labels) for sample in told)
    return {
        **_facts(report, totals),
        "digest": digest,
        "spoiling": ledger.spoiling(totals.rows, session.plan.data.policy, len(report.lengths)),
        "usual": report.usual(),
        "lengths": report.histogram(),
        "left_out": totals.left_out(),
        "ledger": totals.told(session.data.actions),
        "file": str(_kept(heard.numbers(counted), beside, full)),
        "report": report.told(counted, session.plan.data.validation > 0 and not session.plan.data.all_data),
    }


def counting_told(tell: Tell) -> counting.Progress:
    """Tells how far the count of the rows is."""
    return lambda done, total: tell("progress", {"phase": "count", "done": done, "total": total})


def _told(
    samples: Iterator[Sample], report: quality.Report, totals: Totals, total: int, tell: Tell
) -> Iterator[Sample]:
    """The samples, taken into the report on their way, with a word now and then on how far they are."""
    last = 0.0
    for done, sample in enumerate(samples):
        now = time.monotonic()
        if now - last > SECONDS_BETWEEN_WORDS:
            last = now
            facts = {"done": min(done, total), "total": total, "facts": _facts(report, totals)}
            tell("progress", {"phase": "render", **facts})
        report.add(sample)
        yield sample


def _facts(report: quality.Report, totals: Totals) -> dict[str, Any]:
    """What is known so far."""
    found: Counter[str] = Counter()
    for (reason, _), rows in totals.rows.items():
        found[reason] += rows
    return {
        "rows": len(report.lengths),
        "tokens": report.tokens.total(),
        "trained_tokens": report.trained.total(),
        "longest": max((tokens for tokens, *_ in report.longest), default=0),
        "findings": found,
    }


def _kept(numbers: findings.Numbers, beside: Path, full: Path) -> Path:
    """The ledger in its place, and the findings by row beside it."""
    findings.save(numbers, full.with_suffix(".npz"))
    beside.rename(full)
    return full
