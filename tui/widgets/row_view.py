"""One row in one of its forms; arrow and page keys ask the screen for others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content

from tui.keys import hidden
from tui.safe import clean
from tui.widgets.figures import place_of
from tui.widgets.forms import FORMS, lines
from tui.widgets.line_view import LineView
from tui.widgets.marked import is_lit
from tui.widgets.tried import fields

Row = dict[str, Any]


class RowView(LineView):
    """Shows a `row` message of the data worker, or why there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *hidden(
            "rows",
            ("left", "screen.turn(-1)", "Row before", "before", "Go to the row before"),
            ("right", "screen.turn(1)", "Next row", "after", "Go to the next row"),
            ("pageup", "screen.turn(-10)", "Ten rows back", "back", "Go ten rows back"),
            ("pagedown", "screen.turn(10)", "Ten rows on", "on", "Go ten rows on"),
        ),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[Row, str, str] | Content = Content("")

    def show(self, row: Row, form: str = "text", sought: str = "", stay: bool = False) -> None:
        """A row from its beginning, or from where `sought` stands; `stay` keeps the place in the text."""
        self._shown = (row, form, sought)
        drawn = self._draw()
        if not stay:
            lit = enumerate(drawn) if sought and form != "tokens" else ()
            first = next((n for n, line in lit if is_lit(line)), 0)
            self.scroll_to(y=max(0, first - self.size.height // 3), animate=False, immediate=True)

    def ask(self, sentence: str, source: dict[str, Any]) -> None:
        """A row as it stands in its file, where it is not yet settled how it is read."""
        head = Content.styled(clean(sentence), "$text-warning")
        self._say(Content("\n").join([head, Content(""), *fields(source)]))

    def say(self, sentence: str, style: str = "$foreground-muted") -> None:
        """Something in place of a row: what is under way, or why there is none."""
        self._say(Content.styled(clean(sentence), style))

    def _say(self, content: Content) -> None:
        self._shown = content
        self._draw()
        self.scroll_home(animate=False)

    def on_resize(self, _: events.Resize) -> None:
        self._draw()

    def _draw(self) -> Sequence[Content]:
        width = max(8, self.scrollable_content_region.width)
        match self._shown:
            case Content() as content:
                drawn: Sequence[Content] = [part for line in content.split() for part in line.wrap(width)]
            case (row, form, sought):
                drawn = lines(row, form, width, sought)
        self.draw(drawn)
        return drawn


def head(row: dict[str, Any]) -> Content:
    """Which row, of how many, and the keys that lead to others."""
    place = f"Sample · {row['part']} {place_of(row['index'], row['count'])}  ◂ ▸"
    keys: list[Any] = ["  ", ("t", "$text-accent"), " part  ", ("g", "$text-accent"), " row"]
    if row["variants"] > 1:
        keys += ["  ", ("v", "$text-accent"), f" variant {row['variant'] + 1} of {row['variants']}"]
    return Content.assemble(place, *keys)


def foot(row: dict[str, Any]) -> Content:
    """Where it stands, and its size."""
    file = clean("/".join(PurePath(row["file"]).parts[-2:]), newlines=False)
    trained = "" if row["refused"] else f", {row['trained_tokens']:,} trained"
    size = f"{row['tokens']:,} tokens{trained}"
    return Content(f"{file} {row['unit']} {row['line']:,} · {size}")


def forms(current: str) -> Content:
    """The forms with their keys; a hand points at the one that is shown."""
    parts: list[Any] = []
    for number, form in enumerate(FORMS, 1):
        here = form == current
        parts += ["  " if parts else "", ("▸" if here else "", "bold"), (str(number), "$text-accent"), " "]
        parts.append((form, "bold" if here else "$foreground-muted"))
    return Content.assemble(*parts)
