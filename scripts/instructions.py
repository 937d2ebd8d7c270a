"""Writes the two sample instruction sets in recipes/datasets: products and reviews."""

import argparse
import json
import random
from collections.abc import Iterable
from pathlib import Path

from scripts.reviews import review
from scripts.words import PARTS, fill, product_facts, tidy

Row = dict[str, object]

SEED = 7
# A description teaches by some thirty tokens, a label by one or two: so there are more reviews.
PRODUCTS = {"train": 600, "validation": 100, "test": 200}
REVIEWS = {"train": 1800, "validation": 100, "test": 200}
FIELDS = ("name", "product", "colour", "material", "price")

# An instruction and the text that it asks for. Every text names all five fields; none begins with a
# value, so no value changes its case.
DESCRIPTIONS: tuple[tuple[str, str], ...] = (
    (
        "Write a short description of the product with these features.",
        "Meet {name}, a {colour} {product} made of {material}. It costs {price}.",
    ),
    (
        "Describe this product in two sentences.",
        "The {name} is a {product} in {colour}. It is made of {material} and costs {price}.",
    ),
    (
        "Describe this product in three sentences.",
        "The {name} {product} comes in {colour}. It is made of {material}. It costs {price}.",
    ),
    (
        "Write a text for the page of this product, with the price in a sentence of its own.",
        "This {colour} {product} made of {material} is called {name}. The price is {price}.",
    ),
    (
        "Write a description for the shop that begins with the price.",
        "For {price} you get {name}, a {product} made of {material}. It comes in {colour}.",
    ),
    (
        "Tell a customer about this product and how to get it.",
        "Our {name} {product} is made of {material} and comes in {colour}. You can buy it for {price}.",
    ),
    (
        "Turn these features into a short text. Give the name at the end.",
        "A {product} of {material} in {colour} for {price}. It is called {name}.",
    ),
)

SENTIMENT: tuple[str, ...] = (
    "What is the sentiment of this review (good/bad/mixed)?",
    "Is the customer happy with the product? Answer in one word (good/bad/mixed).",
    "Name the sentiment of the review (good/bad/mixed).",
    "Read the review and say in one word what the customer feels (good/bad/mixed).",
    "Which word goes with this review (good/bad/mixed)?",
)

STARS: tuple[str, ...] = (
    "How many stars does this customer give?",
    "Give the star rating of this review, from 1 star to 5 stars.",
    "How many stars go with this review?",
    "Rate the product as the customer does, from 1 star to 5 stars.",
    "Which star rating is right for this review?",
)

STARS_BY_SENTIMENT: dict[str, tuple[int, ...]] = {
    "bad": (1, 2),
    "mixed": (3,),
    "good": (4, 5),
}


def product_row(rng: random.Random, seen: set[str]) -> Row:
    """One product; its name is in no other row."""
    facts = product_facts(rng)
    while facts["name"] in seen:
        facts = product_facts(rng)
    seen.add(facts["name"])
    fields = {key: facts[key] for key in FIELDS}
    instruction, text = rng.choice(DESCRIPTIONS)
    return {
        "instruction": instruction,
        "input": "\n".join(f"{key}: {value}" for key, value in fields.items()),
        "output": tidy(fill(text, fields, rng)),
        "fields": fields,
    }


def review_row(rng: random.Random, seen: set[str], task: str) -> Row:
    """One review that is in no other row, to be labelled with its sentiment or its stars."""
    sentiment = rng.choice(list(STARS_BY_SENTIMENT))
    stars = rng.choice(STARS_BY_SENTIMENT[sentiment]) if task == "sentiment" else rng.randint(1, 5)
    text = ""
    while not text or text in seen:
        text = review(stars, {"product": rng.choice(list(PARTS))}, rng)
    seen.add(text)
    label = sentiment if task == "sentiment" else f"{stars} star{'s' if stars > 1 else ''}"
    return {
        "instruction": rng.choice(SENTIMENT if task == "sentiment" else STARS),
        "input": text,
        "output": label,
        "task": task,
    }


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("recipes/datasets"))
    out = parser.parse_args().out
    rng = random.Random(SEED)
    names: set[str] = set()
    texts: set[str] = set()
    for split in PRODUCTS:
        products = [product_row(rng, names) for _ in range(PRODUCTS[split])]
        reviews = [review_row(rng, texts, ("sentiment", "stars")[i % 2]) for i in range(REVIEWS[split])]
        write_rows(out / "products" / f"{split}.jsonl", products)
        write_rows(out / "reviews" / f"{split}.jsonl", reviews)


if __name__ == "__main__":
    main()
