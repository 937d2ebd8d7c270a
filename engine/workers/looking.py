"""One row as it is trained, or as it would be if it were rendered in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from engine import chains, counting, dataset, ledger, models, recipe, render, sets, survey
from engine.dataset import Opened, Sample
from engine.errors import UserError
from engine.formats import Conversation, Unusable
from engine.ledger import Action, Entry
from engine.render import Rendered, Unfit
from engine.sets import Records, RowSet
from engine.sources import Part, Row
from engine.survey import Survey
from engine.workers.io import Request
from engine.workers.session import Session

MOST_TOKENS = 6_000
"""Tokens of a row that are listed one by one."""

BLANK: dict[str, Any] = {
    "messages": [], "tools": [], "text": "", "spans": [], "tokens": 0, "length": 0, "cut_at": None,
    "trained_tokens": 0, "piece": "",
}  # fmt: skip


def row(session: Session, request: Request) -> dict[str, Any]:
    """The `row` message. Raises UserError."""
    session = _as(session, request.get("as") or {})
    facts, rendered = _row(session, request)
    if request.get("tokens"):
        listed = render.tokens_of(session.data.chat, rendered) if rendered else ()
        facts["token_list"] = list(islice(listed, MOST_TOKENS))
    return facts


def link(session: Session, request: Request) -> dict[str, Any]:
    """The `link` message: what a sub-task of a row asks of each column, its earlier answers in their places.
    `said` has them by the columns of the data that they stand for. Raises UserError, Unusable.
    """
    one, row = _place(session, request["part"], request["index"])[:2]
    found = chains.links(one)[request["number"]]
    asked = {name: chains.asked(found, {**row.data, **said})[0] for name, said in request["said"].items()}
    reference = chains.asked(found, row.data)[1]
    return {"messages": asked, "reference": reference, "fills": found.fills}


def _as(session: Session, other: dict[str, Any]) -> Session:
    """The same rows, rendered in another way: at once, because the tokenizer is there. Raises UserError."""
    data = session.plan.data
    if all(getattr(data, key) == value for key, value in other.items()):
        return session
    plan = recipe.changed(session.plan, data=other)
    key = plan.data.chat_template, plan.data.train_on
    if key not in session.chats:
        folder = models.tokenizer_folder(plan.model.id)
        session.chats[key] = render.with_template(session.data.chat, folder, *key)
    opened = replace(session.data, data=plan.data, chat=session.chats[key])
    return Session(plan, opened, session.counted)


def layouts(session: Session) -> list[dict[str, str]]:
    """What data.chat_template can be for this model, without a file of one's own."""
    own = render.own_templates(models.tokenizer_folder(session.plan.model.id))
    first = render.OWN if own else f"layout {render.PLAIN}, because the model has none"
    named = {name: f"{render.OWN}, {name}" for name in own if name != "default"}
    chosen = {"": first, **named, **{name: f"layout {name}" for name in render.layouts()}}
    return [{"name": name, "said": said} for name, said in chosen.items()]


def _row(session: Session, request: Request) -> tuple[dict[str, Any], Rendered | None]:
    one, row, number, index, count = _place(session, request["part"], request["index"])
    return shown(session, one, row, number, request["part"], index, count, request.get("variant", 0))


def _place(session: Session, part: Part, index: int) -> tuple[RowSet, Row, int, int, int | None]:
    """A row of a part, its number in the set, its index as near as there is one, and how many there are."""
    index = max(index, 0)
    if session.counted is None:
        return *_walked(session, part, index), index, index, None
    numbers = session.counted.rows[part]
    if not len(numbers):
        raise UserError(f"there are no {part} rows; take another part")
    index = min(index, len(numbers) - 1)
    number = int(numbers[index])
    return *at(session, session.counted, number), number, index, len(numbers)


def at(session: Session, counted: Survey, number: int) -> tuple[RowSet, Row]:
    """The row of a number, read from where it stands. Raises UserError."""
    one, records = records_from(session, counted, number)
    found = next(records, None)
    if not isinstance(found, Row):
        raise UserError(f"{one.source.path}: has changed since it was counted; read it again")
    return one, found


