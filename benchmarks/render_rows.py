"""How fast rows become ids and labels, against the bare tokenizer on the same texts with the same cores.

    python benchmarks/render_rows.py [--rows 10000] [--rounds 5] [--model FOLDER --data FILE]

Without a data file the rows are generated: a question of some ten words, an answer of some hundred. A data
file is JSON, a list of objects with instruction, input and output. Each round takes, one after the other, the
tokenizer alone (encode_batch, 512 texts at once) and ours: chat template, findings, tokens, labels, digest.
Medians are printed, and their ratio. Memory is the peak of the resident set above what the process has with
the tokenizer loaded and the rows read.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from engine import RECIPES, ledger, render
from engine.formats import Conversation, Unusable
from engine.render import ChatFormat

AT_ONCE = 512
WORDS = (RECIPES / "datasets" / "products" / "train.jsonl").read_text("utf-8").split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, default=RECIPES / "models" / "tiny")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    chat = render.load(arguments.model)
    rows = read(arguments.data) if arguments.data else generated(arguments.rows)
    rows = (rows * (arguments.rows // len(rows) + 1))[: arguments.rows]
    texts = [chat.written(row.messages)[0] for row in rows]
    tokens = sum(len(chat.tokenizer.encode(text, add_special_tokens=False)) for text in texts[:500]) / 500
    print(f"{len(rows):,} rows of about {tokens:.0f} tokens, {psutil.cpu_count()} cores, medians of rounds\n")
    before = psutil.Process().memory_info().rss
    speeds: dict[str, list[float]] = {"the bare tokenizer": [], "ours": []}
    peaks = []
    for _ in range(arguments.rounds):
        speeds["the bare tokenizer"].append(len(rows) / seconds(lambda: bare(chat, texts)))
        with watched() as peak:
            speeds["ours"].append(len(rows) / seconds(lambda: ours(chat, rows)))
        peaks.append(peak[0])
    middle = {name: statistics.median(found) for name, found in speeds.items()}
    ratio = statistics.median(b / a for a, b in zip(*speeds.values(), strict=True))
    for name, found in middle.items():
        print(f"{name:24} {found:10,.0f} rows/s")
    print(f"{'ratio, in one round':24} {ratio:10.2f}")
    print(f"{'memory beside':24} {(max(peaks) - before) / 1e6:10,.0f} MB")


def read(file: Path) -> list[Conversation]:
    rows = json.loads(file.read_text("utf-8"))
    return [
        asked(f"{row['instruction']}\n{row['input']}".strip(), row["output"]) for row in rows if row["output"]
    ]


def generated(number: int) -> list[Conversation]:
    chance = random.Random(1)
    return [
        asked(
            " ".join(chance.choices(WORDS, k=10)), " ".join(chance.choices(WORDS, k=chance.randint(20, 180)))
        )
        for _ in range(number)
    ]


def asked(question: str, answer: str) -> Conversation:
    return Conversation([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])


def bare(chat: ChatFormat, texts: list[str]) -> None:
    for start in range(0, len(texts), AT_ONCE):
        chat.tokenizer.encode_batch(texts[start : start + AT_ONCE], add_special_tokens=False)


def ours(chat: ChatFormat, rows: list[Conversation]) -> None:
    made = render.stream(chat, ([row] for row in rows), 1_000_000, ledger.actions({}))
    found = (one for row in made for one in row if not isinstance(one, Unusable))
    render.digest((r.ids, r.labels) for pieces in found for r in pieces)


def seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class watched:
    """The peak of this process's resident set while the block runs, asked every 20 ms."""

    def __enter__(self) -> list[int]:
        self._peak, self._done = [0], threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self._peak

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._done.wait(0.02):
            self._peak[0] = max(self._peak[0], process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


if __name__ == "__main__":
    main()
