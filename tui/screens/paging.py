"""What the screens that show a row have in common: which row, and the keys that lead to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from textual.binding import BindingType

from tui.keys import hidden
from tui.screens.choose import AskScreen
from tui.screens.step import StepScreen

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Place:
    """A row, and which of the samples that it makes."""

    part: str = PARTS[0]
    index: int = 0
    variant: int = 0


class PagingScreen(StepScreen):
    """Goes from row to row; a subclass asks for the row and shows it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *hidden(
            "rows",
            ("t", "part", "Part", "part", "Show train, validation or test rows"),
            ("g", "go", "Go to row", "go", "Go to a row by its number"),
            ("v", "variant", "Variant", "variant", "Show the row's next wording or piece"),
            ("left", "turn(-1)", "The row before", "before", "Go to the row before"),
            ("right", "turn(1)", "The next row", "after", "Go to the next row"),
            ("pageup", "turn(-10)", "Ten rows back", "back", "Go ten rows back"),
            ("pagedown", "turn(10)", "Ten rows on", "on", "Go ten rows on"),
        ),
    ]

    def __init__(self, place: Place | None = None) -> None:
        super().__init__()
        self.place = place or Place()
        self.count: int | None = 0
        """Rows of the part; None while they are not counted."""
        self.variants = 1

    def ask(self) -> None:
        """Show the row at `place`."""
        raise NotImplementedError

    def arrived(self, row: dict[str, Any]) -> None:
        """A `row` message came: it says which row this really is, and of how many."""
        self.place = Place(row["part"], row["index"], row["variant"])
        self.count, self.variants = row["count"], row["variants"]

    def go_to(self, place: Place) -> None:
        if place != self.place:
            self.place = place
            self.ask()

    def action_turn(self, by: int) -> None:
        at = max(self.place.index + by, 0)
        last = at if self.count is None else max(0, self.count - 1)
        if min(at, last) != self.place.index:
            self.go_to(Place(self.place.part, min(at, last)))

    def action_go(self) -> None:
        def go(typed: str | None) -> None:
            if typed is None:
                return
            number = typed.replace(",", "")
            most = self.count
            if not number.isdecimal() or not 1 <= int(number) <= (most or int(number)):
                rows = f"has rows 1 to {most:,}" if most else "counts its rows from 1"
                self.refuse(f"{typed}: the {self.place.part} part {rows}.")
            else:
                self.go_to(Place(self.place.part, int(number) - 1))

        self.app.push_screen(AskScreen("Go to which row?", str(self.place.index + 1), "goes there"), go)

    def action_variant(self) -> None:
        place = self.place
        self.go_to(Place(place.part, place.index, (place.variant + 1) % max(1, self.variants)))

    def action_part(self) -> None:
        self.go_to(Place(PARTS[(PARTS.index(self.place.part) + 1) % len(PARTS)]))
