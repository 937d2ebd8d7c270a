"""From one row to the next that has a finding, or holds a text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from engine import findings
from engine.errors import UserError
from engine.findings import Numbers
from engine.sources import Part, Row
from engine.survey import Survey
from engine.workers.io import Request
from engine.workers.looking import at, records_from
from engine.workers.session import Session, rendered_ledger

SECONDS = 0.2
"""How long a text is looked for before an answer is given, so that the asker can think better of it."""

ROWS_AT_ONCE = 256


def found(session: Session, request: Request) -> dict[str, Any]:
    """The `found` message. Raises UserError."""
    counted = session.counted
    if counted is None:
        raise UserError("the rows are still being counted; wait until they are")
    part, step = request["part"], request["step"]
    start, text = request["index"], request.get("text", "").casefold()
    chosen = np.arange(len(counted.rows[part]))
    if reason := request.get("finding"):
        chosen = findings.positions(counted, _numbers(session), part, reason)
    ahead = chosen[chosen > start] if step > 0 else chosen[chosen < start][::-1]
    if text:
        index, reached = _holding(session, counted, part, ahead, step, text)
    else:
        index = reached = int(ahead[0]) if len(ahead) else None
    more = bool(text) and index is None and reached is not None
    nth = int(np.searchsorted(chosen, index)) + 1 if index is not None and reason else None
    return {
        "index": index, "reached": start if reached is None else reached, "more": more,
        "nth": nth, "of": len(chosen) if reason else None,
    }  # fmt: skip


def _numbers(session: Session) -> Numbers:
    return findings.load(rendered_ledger(session).with_suffix(".npz"))


def _holding(
    session: Session, counted: Survey, part: Part, ahead: Any, step: int, text: str
) -> tuple[int | None, int | None]:
    """The first of these positions whose row holds the text; and, where none was, how far was looked."""
    until = time.monotonic() + SECONDS
    for first in range(0, len(ahead), ROWS_AT_ONCE):
        block = ahead[first : first + ROWS_AT_ONCE]
        rows = _rows(session, counted, counted.rows[part][np.sort(block)])
        holding = [position for position, row in zip(np.sort(block), rows, strict=True) if _holds(row, text)]
        if holding:
            found = holding[0 if step > 0 else -1]
            return int(found), int(found)
        if time.monotonic() > until and first + ROWS_AT_ONCE < len(ahead):
            return None, int(block[-1])
    return None, None


def _holds(row: Row, text: str) -> bool:
    return any(
        text
        in (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        ).casefold()
        for value in row.data.values()
    )


def _rows(session: Session, counted: Survey, numbers: Any) -> Iterator[Row]:
    """The rows of these ascending numbers. Where they stand close together they are read in one go."""
    reading: Iterator[Row] = iter(())
    for before, number in pairwise([-2, *numbers.tolist()]):
        steps = number - before
        same_file = before >= 0 and all(
            counted.columns[name][before] == counted.columns[name][number] for name in ("set", "file")
        )
        if not same_file or steps > ROWS_AT_ONCE:
            _, records = records_from(session, counted, number)
            reading, steps = (record for record in records if isinstance(record, Row)), 1
        row = None
        for _ in range(steps):
            row = next(reading, None)
        yield row if row is not None else at(session, counted, number)[1]
