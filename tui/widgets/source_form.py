"""How one set is read, as a form: format, which column plays which part, and the rest of its recipe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, get_args

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from engine import recipe
from engine.errors import UserError
from engine.formats.examples import PARTS
from engine.schema import Format, Metric, Recipe, Source
from tui.widgets.knob import Form, Knob, KnobRow, line, number, whole
from tui.widgets.pick import PickRow

FORMATS: dict[Format, str] = {
    "auto": "as it is found",
    "alpaca": "instruction, input, output",
    "messages": "lists of role and content",
    "sharegpt": "lists of from and value",
    "pairs": "a question and its answer",
    "instances": "one instruction, many instances",
    "preference": "the chosen answers are trained",
    "text": "running text, no chat",
    "tokens": "token ids",
    "template": "columns through a prompt template",
}
METRICS = list(get_args(Metric))


def delimiter(text: str) -> str | None:
    """What parts the cells; a tab is typed as \\t or tab."""
    return "\t" if text in ("\\t", "tab") else text or None


KNOBS = (
    Knob("", "wordings", "Wordings", "of the templates, a row", whole),
    Knob("", "weight", "Weight", "how often in an epoch", number),
    Knob("", "cap", "At most", "training rows; empty: all", whole),
    Knob("", "held_out", "Held out", "all rows are test rows", bool),
    Knob("", "validation", "Validation file", "empty: set aside", line),
    Knob("", "test", "Test file", "empty: set aside", line),
    Knob("", "encoding", "Encoding", "e.g. latin-1, gb18030", line),
    Knob("", "header", "Header", "first line names columns", bool),
    Knob("", "delimiter", "Delimiter", "empty: found; tab: \\t", delimiter),
    Knob("", "subset", "Subset", "configuration of an hf: set", line),
    Knob("", "questions", "Questions", "ask what each file holds", bool),
    Knob("", "date", "Date", "in front of those questions", line),
)
PICKS = (
    ("group", "Group by", "same value, same part"),
    ("stratify", "Stratify by", "each value in every part"),
    ("metric", "Metric", "how answers are scored"),
)


class SourceForm(Form):
    """Fields for one source of a recipe, each checked as it changes."""

    class Changed(Message):
        """The source is another one, or something in it is wrong."""

    def __init__(self, plan: Recipe, index: int) -> None:
        super().__init__(id="source-form", classes="panel", can_focus=False)
        self._plan = plan
        self._index = index
        self._found: dict[str, Any] = {}
        self.wrong = ""
        """What is wrong with what stands in the fields; empty where nothing is."""

    @property
    def source(self) -> Source:
        """The last source that was right."""
        return self._plan.data.sources[self._index]

    def compose(self) -> ComposeResult:
        yield PickRow("format", "Format", "enter opens the list", id="pick-format")
        yield PickRow("templates", "Templates", "p; wordings in turns", id="pick-templates")
        yield Vertical(id="roles")
        for knob in KNOBS:
            yield KnobRow(knob, self.source)
        for key, label, says in PICKS:
            yield PickRow(key, label, says, id=f"pick-{key}")

    async def on_mount(self) -> None:
        self.border_title = "How this set is read"
        await self._show()

    async def show_found(self, found: dict[str, Any]) -> None:
        """Take in a SET of the data worker: what was found is named where nothing was chosen."""
        self._found = found
        await self._show()

    @property
    def columns(self) -> list[str]:
        """The columns of the set, as far as they are known."""
        return list(self._found.get("columns", []))

    async def change(self, **facts: Any) -> None:
        """Put other values in place of some; what contradicts them is taken back."""
        if "format" in facts and facts["format"] != self.source.format:
            facts.setdefault("columns", {})
            facts.setdefault("templates", ())
        self._settle(facts)
        await self._show()

    def _settle(self, facts: dict[str, Any]) -> None:
        typed = {row.knob.key: row.value for row in self.query(KnobRow)}
        sources = [source.model_dump() for source in self._plan.data.sources]
        sources[self._index] |= typed | facts
        try:
            self._plan = recipe.changed(self._plan, data={"sources": sources})
        except UserError as error:
            self._complain(re.sub(r"^recipe: data(\.sources\.\d+)?[.:] ?", "", str(error)))
        else:
            self._complain("")
        self.post_message(self.Changed())

    def _complain(self, sentence: str) -> None:
        self.wrong = sentence
        rows = {row.knob.key: row for row in self.query(KnobRow)} | {
            row.key: row for row in self.query(PickRow)
        }
        words = re.findall(r"\w+", sentence)
        at = next((key for key in rows if words and sentence.startswith(f"{key}:")), "")
        at = at or next((word for word in words if word in rows), "")
        for key, row in rows.items():
            row.complain(f"{key}: {sentence.removeprefix(f'{key}: ')}" if key == at else "")

    async def _show(self) -> None:
        source, found = self.source, self._found
        rows = {row.key: row for row in self.query(PickRow)}
        known = found.get("format", "") if source.format == "auto" else ""
        rows["format"].show("" if known else source.format, known)
        rows["templates"].show(", ".join(map(template_name, source.templates)))
        for key in ("group", "stratify", "metric"):
            rows[key].show(getattr(source, key) or "")
        roles = self.query_one("#roles", Vertical)
        wanted = list(self._roles())
        if [row.key for row in roles.query(PickRow)] != wanted:
            await roles.remove_children()
            await roles.mount_all(PickRow(role, role) for role in wanted)
        for row in roles.query(PickRow):
            row.show(source.columns.get(row.key, ""), found.get("roles", {}).get(row.key, ""))

    def _roles(self) -> Iterable[str]:
        """The parts that columns can play in the format that is chosen or found."""
        source, found = self.source, self._found
        if source.format == "auto" and not source.templates:
            format = found.get("format", "")
        else:
            format = "template" if source.templates else source.format
        needed, possible = PARTS.get(format, ((), ()))
        return dict.fromkeys((*needed, *possible, *found.get("roles", {}), *source.columns))

    def on_knob_row_turned(self, event: KnobRow.Turned) -> None:
        event.stop()
        self._settle({})


def template_name(template: str) -> str:
    """A shipped template by its name, a file by its own."""
    return PurePath(template).stem if template.endswith(".toml") else template
