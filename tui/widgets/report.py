"""The quality report: figures, bars and sentences about all rows of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from tui.safe import clean
from tui.widgets.figures import counted, left

LABEL = 22
MOST_LABELS = 12


def drawn(scanned: dict[str, Any], max_length: int | None, width: int) -> Content:
    """All of the report, `width` cells wide."""
    report = scanned["report"]
    parts = [
        ("Warnings", warnings(report)),
        ("Rows and tokens", sizes(scanned, width)),
        ("Lengths", lengths(scanned, max_length, width)),
        ("Answers", labels(report, width)),
        ("Languages", languages(report, width)),
        ("Near-empty answers", near_empty(report)),
        ("Same question, other answers", conflicts(report)),
        ("Longest", longest(report)),
    ]
    blocks = []
    for title, lines in parts:
        found = list(lines)
        if found:
            head = Content.styled(title, "bold $text-primary")
            blocks.append(Content("\n").join([head, *(Content.assemble("  ", one) for one in found)]))
    return Content("\n\n").join(blocks)


def warnings(report: dict[str, Any]) -> Iterator[Content]:
    for sentence in report["warnings"]:
        yield Content.styled(f"! {clean(sentence, newlines=False)}", "$text-warning")


def sizes(scanned: dict[str, Any], width: int) -> Iterator[Content]:
    """Samples, tokens and trained tokens, by source and together."""
    sources = scanned["report"]["sources"]
    names = [_name(source["path"]) for source in sources]
    wide = max(8, min(width - 42, max(map(cell_len, ["together", *names]))))
    rows = [(name, source["samples"], source) for name, source in zip(names, sources, strict=True)]
    if len(rows) != 1:
        rows.append(("together", scanned["rows"], scanned))
    yield Content.styled(f"{'':<{wide}}  {'rows':>10}  {'tokens':>13}  {'trained':>13}", "$foreground-muted")
    for name, samples, counts in rows:
        yield Content(
            f"{left(name, wide)}  {samples:>10,}  {counts['tokens']:>13,}  {counts['trained_tokens']:>13,}"
        )


def lengths(
    scanned: dict[str, Any], max_length: int | None, width: int, label: int = LABEL
) -> Iterator[Content]:
    """A histogram of tokens a row from the shortest on, with the cut at max_length, where there is one."""
    bars, below = scanned["lengths"], 0
    most = max((count for _, count in bars), default=0)
    together = sum(count for _, count in bars)
    begun, cut = False, max_length is None
    for bound, samples in bars:
        begun = begun or samples > 0
        if max_length is not None and not cut and below >= max_length:
            cut = True
            yield _cut(max_length, width)
        if begun:
            name = f"{below + 1:,} to {bound:,}" if bound - below > 1 else f"{bound:,}"
            yield bar(name, samples, most, together, width, label)
        below = bound
    if max_length is not None and bars and not cut:
        yield _cut(max_length, width)


def _cut(max_length: int, width: int) -> Content:
    words = f" max_length {max_length:,} "
    return Content.styled("╌" * 2 + words + "╌" * max(0, width - len(words) - 6), "$text-warning")


def labels(report: dict[str, Any], width: int) -> Iterator[Content]:
    """How often each answer stands in train, where answers are few."""
    found = report["labels"]
    together = sum(count for _, count in found)
    for answer, count in found[:MOST_LABELS]:
        yield bar(str(answer), count, found[0][1], together, width)
    if len(found) > MOST_LABELS:
        yield Content.styled(f"and {len(found) - MOST_LABELS} more", "$foreground-muted")


def languages(report: dict[str, Any], width: int) -> Iterator[Content]:
    for name, share in report["languages"]:
        yield bar(name, share, 1.0, 1.0, width)


def near_empty(report: dict[str, Any]) -> Iterator[Content]:
    found = report["near_empty"]
    if found["rows"]:
        yield Content(f"{counted(found['rows'], 'row')}: {_places(found['first'], found['rows'])}")


def conflicts(report: dict[str, Any]) -> Iterator[Content]:
    found = report["conflicts"]
    if found["questions"]:
        where = _places(found["first"], found["questions"])
        yield Content(f"{counted(found['questions'], 'question')}: {where}")


def longest(report: dict[str, Any]) -> Iterator[Content]:
    for row in report["longest"]:
        yield Content(f"{row['tokens']:>9,} tokens  {clean(row['place'], newlines=False)}")


def bar(name: str, count: float, most: float, together: float, width: int, label: int = LABEL) -> Content:
    """A name, a bar, and the figure: a count with its share, or a share alone."""
    share = count / together if together else 0.0
    figure = f"{share:6.1%}" if isinstance(count, float) else f"{count:>9,} {share:6.1%}"
    room = max(4, width - label - len(figure) - 6)
    full = max(1, round(room * count / most)) if count else 0
    return Content.assemble(
        f"{left(clean(name, newlines=False), label)} ",
        ("█" * full, "$primary"),
        ("·" * (room - full), "$frame"),
        f" {figure}",
    )


def _places(first: Sequence[Any], count: int) -> str:
    shown = ", ".join(clean(str(place), newlines=False) for place in first)
    return shown + (" …" if count > len(first) else "")


def _name(path: str) -> str:
    return clean(path if path.startswith(("builtin:", "hf:")) else PurePath(path).name, newlines=False)
