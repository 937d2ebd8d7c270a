"""The whole set in figures, filled in while it is counted: rows, tokens, findings, lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import OptionList

from tui.draft import Draft, Finding
from tui.keys import hidden
from tui.safe import clean
from tui.widgets.figures import counted
from tui.widgets.quiet import Quiet
from tui.widgets.report import lengths

LABEL = 16
"""Cells for the bounds of a bar: 10,241 to 11,264."""


class FindingsList(OptionList):
    """A line a finding; enter asks for its rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *hidden(
            "findings",
            ("enter", "select", "Its rows", "rows", "Go through its rows alone"),
        ),
    ]

    def __init__(self) -> None:
        super().__init__(compact=True)
        self.findings: list[Finding] = []
        self._shown: tuple[Sequence[Finding], bool] = ([], False)

    def show(self, findings: list[Finding], all_counted: bool) -> None:
        """List these; the finding that is pointed at stays the same one."""
        if (findings, all_counted) == self._shown:
            return
        self._shown = (findings, all_counted)
        at = self.pointed_at.reason if self.pointed_at is not None else ""
        lines = [_finding(finding, all_counted) for finding in findings]
        if [one.reason for one in findings] == [one.reason for one in self.findings]:
            for number, line in enumerate(lines):
                self.replace_option_prompt_at_index(number, line)
            self.findings = findings
            return
        self.findings = findings
        self.clear_options()
        self.add_options(lines)
        self.highlighted = next((n for n, one in enumerate(findings) if one.reason == at), 0)

    @property
    def pointed_at(self) -> Finding | None:
        at = self.highlighted
        return self.findings[at] if at is not None and at < len(self.findings) else None


class FactsPanel(Container):
    """Shows what a draft knows of all its rows."""

    def compose(self) -> Iterator[Any]:
        yield Quiet(id="facts-word")
        with Container(id="facts-body"):
            with Vertical(id="facts-found"):
                yield Quiet(id="facts-figures")
                yield FindingsList()
            yield Quiet(id="facts-lengths")

    def on_mount(self) -> None:
        self.border_title = "All rows"
        self.border_subtitle = "enter: the rows of a finding"

    def show(self, draft: Draft) -> None:
        self.query_one("#facts-word", Quiet).show(word(draft))
        self.query_one("#facts-figures", Quiet).show(figures(draft))
        self.query_one(FindingsList).show(draft.findings, draft.scan is not None)
        histogram = self.query_one("#facts-lengths", Quiet)
        width = max(40, histogram.size.width)
        if draft.scan is not None:
            bars = coarser(draft.scan["lengths"], histogram.size.height - 2)
            drawn = lengths({"lengths": bars}, draft.recipe.data.max_length, width, LABEL)
            title = Content.styled("tokens a row", "$foreground-muted")
            histogram.show(Content("\n").join([title, *drawn]))
        else:
            histogram.show("")


def word(draft: Draft) -> Content:
    """How far the count is; then what would spoil training, or that nothing would."""
    if draft.problem:
        return Content.styled(f"✗ {clean(draft.problem)}", "$text-error")
    if draft.scan is None:
        return Content.styled(far(draft), "$foreground-muted")
    spoiling = draft.scan["spoiling"]
    if not draft.scan["rows"]:
        return Content.styled("‼ no row can be trained", "$text-error")
    if not spoiling:
        return Content.styled("✓ nothing found that would spoil training", "$text-success")
    lines = [Content.styled(f"‼ {clean(sentence, newlines=False)}", "$text-error") for sentence in spoiling]
    return Content("\n").join(lines)


def far(draft: Draft) -> str:
    if draft.opened is None:
        return "reading …"
    what = "counting tokens" if draft.survey else "counting rows"
    return f"{what} … {draft.done:,} of {draft.total:,}" if draft.total else f"{what} …"


def figures(draft: Draft) -> Content:
    """Always the same four lines, so that nothing moves while they fill."""
    known = draft.totals
    if known is None:
        shown = ["–"] * 4
    else:
        shown = [
            f"{known['rows']:,}",
            f"{known['tokens']:,}",
            f"{known['trained_tokens']:,}  {share(known)}",
            f"{known['longest']:,}",
        ]
    names = ("rows", "tokens", "trained", "longest")
    pairs = zip(names, shown, strict=True)
    return Content("\n").join(
        Content.assemble((f"{name:<9}", "$foreground-muted"), value) for name, value in pairs
    )


def summary(draft: Draft) -> Content:
    """All of it on one line."""
    if draft.problem or draft.totals is None:
        return word(draft).first_line
    known = draft.totals
    found = sum(finding.rows > 0 for finding in draft.findings)
    parts = [
        counted(known["rows"], "row"),
        f"{known['tokens']:,} tokens, {share(known)} trained",
        counted(found, "finding"),
    ]
    if draft.scan is None:
        parts.append(f"{draft.done / draft.total:.0%} …" if draft.total else "…")
    line = Content(" · ".join(parts))
    if draft.scan is not None and draft.scan["spoiling"]:
        return Content.assemble(("‼ ", "$text-error"), line)
    return line


def share(known: dict[str, Any]) -> str:
    """The trained part of all tokens: 12%."""
    return f"{known['trained_tokens'] / known['tokens']:.0%}" if known["tokens"] else "0%"


def coarser(bars: Sequence[Sequence[int]], most: int) -> list[Sequence[int]]:
    """A histogram of at most that many bars, five where there is no room at all: neighbours are joined.

    First those without rows: a single long row makes many of them.
    """
    joined: list[Sequence[int]] = []
    for bar in bars:
        if joined and not joined[-1][1] and not bar[1]:
            joined.pop()
        joined.append(bar)
    while len(joined) > max(most, 5):
        pairs = [joined[at : at + 2] for at in range(0, len(joined), 2)]
        joined = [(pair[-1][0], sum(rows for _, rows in pair)) for pair in pairs]
    return joined


def _finding(finding: Finding, all_counted: bool) -> Content:
    sign, style = "·", "$foreground-muted"
    if finding.rows:
        sign, style = ("‼", "$text-error") if finding.spoils else ("!", "$text-warning")
    elif all_counted:
        sign, style = "✓", "$text-success"
    name = clean(finding.reason, newlines=False)
    return Content.assemble((f"{sign} ", style), f"{finding.rows:>9,}  {name}")
