"""Exports as they are shown: what each kind is for, how one came out, and how it is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from textual.content import Content
from textual.widgets import OptionList, SelectionList
from textual.widgets.selection_list import Selection

from engine import exports
from engine.exports import Export
from tui.feed.exports import Choice
from tui.safe import clean
from tui.widgets.figures import ago, counted, left, right, size
from tui.widgets.marks import indented
from tui.widgets.ticks import TickList

MARKS = {
    "passed": ("✓", "$text-success"),
    "failed": ("✗", "$text-error"),
    "not checked": ("?", "$text-warning"),
}
UNKNOWN = ("?", "$text-warning")
KIND, SIZE = 13, 8
"""Cells of a kind's name and of a size."""
COMPARED = {"rows", "part", "identical", "share", "bar", "ended", "logits", "gap", "differs"}
"""What is told of a comparison; engine/exports/parity.py says what it is."""


class KindList(TickList):
    """The kinds of exports, each ticked or not."""

    def __init__(self) -> None:
        super().__init__()
        self.choices: list[Choice] = []

    def show(self, choices: Sequence[Choice]) -> None:
        """List these; what is ticked stays so. Nothing is told to anyone."""
        ticked, at = set(self.selected), self.highlighted
        self.choices = list(choices)
        with self.prevent(SelectionList.SelectedChanged, OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options(Selection(_line(one), one.kind, one.kind in ticked) for one in choices)
            self.highlighted = at if at is not None else 0

    @property
    def taken(self) -> list[Choice]:
        """Those that are ticked; the one under the cursor where none is."""
        ticked = [one for one in self.choices if one.kind in self.selected]
        return ticked or [one for one in (self.pointed_at,) if one is not None]

    @property
    def pointed_at(self) -> Choice | None:
        return self.choices[self.highlighted] if self.highlighted is not None else None


def _line(choice: Choice) -> Content:
    """Kind, size, whether it was made, and what it is for or what is missing."""
    name = left(choice.kind, KIND) + right("" if choice.size is None else size(choice.size), SIZE)
    mark, style = MARKS.get(choice.made.status, UNKNOWN) if choice.made is not None else (" ", "")
    if lacks := _lacks(choice):
        return Content.assemble(name, " ", (mark, style), " ", (f"! {lacks}", "$text-warning"))
    says = exports.KINDS[choice.kind]
    return Content.assemble(name, " ", (mark, style), " ", (says, "$foreground-muted"))


def _lacks(choice: Choice) -> str:
    """What is in its way, "" where nothing is."""
    if choice.missing:
        return clean(choice.missing, newlines=False)
    return f"{choice.after} has to be made before it, or with it" if choice.after else ""


def about(choice: Choice) -> Content:
    """What a kind is for, and what is in its way."""
    lines = [Content.styled(exports.KINDS[choice.kind], "bold")]
    if lacks := _lacks(choice):
        lines.append(Content.styled(f"! {lacks}", "$text-warning"))
    elif choice.size is not None:
        takes = f"About {size(choice.size)}"
        takes += f"; {size(choice.needs)} while it is made" if choice.needs > choice.size else ""
        lines.append(Content(f"{takes}."))
    return Content("\n").join(lines)


def summary(export: Export, now: float, digest: str, width: int) -> Content:
    """How it came out, its size and age, and what was compared or why nothing was; digest: of the adapter."""
    facts = export.facts
    mark, style = MARKS.get(export.status, UNKNOWN)
    words = [
        clean(export.folder.name, newlines=False),
        size(_number(facts.get("bytes"))),
        _age(facts.get("made"), now),
        "of a former adapter" if digest and facts.get("digest") != digest else "",
    ]
    parity = _compared(export)
    said = shortly(parity) if parity and export.status == "passed" else clean(str(facts.get("why") or ""))
    head = Content.assemble((f"{mark} {export.status}", style), " · ", " · ".join(filter(None, words)))
    return Content("\n").join([head, indented(Content(said), width)])


def shortly(parity: dict[str, Any]) -> str:
    """8 of 8 answers are the run's word for word."""
    return f"{parity['identical']:,} of {counted(parity['rows'], 'answer')} are the run's word for word"


def detail(export: Export, lines: Sequence[str]) -> Content:
    """All that is known of one, with the lines that run it."""
    return Content("\n").join([*_outcome(export), *_running(export, lines)])


def _outcome(export: Export) -> Iterator[Content]:
    facts = export.facts
    mark, style = MARKS.get(export.status, UNKNOWN)
    takes = size(_number(facts.get("bytes"))) if facts.get("bytes") is not None else ""
    head = ", ".join(filter(None, (clean(str(facts.get("kind", ""))), takes)))
    yield Content.assemble((f"{mark} {export.status}", f"bold {style}"), f" · {head}")
    if why := facts.get("why"):
        yield Content(clean(_sentence(str(why))))
    if parity := _compared(export):
        yield Content(" ".join(_parity(parity)))
        for difference in parity["differs"][1:]:
            yield Content(clean(f"Besides: {difference}."))
    if isinstance(files := facts.get("files"), list):  # of an upload; a folder has a table of them
        sent = sum(one["bytes"] for one in files)
        who = "only you see it" if facts.get("private") else "for all to see"
        place = clean(str(facts.get("repo", "")), newlines=False)
        yield Content(f"{place}: {counted(len(files), 'file')}, {size(sent)}; {who}.")
    for note in facts.get("notes") or ():
        yield Content.styled(clean(_sentence(str(note))), "$foreground-muted")


def _running(export: Export, lines: Sequence[str]) -> Iterator[Content]:
    yield Content.assemble(("In ", "$foreground-muted"), clean(str(export.folder)))
    if export.status == "failed":
        yield Content.styled("It is kept to be looked at; do not pass it on.", "$text-error")
    elif lines:
        yield Content.styled("To run it:", "$foreground-muted")
        yield from (Content(clean(line)) for line in lines)


def _parity(parity: dict[str, Any]) -> Iterator[str]:
    """What was compared, in sentences."""
    prompts = clean(counted(parity["rows"], f"{parity['part']} prompt"))
    yield f"Of {prompts}, {parity['identical']:,} were answered word for word as by the run;"
    yield f"{parity['share']:.1%} of the tokens come before any difference ({parity['bar']:.0%} must)."
    ended = parity["ended"]
    if ended["missed"]:
        yield f"It did not end {ended['missed']:,} of the {ended['run']:,} answers that the run ended."
    else:
        yield f"It ended every answer that the run ended ({ended['run']:,})."
    yield f"First logits differ by at most {parity['logits']:.2g}; the adapter itself moves them by"
    yield f"{parity['gap']:.2g}."


def _compared(export: Export) -> dict[str, Any] | None:
    """The comparison in export.json, where there is one and it is whole."""
    parity = export.facts.get("parity")
    return parity if isinstance(parity, dict) and parity.keys() >= COMPARED else None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _age(made: object, now: float) -> str:
    try:
        return ago(max(0.0, now - datetime.fromisoformat(str(made)).timestamp()))
    except ValueError:
        return ""


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None
