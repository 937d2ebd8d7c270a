"""Child of the front end: opens a recipe's data, shows any row as it is trained, scans the whole set."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from engine import (
    counting,
    dataset,
    ledger,
    quality,
    recipe,
    render,
    runs,
    sets,
    sources,
    survey,
    templates,
    usable,
)
from engine.dataset import Opened, Sample
from engine.errors import UserError
from engine.formats import Shape, Unusable
from engine.ledger import Entry
from engine.recipe import Recipe, Source
from engine.sets import RowSet
from engine.sources import Part, Row
from engine.survey import Survey, Totals
from engine.workers import fetch
from engine.workers.io import Channel, Request

ROWS_BETWEEN_WORDS = 500
COUNTED_AT_ONCE = 8_000_000
"""Bytes of files up to which a set is counted when it is opened; that takes less than a second."""

ROWS_FOR_BALANCE = 5_000
SURVEYS_KEPT = 8
LEDGER_PAGE = 500


@dataclass
class Session:
    """What is open: a recipe's data, and its count once there is one."""

    plan: Recipe
    data: Opened
    counted: Survey | None = None


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
                    channel.say("tried", id=number, **_try(session, request))
                case "row" if session:
                    channel.say("row", id=number, **_row(session, request))
                case "scan" if session:
                    channel.say("scanned", id=number, **_scan(session, channel, number))
                case "count" if session:
                    _count(session, _progress(channel, number))
                    channel.say("counted", id=number, **_counts(session))
                case "adopt" if session:
                    session.counted = survey.load(Path(request["folder"]), _files(session))
                    channel.say("adopted", id=number, **_counts(session))
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
    if _kept(session).is_dir() or sum(_sizes(session)) <= COUNTED_AT_ONCE:
        _count(session, lambda done, total: None)
    facts = {
        "model": plan.model.id,
        "template": session.data.chat.origin,
        "sources": [_set(one) for one in session.data.sets],
        "survey": _counts(session) if session.counted else None,
    }
    return session, facts


def _set(one: RowSet) -> dict[str, Any]:
    """A set as it was found, for a person to confirm or change."""
    shape = one.shape
    own = runs.home() / "templates"
    fitting = templates.fitting(one.first.data, own) if shape is None or shape.format == "template" else []
    return {
        "path": one.source.path,
        "format": shape.format if shape else "",
        "mapping": shape.mapping if shape else "",
        "roles": shape.columns if shape else {},
        "columns": [str(name) for name in one.first.data],
        "notes": [*one.found.notes, *_file_notes(one), *(shape.notes if shape else _balance(one))],
        "question": shape.question if shape else "",
        "fitting": [
            {"name": found.name, "task": found.task, "language": found.language, "columns": columns}
            for found, columns in fitting
        ],
        "files": [{"part": f.part, "path": str(f.path), "kind": f.kind} for f in one.found.files],
        "first": one.first.data,
    }


def _balance(one: RowSet) -> list[str]:
    """Of a table of no known shape, which columns look like labels, by its first rows."""
    rows = (r for file in one.found.files for r in sources.read(file, one.source) if isinstance(r, Row))
    return quality.balance(islice(rows, ROWS_FOR_BALANCE))


def _file_notes(one: RowSet) -> Iterator[str]:
    for file in one.found.files:
        for note in file.notes:
            yield f"{file.path.name}: {note}"


# --- counting: kept in a folder, so that a set which was counted once is open at once ---


def _count(session: Session, progress: counting.Progress) -> None:
    kept = _kept(session)
    try:
        session.counted = survey.load(kept, _files(session))
        kept.touch()
    except UserError:  # not counted yet, or torn
        beside = kept.with_name(f"{kept.name}.{os.getpid()}")
        survey.save(usable.surveyed(session.data, beside, progress), beside)
        shutil.rmtree(kept, ignore_errors=True)
        beside.rename(kept)
        _forget_old(kept.parent)
        session.counted = survey.load(kept, _files(session))


def _progress(channel: Channel, number: Any) -> counting.Progress:
    return lambda done, total: channel.say("progress", id=number, phase="count", done=done, total=total)


def _kept(session: Session) -> Path:
    """Where the count of these files, read in this way, is kept."""
    data = session.plan.data
    said = data.model_dump(mode="json", exclude={"digest", "augment"})
    files = [(str(file.path), _stamp(file.path)) for files in _files(session) for file in files]
    model = (session.plan.model.id, data.max_length) if any(s.is_text for s in session.data.sets) else ()
    key = hashlib.sha256(json.dumps([said, files, model], sort_keys=True).encode()).hexdigest()
    return runs.home() / "counted" / key[:32]


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _forget_old(folder: Path) -> None:
    for old in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-SURVEYS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _files(session: Session) -> list[list[sources.File]]:
    return [one.found.files for one in session.data.sets]


