"""From a recipe to rendered rows, part by part; what is left out or changed goes to the ledger."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from engine import augment, fit, formats, hub, initial, ledger, lora, models, render, sets
from engine.errors import UserError
from engine.formats import Conversation, Example, Message, Text, Unusable
from engine.ledger import Action, Entry
from engine.render import ChatFormat, Made, Rendered, Unfit
from engine.schema import Augment, Data, Recipe, Source
from engine.sets import Records, RowSet
from engine.shapes import Shapes
from engine.sources import Row

QUESTION_ROOM = 128
"""Tokens left free for the question where a piece of a document is also an answer."""

Noted = Callable[[Entry], None]


@dataclass(frozen=True)
class Sample:
    """What the model gets of a row: one conversation, one piece of text, or given tokens."""

    one: RowSet
    row: Row
    example: Example
    rendered: Rendered

    @property
    def source(self) -> Source:
        return self.one.source

    @property
    def messages(self) -> list[Message]:
        return self.example.messages if isinstance(self.example, Conversation) else []

    @property
    def question(self) -> list[Message]:
        """The turns before the last answer; none of a text."""
        return self.messages[:-1]

    @property
    def reference(self) -> str:
        """The last answer, which is what a model should say."""
        return self.messages[-1]["content"] if self.messages else ""


@dataclass(frozen=True)
class Opened:
    """A recipe's sets, with the tokenizer and chat template that their rows are rendered with."""

    data: Data
    chat: ChatFormat
    sets: list[RowSet]
    actions: dict[str, Action]

    @property
    def room(self) -> int:
        """Tokens that paragraphs of running text are joined up to: begin and end tokens are added."""
        free = self.data.max_length - 2
        asked = any(one.source.questions for one in self.sets)
        return max(free - QUESTION_ROOM, free // 2) if asked else free

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self.chat.tokenizer.encode(text, add_special_tokens=False).ids)

    def records(self, one: RowSet, file: int, start: int = 0, line: int = 1) -> Records:
        """The records of one of a set's files."""
        return sets.records(one, one.found.files[file], self.room, self.tokens, start, line)


def chat_format(recipe: Recipe) -> ChatFormat:
    """Tokenizer and chat template of the recipe's model. Raises UserError."""
    data = recipe.data
    return render.load(models.tokenizer_folder(recipe.model.id), data.chat_template, data.train_on)


def opened(recipe: Recipe, chat: ChatFormat | None = None) -> Opened:
    """The recipe's sets, of which only the first rows are read. Raises UserError."""
    data = recipe.data
    return Opened(data, chat or chat_format(recipe), sets.opened(data.sources), ledger.actions(data.policy))


@dataclass(frozen=True)
class Asked:
    """A row on its way through the renderer: its examples, and copies with other words behind each.

    refused: why it has no examples at all.
    """

    one: RowSet
    row: Row
    examples: list[Example]
    copies: list[list[Conversation]]
    refused: Unusable | None = None

    @property
    def all(self) -> list[Example]:
        return [*self.examples, *(copy for copies in self.copies for copy in copies)]


def asked(data: Opened, one: RowSet, row: Row, number: int, trained: bool = True) -> Asked:
    """What is to be rendered of one row. number: the row's own, by which wordings take turns."""
    try:
        examples = _examples(data, one, row, number)
    except Unusable as error:
        return Asked(one, row, [], [], error)
    if not trained or not data.data.augment.copies:
        return Asked(one, row, examples, [])
    return Asked(one, row, examples, [_copies(data, one, example, number) for example in examples])


def of_rows(
    data: Opened, rows: Iterable[Asked], note: Noted, unfit: Callable[[Rendered], None] = lambda made: None
) -> Iterator[list[Sample]]:
    """The samples of each row, many rows at a time. What is left out or changed is noted.

    unfit hears of what is left out for its length or its mask.
    """
    waiting: deque[Asked] = deque()

    def read() -> Iterator[list[Example]]:
        for row in rows:
            waiting.append(row)
            yield row.all

    for made in render.stream(data.chat, read(), data.data.max_length, data.actions):
        row = waiting.popleft()
        for found in made:
            if isinstance(found, Unfit):
                unfit(found.rendered)
        try:
            yield _samples(data, row, made, note)
        except Unusable as error:
            note(sets.settled(sets.entry(row.row, error.reason, error.detail), data.actions))
            yield []


def of_row(
    data: Opened, one: RowSet, row: Row, number: int, trained: bool = True, note: Noted = lambda entry: None
) -> list[Sample]:
    """What the model gets of one row. Raises Unusable where that is nothing.

    Of several conversations in a row those that cannot be used are noted one by one.
    """

    def made(example: Example) -> Made:
        try:
            return render.render(data.chat, example, data.data.max_length, data.actions)
        except Unusable as error:
            return error

    row_asked = asked(data, one, row, number, trained)
    return _samples(data, row_asked, [made(example) for example in row_asked.all], note)


