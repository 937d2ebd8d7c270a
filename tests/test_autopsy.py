"""Why a worker ended without a last word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import autopsy


def test_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(autopsy, "KERNEL_LOG", tmp_path / "none")
    what, mend = autopsy.cause(autopsy.signs(), ["{'loss': 1.2}", "saving"])
    assert what == "its worker was killed, or crashed without a word" and "checkpoint" in mend
    assert autopsy.cause({}, []) == (what, mend)


def test_a_machine_that_was_started_anew() -> None:
    noted = {**autopsy.signs(), "boot": "another"}
    assert (
        autopsy.cause(noted, ["Segmentation fault"])[0] == "the machine was started anew since its last word"
    )


def test_the_memory_guard_of_the_control_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Path("/proc/self/cgroup").read_text().rpartition("::/")[2].strip()
    (tmp_path / own).mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(autopsy, "CGROUP", tmp_path)
    (tmp_path / own / "memory.events").write_text("low 0\nhigh 3\nmax 8\noom 1\noom_kill 1\n")
    noted = autopsy.signs()
    assert noted["oom_kills"] == 1
    assert autopsy.cause(noted, [])[0].startswith("its worker was killed")
    (tmp_path / own / "memory.events").write_text("low 0\nhigh 3\nmax 8\noom 2\noom_kill 2\n")
    assert autopsy.cause(noted, []) == autopsy.MEMORY_GUARD


def test_the_memory_guard_in_the_kernels_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text(f"4,1,1,-;Out of memory: Killed process {os.getpid()} (python) total-vm:9kB\n")
    monkeypatch.setattr(autopsy, "KERNEL_LOG", log)
    assert autopsy.cause(autopsy.signs(), []) == autopsy.MEMORY_GUARD
    assert autopsy.cause({**autopsy.signs(), "pid": 1}, [])[0].startswith("its worker was killed")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            "RuntimeError: CUDA error: an illegal memory access",
            "the GPU or its driver failed",
        ),
        ("OSError: [Errno 28] No space left on device", "there was no room left to write"),
        ("DefaultCPUAllocator: can't allocate memory: you tried", "the machine's memory ran out"),
        ("Fatal Python error: Segmentation fault", "a library crashed"),
    ],
)
def test_what_the_log_says(line: str, what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(autopsy, "KERNEL_LOG", tmp_path / "none")
    assert autopsy.cause(autopsy.signs(), ["step 1", line, "  in frame"])[0] == what
