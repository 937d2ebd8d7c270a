"""Questions: one of a few answers, one of thousands, a line of text, yes or no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from tui.keys import hidden, shown
from tui.safe import clean
from tui.widgets.fields import OneLine
from tui.widgets.quiet import Quiet


class ChooseScreen(ModalScreen[str | None]):
    """Pick one of a few; escape picks none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "choose",
            ("escape", "dismiss(None)", "Cancel", "cancel", "Cancel, and choose none"),
        ),
    ]

    def __init__(self, question: str, answers: list[str]) -> None:
        super().__init__()
        self._question = question
        self._answers = answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = Content(clean(self._question, newlines=False))
            box.border_subtitle = "enter chooses · esc cancels"
            prompts = [Content(clean(answer, newlines=False)) for answer in self._answers]
            yield OptionList(*prompts, compact=True)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._answers[event.option_index])


class PickScreen(ModalScreen[int | None]):
    """Pick one of many: what is typed narrows the list; escape picks none. Answers with its number."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "pick",
            ("escape", "dismiss(None)", "Cancel", "cancel", "Cancel, and choose none"),
        ),
        *hidden(
            "pick",
            ("down", "move('cursor_down')", "Next", "down", "Go down the list"),
            ("up", "move('cursor_up')", "Before", "up", "Go up the list"),
            ("pagedown", "move('page_down')", "Further down", "page_down", "Go further down the list"),
            ("pageup", "move('page_up')", "Further up", "page_up", "Go further up the list"),
        ),
    ]

    def __init__(self, question: str, answers: Sequence[str], current: int = 0) -> None:
        super().__init__()
        self._question = question
        self._answers = [clean(answer, newlines=False) for answer in answers]
        self._current = current
        self._shown: list[int] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog pick") as box:
            box.border_title = Content(clean(self._question, newlines=False))
            box.border_subtitle = "type to narrow · enter chooses · esc cancels"
            yield OneLine(placeholder="part of the name")
            listed = OptionList(compact=True)
            # As high as the whole list, whatever is typed: nothing jumps.
            listed.styles.height = min(len(self._answers), max(3, self.app.size.height * 4 // 5 - 6))
            yield listed

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        self._narrow("")
        self.query_one(OptionList).highlighted = self._current

    def on_input_changed(self, event: Input.Changed) -> None:
        self._narrow(event.value.strip())

    def _narrow(self, typed: str) -> None:
        wanted = typed.casefold()
        self._shown = [n for n, answer in enumerate(self._answers) if wanted in answer.casefold()]
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options(Content(self._answers[number]) for number in self._shown)
        listed.highlighted = 0 if self._shown else None

    async def action_move(self, how: str) -> None:
        await self.query_one(OptionList).run_action(how)

    def on_input_submitted(self, _: Input.Submitted) -> None:
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is not None:
            self.dismiss(self._shown[highlighted])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index])


class AskScreen(ModalScreen[str | None]):
    """Type one line; escape types none. `check` says what is wrong with it, "" where nothing is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "ask",
            ("escape", "dismiss(None)", "Cancel", "cancel", "Cancel, and type none"),
        ),
    ]

    def __init__(
        self,
        question: str,
        value: str,
        does: str = "writes",
        check: Callable[[str], str] = lambda _: "",
        explanation: str = "",
    ) -> None:
        super().__init__()
        self._question = question
        self._explanation = explanation
        self._value = value
        self._does = does
        self._check = check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = Content(clean(self._question, newlines=False))
            box.border_subtitle = Content(clean(f"enter {self._does} · esc cancels", newlines=False))
            if self._explanation:
                yield Static(clean(self._explanation), markup=False)
            yield OneLine(self._value)
            yield Quiet("", id="wrong")

    def on_mount(self) -> None:
        self._say("")

    def on_input_changed(self, _: Input.Changed) -> None:
        self._say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        value = event.value.strip()
        if value and (wrong := self._check(value)):
            self._say(f"✗ {clean(wrong)}")
        else:
            self.dismiss(value or None)

    def _say(self, wrong: str) -> None:
        said = self.query_one("#wrong", Quiet)
        said.display = bool(wrong)
        said.show(wrong)


class ConfirmScreen(ModalScreen[bool]):
    """Yes or no; enter and y say yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "confirm",
            ("enter,y", "dismiss(True)", "Yes", "yes", "Say yes"),
            ("escape,n", "dismiss(False)", "No", "no", "Say no"),
        ),
    ]

    def __init__(self, question: str, explanation: str) -> None:
        super().__init__()
        self._question = question
        self._explanation = explanation

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = Content(clean(self._question, newlines=False))
            box.border_subtitle = "enter yes · esc no"
            yield Static(clean(self._explanation), markup=False)
