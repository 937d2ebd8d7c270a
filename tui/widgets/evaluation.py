"""An evaluation as one page: figures by set with what they differ by in words, choices, forgetting."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import DataTable

from engine import evals
from engine.evals import Evaluation
from tui.keys import shown
from tui.safe import clean
from tui.widgets.figures import cut, left, right

LOWER_IS_BETTER = ("loss",)
NAME, CELL = 16, 14
"""Cells of a figure's name, at least, and of a figure."""
LABEL = 9
MOST_CHOICES = 8
"""More choices make no table that can be read here; the report has them."""
MOST_ROWS = 2_000

MARKED = {"better": "✓", "worse": "✗", "no sure difference": "≈"}
STYLES = {"better": "$text-success", "worse": "$text-error", "no sure difference": "$foreground-muted"}


def page(found: Evaluation, width: int) -> Content:
    """All figures, the sets one beneath the other, at a width in cells."""
    facts, lines = found.summary, list[Content]()
    if len(facts["sets"]) > 1:
        lines += [*_all(found), Content("")]
    for one in facts["sets"]:
        lines += [*_set(one, found.columns, width), Content("")]
    if facts["general"]:
        lines += [*_forgetting(facts["general"], found.columns), Content("")]
    made = f"{facts['model']}{' in 4 bits' if facts['four_bit'] else ''}, adapter {facts['digest'][:8]}; "
    made += (
        f"intervals hold {facts['settings']['share']:.0%} of {facts['settings']['resamples']:,} resamples of "
        "the rows. "
    )
    command = f"ift-tui eval {facts['run']} --part {facts['part']} --saved --to report.md"
    lines.append(Content.styled(clean(made), "$foreground-muted"))
    lines.append(Content.assemble(("As a report: ", "$foreground-muted"), clean(command)))
    return Content("\n").join(lines)


def verdict(facts: dict[str, Any], figure: str) -> str:
    """better, worse, or no sure difference."""
    if not facts["sure"]:
        return "no sure difference"
    return "better" if (facts["difference"] < 0) == (figure in LOWER_IS_BETTER) else "worse"


def difference(facts: dict[str, Any], figure: str) -> str:
    """What a column gains over the base: better by 0.31 (0.24 to 0.38)."""
    sign = -1 if figure in LOWER_IS_BETTER else 1
    share = figure not in (*LOWER_IS_BETTER, "rougeL")
    middle = sign * facts["difference"]
    ends = sorted((sign * facts["low"], sign * facts["high"]))
    said = verdict(facts, figure)
    if said == "worse":
        middle, ends = -middle, [-ends[1], -ends[0]]
    low, high = (_size(end, share).removesuffix(" points") for end in ends)
    if said == "no sure difference":
        return f"{said} ({low} to {high}{' points' if share else ''})"
    return f"{said} by {_size(middle, share)} ({low} to {high})"


def forgotten(general: dict[str, Any], column: str) -> list[str]:
    """What training cost, a sentence a kind of text."""
    sentences = []
    for kind, name in (("instructions", "general instructions"), ("texts", "plain text")):
        before, after = (general["columns"][side][kind]["loss"] for side in ("base", column))
        change = general["differences"].get(column, {}).get(kind)
        if before is None or after is None or not change:
            continue
        moved = f"On {name} the loss goes from {before:.2f} to {after:.2f}"
        factor = math.exp(min(abs(change["difference"]), 700))
        match verdict(change, "loss"):
            case "worse":
                costs = f"each token surprises it {factor:.2g} times as much as the base: it has forgotten"
            case "better":
                costs = "nothing is forgotten there"
            case _:
                costs = "no sure change"
        sentences.append(f"{moved}: {costs}.")
    return sentences


def _all(found: Evaluation) -> Iterator[Content]:
    """What it comes to over all sets."""
    yield Content.styled(f"All {len(found.rows):,} rows", "bold $text-primary")
    for name in found.columns[1:]:
        for figure in ("right", "loss"):
            if told := found.summary["differences"][name].get(figure):
                sure = verdict(told, figure)
                whose = f"{clean(name, newlines=False)}, {figure}: "
                yield Content.assemble(whose, (f"{MARKED[sure]} {difference(told, figure)}", STYLES[sure]))


