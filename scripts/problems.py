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
HIGHEST = 19

THINGS = {
    "key": "keys", "box": "boxes", "book": "books", "ring": "rings", "map": "maps", "bell": "bells",
    "drum": "drums", "rope": "ropes", "lantern": "lanterns", "button": "buttons", "ball": "balls",
    "stone": "stones",
}  # fmt: skip

MORE = (
    "{other} brings {n} {things}.",
    "Then {n} {things} come from {other}.",
    "{hero} buys {n} {things}.",
    "{hero} finds {n} {things} in the {place}.",
)
FEWER = (
    "{hero} gives {n} {things} to {other}.",
    "{other} takes {n} {things}.",
    "Then {n} {things} are sold.",
    "{hero} loses {n} {things} in the {place}.",
)
QUESTIONS = (
    "How many {things} does {hero} have now?",
    "How many {things} are there in the end?",
    "What is the number of {things} now?",
)


def row(rng: random.Random) -> dict[str, object]:
    """A problem of two or three steps whose numbers stay between 1 and HIGHEST."""
    hero, other = rng.sample(WORDS["person"], 2)
    one = rng.choice(list(THINGS))
    words = {"hero": hero, "other": other}
    count = rng.randint(2, 9)
    said = [f"{hero} has {count} {THINGS[one]}."]
    steps = []
    for _ in range(rng.choice((2, 2, 3))):
        more = count < 3 or (count < HIGHEST - 1 and rng.random() < 0.5)
        n = rng.randint(1, min(9, HIGHEST - count if more else count - 1))
        after = count + n if more else count - n
        told = words | {
            "n": str(n),
            "things": one if n == 1 else THINGS[one],
            "place": rng.choice(WORDS["room"]),
        }
        line = rng.choice(MORE if more else FEWER).format(**told)
        said.append(
            line.replace("come from", "comes from").replace("are sold", "is sold") if n == 1 else line
        )
        steps.append(f"{count} and {n} make {after}." if more else f"{count} less {n} is {after}.")
        count = after
    asked = rng.choice(QUESTIONS).format(hero=hero, things=THINGS[one])
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
