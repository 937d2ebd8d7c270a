"""What the model gets of one row: text, token ids, labels, and the characters that are trained."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from engine.formats import Unusable
from engine.formats.examples import settle
from engine.ledger import Action, Note
from engine.render.chat import ChatFormat, Span

if TYPE_CHECKING:
    from tokenizers import Encoding

IGNORED = -100
"""The label that no loss is computed on (PyTorch's cross entropy ignores it)."""


@dataclass(frozen=True)
class Rendered:
    """One row, or one piece of it, as the model gets it. `labels` has the length of `ids`.

    spans are the characters of `text` that are trained; part says which piece of a long text this is; cut is
    how many tokens of the text's end are left out.
    """

    text: str
    ids: list[int]
    labels: list[int]
    spans: list[Span]
    notes: tuple[Note, ...] = ()
    part: str = ""
    cut: int = 0

    @property
    def trained(self) -> int:
        """How many tokens are trained on."""
        return len(self.labels) - self.labels.count(IGNORED)


class Unfit(Unusable):
    """A row that is left out for its length or its mask; `rendered` is what it would have been."""

    def __init__(self, reason: str, detail: str, rendered: Rendered) -> None:
        super().__init__(reason, detail)
        self.rendered = rendered


class Token(NamedTuple):
    """One token: its text, which is "" where a character ends in a later token, and its vocabulary entry."""

    id: int
    text: str
    piece: str
    trained: bool
    special: bool


def tokens_of(chat: ChatFormat, rendered: Rendered) -> Iterator[Token]:
    """A row's tokens one by one, for people to look at; their texts joined are what the ids decode to."""
    from tokenizers.decoders import DecodeStream

    stream = DecodeStream(skip_special_tokens=False)
    added = chat.tokenizer.get_added_tokens_decoder()
    for id, label in zip(rendered.ids, rendered.labels, strict=True):
        text = stream.step(chat.tokenizer, id) or ""
        special = id in added and added[id].content in chat.special
        yield Token(id, text, chat.tokenizer.id_to_token(id) or "", label != IGNORED, special)


def encoded(chat: ChatFormat, text: str) -> Encoding:
    """The text's tokens, and none besides. Raises Unusable where it is no Unicode."""
    try:
        return chat.tokenizer.encode(text, add_special_tokens=False)
    except (TypeError, UnicodeEncodeError):
        raise Unusable("surrogate", "in what the chat template wrote") from None


def labelled(encoding: Encoding, ids: list[int], spans: Iterable[Span]) -> list[int]:
    """The ids of the tokens that have a character in one of the spans; IGNORED for all others.

    A token that straddles the seam belongs to the answer: without it its start is never learnt.
    """
    labels = [IGNORED] * len(ids)
    for begin, stop in spans:
        first, after = _tokens(encoding, begin, stop)
        labels[first:after] = ids[first:after]
    return labels


def _tokens(encoding: Encoding, begin: int, stop: int) -> Span:
    """The tokens of these characters: from the first that ends behind begin, to the first from stop on."""
    first, after = encoding.char_to_token(begin), encoding.char_to_token(stop)
    if after is None and _place(encoding, len(encoding) - 1)[1] <= stop:
        after = len(encoding)
    if first is not None and after is not None and _begins(encoding, after, stop):
        return first, after
    # A character that several tokens share, or none has: all offsets are looked at.
    offsets = encoding.offsets
    starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
    return bisect_right(ends, begin), bisect_left(starts, stop)


def _begins(encoding: Encoding, token: int, place: int) -> bool:
    """Whether this is the first token that begins at the place or behind it."""
    if token < len(encoding) and _place(encoding, token)[0] < place:
        return False
    return token > 0 and _place(encoding, token - 1)[0] < place


def _place(encoding: Encoding, token: int) -> Span:
    return encoding.token_to_chars(token) or (-1, -1)


def fitted(rendered: Rendered, max_length: int, actions: Mapping[str, Action]) -> Rendered:
    """Cut at the end to max_length tokens, where the policy says so. Raises Unusable, Unfit where it can."""
    length = len(rendered.ids)
    if length <= max_length:
        if not rendered.trained:
            raise Unfit("nothing to train on", "no token is an answer's", rendered)
        return rendered
    said = f"{length:,} tokens, max_length is {max_length:,}"
    if actions["too long"] != "fix":
        raise Unfit("too long", said, rendered)
    labels = rendered.labels[:max_length]
    lost = rendered.trained - (len(labels) - labels.count(IGNORED))
    if lost == rendered.trained:
        raise Unfit("nothing to train on", f"the answer begins behind max_length {max_length:,}", rendered)
    notes = [*rendered.notes, Note("too long", said)]
    if lost:
        settle("answer cut", f"{lost:,} of {rendered.trained:,} trained tokens cut off", actions, notes)
    ids = rendered.ids[:max_length]
    return replace(rendered, ids=ids, labels=labels, notes=tuple(notes), cut=length - max_length)


def digest(rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> str:
    """sha256 over all rows in order: equal digests mean equal training data.

    Of each row the number of its tokens, its ids and its labels go in, as integers of 32 bits.
    """
    total = hashlib.sha256()
    for ids, labels in rows:
        total.update(array("i", (len(ids),)))
        total.update(array("i", ids))
        total.update(array("i", labels))
    return total.hexdigest()
