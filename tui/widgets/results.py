"""What came out of a run as one page: evaluations, votes, exports, disk, samples."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from engine import reading, votes
from engine.evals import Evaluation
from tui.feed.results import Results
from tui.safe import clean
from tui.widgets.evaluation import MARKED, STYLES, difference, verdict
from tui.widgets.exports import summary
from tui.widgets.figures import counted, cut, left, right, size
from tui.widgets.marks import indented
from tui.widgets.samples import sample_text

NAME, SIZE = 16, 10
"""Cells of a part's name and of its size."""
MOST_OTHERS = 6
MOST_LINES = 14
"""Of a prompt with its answers."""
FIGURES = ("right", "exact", "rougeL", "loss")
"""Differences that are told, where an evaluation has them; the rest is one key away."""


def page(found: Results, now: float, width: int) -> Content:
    """All but the samples."""
    sections = (
        ("Evaluation", _evaluations(found, width)),
        ("Blind votes", _votes(found)),
        ("Exports", _exports(found, now, width)),
        ("Disk", _disk(found, width)),
    )
    lines = [Content.styled(clean(reading.sentence(found.state)), "bold")]
    for title, section in sections:
        lines += [Content(""), Content.styled(title, "bold $text-primary"), *section]
    return Content("\n").join(lines)


def samples(found: Results, width: int) -> Content:
    """The held-out prompts, as they were answered at the last evaluation."""
    state = found.state
    if not state.prompts:
        return Content.styled("No prompt was asked while it trained (evaluate.samples).", "$foreground-muted")
    parts = [sample_text(state, place, None, width, MOST_LINES) for place in range(len(state.prompts))]
    return Content("\n\n").join(parts)


def _evaluations(found: Results, width: int) -> Iterator[Content]:
    measured = [one for one in found.state.measured if one.get("tuned") is not None]
    for one in measured:
        rows = one["rows"]
        base, tuned = (
            f"{one[side]:,} ({one[side] / rows:.0%})" if rows else "–" for side in ("base", "tuned")
        )
        name = clean(str(one["source"]), newlines=False)
        yield Content(f"At its end, {name}: of {counted(rows, 'row')} base {base}, tuned {tuned} right")
    for name, read in found.evaluations:
        yield from [_unread(read)] if isinstance(read, str) else _evaluation(name, read, width)
    if not measured and not found.evaluations:
        yield _none("Nothing is measured yet; f6 measures base and tuned on held-out rows.")


def _evaluation(name: str, one: Evaluation, width: int) -> Iterator[Content]:
    facts = one.summary
    made = str(facts["made"])[:16].replace("T", " ")
    cut_short = ", cut short" if facts["cancelled"] else ""
    yield Content(clean(f"{name}: {len(one.rows):,} {facts['part']} rows, {made}{cut_short}", newlines=False))
    for column in one.columns[1:]:
        for figure in FIGURES:
            if told := facts["differences"].get(column, {}).get(figure):
                sure = verdict(told, figure)
                said = Content.assemble(
                    f"{left(clean(column, newlines=False), 10)} {left(figure, 7)}",
                    (f"{MARKED[sure]} {difference(told, figure)}", STYLES[sure]),
                )
                yield indented(said, width)


def _votes(found: Results) -> Iterator[Content]:
    for pair, tally in found.votes:
        adapter = f" (adapter {pair.digest[:8]})" if pair.digest else ""
        name = clean(f"{pair.column}{adapter}", newlines=False)
        yield Content(f"{name} {votes.words(tally)}")
        if tally.share is not None:
            yield Content(f"    win rate {votes.rate(tally)}, of {counted(tally.asked, 'vote')}")
    if not found.votes:
        yield _none("No votes yet; f5 asks you which answer is better, not saying whose it is.")


def _exports(found: Results, now: float, width: int) -> Iterator[Content]:
    yield from (summary(export, now, found.digest, width) for export in found.exports)
    if not found.exports:
        yield _none("None yet; e makes one, and asks it what the run was asked before it is called done.")


def _disk(found: Results, width: int) -> Iterator[Content]:
    for part, taken in sorted(found.disk.items(), key=lambda one: -one[1]):
        yield Content(left(part, NAME) + right(size(taken), SIZE))
    yield Content(left("this run", NAME) + right(size(sum(found.disk.values())), SIZE))
    if found.others:
        yield Content.styled(f"The {counted(len(found.others), 'other run')}:", "$foreground-muted")
    for name, taken in found.others[:MOST_OTHERS]:
        shown = cut(clean(name, newlines=False), max(10, width - SIZE - 1))
        yield Content(left(shown, max(NAME, min(width - SIZE, 40))) + right(size(taken), SIZE))
    if rest := found.others[MOST_OTHERS:]:
        yield Content(left(f"{len(rest):,} more", NAME) + right(size(sum(taken for _, taken in rest)), SIZE))
    if found.archive:
        yield Content(left("the archive", NAME) + right(size(found.archive), SIZE))


def _unread(why: str) -> Content:
    return Content.styled(f"✗ {clean(why)}", "$text-error")


def _none(words: str) -> Content:
    return Content.styled(words, "$foreground-muted")
