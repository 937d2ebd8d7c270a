"""What a data worker has open: a recipe's sets, and their count, which is kept for the next time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from engine import counting, runs, sources, survey, templates, usable
from engine.dataset import Opened
from engine.errors import UserError
from engine.render import ChatFormat
from engine.schema import Recipe
from engine.survey import Survey, Totals

COUNTS_KEPT = 8

RENDERING = {"train_on", "chat_template", "max_length"}
"""Keys of [data] that do not matter before the rows are rendered; but running text is cut to max_length."""


@dataclass
class Session:
    """What is open: a recipe's data, its count once there is one, and other ways to render its rows."""

    plan: Recipe
    data: Opened
    counted: Survey | None = None
    chats: dict[tuple[str, str], ChatFormat] = field(default_factory=dict)


def count(session: Session, progress: counting.Progress = lambda done, total: None) -> None:
    """Count all rows, or take the count that was kept of the same files. Raises UserError."""
    kept = kept_at(session)
    try:
        session.counted = survey.load(kept, files(session))
        kept.touch()
    except UserError:  # not counted yet, or torn
        beside = kept.with_name(f"{kept.name}.{os.getpid()}")
        survey.save(usable.surveyed(session.data, beside, progress), beside)
        shutil.rmtree(kept, ignore_errors=True)
        beside.rename(kept)
        _forget_old(kept.parent)
        session.counted = survey.load(kept, files(session))


def kept_at(session: Session) -> Path:
    """Where the count of these files, read in this way, is kept."""
    data = session.plan.data
    said = data.model_dump(mode="json", exclude={"digest", "augment", *RENDERING})
    stamps = [(str(file.path), _stamp(file.path)) for own in files(session) for file in own]
    model = (session.plan.model.id, data.max_length) if any(s.is_text for s in session.data.sets) else ()
    through = [templates.dumps(each) for s in session.data.sets if s.shape for each in s.shape.templates]
    all_of_it = [metadata.version("ift-tui"), said, stamps, model, through]
    key = hashlib.sha256(json.dumps(all_of_it, sort_keys=True).encode()).hexdigest()
    return runs.home() / "counted" / key[:32]


def rendered_ledger(session: Session) -> Path:
    """The ledger with what rendering for this model adds; the findings by row stand beside it."""
    data = session.plan.data
    keys = data.model_dump(mode="json", include={"augment", *RENDERING})
    said = json.dumps([session.plan.model.id, keys, session.data.chat.template], sort_keys=True)
    folder = session.counted.entries.parent if session.counted else kept_at(session)
    return folder / f"rendered-{hashlib.sha256(said.encode()).hexdigest()[:16]}.jsonl"


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _forget_old(folder: Path) -> None:
    for old in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-COUNTS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def files(session: Session) -> list[list[sources.File]]:
    """The files of each set."""
    return [one.found.files for one in session.data.sets]


def sizes(session: Session) -> Iterator[int]:
    """Bytes of each file."""
    for own in files(session):
        for file in own:
            yield file.path.stat().st_size


def counts(session: Session, totals: Totals | None = None) -> dict[str, Any]:
    """COUNTS of the protocol."""
    assert session.counted is not None
    folder = str(session.counted.entries.parent)
    totals = totals or session.counted.totals()
    return {"folder": folder, **session.counted.counts(totals, session.data.actions)}