def _sizes(session: Session) -> Iterator[int]:
    for files in _files(session):
        for file in files:
            yield file.path.stat().st_size


def _counts(session: Session, totals: Totals | None = None) -> dict[str, Any]:
    assert session.counted is not None
    folder = str(session.counted.entries.parent)
    totals = totals or session.counted.totals()
    return {"folder": folder, **session.counted.counts(totals, session.data.actions)}


# --- one row ---


def _row(session: Session, request: Request) -> dict[str, Any]:
    part, index = request["part"], max(request["index"], 0)
    if session.counted is not None:
        numbers = session.counted.rows[part]
        if not len(numbers):
            raise UserError(f"there are no {part} rows")
        index = min(index, len(numbers) - 1)
        one, row, number = _at(session, session.counted, int(numbers[index]))
        return _shown(session, one, row, number, part, index, len(numbers), request.get("variant", 0))
    one, row = _walked(session, part, index)
    return _shown(session, one, row, index, part, index, None, request.get("variant", 0))


def _at(session: Session, counted: Survey, number: int) -> tuple[RowSet, Row, int]:
    """The row of a number, read from where it stands."""
    place = {name: int(counted.columns[name][number]) for name in ("set", "file", "offset", "line")}
    one = session.data.sets[place["set"]]
    found = next(session.data.records(one, place["file"], place["offset"], place["line"]), None)
    if not isinstance(found, Row):
        raise UserError(f"{one.source.path}: has changed since it was counted; read it again")
    return one, found, number


def _walked(session: Session, part: Part, index: int) -> tuple[RowSet, Row]:
    """A row of a set that is not counted yet: the files' own parts, from their beginning."""
    rows = (
        (one, record)
        for one in session.data.sets
        for number, file in enumerate(one.found.files)
        if file.part == part
        for record in session.data.records(one, number)
        if isinstance(record, Row)
    )
    found = next(islice(rows, index, None), None)
    if found is None:
        raise UserError(f"there are no {part} rows that far; the set is still being counted")
    return found


def _shown(
    session: Session, one: RowSet, row: Row, number: int, part: Part, index: int, count: int | None,
    variant: int,
) -> dict[str, Any]:  # fmt: skip
    facts: dict[str, Any] = {
        "part": part, "index": index, "count": count, "set": one.number, "file": row.file, "line": row.line,
        "unit": row.unit, "source": row.data, "variant": 0, "variants": 0, "times": 1, "messages": [],
        "text": "", "spans": [], "tokens": 0, "trained_tokens": 0, "piece": "",
    }  # fmt: skip
    if session.counted is not None:
        facts["times"] = int(session.counted.columns["times"][number])
    made, notes, refused = _made(session, one, row, number, part)
    facts |= {"notes": [_noted(note) for note in notes], "refused": refused, "variants": len(made)}
    if made:
        variant = variant % len(made)
        facts |= {"variant": variant, **_sample(made[variant])}
    return facts


def _made(
    session: Session, one: RowSet, row: Row, number: int, part: Part
) -> tuple[list[Sample], list[Entry], str]:
    """A row's samples, its notes, and why it is not trained on."""
    notes: list[Entry] = []
    made: list[Sample] = []
    if one.shape is None:
        return [], [], "no known shape: choose a template, or a format and its columns"
    if session.counted is not None:
        found = survey.verdict_entry(session.counted, number, row)
        if found is not None:
            notes.append(found)
    _, _, used = counting.read(one, row, session.data.actions, notes.append)
    if used:
        try:
            asked = RowSet(one.number, one.source, one.found, _agreed(one.shape), one.first)
            for sample in dataset.of_row(session.data, asked, row, number, part == "train", notes.append):
                made.append(sample)
        except Unusable as error:
            notes.append(sets.entry(row, error.reason, error.detail))
    left_out = [note for note in notes if note.done == "left out" and (not made or note is notes[0])]
    refused = f"{left_out[0].reason}: {left_out[0].detail}".removesuffix(": ") if left_out else ""
    return made, [note for note in notes if note not in left_out], refused


def _agreed(shape: Shape) -> Shape:
    """The shape as it is shown: what still has to be agreed to can be looked at."""
    return Shape(shape.format, shape.columns, shape.mapping, shape.notes, "", shape.templates)


def _noted(entry: Entry) -> dict[str, str]:
    return {"reason": entry.reason, "detail": entry.detail, "done": entry.done}


def _sample(sample: Sample) -> dict[str, Any]:
    rendered = sample.rendered
    return {
        "messages": sample.messages,
        "text": rendered.text,
        "spans": rendered.spans,
        "tokens": len(rendered.ids),
        "trained_tokens": rendered.trained,
        "piece": rendered.part,
    }


