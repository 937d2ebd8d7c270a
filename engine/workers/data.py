"""Child of the front end: opens a recipe's data, shows any row as it is trained, scans the whole set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from engine import dataset, recipe, render, sources
from engine.errors import UserError
from engine.formats import Shape, Unusable
from engine.ledger import Entry
from engine.recipe import Recipe, Source
from engine.render import IGNORED, ChatFormat
from engine.sources import Part, Row
from engine.workers.io import Channel, Request

ROWS_BETWEEN_WORDS = 500
HISTOGRAM_BARS = 20


@dataclass
class Opened:
    """A recipe's data: each part's rows with the source and shape they came in."""

    plan: Recipe
    chat: ChatFormat
    parts: dict[Part, list[tuple[Source, Shape, Row]]]
    left_out: list[Entry] = field(default_factory=list)


def main() -> None:
    channel = Channel()
    opened: Opened | None = None
    for request in channel.requests():
        number = request.get("id")
        try:
            match request["do"]:
                case "open":
                    opened, summary = _open(request)
                    channel.say("opened", id=number, **summary)
                case "row" if opened:
                    channel.say("row", id=number, **_row(opened, request["part"], request["index"]))
                case "scan" if opened:
                    channel.say("scanned", id=number, **_scan(opened, channel, number))
                case other:
                    raise UserError(f"{other}: open a recipe first")
        except (UserError, Unusable) as error:
            channel.error(error, id=number)


def _open(request: Request) -> tuple[Opened, dict[str, Any]]:
    plan = recipe.parse(request["recipe"])
    opened = Opened(plan, dataset.chat_format(plan), {part: [] for part in sources.PARTS})
    described = [_open_source(opened, source) for source in plan.data.sources]
    return opened, {"model": plan.model.id, "template": opened.chat.origin, "sources": described}


def _open_source(opened: Opened, source: Source) -> dict[str, Any]:
    shape = dataset.shape_of(source)
    columns: dict[str, None] = {}
    counts: Counter[Part] = Counter()
    left_out_before = len(opened.left_out)
    for part in sources.PARTS:
        for record in dataset.rows(source, opened.plan.data, part):
            if isinstance(record, Entry):
                opened.left_out.append(record)
            else:
                opened.parts[part].append((source, shape, record))
                columns.update(dict.fromkeys(record.data))
                counts[part] += 1
    return {
        "path": source.path,
        "format": shape.format,
        "mapping": shape.mapping,
        "columns": list(columns),
        "rows": {part: counts[part] for part in sources.PARTS},
        "left_out": len(opened.left_out) - left_out_before,
    }


def _row(opened: Opened, part: Part, index: int) -> dict[str, Any]:
    rows = opened.parts[part]
    if not rows:
        raise UserError(f"there are no {part} rows")
    index = min(max(index, 0), len(rows) - 1)
    source, shape, row = rows[index]
    facts: dict[str, Any] = {
        "part": part, "index": index, "count": len(rows), "file": row.file, "line": row.line,
        "source": row.data, "messages": [], "text": "", "spans": [], "tokens": 0, "trained_tokens": 0,
        "refused": "",
    }  # fmt: skip
    try:
        sample = dataset.sample(source, shape, row, opened.chat, opened.plan.data)
    except Unusable as error:
        return {**facts, "refused": str(error)}
    rendered = sample.rendered
    return {
        **facts,
        "messages": sample.messages,
        "text": rendered.text,
        "spans": rendered.spans,
        "tokens": len(rendered.ids),
        "trained_tokens": rendered.trained,
    }


def _scan(opened: Opened, channel: Channel, number: Any) -> dict[str, Any]:
    """Render every training row: what the run will see, in the run's own order."""
    left_out = Counter(entry.reason for entry in opened.left_out)
    rows: list[tuple[list[int], list[int]]] = []
    total = len(opened.parts["train"])
    for done, (source, shape, row) in enumerate(opened.parts["train"]):
        if done % ROWS_BETWEEN_WORDS == 0:
            channel.say("progress", id=number, done=done, total=total)
        try:
            rendered = dataset.sample(source, shape, row, opened.chat, opened.plan.data).rendered
        except Unusable as error:
            left_out[error.reason] += 1
            continue
        rows.append((rendered.ids, rendered.labels))
    lengths = [len(ids) for ids, _ in rows]
    return {
        "rows": len(rows),
        "tokens": sum(lengths),
        "trained_tokens": sum(label != IGNORED for _, labels in rows for label in labels),
        "digest": render.digest(rows),
        "longest": max(lengths, default=0),
        "lengths": _histogram(lengths),
        "left_out": dict(left_out),
    }


def _histogram(lengths: list[int]) -> list[tuple[int, int]]:
    """Rows by length, as (upper bound in tokens, rows)."""
    width = max(1, -(-max(lengths, default=0) // HISTOGRAM_BARS))
    bars = Counter((length + width - 1) // width for length in lengths)
    return [(bar * width, bars[bar]) for bar in range(1, max(bars, default=0) + 1)]


if __name__ == "__main__":
    main()
