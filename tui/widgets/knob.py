"""One knob of a recipe: its name, a field, and a line on what it does or what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Checkbox, Input, Label

from engine.schema import Recipe, Source
from tui.keys import hidden
from tui.safe import clean
from tui.widgets.fields import OneLine
from tui.widgets.quiet import Quiet
from tui.widgets.ticks import Tick


@dataclass(frozen=True)
class Knob:
    """A key that a person is asked for, of the recipe or of a source. `table`: empty for a key at the top."""

    table: str
    key: str
    label: str
    says: str
    read: Callable[[str], Any]

    @property
    def id(self) -> str:
        return f"{self.table}-{self.key}" if self.table else self.key

    def value(self, plan: Recipe | Source) -> Any:
        return getattr(getattr(plan, self.table) if self.table else plan, self.key)

    def is_named_in(self, sentence: str) -> bool:
        """Whether an error sentence of the recipe is about this knob."""
        if not self.table:
            return sentence.startswith(f"{self.key}:")
        return sentence.startswith((f"{self.table}.{self.key}:", f"{self.table}: {self.key}"))


def whole(text: str) -> Any:
    """A whole number; None for an empty field; else the text itself, which the recipe then refuses."""
    try:
        return int(text) if text else None
    except ValueError:
        return text


def number(text: str) -> Any:
    try:
        return float(text) if text else None
    except ValueError:
        return text


def line(text: str) -> str | None:
    """A word or a path; None for an empty field."""
    return text or None


KNOBS = (
    Knob("", "name", "Name", "becomes part of the run's folder", str),
    Knob("train", "steps", "Steps", "optimizer steps; or leave it to epochs", whole),
    Knob("train", "epochs", "Epochs", "passes over all rows; or steps above", number),
    Knob("train", "batch_size", "Batch size", "rows at once, or auto: what fits", whole),
    Knob("train", "gradient_accumulation", "Accumulation", "batches to one step, or auto", whole),
    Knob("train", "learning_rate", "Learning rate", "or auto: 2e-4, more for small models", number),
    Knob("lora", "rank", "LoRA rank", "size of the adapter: 8 to 64", whole),
    Knob("lora", "alpha", "LoRA alpha", "alpha / rank scales what the adapter adds", whole),
    Knob("lora", "dropout", "LoRA dropout", "0 to 0.1; against learning rows by heart", number),
    Knob("data", "max_length", "Longest row", "in tokens; longer ones are left out", whole),
    Knob("train", "eval_every", "Evaluate every", "steps between validation losses, or auto", whole),
    Knob("train", "seed", "Seed", "the same seed gives the same run", whole),
    Knob("model", "load_in_4bit", "4-bit weights", "NF4: a quarter of the memory of 16-bit", bool),
)


def of_recipe(plan: Recipe) -> list[Knob]:
    """Those that the recipe has a use for: all weights are trained without an adapter, and not in 4 bits."""
    if plan.train.method == "lora":
        return list(KNOBS)
    kept = [knob for knob in KNOBS if knob.table != "lora" and knob.key != "load_in_4bit"]
    says = "2e-5 suits most: a tenth of LoRA's"
    return [replace(knob, says=says) if knob.key == "learning_rate" else knob for knob in kept]


class Form(VerticalScroll):
    """A column of fields: the arrow keys go from one to the next, also where not all are in view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *hidden(
            "form",
            ("down", "app.focus_next", "Next field", "down", "Go to the next field"),
            ("up", "app.focus_previous", "Field before", "up", "Go to the field before"),
        ),
    ]


class KnobRow(Horizontal):
    """Draws a knob and tells what is typed into it."""

    class Turned(Message):
        """The field holds something else than before."""

    def __init__(self, knob: Knob, plan: Recipe | Source) -> None:
        super().__init__(id=knob.id)
        self.knob = knob
        self._first = knob.value(plan)

    def compose(self) -> ComposeResult:
        yield Label(self.knob.label, classes="knob-label", markup=False)
        if self.knob.read is bool:
            yield Tick(self._first)
        else:
            yield OneLine(written(self._first), select_on_focus=False)
        yield Quiet(self.knob.says, classes="knob-says")

    @property
    def value(self) -> Any:
        """What the field holds, as the recipe wants it; an empty field is None."""
        if self.knob.read is bool:
            return self.query_one(Checkbox).value
        return self.knob.read(self.query_one(Input).value.strip())

    def complain(self, sentence: str) -> None:
        """Show what is wrong, or where nothing is, what the knob does."""
        self.set_class(bool(sentence), "-wrong")
        # The label names the key already; the whole sentence stands in the summary.
        wrong = clean(sentence.partition(": ")[2], newlines=False)
        says = Content(f"✗ {wrong}" if sentence else self.knob.says)
        self.query_one(Quiet).show(says)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Turned())

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        event.stop()
        self.post_message(self.Turned())


def written(value: Any) -> str:
    """A value as one would type it."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
