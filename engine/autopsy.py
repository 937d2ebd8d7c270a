"""Why a worker ended without a last word, as far as the machine tells."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
KERNEL_LOG = Path("/dev/kmsg")
MOST_LINES = 20_000

RESUME = "at most the steps since its last checkpoint are lost"

# What libraries and the driver print before they take a process with them, what it means, what to do.
SAID = (
    (
        "NVRM: Xid|CUDA error: (?:unspecified|uncorrectable|device-side|unknown|an illegal)|GPU is lost"
        "|CUBLAS_STATUS_EXECUTION_FAILED|ECC error",
        "the GPU or its driver failed",
        "look at `nvidia-smi` and `dmesg`, then resume it",
    ),
    (
        "No space left on device|Disk quota exceeded",
        "there was no room left to write",
        "make room, then resume it",
    ),
    (
        "MemoryError|can't allocate memory|std::bad_alloc",
        "the machine's memory ran out",
        "lower train.batch_size or close what else is running, then resume it",
    ),
    (
        "Segmentation fault|Fatal Python error|Illegal instruction|Bus error|core dumped",
        "a library crashed",
        "see the end of worker.log; `ift-tui doctor` compares versions; then resume it",
    ),
)

MEMORY_GUARD = (
    "the system's memory guard killed it: the machine's memory ran out",
    "lower train.batch_size or data.max_length, or close what else is running, then resume it",
)


def signs() -> dict[str, Any]:
    """What a worker notes when it starts, for `cause` to compare with later."""
    return {"pid": os.getpid(), "boot": _boot(), "oom_kills": _oom_kills()}


def cause(noted: Mapping[str, Any], log: Iterable[str]) -> tuple[str, str]:
    """The likely cause, and what to do. noted: the signs at its start; log: the end of its worker.log."""
    if noted.get("boot") not in (None, _boot()):
        return "the machine was started anew since its last word", RESUME
    kills = _oom_kills()
    if noted.get("oom_kills") is not None and kills is not None and kills > noted["oom_kills"]:
        return MEMORY_GUARD
    if noted.get("pid") and _killed_for_memory(noted["pid"]):
        return MEMORY_GUARD
    for line in reversed(list(log)):
        for pattern, what, mend in SAID:
            if re.search(pattern, line, re.I):
                return what, mend
    return "its worker was killed, or crashed without a word", f"the end of worker.log may say why; {RESUME}"


def _boot() -> str | None:
    """Which start of the machine this is; None where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None


def _oom_kills() -> int | None:
    """How many processes of this control group were killed for memory; None where that is not known."""
    try:
        own = Path("/proc/self/cgroup").read_text("utf-8").rpartition("::/")[2].strip()
        counts = (CGROUP / own / "memory.events").read_text("ascii")
    except OSError:
        return None
    found = re.search(r"^oom_kill (\d+)", counts, re.M)
    return int(found[1]) if found else None


def _killed_for_memory(pid: int) -> bool:
    """Whether the kernel's log names the process among those it killed; only some people may read it."""
    killed = f"Killed process {pid} ".encode()
    try:
        log = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        for _ in range(MOST_LINES):
            if killed in os.read(log, 8192):
                return True
    except OSError:  # its end: no more lines for now
        return False
    finally:
        os.close(log)
    return False
