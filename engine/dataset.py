"""From a recipe to rendered rows, part by part; what is left out goes to the ledger, line by line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from engine import formats, hub, ledger, models, render, sources
from engine.errors import UserError
from engine.formats import Message, Shape, Unusable
from engine.ledger import Entry
from engine.recipe import Data, Recipe, Source
from engine.render import ChatFormat, Rendered
from engine.sources import Part, Row

ROWS_TO_DETECT = 50


@dataclass(frozen=True)
class Sample:
    """A row that can be used: where it stood, what it says, what the model gets."""

    source: Source
    row: Row
    messages: list[Message]
    rendered: Rendered

    @property
    def question(self) -> list[Message]:
        """The turns before the last answer."""
        return self.messages[:-1]

    @property
    def reference(self) -> str:
        """The last answer, which is what a model should say."""
        return self.messages[-1]["content"]


def chat_format(recipe: Recipe) -> ChatFormat:
    """Tokenizer and chat template of the recipe's model. Raises UserError."""
    return render.load(models.tokenizer_folder(recipe.model.id))


def shape_of(source: Source) -> Shape:
    """The format of a source by its first rows. Raises UserError, also where it has no rows."""
    path = sources.files(source)["train"]
    first = [row for row in islice(sources.read(path), ROWS_TO_DETECT) if isinstance(row, Row)]
    if not first:
        raise UserError(f"{path}: no usable row in its first {ROWS_TO_DETECT} records")
    return formats.detect(first, source.format)


def rows(source: Source, data: Data, part: Part) -> Iterator[Row | Entry]:
    """The records of one part: of its own file, else those of the train file that fall to it."""
    files = sources.files(source)
    if part != "train" and part in files:
        yield from sources.read(files[part])
        return
    own = set(files) - {"train"}
    for record in sources.read(files["train"]):
        if isinstance(record, Entry):
            if part == "train":  # told once, not once a part
                yield record
        elif part_of(record, data, own) == part:
            yield record


def part_of(row: Row, data: Data, own: set[Part]) -> Part:
    """Which part a row of the train file falls to, by its content alone.

    So rows that are added later move no other row, and exact duplicates never stand on both sides.
    """
    content = json.dumps(row.data, sort_keys=True, ensure_ascii=True, default=str)
    place = int.from_bytes(hashlib.sha256(f"{data.seed}:{content}".encode()).digest()[:8]) / 2**64
    validation = 0.0 if "validation" in own else data.validation
    if place < validation:
        return "validation"
    if place < validation + (0.0 if "test" in own else data.test):
        return "test"
    return "train"


def sample(source: Source, shape: Shape, row: Row, chat: ChatFormat, data: Data) -> Sample:
    """One row as the model gets it. Raises Unusable with the reason."""
    messages = formats.conversation(row, shape)
    return Sample(
        source,
        row,
        messages,
        render.render(chat, messages, data.max_length, data.policy.get("too_long", "drop")),
    )


def samples(
    recipe: Recipe,
    part: Part,
    chat: ChatFormat,
    left_out: Callable[[Entry], None] = lambda entry: None,
) -> Iterator[Sample]:
    """All usable rows of a part, source by source, in the order of their files."""
    for source in recipe.data.sources:
        shape = shape_of(source)
        for record in rows(source, recipe.data, part):
            if isinstance(record, Entry):
                left_out(record)
                continue
            try:
                yield sample(source, shape, record, chat, recipe.data)
            except Unusable as error:
                left_out(unused(record, error))


def unused(row: Row, error: Unusable) -> Entry:
    """The ledger's entry for a row that could be read and not used."""
    return Entry(row.file, row.line, error.reason, error.detail, ledger.excerpt(row.data))


def check(recipe: Recipe) -> None:
    """What can be known before anything is started: the model is there, each source has a row to train on.

    Raises UserError, one sentence.
    """
    chat = chat_format(recipe)
    variable = hub.offline()
    if variable and models.locate(recipe.model.id) is None:
        raise UserError(
            f"{recipe.model.id}: its weights are not on this machine, and {variable} forbids to fetch them"
        )
    for source in recipe.data.sources:
        reasons: list[Entry] = []
        one = recipe.model_copy(update={"data": recipe.data.model_copy(update={"sources": (source,)})})
        if next(samples(one, "train", chat, reasons.append), None) is None:
            raise UserError(f"{source.path}: no row to train on{_why(reasons)}")


def _why(reasons: list[Entry]) -> str:
    if not reasons:
        return "; lower data.validation and data.test, or give more rows"
    first = reasons[0]
    place = f"{Path(first.file).name} line {first.line}"
    return f"; {place}: {first.reason}{': ' + first.detail if first.detail else ''}"
