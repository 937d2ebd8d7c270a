"""What the model gets of one row: text, token ids, labels, and the characters that are trained."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

    spans are the characters of `text` that are trained; part says which piece of a long text this is.
    """

    text: str
    ids: list[int]
    labels: list[int]
    spans: list[Span]
    notes: tuple[Note, ...] = ()
    part: str = ""

    @property
    def trained(self) -> int:
        """How many tokens are trained on."""
        return sum(label != IGNORED for label in self.labels)


def encoded(chat: ChatFormat, text: str) -> Encoding:
    """The text's tokens, and none besides. Raises Unusable where it is no Unicode."""
    try:
        return chat.tokenizer.encode(text, add_special_tokens=False)
    except (TypeError, UnicodeEncodeError):
        raise Unusable("surrogate", "in what the chat template wrote") from None


def note_controls(
    chat: ChatFormat, texts: Iterable[Any], actions: Mapping[str, Action], notes: list[Note]
) -> None:
    """Note the model's control tokens in people's text. Raises Unusable."""
    found = Counter(name for text in texts for name in chat.controls.findall(text))
    for name, times in found.items():
        settle("special tokens", f"{name}, {times} time{'s' * (times > 1)}", actions, notes)


def tokenized(chat: ChatFormat, text: str, spans: Sequence[Span]) -> tuple[list[int], list[int]]:
    """Ids of the whole text, and labels: the tokens of the spans. No token is added."""
    encoding = encoded(chat, text)
    ids: list[int] = encoding.ids
    labels = [IGNORED] * len(ids)
    offsets = encoding.offsets  # built anew at each look
    starts = [start for start, _ in offsets]
    ends = [end for _, end in offsets]
    for begin, stop in spans:
        # A token that straddles the seam belongs to the answer: without it its start is never learnt.
        first, after = bisect_right(ends, begin), bisect_left(starts, stop)
        labels[first:after] = ids[first:after]
    return ids, labels


def fitted(
    ids: list[int], labels: list[int], max_length: int, actions: Mapping[str, Action]
) -> tuple[list[int], list[int], list[Note]]:
    """Cut at the end to max_length tokens, where the policy says so. Raises Unusable."""
    notes = []
    if len(ids) > max_length:
        said = f"{len(ids):,} tokens, max_length is {max_length:,}"
        if actions["too long"] != "fix":
            raise Unusable("too long", said)
        notes.append(Note("too long", said))
        ids, labels = ids[:max_length], labels[:max_length]
    if all(label == IGNORED for label in labels):
        said = f"the answer begins behind max_length {max_length:,}" if notes else "no token is an answer's"
        raise Unusable("nothing to train on", said)
    return ids, labels, notes


def digest(rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> str:
    """sha256 over ids and labels of all rows in order: equal digests mean equal training data."""
    total = hashlib.sha256()
    for ids, labels in rows:
        total.update(json.dumps([list(ids), list(labels)]).encode())
    return total.hexdigest()
