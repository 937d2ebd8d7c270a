"""What is trained is what was shown: one digest, for every recipe that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import dataset, recipe, runs
from engine.events import EventLog
from engine.workers import scanning, train
from engine.workers.session import Session


@pytest.mark.parametrize("path", recipe.bundled(), ids=lambda path: path.stem)
def test_the_train_worker_renders_what_the_preview_has_shown(path: Path) -> None:
    plan = recipe.load(path)
    session = Session(plan, dataset.opened(plan))
    shown = scanning.scanned(session, lambda kind, facts: None)
    run = runs.create(plan)
    log = EventLog(run.events)
    _, digest, _, _ = train._render(run, plan, dataset.chat_format(plan), log)
    assert digest == shown["digest"] == run.state().rendered["digest"]
    assert run.state().rendered["count"] == shown["rows"] > 0
