"""The knobs that matter, what they come to, and the start."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Input

from engine import recipe, tried
from engine.errors import UserError
from engine.fit import Fit
from engine.memory import Rows
from engine.schema import Recipe, Settled
from engine.shapes import Unknown
from tui.draft import Draft
from tui.feed import Edges
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import AskScreen
from tui.screens.messages import RecipeChanged, StartAsked
from tui.screens.step import StepScreen
from tui.widgets import forecast
from tui.widgets.figures import counted, duration, short
from tui.widgets.knob import Form, KnobRow, of_recipe
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress


class RecipeScreen(StepScreen):
    """A form whose every field is checked as it is typed."""

    STEP = 4
    HELP = (
        "These are the settings that change most from run to run; each line says what its knob does, "
        "and what is wrong as soon as something is. All others keep the recipe's values.\n\n"
        "Tab and the arrow keys move between fields. ctrl+n (or ctrl+s) starts the run; it goes on by itself "
        "and may be left at any time. ctrl+o writes the recipe to a file: the command shown then does "
        "the same run without a screen. f3 tries settings in many runs, a sweep, and says which is best."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "recipe",
            ("ctrl+n,ctrl+s", "start", "Start", "start", "Start the training"),
            ("ctrl+o", "save", "Save as", "save", "Write the recipe to a file"),
            ("f2", "forecast", "Memory", "forecast", "Show the memory forecast by terms"),
            ("f3", "sweep", "Sweep", "sweep", "Try settings in many runs: a sweep over them"),
        ),
        *hidden(
            "recipe",
            ("enter", "app.focus_next", "Next field", "down", "Go to the next field"),
        ),
    ]

    def __init__(self, edges: Edges, draft: Draft) -> None:
        super().__init__()
        self._edges = edges
        self._plan = draft.recipe
        self._saved: Path | None = None
        self._wrong = ""
        self._starting = False
        self._measured: tuple[Recipe, dict[str, Any]] | None = None  # by a probe of that recipe

    def body(self) -> ComposeResult:
        with Container(id="recipe"):
            with Form(classes="panel", id="knobs", can_focus=False) as knobs:
                knobs.border_title = "Recipe"
                for knob in of_recipe(self._plan):
                    yield KnobRow(knob, self._plan)
            with Vertical(classes="panel", id="summary") as summary:
                summary.border_title = "What it comes to"
                yield Quiet(id="sums")

    def progress(self) -> Progress:
        progress = super().progress()
        wanting = progress.wanting | ({4} if self._wrong else set())
        missing = "a setting is wrong" if self._wrong else progress.missing
        return Progress(progress.done - wanting, frozenset(wanting), missing)

    def on_mount(self) -> None:
        self.query_one("#train-steps Input").focus()
        self.draft_changed()

    def draft_changed(self) -> None:
        self._sum_up()
        self.refresh_bindings()

    def on_knob_row_turned(self, _: KnobRow.Turned) -> None:
        rows = list(self.query(KnobRow))
        try:
            plan = recipe.parse(typed(self._plan, rows))
        except UserError as error:
            self._complain(rows, str(error).removeprefix("recipe: "))
        else:
            if self._wrong:
                self._complain(rows, "")
            if plan != self._plan:
                self._plan, self._saved = plan, None
                self.post_message(RecipeChanged(plan))

    def _complain(self, rows: list[KnobRow], sentence: str) -> None:
        self._wrong = sentence
        named = [row for row in rows if row.knob.is_named_in(sentence)]
        # A contradiction names two keys, and no table of its own: it stands at the first of them.
        named = named or [row for row in rows if sentence and row.knob.key in sentence.split()]
        for row in rows:
            row.complain(sentence if row in named[:1] else "")
        self.mark_progress()
        self.draft_changed()

    def _sum_up(self) -> None:
        if self.draft is not None:
            settled, choices = self._edges.settle(self._plan, self._rows)
            fit = self._fit()
            memory = forecast.line(fit, choices=choices)
            lines = summary(self.draft, settled, memory, self._saved, self._seconds())
            if isinstance(fit, Fit) and fit.doubt:
                lines = Content.assemble((f"! {clean(fit.doubt)}\n", "$text-warning"), lines)
            if self._wrong:
                lines = Content.assemble((f"✗ {clean(self._wrong)}\n", "$text-error"), lines)
            self.query_one("#sums", Quiet).show(lines)

    def refuse(self, sentence: str) -> None:
        self._starting = False
        super().refuse(sentence)
        self.query_one("#sums", Quiet).show(Content.styled(f"✗ {clean(sentence)}", "$text-error"))
        self.refresh_bindings()

    def start_left(self) -> None:
        self._starting = False
        self.draft_changed()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        ready = not self._wrong and not self._starting
        if action == "start":
            return ready and self.draft is not None and not self.draft.problem
        return ready if action in ("save", "sweep") else True

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self.focus_next()

    def action_start(self) -> None:
        self._start()

    def _start(self, sweep: bool = False) -> None:
        if self.draft is not None and self.draft.untrainable:
            self.refuse(self.draft.untrainable)
            return
        self._starting = True
        self.query_one("#sums", Quiet).show("starting the sweep …" if sweep else "starting the run …")
        self.refresh_bindings()
        self.post_message(StartAsked(sweep))

    @property
    def _rows(self) -> Rows:
        scan = self.draft.scan if self.draft is not None else None
        if not scan or not scan["rows"]:
            return Rows()
        mean = scan["tokens"] / scan["rows"]
        return Rows(scan["longest"], scan["usual"], mean=mean, count=scan["rows"])

    def _fit(self) -> Fit | Unknown:
        return self._edges.fit(self._plan, self._rows)

    def action_forecast(self) -> None:
        from tui.screens.forecast import ForecastScreen

        plan = self._plan

        def keep(measured: dict[str, Any] | None) -> None:
            if measured is not None:
                self._measured = plan, measured
                self._sum_up()

        self.open_beside(ForecastScreen(self._edges, plan, self._fit()), keep)

    def _seconds(self) -> float | None:
        """What the run will take by the last probe, where its steps are still those of the recipe."""
        scan = self.draft.scan if self.draft is not None else None
        if self._measured is None or scan is None:
            return None
        plan, measured = self._measured
        if pace(plan) != pace(self._plan):
            return None
        settled = (self._edges.settle(one, self._rows)[0] for one in (self._plan, plan))
        steps, then = (one.total_steps(scan["rows"]) for one in settled)
        return float(measured["eta"] * steps / then)

    def action_sweep(self) -> None:
        from tui.screens.sweep_plan import SweepPlanScreen
        from tui.widgets.sweep_form import begun

        def keep(answer: tuple[Recipe, bool] | None) -> None:
            if answer is None:
                return
            plan, start = answer
            if plan != self._plan:
                self._plan, self._saved = plan, None
                self.post_message(RecipeChanged(plan))
            if start:
                self._start(sweep=True)

        try:
            plan = begun(self._plan)
        except UserError as error:
            self.refuse(str(error).removeprefix("recipe: "))
        else:
            self.open_beside(SweepPlanScreen(plan, self._seconds()), keep)

    def action_save(self) -> None:
        def write(path: str | None) -> None:
            if path is not None and self.draft is not None:
                self._write(Path(path).expanduser(), self.draft.planned)

        self.app.push_screen(AskScreen("Write the recipe to", f"{self._plan.name}.toml"), write)

    def _write(self, path: Path, plan: Recipe) -> None:
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(recipe.dumps(plan))
        except FileExistsError:
            self.notify(
                f"{clean(str(path))} is there already and was left as it is; give another name",
                severity="error",
                markup=False,
            )
        except OSError as error:
            self.notify(
                f"{clean(str(path))} cannot be written ({error.strerror}); give another place",
                severity="error",
                markup=False,
            )
        else:
            self._saved = path
            self._sum_up()


def typed(plan: Recipe, rows: list[KnobRow]) -> dict[str, Any]:
    """The recipe's document with what stands in the fields."""
    document = plan.model_dump()
    for row in rows:
        table = document[row.knob.table] if row.knob.table else document
        table[row.knob.key] = row.value
    return document


