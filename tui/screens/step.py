"""What the screens of the walk have in common: the stepper on top, the keys at the bottom, help."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.keys import key_to_character
from textual.reactive import reactive
from textual.screen import Screen

from tui.keys import shown
from tui.safe import clean
from tui.widgets.coach import Coach
from tui.widgets.key_line import KeyLine
from tui.widgets.stepper import Progress, Stepper

if TYPE_CHECKING:
    from tui.draft import Draft

WIDE = 110
"""Columns from which panels stand side by side."""

TALL = 50
"""Lines from which panels that scroll are higher."""


class StepScreen(Screen[Any]):
    """One step of the walk. A subclass says which, what to help with, and what its body is."""

    STEP: ClassVar[int]
    HELP: ClassVar[str]
    """A few sentences about the screen; the keys are added from its bindings."""
    AUTO_FOCUS = ""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "step",
            ("escape", "back", "Back", "back", "Go back"),
        ),
    ]

    draft: reactive[Draft | None] = reactive(None)
    """Handed down by the app whenever it changes."""

    def compose(self) -> ComposeResult:
        # Known before the first layout, so that nothing is styled twice.
        self.set_class(self.app.size.width >= WIDE, "-wide")
        self.set_class(self.app.size.width < WIDE, "-narrow")
        yield Stepper(self.STEP)
        yield from self.body()
        yield Coach()
        yield KeyLine()

    def body(self) -> ComposeResult:
        """The widgets between the stepper and the keys."""
        raise NotImplementedError

    def progress(self) -> Progress:
        """What the stepper marks as done and as wanting."""
        if self.draft is None:
            return Progress()
        return Progress(self.draft.steps_done, self.draft.steps_wanting, self.draft.missing)

    def mark_progress(self) -> None:
        self.query_one(Stepper).progress = self.progress()

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """Without the keys that the focused field would take as text: the footer shows what works."""
        bindings = super().active_bindings
        working = [key for key in bindings if not self._is_text(key)]
        return {key: bindings[key] for key in sorted(working, key=lambda key: _place(bindings[key]))}

    def _is_text(self, key: str) -> bool:
        focused = self.focused
        return focused is not None and focused.check_consume_key(key, key_to_character(key))

    def watch_draft(self) -> None:
        if self.is_mounted and self.stands:
            self.mark_progress()
            self.draft_changed()

    @property
    def stands(self) -> bool:
        """False while the screen is taken down: what still arrives then has no widget to go to."""
        # Asked at each token that comes: to search the whole screen takes too long.
        return (
            self.is_attached
            and self.is_running
            and any(isinstance(child, KeyLine) for child in self.children)
        )

    def draft_changed(self) -> None:
        """The draft is another one than before."""

    def open_beside(self, screen: StepScreen, then: Callable[[Any], None] | None = None) -> None:
        """Open another screen of the same step; `then` gets what it answers, unless it is left."""
        screen.set_reactive(StepScreen.draft, self.draft)
        self.app.push_screen(screen, then)

    def refuse(self, sentence: str) -> None:
        """What was asked for here cannot be done."""
        self.notify(clean(sentence), severity="error", timeout=12, markup=False)

    def start_left(self) -> None:
        """A run was to start, and the person has thought better of it."""

    def on_mount(self) -> None:
        self.mark_progress()

    def on_stepper_step_pointed_at(self, message: Stepper.StepPointedAt) -> None:
        behind = [screen for screen in self.app.screen_stack if isinstance(screen, StepScreen)]
        steps = [screen.STEP for screen in behind]
        if message.number in steps and message.number != self.STEP:
            while self.app.screen is not behind[steps.index(message.number)]:
                self.app.pop_screen()

    def action_back(self) -> None:
        self.app.pop_screen()


def _place(active: ActiveBinding) -> tuple[int, bool]:
    """What a screen can do comes first in the footer, then what all screens can; short keys lead."""
    last = ("step.back", "compare.back", "app.help", "app.quit")
    binding = active.binding
    place = last.index(binding.id) + 1 if binding.id in last else 0
    return place, place > 0 and "+" in binding.key
