"""The sets of rows to choose from, and what was found in those that are chosen."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from textual.content import Content
from textual.widgets import SelectionList
from textual.widgets.selection_list import Selection

from engine.schema import Source
from tui.draft import Draft
from tui.safe import clean
from tui.widgets.figures import counted
from tui.widgets.ledger_table import summed
from tui.widgets.ticks import TickList


class SourceList(TickList):
    """Bundled sets and typed files, each taken or not."""

    def __init__(self) -> None:
        super().__init__()
        self._sources: dict[str, Source] = {}

    @property
    def taken(self) -> tuple[Source, ...]:
        return tuple(self._sources[path] for path in self._sources if path in self.selected)

    def show(self, sources: list[Source], taken: tuple[Source, ...]) -> None:
        """List all of these; those of the recipe are taken, as the recipe names them."""
        self._sources = {source.path: source for source in (*sources, *taken)}
        paths = {source.path for source in taken}
        with self.prevent(SelectionList.SelectedChanged):
            self.clear_options()
            self.add_options(
                Selection(Content(shown_path(path)), path, path in paths) for path in self._sources
            )

    def know(self, sources: tuple[Source, ...]) -> None:
        """How these are read now."""
        self._sources.update({source.path: source for source in sources})


def shown_path(path: str) -> str:
    """A bundled or downloaded set by its id, a file by its name."""
    return clean(path if path.startswith(("builtin:", "hf:")) else PurePath(path).name, newlines=False)


def found(draft: Draft) -> Content:
    """What the data worker found, source by source, then in the whole set."""
    if draft.problem:
        return Content.assemble(
            (f"✗ {clean(draft.problem)}", "$text-error"),
            ("\nm: how the set is read (encoding, delimiter, format, columns)", "$foreground-muted"),
        )
    if draft.opened is None:
        return Content.styled("reading …", "$foreground-muted")
    sets = draft.opened["sources"]
    counts = draft.survey["sources"] if draft.survey else [None] * len(sets)
    lines = [line for one, count in zip(sets, counts, strict=True) for line in source_lines(one, count)]
    return Content("\n").join([*lines, totals(draft)])


def source_lines(source: dict[str, Any], counts: dict[str, Any] | None) -> list[Content]:
    """Format and rows of each part, the mapping, what was noted, what has to be chosen or agreed to."""
    name = (shown_path(source["path"]), "bold")
    if not source["format"]:
        fit = ", ".join(clean(template["name"], newlines=False) for template in source["fitting"])
        need = "  ✗ no known shape: m chooses columns, p a template" + (f" (fitting: {fit})" if fit else "")
        return [Content.assemble(name), Content.styled(need, "$text-error"), *_notes(source)]
    mapping = clean(source["mapping"], newlines=False)
    left_out = f" · {counts['left_out']:,} left out" if counts and counts["left_out"] else ""
    lines = [
        Content.assemble(name, f" · {source['format']}", f" · {_rows(counts)}"),
        Content.assemble((f"  {mapping}", "$foreground-muted"), (left_out, "$text-warning")),
    ]
    if source["question"]:
        lines.append(Content.styled(f"  ? {clean(source['question'], newlines=False)}", "$text-warning"))
    return [*lines, *_notes(source)]


def _rows(counts: dict[str, Any] | None) -> str:
    if counts is None:
        return "counting …"
    return " / ".join(f"{counts['rows'][part]:,}" for part in ("train", "validation", "test"))


def _notes(source: dict[str, Any]) -> list[Content]:
    return [Content(f"  · {clean(note, newlines=False)}") for note in source["notes"]]


def totals(draft: Draft) -> Content:
    """Rows, tokens and digest of the whole set, once it is scanned; how far the scan is until then."""
    if draft.shapeless:
        return Content.styled("rows are counted when that is chosen", "$foreground-muted")
    scan = draft.scan
    if scan is None:
        what = "counting tokens" if draft.survey else "counting rows"
        far = f" {draft.done:,} of {draft.total:,}" if draft.total else ""
        return Content.styled(f"{what} …{far}", "$foreground-muted")
    listed = summed(scan["ledger"])
    spoiling = [f"‼ {clean(sentence, newlines=False)}\n" for sentence in scan["spoiling"]]
    return Content.assemble(
        ("".join(spoiling), "$text-error"),
        (f"{counted(scan['rows'], 'row')} to train on\n", "bold"),
        f"{listed} · l lists them\n" if listed else "",
        f"{scan['tokens']:,} tokens, {scan['trained_tokens']:,} trained · longest {scan['longest']:,}\n",
        (f"digest {scan['digest'][:12]}", "$foreground-muted"),
    )
