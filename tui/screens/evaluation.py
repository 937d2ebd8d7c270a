"""Evaluations of a run: what is saved is there at once, another can be made; rows are opened one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable

from engine import beside, evals
from engine.errors import RunFailed, UserError
from engine.evals import Evaluation
from engine.runs import Run
from tui.feed import Dialogue, Edges
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens.choose import PickScreen
from tui.screens.form import Field, Fields, FormScreen
from tui.screens.step import StepScreen
from tui.widgets.evaluation import JudgedTable, page
from tui.widgets.figures import duration
from tui.widgets.quiet import Quiet
from tui.widgets.stepper import Progress

PHASES = {
    "rows": "reading the rows",
    "load": "loading the model and the adapter",
    "loss": "losses",
    "answer": "answers",
    "likelihood": "how likely each choice is",
    "general": "general instructions and texts",
    "sum up": "intervals",
}
NOTHING = (
    "Nothing is measured yet. n measures base and tuned on the rows that were held out of training: how "
    "surprised each is by the reference, how often its answer is right, and what training has cost elsewhere."
)


class EvaluationScreen(StepScreen):
    """Figures above, rows beneath; the worker lives while it measures."""

    STEP = 6
    HELP = (
        "Base and tuned on the same held-out rows, with greedy answers. Loss is how surprised a model is by "
        "a token of the reference, perplexity its exponential; right, exact and the rest count answers. A "
        "difference comes with the interval that holds 95% of its resamples: where that leaves 0 out it is "
        "sure, else it may be chance. A point is one row in a hundred.\n\n"
        "Beneath stand the rows, those that gained most first; enter opens one with both answers, end goes "
        "to those that lost. n measures anew, with checkpoints or other runs beside if you like; escape ends "
        "that within a token and keeps what was finished. o opens another saved evaluation.\n\n"
        "`ift-tui eval RUN` does the same; --saved --to FILE writes a report (.md, .csv, .json)."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "evaluation",
            ("n", "measure", "Measure", "new", "Measure on held-out rows"),
            ("o", "open", "Open", "open", "Open another saved evaluation"),
        ),
        *shown(
            "compare",
            ("escape", "cancel_or_back", "Back", "back", "End measuring, or leave"),
        ),
        *hidden(
            "evaluation",
            ("tab", "app.focus_next", "Figures/rows", "other", "Go from the figures to the rows, and back"),
        ),
    ]

    def __init__(self, run: Run, edges: Edges, other: Run | None = None) -> None:
        """other: a run that is to be measured beside it; what is measured is then asked at once."""
        super().__init__()
        self._run = run
        self._edges = edges
        self._found: Evaluation | None = None
        self._saved: list[str] = []
        self._worker: Dialogue | None = None
        self._hears = False
        self._ending = False
        self._other = other

    def body(self) -> ComposeResult:
        with Container(id="evaluation"):
            with VerticalScroll(classes="panel", id="evaluation-page") as panel:
                panel.border_title = "Evaluation"
                yield Quiet(NOTHING, id="evaluation-text")
            with Vertical(classes="panel", id="evaluation-rows") as panel:
                panel.border_title = "Rows"
                panel.border_subtitle = "enter opens a row"
                yield JudgedTable()
        yield Quiet(id="evaluation-status")

    def progress(self) -> Progress:
        return Progress(frozenset({2, 3, 4, 5}))

    def on_mount(self) -> None:
        self.query_one("#evaluation-rows").display = False
        self.query_one("#evaluation-page").focus()
        self._open(None)
        if self._other is not None:
            self.call_after_refresh(self.action_measure)

    async def on_unmount(self) -> None:
        if self._worker is not None:
            await self._worker.close()

    def _say(self, words: str, style: str = "$foreground-muted") -> None:
        if self.stands:
            self.query_one("#evaluation-status", Quiet).show(Content.styled(clean(words), style))

    # --- what is saved ---

    @work(group="open", exclusive=True)
    async def _open(self, name: str | None) -> None:
        """One that is saved; the newest where none is named."""
        self._saved = await asyncio.to_thread(evals.names, self._run)
        if not self._saved:
            self._say(f"{self._run.name} · n measures")
            return
        chosen = name or self._saved[0]
        try:
            found = await asyncio.to_thread(evals.read, self._run, chosen)
        except UserError as error:
            self._say(f"✗ {error}", "$text-error")
            return
        if not self.stands:
            return
        self._found = found
        facts = found.summary
        cut = ", cut short" if facts["cancelled"] else ""
        title = (
            f"Evaluation · {chosen} · {len(found.rows):,} {facts['part']} rows · {facts['made'][:16]}{cut}"
        )
        self.query_one("#evaluation-page").border_title = Content(clean(title.replace("T", " ")))
        self.query_one("#evaluation-rows").display = True
        self.call_after_refresh(self._draw)
        self._say(f"{self._run.name} · {duration(facts['seconds'])} · {MEASURES}")
        self.refresh_bindings()

    def on_resize(self, _: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if self._found is not None and self.stands:
            width = self.query_one("#evaluation-page").scrollable_content_region.width
            self.query_one("#evaluation-text", Quiet).show(page(self._found, max(40, width)))
            self.query_one(JudgedTable).show(self._found)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "measure":
                return self._worker is None
            case "open":
                return self._worker is None and len(self._saved) > 1
        return True

    @work(group="choose")
    async def action_open(self) -> None:
        number = await self.app.push_screen_wait(PickScreen("Which evaluation?", self._saved))
        if number is not None and self.stands:
            self._open(self._saved[number])

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        from tui.screens.judged import JudgedScreen

        if self._found is not None:
            self.open_beside(JudgedScreen(self._found, event.cursor_row))

    # --- another one ---

    @work(group="choose")
    async def action_measure(self) -> None:
        try:
            rows, steps = self._run.recipe().evaluate.rows, beside.steps(self._run)
        except UserError as error:
            self.refuse(str(error))
            return
        there = f"steps, among {', '.join(map(str, steps))}" if steps else "this run has none"
        fields = [
            Field("part", "held-out", "test rows, else validation rows"),
            Field("rows", str(rows), "of each set, at most"),
            Field("checkpoints", "", there),
            Field("beside", self._other.name if self._other else "", "names of runs of the same base"),
            Field("average", False, "all these adapters averaged too"),
            Field("forgetting", True, "general instructions and texts too"),
            Field("likelihood", True, "of each choice, if there are any"),
        ]

        def wrong(fields: Fields) -> str:
            try:
                words(fields, steps)
                for name in named(fields):
                    beside.named(self._run, name)
            except UserError as error:
                return str(error)
            return ""

        fields_given = await self.app.push_screen_wait(FormScreen("Measure on which rows?", fields, wrong))
        if fields_given is not None and self.stands and self._worker is None:
            self._measure(words(fields_given, steps))

    @work(group="measure")
    async def _measure(self, asked: list[str]) -> None:
        worker = Dialogue(self._edges.child("evaluate", str(self._run.path), *asked))
        self._ending = False
        self._worker = worker
        self.refresh_bindings()
        self._say("starting the worker …")
        name = None
        try:
            await worker.start()
            self._hears = True
            async for message in worker.unasked("evaluated"):
                self._say(f"{told(message)} · esc ends it and keeps what is finished")
                if message["kind"] == "evaluated":
                    name = Path(message["summary"]).stem
        except (RunFailed, OSError) as error:
            self._say(f"✗ {error}", "$text-error")
        finally:
            self._worker, self._hears = None, False
            await worker.close()
        if self.stands:
            self.refresh_bindings()
            if name is not None:
                self._open(name)

    async def action_cancel_or_back(self) -> None:
        if self._worker is not None and self._hears and not self._ending:
            self._ending = True
            await self._worker.tell("cancel")
            self._say("ending … what is finished is summed up; esc again leaves without it")
        else:
            self.action_back()


MEASURES = "n measures anew · tab goes to the rows"


def told(message: dict[str, Any]) -> str:
    """What the worker says it does."""
    phase = PHASES.get(message.get("phase", ""), str(message.get("phase", "")))
    if message["kind"] == "progress":
        return f"{phase} · {message['done']:,} of {message['total']:,}"
    return f"{phase} …" if phase else "done"


def named(fields: Fields) -> list[str]:
    """The runs that are to be measured beside this one."""
    return str(fields["beside"]).replace(",", " ").split()


def words(fields: Fields, steps: list[int]) -> list[str]:
    """The worker's arguments. Raises UserError, naming the field."""
    if fields["part"] not in evals.HELD_OUT:
        raise UserError(f"part: {', '.join(evals.HELD_OUT)} (found {fields['part']!r})")
    if not fields["rows"].isdecimal() or not int(fields["rows"]):
        raise UserError(f"rows: must be a whole number above 0 (found {fields['rows']!r})")
    chosen = fields["checkpoints"].replace(",", " ").split()
    for step in chosen:
        if not step.isdecimal() or int(step) not in steps:
            raise UserError(f"checkpoints: there is none of step {step}")
    if fields["average"] and not chosen and not named(fields):
        raise UserError("average: needs two adapters or more; name a checkpoint or a run too")
    asked = ["--part", fields["part"], "--rows", fields["rows"]]
    asked += [word for step in chosen for word in ("--checkpoint", step)]
    asked += [word for name in named(fields) for word in ("--with", name)]
    asked += ["--average"] if fields["average"] else []
    asked += [] if fields["forgetting"] else ["--no-general"]
    return asked + ([] if fields["likelihood"] else ["--no-likelihood"])
