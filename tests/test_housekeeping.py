"""Runs that are archived, brought back and removed: nothing living is touched, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tui_stage import alive, record, step_events

from engine import housekeeping, runs
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui.__main__ import main


def made(name: str = "done") -> Run:
    """A finished run with an adapter of 1,000 bytes and two checkpoints of 500."""
    run = record(name, step_events(4, total=4))
    for folder, size in (("adapter", 1000), ("checkpoints/step-2", 500), ("checkpoints/step-4", 500)):
        (run.path / folder).mkdir(parents=True)
        (run.path / folder / "adapter_model.safetensors").write_bytes(b"x" * size)
        (run.path / folder / "adapter_config.json").write_text("{}")
    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_disk_is_counted_by_part_each_file_once_and_no_link_is_followed(tmp_path: Path) -> None:
    run = made()
    elsewhere = tmp_path / "large"
    elsewhere.write_bytes(b"x" * 1_000_000)
    (run.path / "adapter" / "link").symlink_to(elsewhere)
    os.link(run.path / "adapter" / "adapter_model.safetensors", run.path / "checkpoints" / "same")
    found = housekeeping.disk(run)
    assert list(found) == ["adapter", "checkpoints", housekeeping.OTHER]
    assert 1002 <= found["adapter"] < 1200 and found["checkpoints"] == 1004
    everything = sum(path.lstat().st_size for path in run.path.rglob("*") if not path.is_dir())
    assert sum(found.values()) == everything - 1000


def test_an_archived_run_is_whole_out_of_the_list_and_comes_back() -> None:
    run, other = made(), made("other")
    before = files(run.path)
    moved = housekeeping.archive(run)
    assert runs.list_runs() == [other] and housekeeping.archived() == [moved]
    locks = {"lock": b"", "readers": b""}
    assert {**files(moved.path), **locks} == {**before, **locks}
    assert housekeeping.unarchive(housekeeping.find_archived("done")) == run
    assert run in runs.list_runs() and housekeeping.archived() == []
    assert run.state().status == "finished"


def test_a_name_that_stands_there_already_is_never_overwritten() -> None:
    run = made()
    moved = housekeeping.archive(run)
    run.path.mkdir()
    (run.path / "recipe.toml").write_text("")
    with pytest.raises(UserError, match="stands there"):
        housekeeping.unarchive(moved)
    with pytest.raises(UserError, match="stands there"):
        housekeeping.archive(run)
    assert moved.adapter.is_dir()


@pytest.mark.parametrize("do", [housekeeping.archive, housekeeping.delete, housekeeping.drop_checkpoints])
def test_a_run_that_lives_waits_or_is_read_or_exported_is_left_alone(do: object) -> None:
    run = made()
    with alive(run), pytest.raises(UserError, match="alive, or waits"):
        do(run)  # type: ignore[operator]
    (run.path / "exports").mkdir()
    with alive(Run(run.path / "exports")), pytest.raises(UserError, match="being exported"):
        do(run)  # type: ignore[operator]
    held = [runs.read_on(run), runs.read_on(run)]
    with pytest.raises(UserError, match="open in a comparison"):
        do(run)  # type: ignore[operator]
    for descriptor in held:
        os.close(descriptor)
    assert runs.list_runs() == [run] and (run.checkpoints / "step-4").is_dir()


def test_a_run_cannot_start_while_it_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = made(), []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        seen.append(runs.is_alive(run))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    moved = housekeeping.archive(run)
    assert seen == [True] and not runs.is_alive(moved)


def test_what_is_deleted_leaves_what_it_points_to(tmp_path: Path) -> None:
    run = made()
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    (run.path / "exports").symlink_to(kept)
    (run.path / "adapter" / "link").symlink_to(kept)
    size = sum(housekeeping.disk(run).values())
    assert housekeeping.delete(run) == size
    assert (kept / "file").read_text() == "mine"
    assert list((runs.home() / "runs").iterdir()) == []


def test_a_removal_that_is_interrupted_leaves_no_half_run_and_is_ended_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, other = made(), made("other")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            housekeeping.delete(run)
    assert runs.list_runs() == [other]
    assert any((runs.home() / "runs" / housekeeping.TRASH).rglob("recipe.toml")), "half removed"
    housekeeping.drop_checkpoints(other)
    assert not (runs.home() / "runs" / housekeeping.TRASH).exists()
    assert runs.list_runs() == [other]


def test_checkpoints_go_and_the_adapter_stays() -> None:
    run = made()
    assert housekeeping.drop_checkpoints(run) == 1004
    assert not run.checkpoints.exists() and (run.adapter / "adapter_model.safetensors").stat().st_size == 1000
    assert run.state().status == "finished"
    with pytest.raises(UserError, match="no checkpoints of its own"):
        housekeeping.drop_checkpoints(run)


def test_checkpoints_of_a_run_without_an_adapter_are_all_it_has() -> None:
    run = made()
    shutil.rmtree(run.adapter)
    with pytest.raises(UserError, match="all that it has learned"):
        housekeeping.drop_checkpoints(run)
    assert (run.checkpoints / "step-4").is_dir()


def test_only_what_is_in_the_list_is_touched(tmp_path: Path) -> None:
    run = made()
    outside = tmp_path / "elsewhere" / run.name
    shutil.copytree(run.path, outside)
    linked = runs.home() / "runs" / "linked"
    linked.symlink_to(outside)
    for wrong, why in ((Run(outside), "not in the list"), (Run(linked), "is a link")):
        for do in (housekeeping.archive, housekeeping.delete):
            with pytest.raises(UserError, match=why):
                do(wrong)
    assert (outside / "recipe.toml").is_file() and linked.is_symlink()


def test_what_cannot_be_removed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    run = made()
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(RunFailed, match="could not be removed"):
        housekeeping.delete(run)
    assert runs.list_runs() == []


def test_another_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    run = made()

    def across(self: Path, target: Path) -> Path:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", across)
    with pytest.raises(UserError, match="another disk"):
        housekeeping.archive(run)
    assert runs.list_runs() == [run]


def test_the_commands_do_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    run = made()

    def said(*words: str, code: int = 0) -> str:
        assert main(list(words)) == code
        out = capsys.readouterr()
        return out.out + out.err

    assert json.loads(said("archive", "done", "--json"))["run"] == run.name
    assert "No runs yet" in said("runs") and run.name in said("runs", "--archived")
    assert "no such run" in said("archive", "done", code=2)
    assert "in the list again" in said("unarchive", "done")
    assert "archive is empty" in said("runs", "--archived")
    disk = json.loads(said("runs", "--disk", "--json"))[0]["disk"]
    assert disk == housekeeping.disk(run)
    assert "CHECKPOINTS" in said("runs", "--disk")
    would = said("delete", "done", code=2)
    assert "its adapter, 2 checkpoints" in would and "--yes" in would and run.path.is_dir()
    assert "1.0 kB are free again" in said("delete", "done", "--checkpoints", "--yes")
    assert "no checkpoints" in said("delete", "done", "--checkpoints", "--yes", code=2)
    housekeeping.archive(run)
    told = json.loads(said("delete", "done", "--archived", "--yes", "--json"))
    assert told["removed"] == "all" and told["bytes"] > 1000
    assert not any((runs.home() / "archive").rglob("recipe.toml"))