def _samples(data: Opened, row: Asked, made: Sequence[Made], note: Noted) -> list[Sample]:
    """Samples of what was rendered, in the order of `Asked.all`. Raises Unusable where there is none."""
    if row.refused:
        raise row.refused
    samples: list[Sample] = []
    refused: list[Unusable] = []
    copies = iter(made[len(row.examples) :])
    for index, (example, found) in enumerate(zip(row.examples, made, strict=False)):
        own = list(islice(copies, len(row.copies[index]))) if row.copies else []
        if isinstance(found, Unusable):
            if len(row.examples) == 1:
                raise found
            refused.append(found)
            detail = f"conversation {index + 1} of {len(row.examples)}: {found.detail}"
            note(sets.settled(sets.entry(row.row, found.reason, detail), data.actions))
            continue
        for piece in found:
            for said in piece.notes:
                note(sets.entry(row.row, said.reason, said.detail, said.done))
            samples.append(Sample(row.one, row.row, example, piece))
        for copy, pieces in enumerate(own):
            if not isinstance(pieces, Unusable):
                for piece in pieces:
                    note(sets.entry(row.row, "augmented", f"copy {copy + 1}", "added"))
                    samples.append(Sample(row.one, row.row, row.copies[index][copy], piece))
    if refused and not samples:
        raise refused[0]
    return samples


def _examples(data: Opened, one: RowSet, row: Row, number: int) -> list[Example]:
    shape = one.agreed
    wordings = one.source.wordings if shape.templates else 1
    said = [formats.read(row, shape, data.actions, number + k) for k in range(wordings)]
    examples = [_placed(example, row) for each in said for example in each.examples]
    if one.source.questions and "path" in row.data and shape.format == "text":
        examples.append(_asked_for(one.source, row, shape.columns["text"]))
    return examples


def _placed(example: Example, row: Row) -> Example:
    """A piece of a document with where it begins, and whether the document ends with it."""
    if not isinstance(example, Text):
        return example
    return example._replace(line=row.line, ends=row.data.get("ends", True) is not False)


def _asked_for(source: Source, row: Row, column: str) -> Conversation:
    """A question that this piece of a document answers."""
    path, lines = row.data["path"], row.data.get("lines")
    what = f"do lines {lines[0]} to {lines[1]} of {path}" if lines else f"does {path}"
    asked = f"{source.date + ': w' if source.date else 'W'}hat {what} contain?"
    return Conversation(
        [Message(role="user", content=asked), Message(role="assistant", content=row.data[column])]
    )


def _copies(data: Opened, one: RowSet, example: Example, number: int) -> list[Conversation]:
    """Copies with other words in the questions; one that comes out the same is not made."""
    if not isinstance(example, Conversation):
        return []
    plan = data.data.augment
    made = []
    for copy in range(plan.copies):
        seed = f"{data.data.seed}:{one.number}:{number}:{copy}"
        messages = [
            _reworded(message, plan, f"{seed}:{i}") if message["role"] == "user" else message
            for i, message in enumerate(example.messages)
        ]
        if messages != example.messages:
            made.append(example._replace(messages=messages))
    return made


def _reworded(message: Message, plan: Augment, seed: str) -> Message:
    return {**message, "content": augment.changed(message["content"], plan.synonyms, plan.noise, seed)}


def check(recipe: Recipe) -> None:
    """What can be known before anything is started: the model is there, each set has a row to train on.

    Raises UserError, one sentence.
    """
    chat = chat_format(recipe)
    variable = hub.offline()
    if variable and models.locate(recipe.model.id) is None:
        raise UserError(
            f"{recipe.model.id}: its weights are not on this machine, and {variable} forbids to fetch them;"
            f" unset {variable}, or give a model's folder"
        )
    models.check_length(recipe.model.id, recipe.data.max_length)
    initial.check(recipe)
    if isinstance(known := fit.shapes_of(recipe), Shapes):
        lora.check(recipe, known)
    data = opened(recipe, chat)
    for one in data.sets:
        _check_set(data, one)
    if all(one.source.held_out for one in data.sets) and not recipe.data.all_data:
        raise UserError("every set is held out; take held_out from one of them: a run needs rows to train on")


def _check_set(data: Opened, one: RowSet) -> None:
    """Whether some row of a set can be used. Raises UserError with the commonest reason."""
    refused: Counter[str] = Counter()
    first: list[Entry] = []
    for file in range(len(one.found.files)):
        for record in data.records(one, file):
            found = _refused(data, one, record)
            if found is None:
                return
            refused[f"{found.reason}{': ' + found.detail if found.detail else ''}"] += 1
            first = first or [found]
    commonest = "".join(f", {n:,} for: {reason}" for reason, n in refused.most_common(1))
    total = refused.total()
    raise UserError(
        f"{one.source.path}: no row to train on; {total:,} row{'s' * (total > 1)} left out{commonest}"
        f" (the first is {sets.place(first[0])}); mend them, or see data.policy"
        if first
        else f"{one.source.path}: no row to train on; name a set that has some"
    )


def _refused(data: Opened, one: RowSet, record: Row | Entry) -> Entry | None:
    if isinstance(record, Entry):
        return sets.settled(record, data.actions)
    try:
        of_row(data, one, record, 0)
    except Unusable as error:
        return sets.settled(sets.entry(record, error.reason, error.detail), data.actions)
    return None
