"""Child of the front end: opens a recipe's data, shows any row as it is trained, scans the whole set."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engine import counting, dataset, findings, ledger, quality, recipe, render, survey, usable
from engine.errors import UserError
from engine.findings import Findings
from engine.formats import Unusable
from engine.ledger import Entry
from engine.survey import Totals
from engine.workers import fetch, looking, searching, trying
from engine.workers.io import Channel, Request
from engine.workers.session import Session, count, counts, files, kept_at, rendered_ledger, sizes

ROWS_BETWEEN_WORDS = 500
COUNTED_AT_ONCE = 8_000_000
"""Bytes of files up to which a set is counted when it is opened; that takes less than a second."""

LEDGER_PAGE = 500


def main() -> None:
    channel = Channel()
    session: Session | None = None
    for request in channel.requests():
        number = request.get("id")
        try:
            match request["do"]:
                case "open":
                    session = None
                    session, facts = _open(request)
                    channel.say("opened", id=number, **facts)
                case "try":
                    channel.say("tried", id=number, **trying.tried(session, request))
                case "row" if session:
                    channel.say("row", id=number, **looking.row(session, request))
                case "scan" if session:
                    channel.say("scanned", id=number, **_scan(session, channel, number))
                case "count" if session:
                    count(session, _progress(channel, number))
                    channel.say("counted", id=number, **counts(session))
                case "adopt" if session:
                    session.counted = survey.load(Path(request["folder"]), files(session))
                    channel.say("adopted", id=number, **counts(session))
                case "find" if session:
                    channel.say("found", id=number, **searching.found(session, request))
                case "layouts" if session:
                    channel.say("layouts", id=number, layouts=looking.layouts(session))
                case "ledger" if session:
                    channel.say("ledger", id=number, **_ledger(session, request))
                case other:
                    raise UserError(f"{other}: open a recipe first")
        except (UserError, Unusable, OSError) as error:
            channel.error(error, id=number)


def _open(request: Request) -> tuple[Session, dict[str, Any]]:
    plan = recipe.parse(request["recipe"])
    fetch.fetch(plan)
    session = Session(plan, dataset.opened(plan))
    if kept_at(session).is_dir() or sum(sizes(session)) <= COUNTED_AT_ONCE:
        count(session)
    facts = {
        "model": plan.model.id,
        "template": session.data.chat.origin,
        "sources": [trying.described(one) for one in session.data.sets],
        "survey": counts(session) if session.counted else None,
    }
    return session, facts


def _progress(channel: Channel, number: Any) -> counting.Progress:
    return lambda done, total: channel.say("progress", id=number, phase="count", done=done, total=total)


def _scan(session: Session, channel: Channel, number: Any) -> dict[str, Any]:
    """Count all rows, then render every training row: what the run will see, in the run's own order."""
    for one in session.data.sets:
        if one.shape is None:
            raise UserError(f"{one.source.path}: choose a template, or a format and its columns")
    count(session, _progress(channel, number))
    counted = session.counted
    assert counted is not None
    heard = Findings()
    totals = counted.totals(heard.add)
    channel.say("surveyed", id=number, **counts(session, totals))
    # What still has to be agreed to can be looked at.
    data = replace(session.data, sets=[one.shown for one in session.data.sets])
    report = quality.Report([one.source.path for one in data.sets])
    total = len(counted.rows["train"])
    full = rendered_ledger(session)
    beside = full.with_name(f"{full.name}.{os.getpid()}")
    shutil.copyfile(counted.entries, beside)
    with beside.open("a", encoding="ascii") as file:

        def note(entry: Entry) -> None:
            file.write(entry.dumps() + "\n")
            heard.add(entry)
            if entry.reason not in survey.COMPARED:  # the survey's totals have told these
                totals.add(entry)

        def rendered() -> Iterator[tuple[list[int], list[int]]]:
            samples = usable.samples(data, counted, ["train"], note, report.left_out)
            for done, (_, sample) in enumerate(samples):
                if done % ROWS_BETWEEN_WORDS == 0:
                    far = {"done": min(done, total), "total": total}
                    channel.say("progress", id=number, phase="render", **far, facts=_facts(report, totals))
                report.add(sample)
                yield sample.rendered.ids, sample.rendered.labels

        digest = render.digest(rendered())
    beside.rename(full)
    findings.save(heard.numbers(counted), full.with_suffix(".npz"))
    policy = session.plan.data.policy
    return {
        **_facts(report, totals),
        "digest": digest,
        "spoiling": ledger.spoiling(totals.rows, policy, len(report.lengths)),
        "lengths": report.histogram(),
        "left_out": totals.left_out(),
        "ledger": totals.told(session.data.actions),
        "file": str(full),
        "report": report.told(counted, session.plan.data.validation > 0),
    }


def _facts(report: quality.Report, totals: Totals) -> dict[str, Any]:
    """What is known so far."""
    found: Counter[str] = Counter()
    for (reason, _), rows in totals.rows.items():
        found[reason] += rows
    return {
        "rows": len(report.lengths),
        "tokens": report.tokens.total(),
        "trained_tokens": report.trained.total(),
        "longest": max(report.lengths, default=0),
        "findings": found,
    }


def _ledger(session: Session, request: Request) -> dict[str, Any]:
    """A page of the ledger, of one reason or of all."""
    if session.counted is None:
        raise UserError("the rows are still being counted")
    full = rendered_ledger(session)
    path = full if full.is_file() else session.counted.entries
    count = min(request.get("rows", 50), LEDGER_PAGE)
    total, entries = ledger.page(path, request.get("reason"), request.get("start", 0), count)
    return {"total": total, "entries": [asdict(entry) for entry in entries]}


if __name__ == "__main__":
    main()