def pace(plan: Recipe) -> dict[str, Any]:
    """What of a recipe decides how long a step takes."""
    document = plan.model_dump(include={"model", "data", "lora", "train"})
    kept = (
        "batch_size",
        "gradient_accumulation",
        "gradient_checkpointing",
        "optimizer",
        "packing",
        "attention",
        "loader_workers",
        "keep_dequantised",
        "eval_every",
    )
    return {**document, "train": {key: document["train"][key] for key in kept}}


def way(plan: Recipe) -> str:
    """How the weights are held, and what is trained otherwise than by a plain adapter, in a few words."""
    lora = plan.lora
    if plan.train.method == "full":
        held = "all weights, in 32 bits"
    else:
        held = "4-bit" if plan.model.load_in_4bit else "16-bit"
    variants = (
        (lora.dora, "DoRA"),
        (lora.rank_stabilised, "rank-stabilised"),
        (lora.init == "loftq", "LoftQ"),
        (lora.plus_ratio != 1, f"LoRA+ {lora.plus_ratio:g}"),
        (bool(plan.train.neftune), f"NEFTune {plan.train.neftune:g}"),
        (bool(plan.model.adapter), "goes on with an adapter"),
    )
    return " · ".join([held, *(name for there, name in variants if there)])


def summary(
    draft: Draft, settled: Settled, memory: Content, saved: Path | None, seconds: float | None = None
) -> Content:
    """Steps, rows and tokens, memory, and the command line that does the same: what matters most first.

    settled: [train] as it would be run. seconds: what the run will take, where a probe has said so.
    """
    plan, scan = draft.recipe, draft.scan
    each = settled.rows_a_step
    if scan is None:
        steps = settled.steps
        size = "counting rows and tokens …"
    else:
        steps = settled.total_steps(scan["rows"])
        size = f"{scan['rows']:,} rows, {scan['tokens']:,} tokens an epoch"
    spoiling = [clean(sentence, newlines=False) for sentence in scan["spoiling"]] if scan else []
    length = f"{counted(steps, 'step') if steps else 'steps'} of {counted(each, 'row')}"
    passes = ""
    if scan and scan["rows"] and steps:
        epochs = steps * each / scan["rows"]
        passes = f" = {epochs:.3g} epochs, {short(round(epochs * scan['tokens']))} tokens"
    passes += f", about {duration(seconds)}" if seconds is not None else ""
    does = "train" if plan.sweep is None else "sweep"
    command = f"ift-tui {does} {shlex.quote(str(saved or plan.name + '.toml'))}"
    note = "" if saved else "  (^o writes it)"
    sized = Content(f"{size} · {clean(plan.model.id, newlines=False)} · {way(plan)}")
    if plan.sweep is not None:  # in the place of what the run trains on: there is no room for both
        sized = Content.assemble(("sweep over ", "$text-accent"), clean(tried.said(plan), newlines=False))
    return Content("\n").join(
        [
            *(Content.styled(f"‼ {sentence}", "$text-error") for sentence in spoiling),
            Content.styled(length + passes, "bold"),
            memory,
            sized,
            Content.assemble(
                ("without a screen: ", "$foreground-muted"),
                (clean(command, newlines=False), "$text-accent"),
                (note, "$foreground-muted"),
            ),
        ]
    )
