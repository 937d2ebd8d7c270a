"""The app: a screen a step, the draft and the workers behind them, the keys that work everywhere."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

if os.environ.get("SSH_TTY"):  # read by textual when it is imported
    os.environ.setdefault("TEXTUAL_FPS", "15")

from rich.console import RenderableType
from rich.text import Text
from textual import work
from textual._compositor import CompositorUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from engine import turns
from engine.errors import RunFailed, UserError
from engine.runs import Run
from tui import terminal, unexpected
from tui.changes import Shown
from tui.feed import Dialogue, Edges, RowsFeed
from tui.safe import clean
from tui.screens import begin
from tui.screens.help import HelpScreen, key_table
from tui.screens.home import HomeScreen
from tui.screens.messages import (
    CompareAsked,
    DataChosen,
    DataLeft,
    EvaluationAsked,
    ModelChosen,
    RecipeChanged,
    ResumeAsked,
    RunBegun,
    RunOpened,
    SourcesChosen,
    StartAsked,
)
from tui.screens.step import WIDE, StepScreen
from tui.widgets.stepper import STEPS

if TYPE_CHECKING:
    from engine.recipe import Recipe
    from tui.draft import Draft

SECONDS_TO_SETTLE = 0.5

QUIET_SECONDS = 0.3
"""How long choices must rest before rows are read again: a number is typed key by key."""


class IftTui(App[None]):
    """Walks a person from a base model to a comparison of base and tuned."""

    TITLE = "ift-tui"
    CSS_PATH = "ift.tcss"
    COMMAND_PALETTE_BINDING = "ctrl+p"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "Help", id="app.help", tooltip="Explain this screen"),
        Binding("q,ctrl+q", "quit", "Quit", id="app.quit", tooltip="Quit; a live run goes on"),
    ]

    def __init__(self, edges: Edges | None = None) -> None:
        super().__init__()
        self.edges = edges or Edges()
        self._draft: Draft | None = None
        self._rows = RowsFeed(self.edges.child)
        self._starting = False
        self._shown = Shown()

    def get_default_screen(self) -> Screen[None]:
        return HomeScreen(self.edges)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate):
            renderable = self._shown.changes(renderable, self.size)
        super()._display(screen, renderable)

    def on_resize(self) -> None:
        self._shown.forget()

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self._shown.forget())
        if not self.is_headless:
            terminal.watch(sys.__stdin__.fileno() if sys.__stdin__ else 0, self._leave)
        self._load_ahead()
        run = turns.live()
        if run is not None:
            self._open_run(run)

    @work(group="ahead")
    async def _load_ahead(self) -> None:
        """The code of the next screens, once the first one stands: a key should not wait for it."""
        await asyncio.sleep(SECONDS_TO_SETTLE)
        for screen in ("model", "train", "data", "recipe", "compare"):
            await asyncio.to_thread(importlib.import_module, f"tui.screens.{screen}")

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
        """The palette: every key that works now, then what Textual offers."""
        for active in {id(a.binding): a for a in screen.active_bindings.values()}.values():
            binding = active.binding
            if binding.id and active.enabled and binding.description:
                yield SystemCommand(
                    binding.description,
                    binding.tooltip or f"Key: {self.get_key_display(binding)}",
                    self._press(binding.key),
                )
        for command in super().get_system_commands(screen):
            if command.title not in ("Keys", "Quit"):
                yield command

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

    def on_start_asked(self, _: StartAsked) -> None:
        if self._draft is not None:
            self._start(self._draft.planned)

    def on_resume_asked(self, message: ResumeAsked) -> None:
        self._resume(message.run)

    @work(group="start")
    async def _start(self, plan: Recipe) -> None:
        if run := await self._begun(lambda beside: self.edges.start(plan, beside)):
            self._started(run)

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
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self._draft = None
        self._open_run(run)

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
        self.push_screen(CompareScreen(message.run, chat, rows, self.edges.clock))

    def on_evaluation_asked(self, message: EvaluationAsked) -> None:
        from tui.screens.compare import CompareScreen
        from tui.screens.evaluation import EvaluationScreen

        if isinstance(self.screen, CompareScreen):
            self.pop_screen()  # its model leaves memory before another copy is loaded
        self.push_screen(EvaluationScreen(message.run, self.edges))

    # --- keys that work everywhere ---

    async def action_quit(self) -> None:
        run = turns.live()
        said = f"{run.name} goes on; ift-tui opens it again" if run is not None else ""
        self.exit(message=Text(clean(said)) if said else None)

    def action_help(self) -> None:
        screen = self.screen
        if isinstance(screen, StepScreen):
            shown = [a for a in screen.active_bindings.values() if is_ours(a.binding)]
            keys = key_table(shown, [self.get_key_display(active.binding) for active in shown])
            self.push_screen(HelpScreen(STEPS[screen.STEP - 1], screen.HELP, keys))


def is_ours(binding: Binding) -> bool:
    """Whether a key belongs to the walk, not to every list and field that Textual has."""
    return binding.id is not None or binding.action == "command_palette"