def _try(session: Session | None, request: Request) -> dict[str, Any]:
    """The first rows of one source, read as asked; what is open stays as it is."""
    plan = recipe.parse({"data": {"sources": [request["source"]]}})
    if session is not None:
        plan = session.plan.model_copy(
            update={"data": session.plan.data.model_copy(update={"sources": plan.data.sources})}
        )
    fetch.fetch(plan)
    if request.get("template"):
        one = _with_template(plan.data.sources[0], request["template"])
        data = Opened(plan.data, dataset.chat_format(plan), [one], ledger.actions(plan.data.policy))
    else:
        data = dataset.opened(plan, session.data.chat if session else None)
    tried = Session(plan, data)
    records = (r for file in range(len(data.sets[0].found.files)) for r in data.records(data.sets[0], file))
    rows = islice((r for r in records if isinstance(r, Row)), request.get("rows", 3))
    return {"set": _set(data.sets[0]), "rows": [_tried(tried, row, n) for n, row in enumerate(rows)]}


def _with_template(source: Source, document: dict[str, Any]) -> RowSet:
    """The set read by a template that is not saved yet."""
    bare = source.model_copy(update={"templates": (), "format": "auto"})
    (one,) = sets.opened((bare,))
    template = templates.parse(document, "this template")
    shape = Shape("template", dict(source.columns), template.name, templates=(template,))
    return RowSet(0, source, one.found, shape, one.first)


def _tried(session: Session, row: Row, number: int) -> dict[str, Any]:
    shown = _shown(session, session.data.sets[0], row, number, "train", number, None, 0)
    kept = ("file", "line", "messages", "text", "refused", "notes")
    return {"data": row.data, **{name: shown[name] for name in kept}}


# --- the whole set ---


def _scan(session: Session, channel: Channel, number: Any) -> dict[str, Any]:
    """Count all rows, then render every training row: what the run will see, in the run's own order."""
    for one in session.data.sets:
        if one.shape is None:
            raise UserError(f"{one.source.path}: choose a template, or a format and its columns")
    _count(session, _progress(channel, number))
    counted = session.counted
    assert counted is not None
    totals = counted.totals()
    channel.say("surveyed", id=number, **_counts(session, totals))
    asked = [
        RowSet(s.number, s.source, s.found, _agreed(s.shape), s.first) for s in session.data.sets if s.shape
    ]
    data = Opened(session.data.data, session.data.chat, asked, session.data.actions)
    report = quality.Report([one.source.path for one in data.sets])
    total = len(counted.rows["train"])
    full = _full(session, counted)
    beside = full.with_name(f"{full.name}.{os.getpid()}")
    with beside.open("w", encoding="ascii") as file:
        for entry in ledger.read(counted.entries):
            file.write(entry.dumps() + "\n")

        def note(entry: Entry) -> None:
            file.write(entry.dumps() + "\n")
            if entry.reason not in survey.COMPARED:  # the survey's totals have told these
                totals.add(entry)

        def rendered() -> Iterator[tuple[list[int], list[int]]]:
            for done, (_, sample) in enumerate(usable.samples(data, counted, ["train"], note)):
                if done % ROWS_BETWEEN_WORDS == 0:
                    channel.say("progress", id=number, phase="render", done=min(done, total), total=total)
                report.add(sample)
                yield sample.rendered.ids, sample.rendered.labels

        digest = render.digest(rendered())
    beside.rename(full)
    return {
        "rows": len(report.lengths),
        "tokens": report.tokens.total(),
        "trained_tokens": report.trained.total(),
        "digest": digest,
        "longest": max(report.lengths, default=0),
        "lengths": report.histogram(),
        "left_out": totals.left_out(),
        "ledger": totals.told(session.data.actions),
        "file": str(full),
        "report": report.told(counted, session.plan.data.validation > 0),
    }


def _full(session: Session, counted: Survey) -> Path:
    """The ledger with what rendering for this model adds."""
    data = session.plan.data
    said = json.dumps([session.plan.model.id, data.train_on, data.chat_template, data.augment.model_dump()])
    return counted.entries.with_name(f"rendered-{hashlib.sha256(said.encode()).hexdigest()[:16]}.jsonl")


def _ledger(session: Session, request: Request) -> dict[str, Any]:
    """A page of the ledger, of one reason or of all."""
    if session.counted is None:
        raise UserError("the rows are still being counted")
    full = _full(session, session.counted)
    reason, start = request.get("reason"), request.get("start", 0)
    found: list[dict[str, Any]] = []
    total = 0
    for entry in ledger.read(full if full.is_file() else session.counted.entries):
        if reason is None or entry.reason == reason:
            if start <= total < start + min(request.get("rows", 50), LEDGER_PAGE):
                found.append(asdict(entry))
            total += 1
    return {"total": total, "entries": found}


if __name__ == "__main__":
    main()
