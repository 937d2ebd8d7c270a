"""Raw text and token ids: no chat template, and a long text is cut where people would cut it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from engine.formats import Text, Tokens, Unusable
from engine.formats.examples import settle
from engine.formats.markers import BY_NAME, answers
from engine.ledger import Action, Note
from engine.render.chat import ChatFormat, Span
from engine.render.controls import note_controls
from engine.render.rendered import IGNORED, Rendered, encoded, fitted, labelled

if TYPE_CHECKING:
    from tokenizers import Encoding

# Where to cut, the best place first; a cut comes behind what is matched.
BREAKS = tuple(
    re.compile(pattern) for pattern in (r"\n[ \t]*\n\s*", r"\n", r"[.!?](?=\s)\s*|[。！？]\s*", r"\s+")
)


def render_text(
    chat: ChatFormat, said: Text | Tokens, max_length: int, actions: Mapping[str, Action]
) -> list[Rendered]:
    """Text, text with chat markers, or tokens, as they are trained. Raises Unusable."""
    if isinstance(said, Tokens):
        return [tokens(chat, said, max_length, actions)]
    if said.markers:
        return [templated(chat, said, max_length, actions)]
    return document(chat, said, max_length, actions)


def document(chat: ChatFormat, said: Text, max_length: int, actions: Mapping[str, Action]) -> list[Rendered]:
    """Begin token, text, end token; only the begin token is not trained. Raises Unusable.

    A longer text than max_length tokens becomes several pieces, of which the last has the end token.
    """
    notes: list[Note] = []
    text = _without_begin(chat, said.text, "", actions, notes)
    as_text = note_controls(chat, [text], actions, notes)
    encoding = _encoded(chat, text, as_text)
    end = chat.end if said.ends else ""
    if said.ends and not end:
        settle("missing end token", "the vocabulary has none", actions, notes)
    around = bool(chat.begin) + bool(end)
    if len(encoding.ids) + around <= max_length:
        return [_piece(chat, text, encoding.ids, end, notes, "")]
    if actions["cut in pieces"] != "fix":
        said_long = f"{len(encoding.ids) + around:,} tokens, max_length is {max_length:,}"
        raise Unusable("cut in pieces", said_long)
    starts = [start for start, _ in encoding.offsets]
    pieces = list(_cuts(chat, text, as_text, starts, max_length - around))
    notes.append(Note("cut in pieces", f"{len(pieces)} pieces"))
    return list(_told(chat, pieces, said.line, end, notes))


def templated(chat: ChatFormat, said: Text, max_length: int, actions: Mapping[str, Action]) -> Rendered:
    """Text with chat markers of its own, which are control tokens. Raises Unusable.

    Of its turns only the answers are known: "all turns" is the whole text here.
    """
    notes: list[Note] = []
    markers = BY_NAME[said.markers]
    text = chat.begin + _without_begin(chat, said.text, markers.begin, actions, notes)
    for marker in dict.fromkeys((markers.marker, markers.end)):
        tokens = len(encoded(chat, marker).ids)
        if tokens > 1:
            settle("already templated", f"{marker} is {tokens} tokens here, not one", actions, notes)
    spans = list(answers(text, said.markers))
    for number, (start, end) in enumerate(spans, start=1):
        if not text.endswith(markers.end, start, end):
            settle("missing end token", f"answer {number} has no {markers.end}", actions, notes)
    if chat.train_on == "last answer":
        spans = spans[-1:]
    elif chat.train_on != "answers":
        spans = [(len(chat.begin), len(text))]
    encoding = encoded(chat, text)
    ids: list[int] = encoding.ids
    made = Rendered(text, ids, labelled(encoding, ids, spans), spans, tuple(notes))
    return fitted(made, max_length, actions)


def tokens(chat: ChatFormat, said: Tokens, max_length: int, actions: Mapping[str, Action]) -> Rendered:
    """Ids and labels as they came, if the model can take them. Raises Unusable."""
    ids, labels = said.ids, said.labels
    size = chat.tokenizer.get_vocab_size(with_added_tokens=True)
    if outside := [id for id in ids if not 0 <= id < size]:
        raise Unusable("bad tokens", f"id {outside[0]}; the vocabulary has {size:,}")
    if len(ids) != len(labels):
        raise Unusable("bad tokens", f"{len(ids):,} ids and {len(labels):,} labels")
    wrong = next((i for i, label in enumerate(labels) if label not in (IGNORED, ids[i])), None)
    if wrong is not None:
        raise Unusable("bad tokens", f"label {wrong + 1} is neither its id nor {IGNORED}")
    if all(label == IGNORED for label in labels):
        raise Unusable("bad tokens", "no token is trained")
    text, spans = _decoded(chat, ids, labels)
    return fitted(Rendered(text, ids, labels, spans), max_length, actions)


def _without_begin(
    chat: ChatFormat, text: str, usual: str, actions: Mapping[str, Action], notes: list[Note]
) -> str:
    """The text without a begin token of its own, where one is put in front of it: exactly one BOS."""
    if chat.begin and text.startswith(chat.begin):
        settle("already templated", f"it begins with the BOS {chat.begin}, which stands once", actions, notes)
        return text.removeprefix(chat.begin)
    if usual and text.startswith(usual):
        settle("already templated", f"it begins with {usual}, which is not this model's BOS", actions, notes)
    return text


def _piece(chat: ChatFormat, text: str, ids: list[int], end: str, notes: list[Note], part: str) -> Rendered:
    whole = chat.begin + text + end
    first, last = _id(chat, chat.begin), _id(chat, end)
    labels = [*([IGNORED] * len(first)), *ids, *last]
    return Rendered(whole, [*first, *ids, *last], labels, [(len(chat.begin), len(whole))], tuple(notes), part)


def _id(chat: ChatFormat, token: str) -> list[int]:
    number = chat.tokenizer.token_to_id(token) if token else None
    return [] if number is None else [number]


def _told(
    chat: ChatFormat, pieces: list[tuple[str, list[int]]], line: int, end: str, notes: list[Note]
) -> Iterator[Rendered]:
    """Pieces that say where they stood; the notes go with the first one, the end token with the last."""
    for number, (text, ids) in enumerate(pieces, start=1):
        last = line + text.rstrip("\n").count("\n")
        lines = f"lines {line}-{last}" if last > line else f"line {line}"
        closing = end if number == len(pieces) else ""
        part = f"piece {number} of {len(pieces)}, {lines}"
        yield _piece(chat, text, ids, closing, notes if number == 1 else [], part)
        line += text.count("\n")


def _cuts(
    chat: ChatFormat, text: str, as_text: bool, starts: list[int], room: int
) -> Iterator[tuple[str, list[int]]]:
    """Pieces of at most `room` tokens with their ids. starts: where the whole text's tokens begin.

    A piece is encoded alone, which may give other tokens than it had in the whole: then it is cut shorter.
    """
    begin = 0
    while begin < len(text):
        first, tokens = bisect_left(starts, begin), room
        while True:
            limit = starts[first + tokens] if first + tokens < len(starts) else len(text)
            stop = _break(text, begin, max(limit, begin + 1))
            ids = _encoded(chat, text[begin:stop], as_text).ids
            if len(ids) <= room:
                break
            if stop == begin + 1:
                raise Unusable("too long", f"one character is more than {room} tokens")
            tokens = max(0, tokens - (len(ids) - room))
        yield text[begin:stop], ids
        begin = stop


def _encoded(chat: ChatFormat, text: str, as_text: bool) -> Encoding:
    """The text's tokens; as_text: control tokens in it are mere text."""
    return chat.twin.tokenizer.encode(text, add_special_tokens=False) if as_text else encoded(chat, text)


def _break(text: str, begin: int, limit: int) -> int:
    """The best place to cut in the last quarter of these characters; their end where there is none."""
    if limit == len(text):
        return limit
    from_here = limit - (limit - begin) // 4
    for pattern in BREAKS:
        places = [match.end() for match in pattern.finditer(text, from_here, limit)]
        if places:
            return places[-1]
    return limit


def _decoded(chat: ChatFormat, ids: list[int], labels: list[int]) -> tuple[str, list[Span]]:
    """Text of ids, decoded run by run of trained and untrained ones, so that spans can be told."""
    text, spans, position = "", [], 0
    while position < len(ids):
        trained = labels[position] != IGNORED
        stop = position
        while stop < len(ids) and (labels[stop] != IGNORED) == trained:
            stop += 1
        said = chat.tokenizer.decode(ids[position:stop], skip_special_tokens=False)
        if trained:
            spans.append((len(text), len(text) + len(said)))
        text += said
        position = stop
    return text, spans