def _set(one: dict[str, Any], columns: Sequence[str], width: int) -> Iterator[Content]:
    title = f"{clean(one['source'], newlines=False)} · {one['rows']:,} rows, judged by {one['metric']}"
    yield Content.styled(title, "bold $text-primary")
    said = {name: evals.figures(one, name) for name in columns}
    names = list(dict.fromkeys(figure for figures in said.values() for figure in figures))
    room = max([NAME, *map(len, names)])
    heads = [clean(name, newlines=False) for name in columns]
    yield Content.styled(_cells("", heads, room), "$foreground-muted")
    for figure in names:
        line = _cells(figure, [said[name].get(figure, "–") for name in columns], room)
        yield from _with_words(line, one, columns, "rougeL" if figure == "ROUGE-L" else figure, width)
    for name in columns[1:]:
        better, worse = one["better"][name], one["worse"][name]
        yield Content(
            f"{clean(name, newlines=False)} is better on {better:,} rows, worse on {worse:,}, "
            f"alike on {one['rows'] - better - worse:,}"
        )
    if 0 < len(one["choices"]) <= MOST_CHOICES:
        for name in columns:
            if "said" in one["columns"][name]:
                yield Content("")
                yield from confusion(name, one["choices"], one["columns"][name]["said"]["confusion"])


def _with_words(
    line: str, one: dict[str, Any], columns: Sequence[str], figure: str, width: int
) -> Iterator[Content]:
    """A line of figures, with what they differ by behind it where there is room, else beneath it."""
    words = [
        (name, verdict(facts, figure), difference(facts, figure))
        for name in columns[1:]
        if (facts := one["differences"][name].get(figure))
    ]
    if len(columns) == 2 and len(words) == 1 and cell_len(line) + cell_len(words[0][2]) + 4 <= width:
        said = words[0]
        yield Content.assemble(line, "  ", (f"{MARKED[said[1]]} {said[2]}", STYLES[said[1]]))
        return
    yield Content(line)
    for name, sure, told in words:
        whose = f"{clean(name, newlines=False)} " if len(columns) > 2 else ""
        yield Content.assemble(" " * 4, (f"{MARKED[sure]} {whose}{told}", STYLES[sure]))


def confusion(column: str, choices: Sequence[str], counts: Sequence[Sequence[int]]) -> Iterator[Content]:
    """How often each choice was answered for each reference; what is right stands on the diagonal."""
    yield Content.styled(
        f"{clean(column, newlines=False)}: reference down, answer across", "$foreground-muted"
    )
    names = [cut(clean(choice, newlines=False), LABEL - 1) for choice in choices]
    head = " " * LABEL + "".join(right(name, LABEL) for name in [*names, "none"])
    yield Content.styled(head, "$foreground-muted")
    for number, (name, row) in enumerate(zip(names, counts, strict=True)):
        parts: list[Any] = [left(name, LABEL)]
        parts += [
            (f"{count:>{LABEL},}", "bold" if at == number else "$foreground-muted" if not count else "")
            for at, count in enumerate(row)
        ]
        yield Content.assemble(*parts)


def _forgetting(general: dict[str, Any], columns: Sequence[str]) -> Iterator[Content]:
    columns = [name for name in columns if name in general["columns"]]  # a base with examples is not there
    title = f"Forgetting · {general['rows']:,} general instructions and texts"
    yield Content.styled(title, "bold $text-primary")
    yield Content.styled(_cells("loss", columns), "$foreground-muted")
    for kind in ("instructions", "texts"):
        losses = [general["columns"][name][kind]["loss"] for name in columns]
        cells = ["–" if loss is None else f"{loss:.4f}" for loss in losses]
        yield Content(_cells(kind, cells))
    for name in columns[1:]:
        whose = f"{clean(name, newlines=False)}: " if len(columns) > 2 else ""
        yield from (Content(whose + sentence) for sentence in forgotten(general, name))


class JudgedTable(DataTable[Text]):
    """A line a row, from the greatest gain to the greatest loss."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown("evaluation", ("enter", "select_cursor", "Row", "row", "Open the row with both answers"))
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1)

    def show(self, found: Evaluation) -> None:
        self.clear(columns=True)
        room = max(10, (self.size.width - 12) // 4)
        widths = {"gain": 6, "question": 2 * room - 6, "base": room, found.columns[1]: room}
        for name, width in widths.items():
            self.add_column(Text(clean(name, newlines=False)), width=width, key=name)
        for number in found.summary["order"][:MOST_ROWS]:
            row = found.rows[number]
            answers = [row[name].get("text", "") for name in found.columns[:2]]
            cells = [gain(row, found.columns[1]), evals.question(row), *answers]
            on_a_line = [_short(re.sub(r"[ \t\n]+", " ", cell).strip(" "), 120) for cell in cells]
            self.add_row(*(Text(clean(cell, newlines=False), no_wrap=True) for cell in on_a_line))


def gain(row: dict[str, Any], column: str) -> str:
    """What the column gains on a row: of being right, of overlap, or of loss."""
    value = row["gain"].get(column)
    return "" if value is None else f"{value:+.2f}" if value else "0"


def _cells(name: str, cells: Sequence[str], room: int = NAME) -> str:
    return left(name, room) + "".join(right(cut(cell, CELL - 1), CELL) for cell in cells)


def _size(value: float, share: bool) -> str:
    return f"{100 * value:.1f} points" if share else f"{value:.2f}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
