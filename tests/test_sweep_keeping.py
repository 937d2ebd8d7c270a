"""Sweeps that are archived, brought back and removed, with their runs or without; none that lives."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from test_housekeeping import files
from test_sweeps import made, recorded, trial
from tui_stage import alive, record, step_events

from engine import housekeeping, runs, sweep_keeping, sweeps
from engine.errors import UserError
from engine.runs import Run
from engine.sweeps import Sweep
from tui.__main__ import main


def name_of(number: int) -> str:
    return f"20300102-1200{number:02}-a-{number:02}"


@pytest.fixture
def sweep() -> Sweep:
    """Two trials with their runs, a run of its own beside them."""
    found = made([*recorded(trial(1, [3.0]), trial(2, [2.5])), {"kind": "finished", "reason": "made"}])
    for number in (1, 2):
        path = record(name_of(number), step_events(4)).path.rename(runs.home() / "runs" / name_of(number))
        (path / "checkpoints").mkdir()
        (path / "checkpoints" / "weights").write_bytes(b"x" * 1000)
    record("other", step_events(4))
    return found


def listed() -> list[str]:
    return sorted(run.name.rpartition("-")[2] for run in runs.list_runs())


def test_it_goes_with_its_runs_and_all_of_it_comes_back(sweep: Sweep) -> None:
    before = files(runs.home())
    taken = sweep_keeping.disk(sweep)
    along = sweep_keeping.archive(sweep, with_runs=True)
    assert [run.name for run in along] == [name_of(1), name_of(2)]
    assert listed() == ["other"] and sweeps.list_sweeps() == [] and len(housekeeping.archived()) == 2
    kept = sweep_keeping.find_archived("run")
    assert sweep_keeping.disk(kept) == taken  # its runs are those beside it
    assert sweep_keeping.unarchive(kept) == [Run(runs.home() / "runs" / name_of(n)) for n in (1, 2)]
    after = {
        name: text for name, text in files(runs.home()).items() if not name.endswith(("lock", "readers"))
    }
    assert after == before and sweeps.find("last") == sweep and sweep_keeping.archived() == []


def test_alone_it_leaves_its_runs_in_the_list(sweep: Sweep) -> None:
    alone, whole = sweep_keeping.disk(sweep, with_runs=False), sweep_keeping.disk(sweep)
    assert whole > alone + 2000
    assert sweep_keeping.archive(sweep, with_runs=False) == []
    assert listed() == ["01", "02", "other"]
    (kept,) = sweep_keeping.archived()
    assert sweep_keeping.delete(kept, with_runs=True) == alone  # its runs are not in the archive
    assert listed() == ["01", "02", "other"] and sweep_keeping.archived() == []


def test_deleted_with_its_runs_nothing_of_it_is_left(sweep: Sweep) -> None:
    whole = sweep_keeping.disk(sweep)
    assert sweep_keeping.delete(sweep, with_runs=True) == whole
    assert listed() == ["other"] and [path.name for path in (runs.home() / "sweeps").iterdir()] == []


@pytest.mark.parametrize("do", [sweep_keeping.archive, sweep_keeping.delete])
def test_where_one_of_them_lives_or_is_read_all_stay(sweep: Sweep, do: object) -> None:
    before = files(runs.home())

    def refused(words: str) -> None:
        with pytest.raises(UserError, match=words):
            do(sweep, True)  # type: ignore[operator]
        assert before.items() <= files(runs.home()).items()
        assert listed() == ["01", "02", "other"] and sweeps.list_sweeps() == [sweep]

    with alive(sweep):  # type: ignore[arg-type]
        refused("run is alive, or waits")
    second = Run(runs.home() / "runs" / name_of(2))
    with alive(second):
        refused("a-02 is alive")
    reader = runs.read_on(second)
    refused("a-02 is open in a comparison")
    os.close(reader)
    (second.path / "exports").mkdir()
    with alive(Run(second.path / "exports")):
        refused("a-02 is being exported")


def test_a_name_that_stands_there_moves_nothing(sweep: Sweep) -> None:
    (runs.home() / "archive" / name_of(2)).mkdir(parents=True)
    with pytest.raises(UserError, match="stands there; rename one of them, nothing was moved"):
        sweep_keeping.archive(sweep, with_runs=True)
    assert listed() == ["01", "02", "other"] and sweeps.list_sweeps() == [sweep]


def test_what_was_interrupted_is_ended_by_doing_it_again(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, done = Path.rename, list[Path]()

    def killed(self: Path, target: Path) -> Path:
        if done:
            raise KeyboardInterrupt
        done.append(self)
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep_keeping.archive(sweep, with_runs=True)
    assert listed() == ["02", "other"] and sweeps.list_sweeps() == [sweep]
    sweep_keeping.archive(sweep, with_runs=True)
    assert listed() == ["other"]
    sweep_keeping.unarchive(sweep_keeping.find_archived("run"))
    assert listed() == ["01", "02", "other"]


def test_a_link_or_a_folder_elsewhere_is_left_alone(sweep: Sweep, tmp_path: Path) -> None:
    moved = sweep.path.rename(tmp_path / sweep.name)
    sweep.path.symlink_to(moved)
    for wrong, words in ((sweep, "is a link"), (Sweep(moved), "not in the list of sweeps")):
        with pytest.raises(UserError, match=words):
            sweep_keeping.delete(wrong, with_runs=False)
    assert (moved / "events.jsonl").is_file()


def test_the_commands_do_the_same(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str, code: int = 0) -> str:
        assert main(list(words)) == code
        out = capsys.readouterr()
        return out.out + out.err

    (disk,) = json.loads(said("sweeps", "--disk", "--json"))
    assert disk["bytes"] == sweep_keeping.disk(sweep, with_runs=False)
    assert disk["bytes_with_runs"] == sweep_keeping.disk(sweep)
    assert "WITH RUNS" in said("sweeps", "--disk")
    assert "goes with --sweep" in said("archive", "last", "--with-runs", code=2)
    told = said("archive", "--sweep", "last", "--with-runs")
    assert (
        told
        == f"{sweep.name} with 2 runs is archived; `ift-tui unarchive --sweep {sweep.name}` brings it back\n"
    )
    assert "No sweeps yet" in said("sweeps") and sweep.name in said("sweeps", "--archived")
    assert json.loads(said("unarchive", "--sweep", "run", "--json"))["runs"] == [name_of(1), name_of(2)]
    would = said("delete", "--sweep", "last", code=2)
    assert "its runs stay" in would and "--yes" in would and sweep.path.is_dir()
    would = said("delete", "--sweep", "last", "--with-runs", code=2)
    assert "with 2 runs" in would and "--yes" in would and len(listed()) == 3
    assert "is for a run" in said("delete", "--sweep", "last", "--checkpoints", "--yes", code=2)
    assert "with 2 runs is removed" in said("delete", "--sweep", "last", "--with-runs", "--yes")
    assert listed() == ["other"] and "no such sweep" in said("delete", "--sweep", "run", "--yes", code=2)
    assert "No sweep is in the archive" in said("sweeps", "--archived")
