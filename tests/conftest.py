"""What several tests share: a home of their own for runs, and one real run of the default recipe."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import ALWAYS, BY_COMMAND

from engine import recipe, runs
from engine.runs import Run

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "cases"
CASES = Path(os.environ.get("IFT_TUI_CASES", BESIDE))
"""Real data and tokenizers that lie beside some checkouts, or where the variable says; tests on them skip
where they are absent."""

LONGEST_TRAINING = 420.0

# As in the workers: beside another busy process, threads that spin while they wait cost most of the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["COLORTERM"] = "truecolor"  # pictures are the same wherever they are drawn
if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each process of the tests
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has its own place for runs, and no hub to ask."""
    path = tmp_path / "ift-home"
    monkeypatch.setenv("IFT_TUI_HOME", str(path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The default recipe, trained to its end by the real detached worker. Shared: read it only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IFT_TUI_HOME", str(tmp_path_factory.mktemp("trained")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        before = os.umask(0)  # what a run writes is private whatever the umask
        run = runs.create(recipe.load("first-steps"))
        runs.launch(run)
        os.umask(before)
        wait_for_end(run)
        yield run


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the trained run go to one process: it takes two minutes to train. The longest come first."""
    for item in items:
        if "picture" in getattr(item, "fixturenames", ()) and item.name.split("[")[0] not in ALWAYS:
            item.add_marker(BY_COMMAND)
        if "trained" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("trained"))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Looking for garbage takes a sixth of the time of tests on screens, of which each leaves little."""
    gc.freeze()
    gc.set_threshold(50_000)


def wait_for_end(run: Run, seconds: float = LONGEST_TRAINING) -> None:
    """Return when the run has no worker any more; fail with the end of its log if that takes too long."""
    deadline = time.monotonic() + seconds
    while runs.is_alive(run):
        if time.monotonic() > deadline:
            runs.stop(run)
            pytest.fail("the run did not end:\n" + "\n".join(runs.log_tail(run)))
        time.sleep(0.05)
