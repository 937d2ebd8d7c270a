"""Writes talks in a shop whose later questions rest on earlier turns, for the recipe chat-multi-turn."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from scripts.instructions import write_rows
from scripts.words import WORDS, product_facts, tidy

SEED = 17
ROWS = 500
FILE = Path("recipes/datasets/conversations/talks.jsonl")

OPENING = "I have a {colour} {product} made of {material}. It is called {name} and costs {price}."
HEARD = ("Thank you, I know the {name} now.", "Good, I have read about the {name}.")

# What is asked of the first turn; a later question says "it".
ASKED: dict[str, tuple[tuple[str, ...], str]] = {
    "colour": (("Which colour is it?", "And the colour?", "What is its colour?"), "It is {colour}."),
    "material": (("What is it made of?", "And the material?"), "It is made of {material}."),
    "price": (("How much is it?", "And the price?", "What does it cost?"), "It costs {price}."),
    "name": (("What is it called?", "And the name?"), "It is called {name}."),
    "product": (("What is it?", "What kind of thing is it?"), "It is a {product}."),
}
# Said in between: the talk goes on to another thing, and the questions mean that one from then on.
AGAIN = "Now for another one. "


def talk(rng: random.Random) -> dict[str, object]:
    """One or two products, with two or three questions about each; a few go on for much longer."""
    said: list[dict[str, str]] = []
    products = rng.choice((1, 1, 2)) if rng.random() < 0.95 else 6
    for number in range(products):
        facts = product_facts(rng)
        opening = tidy(OPENING.format(**facts))
        said += _turn((AGAIN if number else "") + opening, rng.choice(HEARD).format(**facts))
        for key in rng.sample(list(ASKED), rng.choice((1, 2))):
            questions, answer = ASKED[key]
            said += _turn(rng.choice(questions), tidy(answer.format(**facts)))
    if rng.random() < 0.1:
        said.insert(0, {"role": "system", "content": f"You work in a shop in {rng.choice(WORDS['town'])}."})
    return {"messages": said}


def _turn(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE)
    rng = random.Random(SEED)
    write_rows(parser.parse_args().out, [talk(rng) for _ in range(ROWS)])


if __name__ == "__main__":
    main()
