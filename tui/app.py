"""The app: a screen a step, the draft and the workers behind them, the keys that work everywhere."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from tui import terminal

# Both are read by textual when it is imported.
if os.environ.get("SSH_TTY"):
    os.environ.setdefault("TEXTUAL_FPS", "15")
os.environ.setdefault("TEXTUAL_COLOR_SYSTEM", terminal.colour_system())

from rich.console import RenderableType
from rich.text import Text
from textual import events, work
from textual._compositor import CompositorUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.notifications import SeverityLevel
from textual.screen import Screen

from engine import sweeps, turns
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui import settings, small, unexpected
from tui.changes import Shown
from tui.feed import Dialogue, Edges, RowsFeed
from tui.keys import hidden, shown
from tui.safe import clean
from tui.screens import begin
from tui.screens.help import HelpScreen, key_table
from tui.screens.home import HomeScreen
from tui.screens.messages import (
    CompareAsked,
    DataChosen,
    DataLeft,
    EvaluationAsked,
    ExportAsked,
    ModelChosen,
    RecipeChanged,
    RecipeReady,
    ResultsAsked,
    ResumeAsked,
    RunBegun,
    RunOpened,
    SourcesChosen,
    StartAsked,
    SweepOpened,
)
from tui.screens.step import TALL, WIDE, StepScreen
from tui.themes import DARK, THEMES, fitting
from tui.widgets.stepper import STEPS

if TYPE_CHECKING:
    from engine.schema import Recipe
    from engine.sweeps import Sweep
    from tui.draft import Draft
    from tui.tour import Tour

SECONDS_TO_SETTLE = 0.5

SIGNS: dict[SeverityLevel, str] = {"information": "", "warning": "! ", "error": "✗ "}
"""What a message begins with, so that its colour is not the only mark."""

QUIET_SECONDS = 0.3
"""How long choices must rest before rows are read again: a number is typed key by key."""


class IftTui(App[None]):
    """Walks a person from a base model to a comparison of base and tuned."""

    TITLE = "ift-tui"
    CSS_PATH = "ift.tcss"
    COMMAND_PALETTE_BINDING = "ctrl+p"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(TALL, "-tall")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "app",
            ("question_mark,f1", "help", "Help", "help", "Explain this screen"),
        ),
        *hidden(
            "app",
            ("ctrl+l", "hide_tour", "Hide the tour", "tour", "Hide the tour, or show it again"),
        ),
        *shown(
            "app",
            ("q,ctrl+q", "quit", "Quit", "quit", "Quit; a live run goes on"),
        ),
    ]

    def __init__(self, edges: Edges | None = None) -> None:
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self._settings = settings.load(tuple(THEMES))
        for name in self.available_themes:
            self.unregister_theme(name)
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = fitting(self._settings.theme)
        self.edges = edges or Edges()
        self._draft: Draft | None = None
        self._rows = RowsFeed(self.edges.child)
        self._starting = False
        self._shown = Shown()
        self._tour: Tour | None = None

    def get_default_screen(self) -> Screen[None]:
        return HomeScreen(self.edges)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DARK.variables

    def watch_theme(self, before: str, after: str) -> None:
        """A theme that a person has chosen holds for the next sessions too."""
        if self.is_running and before != after:
            self._shown.forget()
            try:
                settings.save_theme(after)
            except UserError as error:
                self.notify(clean(str(error)), severity="warning", markup=False)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate):
            if small.is_too_small(self.size):
                renderable = small.notice(self.size)
            renderable = self._shown.changes(renderable, self.size)
        super()._display(screen, renderable)

    async def on_event(self, event: events.Event) -> None:
        """What is typed where nothing can be seen is not done, but for the way out."""
        if isinstance(event, events.InputEvent | events.Paste) and small.is_too_small(self.size):
            active = self.active_bindings.get(event.key) if isinstance(event, events.Key) else None
            if active is not None and active.binding.action in ("quit", "app.quit"):
                await self.action_quit()
            return
        await super().on_event(event)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        said = f"{SIGNS[severity]}{message}"
        if any((one.message, one.severity) == (said, severity) for one in self._notifications):
            return  # it stands there already
        super().notify(said, title=title, severity=severity, timeout=timeout, markup=False)

    def on_resize(self) -> None:
        self._shown.forget()

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self._shown.forget())
        if not self.is_headless:
            terminal.watch(sys.__stdin__.fileno() if sys.__stdin__ else 0, self._leave)
        self._load_ahead()
        self._settle_keys()
        run = turns.live()
        sweep = sweeps.live() if run is None else sweeps.of(run)
        if sweep is not None:
            self._open_sweep(sweep)
        elif run is not None:
            self._open_run(run)

    @work(group="ahead")
    async def _load_ahead(self) -> None:
        """The code of the next screens, once the first one stands: a key should not wait for it."""
        await asyncio.sleep(SECONDS_TO_SETTLE)
        for screen in ("model", "train", "data", "recipe", "compare"):
            await asyncio.to_thread(importlib.import_module, f"tui.screens.{screen}")

    def _settle_keys(self) -> None:
        """Take the keys of the settings file, and say what is wrong with it."""
        problems = list(self._settings.problems)
        if self._settings.keys:  # to know which can be had takes the code of all screens
            from tui import keymap

            keys, wrong = keymap.usable(self._settings.keys, keymap.places(IftTui))
            self.set_keymap(keys)
            problems += wrong
        for problem in problems:
            self.notify(clean(problem), severity="warning", timeout=12, markup=False)

    def _leave(self) -> None:
        """The terminal is gone: so is the viewer. Called in a thread."""
        self.call_from_thread(self.exit)

    async def on_unmount(self) -> None:
        await self._rows.close()

    def _fatal_error(self) -> None:
        """Textual would print a page with the values of all variables, whoever wrote them."""
        self.bell()
        cause = sys.exception() or self._exception
        if cause is not None:
            self._exit_renderables.append(Text(f"ift-tui: {unexpected.sentence(cause)}"))
        self._close_messages_no_wait()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every key that works now, under what it does, and what has no key."""
        offered: set[tuple[object, str]] = set()
        for active in screen.active_bindings.values():
            binding, action = active.binding, (active.node, active.binding.action)
            if is_ours(binding) and active.enabled and action not in offered and binding.action != PALETTE:
                offered.add(action)
                shown = self.get_key_display(binding)
                yield SystemCommand(sentence(binding), f"Key: {shown}", self._press(binding.key))
        if not any(action == "tour" for _, action in offered):
            yield SystemCommand("Take the tour", "From the runs to a comparison", self.action_tour)
        yield SystemCommand("Change the theme", f"Now: {self.theme}", self.action_change_theme)
        yield SystemCommand("Save a picture of the screen", "As SVG", self._save_picture)

    def _save_picture(self) -> None:
        self.set_timer(0.1, self.deliver_screenshot)  # the palette is gone by then

    def _press(self, key: str) -> Callable[[], None]:
        return lambda: self.simulate_key(key)

    # --- the draft ---

    def _set_draft(self, draft: Draft | None) -> None:
        self._draft = draft
        for screen in self.screen_stack:
            if isinstance(screen, StepScreen):
                screen.draft = draft

    def _push(self, screen: StepScreen) -> None:
        if self._draft is not None:
            self._set_draft(self._draft.at(screen.STEP))
        screen.set_reactive(StepScreen.draft, self._draft)
        self.push_screen(screen)

    def on_run_begun(self, message: RunBegun) -> None:
        from engine import recipe
        from tui.draft import Draft
        from tui.screens.model import ModelScreen

        try:
            self._draft = Draft(recipe.load(message.recipe))
        except UserError as error:
            self._refuse(error)
            return
        self._push(ModelScreen(self.edges, self._draft))

    def on_model_chosen(self, message: ModelChosen) -> None:
        from tui.screens.data import DataScreen

        assert self._draft is not None
        before = self._draft
        self._draft = before.with_model(message.id)
        self._push(DataScreen(self._rows, self._draft))
        if self._draft.scan is None:
            self._read_rows()

    def on_sources_chosen(self, message: SourcesChosen) -> None:
        assert self._draft is not None
        self._set_draft(self._draft.with_sources(message.sources))
        self._read_rows()

    def on_data_left(self, _: DataLeft) -> None:
        self.workers.cancel_group(self, "rows")

    def on_data_chosen(self, _: DataChosen) -> None:
        from tui.screens.recipe import RecipeScreen

        assert self._draft is not None
        self._push(RecipeScreen(self.edges, self._draft))

    def on_recipe_changed(self, message: RecipeChanged) -> None:
        assert self._draft is not None
        self._set_draft(self._draft.with_recipe(message.recipe))
        if self._draft.opened is None:
            self._read_rows()

    @work(exclusive=True, group="rows")
    async def _read_rows(self) -> None:
        await asyncio.sleep(QUIET_SECONDS)
        assert self._draft is not None
        plan = self._draft.recipe
        try:
            opened = await self._rows.open(plan)
            self._learn(opened=opened, survey=opened["survey"], problem="")
            if not self._draft.shapeless:
                async for message in self._rows.scan(plan):
                    await self._count(message, counted=opened["survey"] is not None)
        except (RunFailed, OSError) as error:
            self._learn(problem=str(error))

    async def _count(self, message: dict[str, Any], counted: bool) -> None:
        """Take in what the scan says; `counted`: the worker of the rows knows how many there are."""
        match message["kind"]:
            case "progress":
                far = {fact: message[fact] for fact in ("phase", "done", "total")}
                self._learn(**far, facts=message.get("facts"))
            case "surveyed":
                if not counted:
                    await self._rows.adopt(message["folder"])
                self._learn(survey=message)
            case "scanned":
                self._learn(scan=message)

    def _learn(self, **facts: Any) -> None:
        if self._draft is not None:
            self._set_draft(replace(self._draft, **facts))

    # --- runs ---

    def on_start_asked(self, message: StartAsked) -> None:
        if self._draft is not None:
            plan = self._draft.planned
            if plan.sweep is None:
                self._start(plan)
            else:
                self._start_or_sweep(plan, message.sweep)

    def on_recipe_ready(self, message: RecipeReady) -> None:
        self._start(message.recipe)

    def on_resume_asked(self, message: ResumeAsked) -> None:
        self._resume(message.run)

    @work(group="start")
    async def _start(self, plan: Recipe) -> None:
        if run := await self._begun(lambda beside: self.edges.start(plan, beside)):
            self._started(run)
            if plan.then:
                more = len(plan.then) + 1
                said = f"{more} runs were started; each waits for the one before it"
                self.notify(clean(said), markup=False)

    @work(group="start")
    async def _start_or_sweep(self, plan: Recipe, sure: bool) -> None:
        """A recipe with [sweep] is many runs: that is asked for, and how many, unless it was said already."""
        wanted = sure or await begin.sweep(self, plan)
        if wanted is False:
            self._start(plan)
        elif isinstance(screen := self.screen, StepScreen) and not wanted:
            screen.start_left()
        elif wanted:
            # The rows that were shown are those of the recipe as it stands; what is tried may change them.
            data = plan.data.model_copy(update={"digest": None})
            try:
                sweep = await asyncio.to_thread(
                    self.edges.start_sweep, plan.model_copy(update={"data": data})
                )
            except (UserError, RunFailed, OSError) as error:
                self._refuse(error)
            else:
                self._leave_draft()
                self._open_sweep(sweep)

    @work(group="start")
    async def _resume(self, run: Run) -> None:
        def start(beside: bool) -> Run:
            self.edges.resume(run, beside)
            return run

        if await self._begun(start, run):
            self._open_run(run)

    async def _begun(self, start: Callable[[bool], Run], resumed: Run | None = None) -> Run | None:
        """Start a run, once a person has answered what must be asked; None where there was no start."""
        if self._starting:
            return None
        self._starting = True
        try:
            if resumed is None or await begin.agreed(self, self.edges, resumed):
                beside = await begin.turn(self, self.edges)
                if beside is not None:
                    return await asyncio.to_thread(start, beside)
        except (UserError, RunFailed, OSError) as error:
            self._refuse(error)
        else:
            if isinstance(self.screen, StepScreen):
                self.screen.start_left()
        finally:
            self._starting = False
        return None

    def _refuse(self, error: Exception) -> None:
        if isinstance(self.screen, StepScreen):
            self.screen.refuse(str(error))

    def _started(self, run: Run) -> None:
        self._leave_draft()
        self._open_run(run)

    def _leave_draft(self) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._draft = None

    def on_sweep_opened(self, message: SweepOpened) -> None:
        self._open_sweep(message.sweep)

    def _open_sweep(self, sweep: Sweep) -> None:
        from tui.screens.sweep import SweepScreen

        self.push_screen(SweepScreen(self.edges, sweep))

    def on_run_opened(self, message: RunOpened) -> None:
        self._open_run(message.run)

    def _open_run(self, run: Run) -> None:
        from tui.screens.train import TrainScreen

        if not (isinstance(self.screen, TrainScreen) and self.screen.followed == run):
            self.push_screen(TrainScreen(self.edges, run))

    def on_compare_asked(self, message: CompareAsked) -> None:
        from tui.screens.compare import CompareScreen

        chat = Dialogue(self.edges.child("chat", str(message.run.path)))
        rows = RowsFeed(self.edges.child)
        screen = CompareScreen(message.run, chat, rows, self.edges.clock, message.vote, message.other)
        self.push_screen(screen)

    def on_evaluation_asked(self, message: EvaluationAsked) -> None:
        from tui.screens.compare import CompareScreen
        from tui.screens.evaluation import EvaluationScreen

        if isinstance(self.screen, CompareScreen):
            self.pop_screen()  # its model leaves memory before another copy is loaded
        self.push_screen(EvaluationScreen(message.run, self.edges, message.other))

    def on_results_asked(self, message: ResultsAsked) -> None:
        from tui.screens.results import ResultsScreen

        self.push_screen(ResultsScreen(message.run, self.edges))

    def on_export_asked(self, message: ExportAsked) -> None:
        from tui.screens.export import ExportScreen

        self.push_screen(ExportScreen(message.run, self.edges))

    # --- keys that work everywhere ---

    def action_tour(self) -> None:
        from tui.tour import Tour

        self._tour = self._tour or Tour(self)
        self._tour.begin()

    def action_hide_tour(self) -> None:
        if self._tour is not None:
            self._tour.turn()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._tour is not None if action == "hide_tour" else True

    async def action_quit(self) -> None:
        live = sweeps.live() or turns.live()
        said = f"{live.name} goes on; ift-tui opens it again" if live is not None else ""
        self.exit(message=Text(clean(said)) if said else None)

    def action_help(self) -> None:
        screen = self.screen
        if isinstance(screen, StepScreen):
            shown = [a for a in screen.active_bindings.values() if is_ours(a.binding)]
            keys = key_table(shown, [self.get_key_display(active.binding) for active in shown])
            self.push_screen(HelpScreen(STEPS[screen.STEP - 1], screen.HELP, keys))


PALETTE = "command_palette"


def is_ours(binding: Binding) -> bool:
    """Whether a key belongs to the walk, not to every list and field that Textual has."""
    return binding.id is not None or binding.action == PALETTE


def sentence(binding: Binding) -> str:
    """What a key does, in words that begin with a verb."""
    return binding.tooltip or binding.description
