"""How fast data is read: a large file checked whole, the first row of a huge one, a jump to any row.

    python benchmarks/read_rows.py [--rows 1000000] [--huge 10] [--rounds 5]

Makes its own files in a temporary folder (465 bytes a row, messages of three turns, one row in 50,000 is
broken and one in 1,000 stands twice). Each round takes, one after the other: Python's json.loads over every
line, which checks nothing and keeps nothing, as the measure of the machine; then the check. Medians are
printed. Memory is the sum of the resident sets of the worker and of its helpers at its highest, asked every
20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tui.feed import Child, Dialogue

ROW_BYTES = 465
JUMPS = 200

BARE = "import json, sys; n = sum(json.loads(line) is not None for line in open(sys.argv[1], 'rb')); print(n)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--huge", type=float, default=10, help="GB of the huge file; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IFT_TUI_HOME"] = str(Path(folder) / "home")
        path = Path(folder) / "rows.jsonl"
        write(path, arguments.rows)
        good = Path(folder) / "good.jsonl"
        write(good, min(arguments.rows, 100_000), broken=False)
        print(
            f"{arguments.rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB; medians of {arguments.rounds}\n"
        )
        rounds = [one_round(path, good, folder) for _ in range(arguments.rounds)]
        for name in rounds[0]:
            print(f"{name:44} {statistics.median(found[name] for found in rounds):9,.2f}")
        jumps = asyncio.run(jump(path, arguments.rows))
        ordered = sorted(jumps)
        print(f"{'jump to a row, ms (median of ' + str(JUMPS) + ')':44} {statistics.median(jumps):9,.2f}")
        print(f"{'jump to a row, ms (95 of 100)':44} {ordered[int(0.95 * len(ordered))]:9,.2f}")
        if arguments.huge:
            huge = Path(folder) / "huge.jsonl"
            grow(path, huge, int(arguments.huge * 1e9))
            firsts = [asyncio.run(first_row(huge)) for _ in range(arguments.rounds)]
            name = f"first row of {huge.stat().st_size / 1e9:.1f} GB, warm worker, ms"
            print(f"{name:44} {statistics.median(firsts):9,.1f}")


def one_round(path: Path, good: Path, folder: str) -> dict[str, float]:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE, str(good)], check=True, capture_output=True)
    share = path.stat().st_size / good.stat().st_size
    bare = (time.perf_counter() - began) * share
    shutil.rmtree(Path(folder) / "home", ignore_errors=True)  # what was counted before
    seconds, memory, parts = asyncio.run(check(path))
    assert sum(parts.values()) > 0.99 * path.stat().st_size / ROW_BYTES / 1.2
    return {
        "json.loads of every line, one core, s": bare,
        "check of every row, all cores, s": seconds,
        "check, memory at its highest, MB": memory / 1e6,
        "check / json.loads": seconds / bare,
    }


async def check(path: Path) -> tuple[float, int, dict[str, int]]:
    """Seconds from the request to the count in a worker that has read nothing yet; bytes; rows by part."""
    worker = Dialogue(Child("data"))
    await worker.start()
    with Memory() as memory:
        began = time.perf_counter()
        opened = await worker.answer("open", recipe=recipe_for(path))
        counted = opened["survey"] or (await worker.answer("count"))
        seconds = time.perf_counter() - began
    await worker.close()
    return seconds, memory.highest, counted["parts"]


async def jump(path: Path, rows: int) -> list[float]:
    """Milliseconds to each of some rows anywhere in a file that is counted."""
    worker = Dialogue(Child("data"))
    await worker.start()
    await worker.answer("open", recipe=recipe_for(path))
    await worker.answer("count")
    taken = []
    for _ in range(JUMPS):
        began = time.perf_counter()
        await worker.answer("row", part="train", index=random.randrange(int(rows * 0.9)))
        taken.append((time.perf_counter() - began) * 1000)
    await worker.close()
    return taken


async def first_row(path: Path) -> float:
    """Milliseconds from a path to its first row as it is trained, in a worker that has shown another set."""
    worker = Dialogue(Child("data"))
    await worker.start()
    await worker.answer("open", recipe=recipe_for(Path("builtin:reviews")))
    await worker.answer("row", part="train", index=0)
    began = time.perf_counter()
    await worker.answer("open", recipe=recipe_for(path))
    row = await worker.answer("row", part="train", index=0)
    taken = (time.perf_counter() - began) * 1000
    assert row["tokens"]
    await worker.close()
    return taken


class Memory:
    """The most memory that this process's children and theirs had together."""

    def __enter__(self) -> Memory:
        self.highest = 0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            total = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.highest = max(self.highest, total)


def recipe_for(path: Path) -> dict[str, Any]:
    return {"data": {"sources": [{"path": str(path)}]}}


def write(path: Path, rows: int, broken: bool = True) -> None:
    """Rows of the same size, from a fixed seed."""
    words = [
        f"{a}{b}" for a, b in itertools.product(("lam", "ket", "sca", "clo", "mug"), ("pa", "ti", "ro", "se"))
    ]
    chance = random.Random(0)
    last = ""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            if broken and number % 50_000 == 49_999:
                line = '{"messages": [{"role": "user", "content": "torn'
            elif number % 1_000 == 999:
                line = last
            else:
                said = " ".join(chance.choices(words, k=36))
                turns = [
                    ("system", "Answer briefly."),
                    ("user", f"{number} {said}"),
                    ("assistant", said[:60]),
                ]
                messages = [{"role": role, "content": text} for role, text in turns]
                line = json.dumps({"messages": messages, "id": number})
            last = line
            file.write(line.ljust(ROW_BYTES - 1) + "\n")


def grow(path: Path, huge: Path, size: int) -> None:
    """A file of so many bytes, of the same rows again and again."""
    with huge.open("wb") as out:
        while out.tell() < size:
            with path.open("rb") as file:
                os.sendfile(out.fileno(), file.fileno(), 0, path.stat().st_size)
            out.seek(0, os.SEEK_END)


if __name__ == "__main__":
    main()
