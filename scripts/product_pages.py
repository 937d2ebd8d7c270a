"""Writes a table of features and descriptions: recipes/datasets/product-pages/products.csv."""

from __future__ import annotations

import random
from pathlib import Path

from scripts.shop_reviews import write_made
from scripts.words import fill, product_facts, tidy

SEED = 17
ROWS = 1200
FILE = Path("recipes/datasets/product-pages/products.csv")
COLUMNS = ("name", "product", "colour", "material", "price", "tone", "description")

# One form a tone, so that the right description is known to the letter.
TONES = {
    "plain": "the {name} is a {product} in {colour}. It is made of {material} and costs {price}.",
    "warm": "meet {name}, a {colour} {product} made of {material}. You can buy it for {price}.",
    "brief": "{name}: a {product} of {material} in {colour} for {price}.",
}


def row(rng: random.Random) -> dict[str, str]:
    """The features of an invented product, a tone, and the description in that tone."""
    facts = product_facts(rng)
    tone = rng.choice(list(TONES))
    description = tidy(fill(TONES[tone], facts, rng))
    return {**{key: facts[key] for key in COLUMNS[:5]}, "tone": tone, "description": description}


def main() -> None:
    write_made(row, ROWS, SEED, COLUMNS, FILE, __doc__)


if __name__ == "__main__":
    main()
