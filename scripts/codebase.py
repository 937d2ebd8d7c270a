"""Writes a small imaginary code base, its wiki, and questions about both: recipes/datasets/codebase/."""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.instructions import write_rows
from scripts.words import PARTS, WORDS, brand

SEED = 29
FOLDER = Path("recipes/datasets/codebase")
FILES = 10
FUNCTIONS = 6
"""In each file."""
HELD_OUT = {"validation": 0.1, "test": 0.2}
"""Shares of the questions. No training row asks for these facts: they stand in the text alone."""

BAD = ("broken", "dry", "heavy", "old", "round", "small", "tired", "wet", "new", "cold")

Function = dict[str, str]

# Each fact in the two ways in which the wiki says it, and as it is asked for.
WIKI: Mapping[str, tuple[str, ...]] = {
    "thing": ("{name} looks for a {thing}.", "Use {name} to find a {thing}."),
    "person": ("{person} wrote {name}.", "{name} is the work of {person}."),
    "month": ("{name} is there since {month}.", "In {month} came {name}."),
    "bad": ("{name} stops if the {thing} is {bad}.", "A {bad} {thing} is too much for {name}."),
    "town": ("The tests of {name} run in {town}.", "{name} is tested in {town}."),
}
QUESTIONS: Mapping[str, tuple[str, str]] = {
    "thing": ("What does {name} look for?", "{name} looks for a {thing}."),
    "person": ("Who wrote {name}?", "{person} wrote {name}."),
    "month": ("Since which month is {name} there?", "{name} is there since {month}."),
    "bad": ("What stops {name}?", "{name} stops if the {thing} is {bad}."),
    "town": ("Where do the tests of {name} run?", "The tests of {name} run in {town}."),
}

SOURCE = '''
def {name}({thing}):
    """Look for a {thing}. Written by {person} in {month}, tested in {town}."""
    if {thing}.is_{bad}():
        stop("the {thing} is {bad}")
    return find({thing})
'''


def functions(rng: random.Random) -> dict[str, list[Function]]:
    """The functions of each file, by the file's name."""
    names = {brand(rng).lower() for _ in range(4 * FILES * FUNCTIONS)}
    drawn = iter(rng.sample(sorted(names), FILES * FUNCTIONS))
    files = rng.sample(sorted(PARTS), FILES)
    return {file: [_function(next(drawn), rng) for _ in range(FUNCTIONS)] for file in files}


def _function(name: str, rng: random.Random) -> Function:
    facts = {key: rng.choice(WORDS[key]) for key in ("thing", "person", "month", "town")}
    return {"name": name, **facts, "bad": rng.choice(BAD)}


def source(file: str, own: Sequence[Function]) -> str:
    """A source file, which says each fact once."""
    return f'"""What can be done with a {file}."""\n' + "".join(SOURCE.format(**one) for one in own)


def page(file: str, own: Sequence[Function], rng: random.Random) -> str:
    """A page of the wiki, which says each fact twice, in other words and in another order."""
    paragraphs = [f"The file {file} has {len(own)} functions."]
    for turn in range(2):
        for one in own:
            said = [ways[turn].format(**one) for ways in WIKI.values()]
            rng.shuffle(said)
            paragraphs.append(" ".join(said))
    return "\n\n".join(paragraphs) + "\n"


def questions(own: Sequence[Function]) -> list[dict[str, object]]:
    """A question for each fact of each function; an answer is right that has the fact in it."""
    return [
        {"question": asked.format(**one), "answer": said.format(**one), "fields": {key: one[key]}}
        for one in own
        for key, (asked, said) in QUESTIONS.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    out = parser.parse_args().out
    rng = random.Random(SEED)
    made = functions(rng)
    for file, own in made.items():
        _write(out / "text" / "source" / f"{file}.py", source(file, own))
        _write(out / "text" / "wiki" / f"{file}.md", page(file, own, rng))
    rows = questions([one for own in made.values() for one in own])
    rng.shuffle(rows)
    for part, share in HELD_OUT.items():
        count = round(share * FILES * FUNCTIONS * len(QUESTIONS))
        write_rows(out / f"questions-{part}.jsonl", rows[:count])
        rows = rows[count:]
    write_rows(out / "questions-train.jsonl", rows)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    main()
