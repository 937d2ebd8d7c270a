"""What a sweep is to try: laid out before it is started, and kept in the recipe."""

from __future__ import annotations

import asyncio
import shlex
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content

from engine import space, steering
from engine.errors import UserError
from engine.schema import Recipe
from tui.keys import shown
from tui.safe import clean
from tui.screens.choose import PickScreen
from tui.screens.step import StepScreen
from tui.widgets.figures import duration
from tui.widgets.pick import PickRow
from tui.widgets.quiet import Quiet
from tui.widgets.sweep_form import METHODS, OBJECTIVES, SweepForm

QUIET_SECONDS = 0.15
"""How long a field must rest before every setting that would be tried is checked."""


class SweepPlanScreen(StepScreen):
    """Answers with the recipe, and whether its sweep is to be started; None: nothing was changed."""

    STEP = 4
    HELP = (
        "A sweep trains the recipe with other settings, run by run, and says which is best on the validation "
        "rows. Here you say what is tried; what has an empty field stays as the recipe has it.\n\n"
        "A field holds values (8, 16, 32), a range (1e-5 .. 1e-3, with log as often in each decade) or "
        "factors of another key (1x, 2x of lora.rank). Tried besides: any key, as train.packing = true, "
        "false in the field for other keys, parted by semicolons.\n\n"
        "tpe draws a third of the runs by chance and then near what was good; grid makes every "
        "combination. Seeds repeats each setting: without it a best is mostly luck among its neighbours. "
        "Runs that lie above the middle of the others are given up early.\n\n"
        "ctrl+n starts it; the runs go through the line like any other, and go on by themselves. Escape goes "
        "back, and what you have changed stays in the recipe as [sweep]: ctrl+o there writes it to a file. "
        "Empty all fields, and there is no sweep."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "plan",
            ("ctrl+n,ctrl+s", "start", "Start the sweep", "start", "Start the sweep"),
        ),
    ]

    def __init__(self, plan: Recipe, seconds: float | None = None) -> None:
        """plan: with a sweep. seconds: what a run of the recipe takes, where that is known."""
        super().__init__()
        self._plan = plan
        self._seconds = seconds
        self._refused = ""

    def body(self) -> ComposeResult:
        with Container(id="recipe"):
            yield SweepForm(self._plan)
            with Vertical(classes="panel", id="summary") as panel:
                panel.border_title = "What it comes to"
                yield Quiet(id="sums")

    @property
    def form(self) -> SweepForm:
        return self.query_one(SweepForm)

    def on_mount(self) -> None:
        self.form.query("Input").first().focus()
        self._sum_up()
        self._check()

    def on_sweep_form_changed(self, _: SweepForm.Changed) -> None:
        self._refused = ""
        self._sum_up()
        self._check()

    @work(exclusive=True, group="check")
    async def _check(self) -> None:
        """Whether any of the settings would be refused: there may be thousands."""
        await asyncio.sleep(QUIET_SECONDS)
        plan = self.form.plan
        if self.form.wrong or plan.sweep is None:
            return
        try:
            await asyncio.to_thread(space.check, plan)
        except UserError as error:
            if self.stands:
                self._refused = str(error)
                self.form.complain(self._refused)
                self._sum_up()

    def _sum_up(self) -> None:
        form = self.form
        wrong = form.wrong or self._refused
        lines = summary(form.plan, self._seconds)
        if wrong:
            lines = [Content.styled(f"✗ {clean(wrong, newlines=False)}", "$text-error"), *lines]
        self.query_one("#sums", Quiet).show(Content("\n").join(lines))
        self.refresh_bindings()

    def refuse(self, sentence: str) -> None:
        super().refuse(sentence)
        self._refused = sentence
        self._sum_up()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "start" and self.is_mounted:
            return self.form.plan.sweep is not None and not self.form.wrong and not self._refused
        return True

    def on_pick_row_asked(self, event: PickRow.Asked) -> None:
        if event.row.key == "method":
            known = list(METHODS)
            answers = [f"{name:<8}{says}" for name, says in METHODS.items()]
            self.app.push_screen(
                PickScreen("How settings are drawn", answers),
                lambda number: None if number is None else self.form.pick(method=known[number]),
            )
        else:
            self.app.push_screen(
                PickScreen("By what the best is known", OBJECTIVES),
                lambda number: None if number is None else self.form.pick(objective=OBJECTIVES[number]),
            )

    def action_start(self) -> None:
        self.dismiss((self.form.plan, True))

    def action_back(self) -> None:
        """Back to the recipe; what was only suggested does not stay in it."""
        self.dismiss((self.form.plan, False) if self.form.plan != self._plan else None)


def summary(plan: Recipe, seconds: float | None = None) -> list[Content]:
    """How many runs of how many settings, how long they take, and the command that does the same."""
    if plan.sweep is None:
        return [Content("Nothing is tried: every field is empty. The recipe is trained once, as it stands.")]
    sweep, runs, all_of_them = plan.sweep, steering.most_runs(plan), space.count(plan.sweep)
    many = f"At most {runs:,} runs" if runs is not None else "Runs"
    settings = f" of {all_of_them:,} settings" if all_of_them is not None else ", drawn from the ranges"
    seeds = f", each with {sweep.seeds} seeds" if sweep.seeds > 1 else ""
    ends = f"; none is begun after {sweep.hours:g} hours of training" if sweep.hours else ""
    said = [Content.styled(f"{many}{settings}{seeds}{ends}", "bold")]
    if seconds is not None and runs is not None:
        said.append(Content(f"each about {duration(seconds)} long, all about {duration(seconds * runs)}"))
    else:
        length = f"{plan.train.steps:,} steps" if plan.train.steps else f"{plan.train.epochs or 1:g} epochs"
        said.append(Content(f"one after another, each as long as the recipe: {length}"))
    if sweep.prune and not plan.train.eval_every:
        said.append(Content.styled("nothing is given up early: Evaluate every is 0", "$text-warning"))
    command = f"ift-tui sweep {shlex.quote(plan.name + '.toml')}"
    said.append(
        Content.assemble(
            ("without a screen: ", "$foreground-muted"),
            (clean(command, newlines=False), "$text-accent"),
            ("  (esc, ^o writes it)", "$foreground-muted"),
        )
    )
    return said
