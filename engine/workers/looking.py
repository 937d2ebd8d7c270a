"""One row as it is trained, or as it would be if its set were read in another way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from engine import counting, dataset, ledger, quality, recipe, runs, sets, sources, survey, templates
from engine.dataset import Opened, Sample
from engine.errors import UserError
from engine.formats import Shape, Unusable
from engine.ledger import Entry
from engine.recipe import Source
from engine.sets import RowSet
from engine.sources import Part, Row
from engine.survey import Survey
from engine.workers import fetch
from engine.workers.io import Request
from engine.workers.session import Session

ROWS_FOR_BALANCE = 5_000


def described(one: RowSet) -> dict[str, Any]:
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


def row(session: Session, request: Request) -> dict[str, Any]:
    """The `row` message. Raises UserError."""
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
    verdict = survey.verdict_entry(session.counted, number, row) if session.counted is not None else None
    _, _, used = counting.read(one, row, session.data.actions, notes.append)
    if used:
        try:
            trained = part == "train"
            for sample in dataset.of_row(session.data, one.shown, row, number, trained, notes.append):
                made.append(sample)
        except Unusable as error:
            notes.append(sets.entry(row, error.reason, error.detail))
    # Of several conversations in a row some may be left out: then it is still trained on.
    why = verdict if verdict is not None and verdict.done == "left out" else None
    if why is None and not made:
        why = next((note for note in reversed(notes) if note.done == "left out"), None)
    noted = [note for note in (verdict, *notes) if note is not None and note is not why]
    return made, noted, f"{why.reason}: {why.detail}".removesuffix(": ") if why else ""


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


def tried(session: Session | None, request: Request) -> dict[str, Any]:
    """The first rows of one source, read as asked; what is open stays as it is."""
    plan = recipe.parse({"data": {"sources": [request["source"]]}})
    if session is not None:
        plan = session.plan.model_copy(
            update={"data": session.plan.data.model_copy(update={"sources": plan.data.sources})}
        )
    fetch.fetch(plan)
    if request.get("template"):
        one = _with_template(plan.data.sources[0], request["template"])
        chat = session.data.chat if session else dataset.chat_format(plan)
        data = Opened(plan.data, chat, [one], ledger.actions(plan.data.policy))
    else:
        data = dataset.opened(plan, session.data.chat if session else None)
    other = Session(plan, data)
    records = (r for file in range(len(data.sets[0].found.files)) for r in data.records(data.sets[0], file))
    rows = islice((r for r in records if isinstance(r, Row)), request.get("rows", 3))
    return {"set": described(data.sets[0]), "rows": [_tried(other, row, n) for n, row in enumerate(rows)]}


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
