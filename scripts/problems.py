"""Writes small problems of counting in words with their steps: recipes/datasets/problems/problems.csv."""

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

MORE = ("{hero} buys 1.", "{hero} finds 1 in the {place}.", "{other} brings 1.", "1 comes from {other}.")
FEWER = ("{hero} loses 1 in the {place}.", "{hero} gives 1 to {other}.", "{other} takes 1.", "1 is sold.")
QUESTIONS = (
    "How many {things} does {hero} have now?",
    "How many {things} are there in the end?",
    "What is the number of {things} now?",
)


def row(rng: random.Random) -> dict[str, object]:
    """A problem of two to four steps of one, whose numbers stay between 1 and HIGHEST."""
    hero, other = rng.sample(WORDS["person"], 2)
    things = rng.choice(THINGS)
    count = rng.randint(2, HIGHEST - 1)
    said = [f"{hero} has {count} {things}."]
    steps = []
    for _ in range(rng.choice((2, 3, 4))):
        more = count == 1 or (count < HIGHEST and rng.random() < 0.5)
        line = rng.choice(MORE if more else FEWER)
        said.append(line.format(hero=hero, other=other, place=rng.choice(WORDS["room"])))
        after = count + 1 if more else count - 1
        steps.append(f"{count} and 1 make {after}." if more else f"{count} less 1 is {after}.")
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
