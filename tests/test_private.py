"""What the program writes nobody else can read, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tui_stage import step_events

from engine import jsonl, private, recipe, runs, templates, turns
from engine.runs import Run
from engine.templates import Template, Wording


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def readable_by_others(folder: Path) -> list[str]:
    return [
        f"{path.stat().st_mode:o} {path}"
        for path in [folder, *folder.rglob("*")]
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]


def test_a_whole_run_is_private(trained: Run) -> None:
    home = trained.path.parent.parent
    names = {path.name for path in home.rglob("*")}
    assert {"events.jsonl", "worker.log", "adapter", "recipe.toml", "lock", "compiled", "rows"} <= names
    assert not readable_by_others(home / "runs") and not readable_by_others(home / "compiled")


def test_all_that_screens_and_commands_write_is_private(home: Path, open_umask: None) -> None:
    run = runs.create(recipe.load("first-steps"))
    jsonl.append(run.path / "votes.jsonl", {"a": 1})
    private.write(private.folder(run.path / "transcripts") / "x.md", "text \ud83d")
    template = Template("mine", "t", "en", "exact", ("text",), "", wordings=(Wording("{{ text }}", "x"),))
    templates.save(template, runs.home() / "templates")
    held = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.close(held)
    turns.ahead()
    assert step_events(1)
    assert not readable_by_others(home)
