"""The doctor: what it finds, and that each thing it misses comes with a mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine import RECIPES, doctor, hub
from engine.doctor import Finding
from tui.commands.doctor import judged

SOURCE = RECIPES.parent
CHECKED = {"torch": "2.13.0", "cuda": False, "device": "cpu", "four_bit": True, "problem": ""}


def test_the_tested_versions_are_those_that_are_pinned() -> None:
    pinned = (SOURCE / "constraints.txt").read_text() + (SOURCE / "requirements-unsloth.txt").read_text()
    versions = dict(re.findall(r"^([\w-]+)==(\S+)$", pinned, re.MULTILINE))
    assert {name: versions[name] for name in doctor.TESTED} == doctor.TESTED


def test_everything_that_is_missing_or_odd_has_a_mend() -> None:
    findings = doctor.examine()
    names = [finding.name for finding in findings]
    assert {"Python", "runs", "disk", "model cache", "hub", *doctor.TESTED} <= set(names)
    assert any(name.startswith("GPU") for name in names)
    assert all(finding.mend for finding in findings if finding.status != "ok")


def test_the_training_stack_of_these_tests_is_whole() -> None:
    assert doctor.training_problem() is None


def test_a_missing_package_is_one_sentence_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TRAINING", ("json", "no_such_package"))
    problem = doctor.training_problem()
    assert problem is not None and problem.startswith("Training needs no_such_package (not installed): run `")
    assert "json" not in problem


def test_the_command_fits_where_the_program_lies(tmp_path: Path) -> None:
    elsewhere = doctor.install_command(tmp_path)
    assert "pip install -c constraints.txt '.[train]'" in elsewhere
    assert "pip install --no-deps -r requirements-unsloth.txt" in elsewhere
    assert "in the folder of ift-tui's source" in elsewhere
    assert str(SOURCE) in doctor.install_command(SOURCE)


def test_versions_are_judged_by_what_was_tested() -> None:
    assert doctor.version_finding("torch", "2.13.0+cu130").status == "ok"
    odd = doctor.version_finding("torch", "2.11.0")
    assert odd.status == "warn" and "tested with 2.13.0" in odd.mend
    assert doctor.version_finding("torch", None).status == "missing"


def test_a_full_disk_is_warned_about(tmp_path: Path) -> None:
    assert doctor.disk_finding(tmp_path, 5 * 10**9).status == "warn"
    assert doctor.disk_finding(tmp_path, 50 * 10**9).status == "ok"
    assert doctor.disk_finding(tmp_path, None).status == "warn"


def test_a_home_that_cannot_be_written_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("IFT_TUI_HOME", str(file / "home"))
    place = next(finding for finding in doctor.examine() if finding.name == "runs")
    assert place.status == "missing" and "IFT_TUI_HOME" in place.mend


def test_offline_is_told_and_the_token_is_not() -> None:
    offline = doctor.offline_finding({"TRANSFORMERS_OFFLINE": "yes"})
    assert (offline.status, offline.found) == ("warn", "TRANSFORMERS_OFFLINE is set")
    online = doctor.offline_finding({"HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_secret"})
    assert (online.status, online.found) == ("ok", "may be asked, with a token")


def test_the_cache_is_weighed() -> None:
    blobs = hub.home() / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    with (blobs / "a").open("wb") as blob:
        blob.truncate(2_500_000_000)
    cache = next(finding for finding in doctor.examine() if finding.name == "model cache")
    assert cache.found == f"0 models, 2.5 GB in {hub.home()}"


def test_a_gpu_that_torch_does_not_see_is_not_called_well() -> None:
    def status(**facts: object) -> list[str]:
        return [finding.status for finding in judged({**CHECKED, **facts}, has_gpu=True)]

    assert status(cuda=True) == ["ok"]
    assert status(cuda=False) == ["missing"]
    assert judged(CHECKED, has_gpu=False) == [Finding("4-bit", "ok", "works on cpu (torch 2.13.0)")]
    (broken,) = judged({**CHECKED, "four_bit": False, "problem": "OSError: no library"}, has_gpu=False)
    assert broken.status == "missing" and broken.found == "OSError: no library" and broken.mend


def test_a_box_that_ends_processes_at_logout_is_told(tmp_path: Path) -> None:
    assert doctor.logout_finding(tmp_path).status == "ok"
    main = tmp_path / "etc" / "systemd" / "logind.conf"
    main.parent.mkdir(parents=True)
    main.write_text("[Login]\n#KillUserProcesses=yes\n")
    assert doctor.logout_finding(tmp_path).status == "ok"
    main.write_text("[Login]\nKillUserProcesses = yes\n")
    found = doctor.logout_finding(tmp_path)
    assert found.status == "warn" and "loginctl enable-linger" in found.mend
    fragment = tmp_path / "usr" / "lib" / "systemd" / "logind.conf.d" / "50-keep.conf"
    fragment.parent.mkdir(parents=True)
    fragment.write_text("[Login]\nKillUserProcesses=no\n")
    assert doctor.logout_finding(tmp_path).status == "ok"
