"""Boxes that are empty where they are not ticked: Textual's own differ by colour alone."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widgets import Checkbox, SelectionList

ON, OFF = "X", " "


class Tick(Checkbox):
    """A checkbox."""

    def __init__(self, value: bool) -> None:
        super().__init__("", value=value, compact=True)
        self.BUTTON_INNER = ON if value else OFF

    def watch_value(self) -> None:
        self.BUTTON_INNER = ON if self.value else OFF
        super().watch_value()


class TickList(SelectionList[str]):
    """A list whose lines are ticked or not."""

    def __init__(self) -> None:
        super().__init__(compact=True)

    def on_focus(self) -> None:
        if self.highlighted is None and self.option_count:
            self.highlighted = 0

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        number = self.scroll_offset.y + y
        if number >= self.option_count:
            return strip
        left, inner, *rest = strip
        mark = ON if self.get_option_at_index(number).value in self.selected else OFF
        return Strip([left, Segment(mark, inner.style), *rest])
