"""Writes topics, outlines and short texts: recipes/datasets/outlines/outlines.csv."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from scripts.shop_reviews import write_made
from scripts.words import ARTICLE, PARTS, WORDS, fill, tidy

SEED = 31
ROWS = 900
FILE = Path("recipes/datasets/outlines/outlines.csv")
COLUMNS = ("topic", "outline", "text")

# A topic of each kind, and its points: how the outline names one, and the sentence that the text makes of it.
KINDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "how {person} buys a {plain_colour} {product}": (
        ("{person} goes to {town}", "on {day} {person} goes to {town}."),
        ("a shop with a {product} of {material}", "there is a shop that has a {product} made of {material}."),
        ("the {product} is {plain_colour}", "the {product} is {plain_colour}, and {person} is {mood}."),
    ),
    "what {person} the {job} does in {season}": (
        ("work at the {place}", "in {season} {person} works at the {place}."),
        ("{food} and {drink} at noon", "at noon the {job} has {food} and {drink}."),
        ("home to the {room}", "then {person} sits in the {room} and is {mood}."),
    ),
    "a {weather} day of {person} and a {animal}": (
        ("the way to the {place}", "{person} and the {animal} walk to the {place}."),
        ("a {looks} {thing}", "there the {animal} finds a {looks} {thing}."),
        ("{food} for both", "they eat {food} together, for it is a {weather} day."),
    ),
}


def row(rng: random.Random) -> dict[str, str]:
    """A topic, an outline of three points, and a text of a sentence a point."""
    facts = {key: rng.choice(words) for key, words in WORDS.items() if "{" not in "".join(words)}
    facts["product"] = rng.choice(list(PARTS))
    topic = rng.choice(list(KINDS))
    points = [fill(point, facts, rng) for point, _ in KINDS[topic]]
    sentences = [fill(sentence, facts, rng) for _, sentence in KINDS[topic]]
    return {
        "topic": ARTICLE.sub(r"\1n ", fill(topic, facts, rng)),
        "outline": ARTICLE.sub(r"\1n ", "\n".join(f"{i}. {point}" for i, point in enumerate(points, 1))),
        "text": tidy(" ".join(sentences)),
    }


def main() -> None:
    write_made(row, ROWS, SEED, COLUMNS, FILE, __doc__)


if __name__ == "__main__":
    main()
