"""How fast a whole set is scanned, against the bare tokenizer on the same texts with the same cores.

    python benchmarks/scan_set.py [--rows 20000] [--rounds 5] [--model FOLDER --data FILE]

Without a data file the rows are generated: a question of some ten words, an answer of some hundred. Each
round takes, one after the other, the tokenizer alone (encode_batch, 512 texts at once), the count of a set
whose count was not kept, and the scan: every row read from its file, its findings, tokens, labels, digest,
ledger and report. Medians are printed, and the ratio of the scan to the tokenizer. Memory is the peak of the
resident set above what the process has with the tokenizer loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from functools import partial
from pathlib import Path

import psutil
from render_rows import bare, generated, read, seconds, watched

from engine import RECIPES, dataset, render, runs, schema
from engine.workers import scanning
from engine.workers.session import Session, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, default=RECIPES / "models" / "tiny")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    chat = render.load(arguments.model)
    rows = read(arguments.data) if arguments.data else generated(arguments.rows)
    rows = [row for _ in range(arguments.rows // len(rows) + 1) for row in rows][: arguments.rows]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IFT_TUI_HOME"] = folder
        file = Path(folder) / "rows.jsonl"
        with file.open("w") as out:
            for number, row in enumerate(rows):  # numbered, so that no row is another's duplicate
                question, answer = row.messages[-2:]
                question["content"] += f" ({number})"
                out.write(
                    json.dumps({"instruction": question["content"], "output": answer["content"]}) + "\n"
                )
        measure(arguments, chat, file, [chat.written(row.messages)[0] for row in rows])


def measure(asked: argparse.Namespace, chat: render.ChatFormat, file: Path, texts: list[str]) -> None:
    source = schema.Source(path=str(file), format="alpaca")
    data = schema.Data(sources=(source,), max_length=1_000_000, validation=0.0)
    plan = schema.Recipe(model=schema.Model(id=str(asked.model)), data=data)
    before = psutil.Process().memory_info().rss
    found: dict[str, list[float]] = {"the bare tokenizer": [], "count": [], "scan": []}
    peaks: list[int] = []
    for _ in range(asked.rounds):
        found["the bare tokenizer"].append(seconds(lambda: bare(chat, texts)))
        shutil.rmtree(runs.home() / "counted", ignore_errors=True)
        session = Session(plan, dataset.opened(plan, chat))
        found["count"].append(seconds(partial(count, session)))
        with watched() as peak:
            found["scan"].append(seconds(partial(scan, session, len(texts))))
        peaks.append(peak[0])
    print(f"{len(texts):,} rows, {psutil.cpu_count()} cores, medians of {asked.rounds} rounds\n")
    for name, taken in found.items():
        print(f"{name:24} {statistics.median(len(texts) / took for took in taken):10,.0f} rows/s")
    pairs = list(zip(*found.values(), strict=True))
    print(f"{'scan, of the tokenizer':24} {statistics.median(bare / scan for bare, _, scan in pairs):10.2f}")
    print(f"{'with the count':24} {statistics.median(bare / (c + s) for bare, c, s in pairs):10.2f}")
    print(f"{'memory beside':24} {(max(peaks) - before) / 1e6:10,.0f} MB")


def scan(session: Session, rows: int) -> None:
    scanned = scanning.scanned(session, lambda kind, facts: None)
    assert scanned["rows"] == rows, scanned["ledger"]


if __name__ == "__main__":
    main()
