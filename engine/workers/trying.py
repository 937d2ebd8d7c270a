"""How a set was found, and how its first rows would read in another way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from engine import dataset, ledger, quality, recipe, runs, sets, sources, templates
from engine.dataset import Opened
from engine.formats import Shape
from engine.schema import Source
from engine.sets import RowSet
from engine.sources import Row
from engine.workers import fetch, looking
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
    shown, _ = looking.shown(session, session.data.sets[0], row, number, "train", number, None, 0)
    kept = ("file", "line", "messages", "text", "refused", "notes")
    return {"data": row.data, **{name: shown[name] for name in kept}}
