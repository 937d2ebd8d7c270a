"""One row in four forms: as it stands in its file, as a conversation, as rendered text, as tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from textual.content import Content

from tui.safe import clean
from tui.widgets.marked import HEAD, TAIL, marked_lines
from tui.widgets.token_grid import LEGEND, TokenGrid
from tui.widgets.tried import MOST_FIELDS, notes

FIRST_TURNS, LAST_TURNS = 150, 50
"""Turns that are shown of a longer conversation."""

SHOWN_AT_ONCE = 4 * (HEAD + TAIL)
"""Characters of a row beyond which of each text less is shown: it is drawn while someone waits."""

FORMS = ("source", "conversation", "text", "tokens")

Row = dict[str, Any]


def lines(row: Row, form: str, width: int, sought: str = "") -> Sequence[Content]:
    """What was found in a row, then the row in one of the forms."""
    head = [part for line in found_in(row) for part in line.wrap(width)]
    if head:
        head.append(Content(""))
    match form:
        case "source":
            return [*head, *source(row, width, sought)]
        case "conversation":
            return [*head, *conversation(row, width, sought)]
        case "tokens":
            return Joined(head, tokens(row, width))
    return [*head, *text(row, width, sought)]


def found_in(row: Row) -> Iterator[Content]:
    """Why it is not trained on, its place in a document, what was changed or seen, and whether it is cut."""
    if row["refused"]:
        yield Content.styled(f"✗ not trained on: {clean(row['refused'], newlines=False)}", "$text-error")
    yield from place_in_file(row)
    yield from notes(row["notes"])


def place_in_file(row: dict[str, Any]) -> Iterator[Content]:
    """Which piece of its document it is, and how often it is trained, where that is not once."""
    piece = [clean(row["piece"], newlines=False)] if row["piece"] else []
    times = [f"{row['times']:g} times an epoch"] if row["times"] != 1 else []
    if piece or times:
        yield Content.styled(" · ".join(piece + times), "$foreground-muted")


def source(row: Row, width: int, sought: str) -> Iterator[Content]:
    """Every field as it stands in the file; nested ones as JSON."""
    place = f"{clean(row['file'], newlines=False)} {row['unit']} {row['line']:,}"
    yield from Content.styled(place, "$foreground-muted").wrap(width)
    fields = {str(name): _said(value) for name, value in islice(row["source"].items(), MOST_FIELDS)}
    share = _share(list(fields.values()))
    for name, value in fields.items():
        yield Content("")
        yield from Content.styled(clean(name, newlines=False), "bold $text-primary").wrap(width)
        yield from _indented(value, width, sought, share)
    if len(row["source"]) > MOST_FIELDS:
        yield Content.styled(f"… and {len(row['source']) - MOST_FIELDS:,} columns more", "$foreground-muted")


def conversation(row: Row, width: int, sought: str) -> Iterator[Content]:
    """Turn by turn; what a turn carries besides its text stands in blocks of its own."""
    if not row["messages"]:
        none = "no turns: the text is trained as it is" if row["text"] else "no conversation was made of it"
        yield Content.styled(none, "$foreground-muted")
        yield Content("")
        yield from text(row, width, sought)
        return
    turns = row["messages"]
    left_out = len(turns) - FIRST_TURNS - LAST_TURNS
    shown = turns if left_out <= 0 else [*turns[:FIRST_TURNS], *turns[-LAST_TURNS:]]
    share = _share([_said(value) for turn in shown for value in turn.values()])
    if row["tools"]:
        yield from _block("tools", row["tools"], width, sought, share)
    for number, turn in enumerate(shown):
        if number or row["tools"]:
            yield Content("")
        if left_out > 0 and number == FIRST_TURNS:
            yield Content.styled(f"… {left_out:,} turns not shown here …", "$text-warning")
            yield Content("")
        yield from _turn(turn, width, sought, share)


def _turn(turn: dict[str, Any], width: int, sought: str, share: int) -> Iterator[Content]:
    yield from Content.styled(clean(turn["role"], newlines=False), "bold $text-primary").wrap(width)
    for name, value in turn.items():
        if name not in ("role", "content"):
            yield from _block(name.replace("_", " ").removesuffix(" content"), value, width, sought, share)
    if turn["content"]:
        yield from _indented(turn["content"], width, sought, share)


def _block(title: str, value: Any, width: int, sought: str, share: int) -> Iterator[Content]:
    """What belongs to a turn, or to all of them, besides what is said."""
    yield from Content.assemble("  ", (f"┌ {clean(title, newlines=False)}", "$text-accent")).wrap(width)
    for line in marked_lines(_said(value), (), width - 4, sought, gutter=False, share=share):
        yield Content.assemble("  ", ("│ ", "$text-accent"), line)


def text(row: Row, width: int, sought: str) -> Iterator[Content]:
    """As the model reads it, with the trained part marked; where there is no text, the row as it stands."""
    if not row["text"]:
        yield from source(row, width, sought)
        return
    cut = row["cut_at"]
    if cut is None:
        yield from marked_lines(row["text"], row["spans"], width, sought)
        return
    spans = [(begin, min(end, cut)) for begin, end in row["spans"] if begin < cut]
    yield from marked_lines(row["text"][:cut], spans, width, sought)
    words = f"╌╌ max_length {row['max_length']:,} of {row['length']:,} tokens "
    yield Content.styled(words.ljust(width, "╌")[:width], "$text-warning")
    yield from marked_lines(row["text"][cut:], (), width, sought)


def tokens(row: Row, width: int) -> Sequence[Content]:
    """The ids that the model gets."""
    listed = row.get("token_list")
    if not listed:
        return [Content.styled("no tokens: the row could not be rendered", "$foreground-muted")]
    legend = Content.styled(LEGEND, "$foreground-muted").wrap(width)
    grid = TokenGrid(listed, width, row["max_length"], max(row["length"], row["tokens"]))
    return Joined([*legend, Content("")], grid)


class Joined(Sequence[Content]):
    """Two sequences, one behind the other; neither is copied."""

    def __init__(self, first: Sequence[Content], second: Sequence[Content]) -> None:
        self._first = first
        self._second = second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[n] for n in range(*at.indices(len(self)))]
        return self._first[at] if at < len(self._first) else self._second[at - len(self._first)]


def _indented(value: str, width: int, sought: str, share: int) -> Iterator[Content]:
    for line in marked_lines(value, (), width - 2, sought, gutter=False, share=share):
        yield Content.assemble("  ", line)


def _share(values: Sequence[str]) -> int:
    """For how many long texts at once there has to be time."""
    return max(1, sum(min(len(value), HEAD + TAIL) for value in values) // SHOWN_AT_ONCE)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
