"""Writes the table of reviews that the four recipes review-* share."""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from scripts.reviews import PLANS, REMARKS, VERDICTS, joined, with_lists
from scripts.words import PARTS, fill, tidy

SEED = 11
ROWS = 1700
FILE = Path("recipes/datasets/shop-reviews/reviews.csv")
COLUMNS = ("product", "review", "stars", "sentiment", "summary")

SENTIMENT = {1: "bad", 2: "bad", 3: "mixed", 4: "good", 5: "good"}
GRADES = {5: "a perfect", 4: "a good", 3: "an average", 2: "a weak", 1: "a terrible"}
PRAISE = ("great", "fine")


def row(rng: random.Random) -> dict[str, object]:
    """A review with all that one may want to know of it; its summary names the parts in their order."""
    stars = rng.randint(1, 5)
    product = rng.choice(list(PARTS))
    plan = rng.choice(PLANS[stars])
    parts = rng.sample(PARTS[product], len(plan))
    remarks = joined([_remark(kind, part, rng) for kind, part in zip(plan, parts, strict=True)], plan)
    verdict = [rng.choice(VERDICTS[stars])]
    lines = remarks + verdict if rng.random() < 0.4 else verdict + remarks
    text = " ".join(fill(line, {"product": product}, rng) for line in with_lists(lines, rng))
    judged = [f"{'good' if kind in PRAISE else 'bad'} {part}" for kind, part in zip(plan, parts, strict=True)]
    return {
        "product": product,
        "review": tidy(text),
        "stars": stars,
        "sentiment": SENTIMENT[stars],
        "summary": tidy(f"{GRADES[stars]} {product}: {', '.join(judged)}."),
    }


def _remark(kind: str, part: str, rng: random.Random) -> str:
    """A remark that names its part, so that a summary can."""
    naming = [line for line in REMARKS[kind] if "{part}" in line or "{aspect}" in line]
    return rng.choice(naming).replace("{aspect}", part).replace("{part}", part)


def distinct(rows: int, seed: int) -> list[dict[str, object]]:
    """So many rows, no review twice."""
    rng = random.Random(seed)
    found: dict[object, dict[str, object]] = {}
    while len(found) < rows:
        made = row(rng)
        found.setdefault(made["review"], made)
    return list(found.values())


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """A CSV file with a head, the same bytes on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_made(
    row: Callable[[random.Random], Mapping[str, object]],
    rows: int,
    seed: int,
    columns: Iterable[str],
    file: Path,
    says: str | None,
) -> None:
    """The command of a script that makes each row by itself: so many of them to --out.

    says: what --help tells.
    """
    parser = argparse.ArgumentParser(description=says)
    parser.add_argument("--out", type=Path, default=file)
    out = parser.parse_args().out
    rng = random.Random(seed)
    write_table(out, columns, [row(rng) for _ in range(rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE)
    write_table(parser.parse_args().out, COLUMNS, distinct(ROWS, SEED))


if __name__ == "__main__":
    main()
