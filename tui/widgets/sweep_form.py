"""What a sweep tries, as a form: a line a key, then how it is drawn, by what it is judged, when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Input

from engine import recipe, tried
from engine.errors import UserError
from engine.schema import Recipe, Source
from engine.sweep_plan import Method, Objective
from engine.sweeps import LOSS
from tui.safe import clean
from tui.widgets.knob import Form, Knob, KnobRow, number, whole
from tui.widgets.pick import PickRow

METHODS: dict[Method, str] = {
    "tpe": "near what was good so far",
    "random": "by chance",
    "grid": "every combination",
}
OBJECTIVES: list[Objective] = list(get_args(Objective))
OTHER = "other-keys"
RUNS = 12
"""Runs that are suggested: a third of them by chance, eight complete ones for the importance."""


@dataclass(frozen=True)
class TriedKnob(Knob):
    """A key that may be tried: its field holds the line of it, and is empty where it stays as it is."""

    @property
    def id(self) -> str:
        return f"over-{self.key.encode().hex()}"  # a recipe may name any key, right or wrong

    def value(self, plan: Recipe | Source) -> Any:
        over = plan.sweep.over.get(self.key) if isinstance(plan, Recipe) and plan.sweep else None
        return tried.written(self.key, over) if over else ""

    def is_named_in(self, sentence: str) -> bool:
        own = f"sweep.over.{self.key}"
        return sentence.startswith((f"{own}:", f"{own}.")) or f": {self.key}: " in sentence


class OtherKeys(Knob):
    """For keys that have no line of their own; those of the recipe have one."""

    def value(self, plan: Recipe | Source) -> Any:
        return ""


OFFERED = {
    "train.learning_rate": ("Learning rate", "1e-4 .. 1e-3 log"),
    "lora.rank": ("LoRA rank", "8, 16, 32"),
    "lora.alpha": ("LoRA alpha", "1x, 2x: of the rank"),
    "lora.dropout": ("LoRA dropout", "0, 0.05, 0.1"),
    "train.batch_size": ("Batch size", "8, 16"),
    "train.epochs": ("Epochs", "1, 2, 3"),
    "train.steps": ("Steps", "100, 200"),
    "train.warmup_steps": ("Warm-up steps", "0, 20"),
    "train.schedule": ("Schedule", "cosine, linear"),
    "train.neftune": ("NEFTune", "0, 5"),
}
"""Label, and a line that could stand there."""

BUDGET = (
    Knob("sweep", "runs", "Runs at most", "all seeds counted", whole),
    Knob("sweep", "hours", "Hours at most", "of training; empty: no limit", number),
    Knob("sweep", "seeds", "Seeds", "runs of each setting; 3 give an interval", whole),
    Knob("sweep", "prune", "Give up early", "runs that lie behind; needs evaluations", bool),
)


def of_plan(plan: Recipe) -> list[TriedKnob]:
    """The keys that the recipe has a use for, and those that its sweep tries besides."""
    unused = {"train.epochs" if plan.train.steps is not None else "train.steps"}
    if plan.train.method == "full":
        unused |= {key for key in OFFERED if key.startswith("lora.")}
    found = []
    for key, (label, example) in OFFERED.items():
        if key not in unused:
            now = clean(tried.stands(plan, key), newlines=False)
            says = f"now {now}; {example}" if now else example
            found.append(TriedKnob("sweep.over", key, label, says, str))
    others = plan.sweep.over if plan.sweep else ()
    return found + [
        TriedKnob(
            "sweep.over",
            key,
            clean(key.rpartition(".")[2], newlines=False),
            clean(f"{key}, now {tried.stands(plan, key)}", newlines=False),
            str,
        )
        for key in others
        if key not in {knob.key for knob in found}
    ]


def begun(plan: Recipe) -> Recipe:
    """The recipe with what is worth trying first, where it says nothing of it. Raises UserError."""
    if plan.sweep is not None:
        return plan
    return with_sweep(plan, {"over": tried.suggested(plan), "runs": RUNS})


def with_sweep(plan: Recipe, sweep: dict[str, Any] | None) -> Recipe:
    """The recipe with this [sweep] in the place of its own, or without one. Raises UserError."""
    document = plan.model_dump(mode="json", exclude={"sweep"}, exclude_none=True)
    return recipe.parse({**document, **({"sweep": sweep} if sweep else {})})


class SweepForm(Form):
    """Fields for [sweep], each checked as it changes."""

    class Changed(Message):
        """The sweep is another one, or something in it is wrong."""

    def __init__(self, plan: Recipe) -> None:
        """plan: with a sweep; `begun` makes one."""
        super().__init__(id="knobs", classes="panel", can_focus=False)
        assert plan.sweep is not None
        self.plan = plan
        """The recipe with the last sweep that was right; without one where nothing is tried."""
        self.wrong = ""
        """What is wrong with what stands in the fields; empty where nothing is."""
        self._first = plan
        self._method: Method = plan.sweep.method
        self._objective: Objective = plan.sweep.objective

    def compose(self) -> ComposeResult:
        for knob in of_plan(self._first):
            yield KnobRow(knob, self._first)
        yield KnobRow(OtherKeys("", OTHER, "Other keys", "train.packing = true, false; …", str), self._first)
        yield KnobRow(BUDGET[0], self._first)
        yield PickRow("method", "Drawn", id="pick-method")
        yield PickRow("objective", "Judged by", id="pick-objective")
        yield from (KnobRow(knob, self._first) for knob in BUDGET[1:])

    def on_mount(self) -> None:
        self.border_title = "What is tried"
        self._show_picked()

    def on_knob_row_turned(self, event: KnobRow.Turned) -> None:
        event.stop()
        self._read()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next()

    def pick(self, **chosen: Any) -> None:
        """Another method or objective."""
        self._method = chosen.get("method", self._method)
        self._objective = chosen.get("objective", self._objective)
        self._show_picked()
        self._read()

    def complain(self, sentence: str) -> None:
        """Show what is wrong at its field; "" where nothing is."""
        self.wrong = sentence
        rows = list(self.query(KnobRow))
        named = [row for row in rows if sentence and row.knob.is_named_in(sentence)]
        for row in rows:
            row.complain(sentence if row in named[:1] else "")

    def _read(self) -> None:
        try:
            self.plan = with_sweep(self._first, self._typed())
        except UserError as error:
            self.complain(str(error).removeprefix("recipe: "))
        else:
            self.complain("")
        self.post_message(self.Changed())

    def _typed(self) -> dict[str, Any] | None:
        """The table [sweep] of what stands in the fields; None where nothing is tried. Raises UserError."""
        over: dict[str, Any] = {}
        facts: dict[str, Any] = {"method": self._method, "objective": self._objective}
        for row in self.query(KnobRow):
            if isinstance(row.knob, TriedKnob):
                if row.value:
                    over[row.knob.key] = tried.read(row.knob.key, row.value)
            elif row.knob.key == OTHER:
                over |= others(row.value)
            elif row.value is not None:
                facts[row.knob.key] = row.value
        kept = self._first.sweep
        seed = kept.seed if kept else 0
        return {**facts, "seed": seed, "over": over} if over else None

    def _show_picked(self) -> None:
        best = "low is best" if self._objective == LOSS else "high is best"
        for key, value, says in (
            ("method", self._method, METHODS[self._method]),
            ("objective", self._objective, best),
        ):
            row = self.query_one(f"#pick-{key}", PickRow)
            row.show(value)
            row.tell(says)


def others(text: str) -> dict[str, Any]:
    """Keys with what is tried of them: train.seed = 1, 2; train.packing = true, false. Raises UserError."""
    found = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        key, equals, line = part.partition("=")
        if not equals:
            raise UserError(f"{OTHER}: {part!r:.40} names no values; write train.seed = 1, 2, say")
        found[key.strip()] = tried.read(key.strip(), line)
    return found
