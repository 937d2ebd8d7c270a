"""The user's token stands in no file, no argument, no output and on no screen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from test_private import readable_by_others

from engine import events, recipe, redact, runs
from engine.runs import Run
from tui.commands import _print
from tui.safe import clean

TOKEN = "hf_MARKEDxTOKENxOFxTHExTESTxABCDEFG"
LONGEST_RUN = 900.0


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in redact.VARIABLES:
        monkeypatch.setenv(name, TOKEN)
    redact.tokens.cache_clear()
    yield TOKEN
    redact.tokens.cache_clear()


def test_what_is_shown_or_written_has_no_token(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = f"401 for url https://user:{token}@hub\x1b"
    assert token not in clean(sentence) and redact.MASK in clean(sentence)
    _print.say(sentence)
    _print.warn(sentence)
    _print.say_json({"a": [sentence]})
    log = events.EventLog(tmp_path / "events.jsonl")
    log.write("failed", reason=sentence, mend="")
    told = capsys.readouterr()
    assert token not in told.out + told.err + (tmp_path / "events.jsonl").read_text()
    assert told.out.count(redact.MASK) == 2


def test_a_workers_log_has_no_token(token: str, tmp_path: Path) -> None:
    code = (
        "import sys, traceback, warnings, logging\n"
        "from engine.workers.io import keep_printing\n"
        "keep_printing()\n"
        "logging.basicConfig()\n"
        "print(sys.argv[1]); warnings.warn(sys.argv[1]); logging.error(sys.argv[1])\n"
        "raise ValueError(sys.argv[1])\n"
    )
    told = subprocess.run([sys.executable, "-c", code, f"x{token}y"], capture_output=True, text=True)
    said = told.stdout + told.stderr
    assert token not in said and said.count(f"x{redact.MASK}y") >= 4


def test_the_token_that_was_logged_in_with_is_masked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    redact.tokens.cache_clear()
    assert clean(f"a {TOKEN} b") == f"a {redact.MASK} b"
    redact.tokens.cache_clear()


def test_a_short_or_empty_token_masks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a")
    redact.tokens.cache_clear()
    assert clean("a banana") == "a banana"
    redact.tokens.cache_clear()


@pytest.mark.long
def test_over_a_whole_run_nobody_learns_the_token_and_nothing_listens(token: str, home: Path) -> None:
    plan = recipe.load("first-steps")
    train = plan.train.model_copy(update={"steps": 6, "epochs": None, "eval_every": 3})
    before = os.umask(0)
    try:
        run = runs.create(plan.model_copy(update={"train": train}))
        runs.launch(run)
    finally:
        os.umask(before)
    watched(run)
    assert run.state().status == "finished", runs.log_tail(run)
    for command in (
        ["eval", run.name, "--rows", "4", "--no-general"],
        ["compare", run.name, "--prompt", "Say red."],
        ["resume", run.name],
        ["doctor"],
        ["runs", "--json"],
    ):
        told = subprocess.run([sys.executable, "-P", "-m", "tui", *command], capture_output=True, text=True)
        assert token not in told.stdout + told.stderr, command
    for path in home.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
    assert not readable_by_others(home)
    versions = json.loads((run.path / "environment.json").read_text())
    assert token not in str(versions) and "environ" not in versions


def watched(run: Run) -> None:
    """To its end: no argument of any of its processes is the token, and none has a socket to the world."""
    deadline = time.monotonic() + LONGEST_RUN
    while runs.is_alive(run) and time.monotonic() < deadline:
        pid = (run.path / "lock").read_text()
        try:
            worker = psutil.Process(int(pid))
            for process in (worker, *worker.children(recursive=True)):
                assert TOKEN not in " ".join(process.cmdline())
                assert not [
                    one for one in process.net_connections("inet") if one.raddr or one.status == "LISTEN"
                ]
        except (psutil.NoSuchProcess, ValueError):
            pass
        time.sleep(0.2)
