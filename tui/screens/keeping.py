"""What stays of a comparison: its transcript, and answers that a person has corrected."""

from __future__ import annotations

import json
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import TextArea

from engine import jsonl, private, transcripts
from engine.errors import UserError
from engine.runs import Run
from engine.transcripts import Conversation
from tui.keys import shown
from tui.safe import clean
from tui.screens.step import StepScreen
from tui.widgets.lines_field import ManyLines

CORRECTIONS = "corrections.jsonl"


class CorrectScreen(ModalScreen[str | None]):
    """The answer to be edited; ctrl+s keeps it, escape leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+s",
            "keep",
            "Keep",
            id="correct.keep",
            priority=True,
            tooltip="Keep the answer as a row to train on",
        ),
        *shown(
            "correct",
            ("escape", "dismiss(None)", "Cancel", "cancel", "Cancel, and keep nothing"),
        ),
    ]

    def __init__(self, column: str, question: str, answer: str) -> None:
        super().__init__()
        self._column = column
        self._question = question
        self._answer = answer

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog correct") as box:
            asked = clean(self._question, newlines=False)
            box.border_title = Content(f"What should {clean(self._column)} have said?  ▸ {asked}")
            box.border_subtitle = "ctrl+s keeps it as a row to train on · esc cancels"
            # What cannot be seen is shown, and is kept as it is shown.
            yield ManyLines(clean(self._answer), show_line_numbers=False, soft_wrap=True)

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    def action_keep(self) -> None:
        self.dismiss(self.query_one(TextArea).text)


async def correct(screen: StepScreen, run: Run, talk: Conversation, column: str) -> None:
    """Let a person write what the last answer should have been, and keep it as a row to train on."""
    last = talk.last
    if last is None or column not in last.answers:
        return
    said = str(last.answers[column]["text"])
    better = await screen.app.push_screen_wait(CorrectScreen(column, last.asked, said))
    if better is None:
        return
    row = transcripts.row(talk, column, better)
    if not better.strip() or row is None:
        screen.refuse("an empty answer is no row to train on; nothing was written")
        return
    file = run.path / CORRECTIONS
    try:
        jsonl.append(file, row)
    except UserError as error:
        screen.refuse(str(error))
        return
    screen.notify(
        f'kept as a row; a recipe reads them with path = "{clean(str(file), newlines=False)}"',
        timeout=12,
        markup=False,
    )


def save(screen: StepScreen, run: Run, talk: Conversation, columns: list[str], facts: list[str]) -> None:
    """Write the conversation as Markdown and, beside it, as rows: one a column that has answered."""
    stem = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = run.path / "transcripts"
    rows = {column: transcripts.row(talk, column) for column in columns}
    try:
        private.folder(folder)
        text = transcripts.markdown(f"{run.name}: {', '.join(columns)}", facts, talk, columns)
        private.write(folder / f"{stem}.md", text)
        for column, row in rows.items():
            if row is not None:
                name = "".join(char if char.isalnum() or char in "-_." else "-" for char in column)
                private.write(folder / f"{stem}-{name}.jsonl", json.dumps(row) + "\n")
    except OSError as error:
        screen.refuse(f"{folder}: cannot be written ({error.strerror}); free some space")
        return
    where = clean(str(folder / stem), newlines=False)
    screen.notify(f"saved: {where}.md, and a row for each column beside it", timeout=12, markup=False)
