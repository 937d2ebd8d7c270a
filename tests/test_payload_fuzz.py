"""A short run of the fuzz; the long one by its command (scripts/fuzz_terminal.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_few_rounds_find_nothing() -> None:
    command = [sys.executable, "-m", "scripts.fuzz_terminal", "--seconds", "5", "--seed", "7"]
    told = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