def records_from(session: Session, counted: Survey, number: int) -> tuple[RowSet, Records]:
    """The set of a row, and the records of its file from that row on."""
    place = {name: int(counted.columns[name][number]) for name in ("set", "file", "offset", "line")}
    one = session.data.sets[place["set"]]
    return one, session.data.records(one, place["file"], place["offset"], place["line"])


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
        raise UserError(
            f"there are no {part} rows that far; the set is still being counted, wait until it is"
        )
    return found


def shown(
    session: Session, one: RowSet, row: Row, number: int, part: Part, index: int, count: int | None,
    variant: int,
) -> tuple[dict[str, Any], Rendered | None]:  # fmt: skip
    """The facts of a row, and what it is as the model would get it."""
    facts: dict[str, Any] = {
        "part": part, "index": index, "count": count, "set": one.number, "file": row.file, "line": row.line,
        "unit": row.unit, "source": row.data, "variant": 0, "variants": 0, "times": 1,
        "max_length": session.data.data.max_length, "links": _links(one), **BLANK,
    }  # fmt: skip
    if session.counted is not None:
        facts["times"] = int(session.counted.columns["times"][number])
    made, notes, refused, rendered = _made(session, one, row, number, part)
    policy, example = session.plan.data.policy, None
    facts |= {
        "notes": [_noted(note, policy) for note in notes], "refused": refused, "variants": len(made),
    }  # fmt: skip
    if made:
        variant = variant % len(made)
        facts["variant"], example, rendered = variant, made[variant].example, made[variant].rendered
    elif one.shape is not None:
        example = next(iter(dataset.asked(session.data, one.shown, row, number).examples), None)
    if isinstance(example, Conversation):
        facts |= {"messages": example.messages, "tools": example.tools}
    return (facts | _shape(session.data, rendered) if rendered else facts), rendered


def _links(one: RowSet) -> int:
    """Sub-tasks that can be asked one after the other, each on the answer before; 0 where there are none."""
    return len(one.source.templates) if one.source.chain else 0


def _made(
    session: Session, one: RowSet, row: Row, number: int, part: Part
) -> tuple[list[Sample], list[Entry], str, Rendered | None]:
    """A row's samples, its notes, why it is not trained on, and what it would be but for that."""
    notes: list[Entry] = []
    made: list[Sample] = []
    unfit: Rendered | None = None
    if one.shape is None:
        return [], [], "no known shape: choose a template, or a format and its columns", None
    verdict = survey.verdict_entry(session.counted, number, row) if session.counted is not None else None
    _, _, used = counting.read(one, row, session.data.actions, notes.append)
    if used:
        try:
            trained = part == "train"
            made = dataset.of_row(session.data, one.shown, row, number, trained, notes.append)
        except Unusable as error:
            unfit = error.rendered if isinstance(error, Unfit) else None
            notes.append(sets.entry(row, error.reason, error.detail))
    # Of several conversations in a row some may be left out: then it is still trained on.
    why = verdict if verdict is not None and verdict.done == "left out" else None
    if why is None and not made:
        why = next((note for note in reversed(notes) if note.done == "left out"), None)
    noted = [note for note in (verdict, *notes) if note is not None and note is not why]
    return made, noted, f"{why.reason}: {why.detail}".removesuffix(": ") if why else "", unfit


def _noted(entry: Entry, policy: Mapping[str, Action]) -> dict[str, Any]:
    spoils = ledger.spoils(entry.reason, entry.done, policy)
    return {"reason": entry.reason, "detail": entry.detail, "done": entry.done, "spoils": spoils}


def _shape(data: Opened, rendered: Rendered) -> dict[str, Any]:
    most, cut_at = data.data.max_length, None
    if len(rendered.ids) + rendered.cut > most:
        cut_at = len(data.chat.tokenizer.decode(rendered.ids[:most], skip_special_tokens=False))
    return {
        "cut_at": cut_at,
        "text": rendered.text,
        "spans": rendered.spans,
        "tokens": len(rendered.ids),
        "length": len(rendered.ids) + rendered.cut,
        "trained_tokens": rendered.trained,
        "piece": rendered.part,
    }
