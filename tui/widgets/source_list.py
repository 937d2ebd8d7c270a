"""The sets of rows to choose from, and what was found in those that are chosen."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from textual.content import Content
from textual.widgets import SelectionList
from textual.widgets.selection_list import Selection

from engine.recipe import Source
from tui.draft import Draft
from tui.safe import clean
from tui.widgets.figures import counted


class SourceList(SelectionList[str]):
    """Bundled sets and typed files, each taken or not."""

    def __init__(self) -> None:
        super().__init__(compact=True)
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


def shown_path(path: str) -> str:
    """A bundled set by its id, a file by its name."""
    return clean(path if path.startswith("builtin:") else PurePath(path).name, newlines=False)


def found(draft: Draft) -> Content:
    """What the data worker found, source by source, then in the whole set."""
    if draft.problem:
        return Content.styled(f"✗ {clean(draft.problem)}", "$text-error")
    if draft.opened is None:
        return Content.styled("reading …", "$foreground-muted")
    lines = [line for source in draft.opened["sources"] for line in source_lines(source)]
    return Content("\n").join([*lines, totals(draft)])


def source_lines(source: dict[str, Any]) -> list[Content]:
    """Format and mapping, then how many rows each part has."""
    rows = source["rows"]
    mapping = clean(source["mapping"], newlines=False)
    parts = " / ".join(f"{rows[part]:,}" for part in ("train", "validation", "test"))
    left_out = f" · {source['left_out']:,} left out" if source["left_out"] else ""
    return [
        Content.assemble((shown_path(source["path"]), "bold"), f" · {source['format']} · {parts}"),
        Content.assemble(f"  {mapping}", (left_out, "$text-warning")).stylize(
            "$foreground-muted", 0, 2 + len(mapping)
        ),
    ]


def totals(draft: Draft) -> Content:
    """Rows, tokens and digest of the whole set, once it is scanned; how far the scan is until then."""
    scan = draft.scan
    if scan is None:
        far = f" {draft.done:,} of {draft.total:,}" if draft.total else ""
        return Content.styled(f"counting tokens …{far}", "$foreground-muted")
    left_out = sum(scan["left_out"].values())
    gone = f" · {left_out:,} left out" if left_out else ""
    return Content.assemble(
        (f"{counted(scan['rows'], 'row')} to train on{gone}\n", "bold"),
        f"{scan['tokens']:,} tokens, {scan['trained_tokens']:,} trained · longest {scan['longest']:,}\n",
        (f"digest {scan['digest'][:12]}", "$foreground-muted"),
    )
