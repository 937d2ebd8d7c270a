"""Child of the front end: opens a recipe's data, shows any row as it is trained, scans the whole set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine import dataset, ledger, recipe, survey
from engine.errors import UserError
from engine.formats import Unusable
from engine.workers import fetch, looking, scanning, searching, trying
from engine.workers.io import Channel, Request
from engine.workers.scanning import Tell
from engine.workers.session import Session, count, counts, files, kept_at, rendered_ledger, sizes

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
                case "link" if session:
                    channel.say("link", id=number, **looking.link(session, request))
                case "scan" if session:
                    channel.say("scanned", id=number, **scanning.scanned(session, _teller(channel, number)))
                case "count" if session:
                    count(session, scanning.counting_told(_teller(channel, number)))
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


def _teller(channel: Channel, number: Any) -> Tell:
    return lambda kind, facts: channel.say(kind, id=number, **facts)


def _ledger(session: Session, request: Request) -> dict[str, Any]:
    """A page of the ledger, of one reason or of all."""
    if session.counted is None:
        raise UserError("the rows are still being counted; wait until they are")
    full = rendered_ledger(session)
    path = full if full.is_file() else session.counted.entries
    count = min(request.get("rows", 50), LEDGER_PAGE)
    total, entries = ledger.page(path, request.get("reason"), request.get("start", 0), count)
    return {"total": total, "entries": [asdict(entry) for entry in entries]}


if __name__ == "__main__":
    main()
