"""Uploads by huggingface_hub's own client to a hub on this machine: private, resumed, and no token told."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import exports, recipe, runs
from engine.runs import Run
from tests.hub_stage import Hub, hub

pytestmark = pytest.mark.slow

TOKEN = "hf_" + "a1B2" * 9
WEIGHTS = "adapter_model.safetensors"
CONTENT = {WEIGHTS: bytes(range(256)) * 40, "README.md": b"# Mine\n", "adapter_config.json": b"{}\n"}
LONGEST = 120


@pytest.fixture
def run(home: Path) -> Run:
    """A run with an adapter, and an export of it that has passed."""
    made = runs.create(recipe.load("first-steps"))
    folder = exports.place(made, "adapter")
    for place in (made.adapter, folder):
        place.mkdir(parents=True, exist_ok=True)
    (made.adapter / WEIGHTS).write_bytes(CONTENT[WEIGHTS])
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    digest = hashlib.sha256(CONTENT[WEIGHTS]).hexdigest()
    facts = {
        "kind": "adapter",
        "run": made.name,
        "status": "passed",
        "digest": digest,
        "files": list(CONTENT),
    }
    (folder / exports.FILE).write_text(json.dumps(facts))
    return made


@pytest.fixture
def place() -> Iterator[Hub]:
    with hub() as held:
        yield held


def start(run: Run, place: Hub, repo: str, *words: str) -> subprocess.Popen[str]:
    """The worker, sending the run's adapter."""
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environment |= {"HF_ENDPOINT": place.address, "HF_TOKEN": TOKEN, "NO_PROXY": "127.0.0.1"}
    environment |= {"HF_HUB_DISABLE_XET": "1"}  # the other way, which is plain HTTP
    return subprocess.Popen(
        [sys.executable, "-m", "engine.workers.export", str(run.path), "--to", "hub", "--repo", repo, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def sent(run: Run, place: Hub, repo: str, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and last message of an upload, which says the token nowhere."""
    process = start(run, place, repo, *words)
    out, errors = process.communicate(timeout=LONGEST)
    assert TOKEN not in out + errors
    return process.returncode, json.loads(out.splitlines()[-1])


def test_an_upload_that_broke_off_sends_what_is_missing_and_nothing_twice(run: Run, place: Hub) -> None:
    place.taking.clear()
    broken = start(run, place, "me/mine")
    assert place.asked_to_commit.wait(LONGEST)  # the weights are there, the files that name them are not
    broken.kill()
    out, errors = broken.communicate()
    assert TOKEN not in out + errors
    assert len(place.sent) == 1 and place.files["me/mine"] == {}
    place.taking.set()

    code, told = sent(run, place, "me/mine")
    assert code == 0 and told["exports"][0]["private"], told
    assert place.private == {"me/mine": True} and place.tokens <= {f"Bearer {TOKEN}", None}
    assert len(place.sent) == 1
    assert {name: place.files["me/mine"][name] for name in CONTENT} == CONTENT
    assert not any(name.startswith(".cache") for name in place.files["me/mine"])
    for file in run.path.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file


@pytest.mark.long
def test_each_place_gets_all_of_it(run: Run, place: Hub) -> None:
    """What has gone up to one is no reason to leave it out of another."""
    for repo in ("me/mine", "me/other"):
        code, told = sent(run, place, repo)
        assert code == 0, told
        assert place.files[repo].keys() >= CONTENT.keys()


def test_what_the_hub_refuses_is_said_in_a_sentence(run: Run, place: Hub) -> None:
    assert sent(run, place, "me/mine", "--dry-run")[0] == 0
    assert not place.private and not place.tokens
    assert sent(run, place, "me/mine", "--public")[0] == 0 and place.private == {"me/mine": False}
    code, told = sent(run, place, "me/mine")
    assert code == 1 and "is there already and is public" in told["message"]
    place.refuses = True
    code, told = sent(run, place, "me/third")
    assert code == 1 and "the hub refused me/third" in told["message"], told
