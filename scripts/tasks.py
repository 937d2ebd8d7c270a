"""Writes small tasks in plain instructions, one file each: recipes/datasets/tasks/*.jsonl."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.instructions import Row, write_rows
from scripts.shop_reviews import row as reviewed
from scripts.words import PARTS, fill, product_facts, tidy

SEED = 19
ROWS = 260
FOLDER = Path("recipes/datasets/tasks")

TEXTS: tuple[str, ...] = (
    "the {name} is a {product} in {colour}. It is made of {material} and costs {price}.",
    "for {price} you get {name}, a {product} made of {material}. It comes in {colour}.",
    "this {colour} {product} made of {material} is called {name}. The price is {price}.",
    "meet {name}, a {colour} {product} made of {material}. It costs {price}.",
)

# What each task asks, in five ways; the answer is a value of the text.
FINDING: Mapping[str, tuple[str, ...]] = {
    "price": (
        "What does the product in this text cost?", "Give the price that stands in the text.",
        "How much is it?", "Find the price in this text.", "Name the price and nothing more.",
    ),
    "name": (
        "What is the name of the product?", "How is the product in this text called?",
        "Find the name in this text.", "Give the name that stands in the text.",
        "Name it and say nothing more.",
    ),
    "material": (
        "What is the product made of?", "Find the material in this text.",
        "Give the material that stands in the text.", "Name the material and nothing more.",
        "Which material is it?",
    ),
    "product": (
        "What product is in this text?", "Find the product in this text.", "What is sold here?",
        "Name the product and nothing more.", "Give the product that stands in the text.",
    ),
    "colour": (
        "What is the colour of the product?", "Find the colour in this text.",
        "Give the colour that stands in the text.", "Name the colour and nothing more.",
        "Which colour is it?",
    ),
}  # fmt: skip

STARS = ("How many stars does this customer give?", "Give the stars of this review, from 1 to 5.",
         "How many stars go with this review?")  # fmt: skip
FEELING = ("Is this review good, bad or mixed?",
           "Say in one word how the customer feels: good, bad or mixed.",
           "Which word goes with this review: good, bad or mixed?")  # fmt: skip
ABOUT = ("What is this review about?", "Which product does the customer write about?",
         "Name the product that was bought.")  # fmt: skip


def found(key: str) -> Callable[[random.Random], Row]:
    """Rows of a task that asks for one value of a text."""

    def row(rng: random.Random) -> Row:
        facts = product_facts(rng)
        text = tidy(fill(rng.choice(TEXTS), facts, rng))
        return {"instruction": rng.choice(FINDING[key]), "input": text, "output": facts[key]}

    return row


def review_task(questions: tuple[str, ...], column: str) -> Callable[[random.Random], Row]:
    """Rows of a task that asks for one column of the table of reviews."""

    def row(rng: random.Random) -> Row:
        made = reviewed(rng)
        answer = str(made[column])
        return {"instruction": rng.choice(questions), "input": made["review"], "output": answer}

    return row


def parts(rng: random.Random) -> Row:
    """A list to be said in the other order."""
    things = rng.sample(sorted({part for own in PARTS.values() for part in own}), rng.randint(2, 4))
    asked = ("Say this list from its end to its start.", "Turn this list around.",
             "Give the list again, the last one first.")  # fmt: skip
    return {
        "instruction": rng.choice(asked),
        "input": ", ".join(things),
        "output": ", ".join(reversed(things)),
    }


TASKS: dict[str, Callable[[random.Random], Row]] = {
    "find-price": found("price"),
    "find-name": found("name"),
    "find-material": found("material"),
    "find-product": found("product"),
    "find-colour": found("colour"),
    "review-stars": review_task(STARS, "stars"),
    "review-feeling": review_task(FEELING, "sentiment"),
    "review-about": review_task(ABOUT, "product"),
    "turn-around": parts,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    for number, (name, made) in enumerate(TASKS.items()):
        rng = random.Random(SEED + number)
        write_rows(out / f"{name}.jsonl", [made(rng) for _ in range(ROWS)])


if __name__ == "__main__":
    main()
