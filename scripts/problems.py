"""Writes small arithmetic problems in words with their steps: recipes/datasets/problems/problems.csv."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from scripts.shop_reviews import write_table
from scripts.words import WORDS

SEED = 13
ROWS = 1900
FILE = Path("recipes/datasets/problems/problems.csv")
COLUMNS = ("question", "reasoning", "answer")
HIGHEST = 9

THINGS = (
    "keys", "boxes", "books", "rings", "maps", "bells", "drums", "ropes", "lanterns", "buttons", "balls",
    "stones",
)  # fmt: skip

MORE = (
    "{hero} buys {n}.",
    "{hero} finds {n} in the {place}.",
    "{other} brings {n}.",
    "{n} come from {other}.",
)
FEWER = (
    "{hero} loses {n} in the {place}.",
    "{hero} gives {n} to {other}.",
    "{other} takes {n}.",
    "{n} are sold.",
)
QUESTIONS = (
    "How many {things} does {hero} have now?",
    "How many {things} are there in the end?",
    "What is the number of {things} now?",
)


def row(rng: random.Random) -> dict[str, object]:
    """A problem of two or three steps whose numbers stay between 1 and HIGHEST."""
    hero, other = rng.sample(WORDS["person"], 2)
    things = rng.choice(THINGS)
    words = {"hero": hero, "other": other}
    count = rng.randint(2, HIGHEST)
    said = [f"{hero} has {count} {things}."]
    steps = []
    for _ in range(rng.choice((2, 2, 3))):
        more = count < 3 or (count < HIGHEST and rng.random() < 0.5)
        n = rng.randint(1, HIGHEST - count if more else count - 1)
        after = count + n if more else count - n
        told = words | {"n": str(n), "place": rng.choice(WORDS["room"])}
        line = rng.choice(MORE if more else FEWER).format(**told)
        if n == 1:
            line = line.replace("come from", "comes from").replace("are sold", "is sold")
        said.append(line)
        steps.append(f"{count} and {n} make {after}." if more else f"{count} less {n} is {after}.")
        count = after
    asked = rng.choice(QUESTIONS).format(hero=hero, things=things)
    return {"question": " ".join([*said, asked]), "reasoning": " ".join(steps), "answer": count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE)
    rng = random.Random(SEED)
    found: dict[object, dict[str, object]] = {}
    while len(found) < ROWS:
        made = row(rng)
        found.setdefault(made["question"], made)
    write_table(parser.parse_args().out, COLUMNS, found.values())


if __name__ == "__main__":
    main()
