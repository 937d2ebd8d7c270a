"""The tour: the real walk with the embedded model, and on each screen what one sees and which key goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textual.app import App
from textual.screen import Screen

from engine import RECIPES
from engine.reading import TOO_FEW
from engine.runs import Run
from engine.state import RunState
from tui.screens.compare import CompareScreen
from tui.screens.data import DataScreen
from tui.screens.home import HomeScreen
from tui.screens.messages import RunBegun
from tui.screens.model import ModelScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.step import StepScreen
from tui.screens.train import TrainScreen
from tui.widgets.coach import Coach

RECIPE = RECIPES / "tour" / "tour.toml"
NAME = "tour"
"""Of the recipe: a run of it is the tour's, whoever started it and when."""

SECONDS_BETWEEN_LOOKS = 0.25

S = TypeVar("S", bound=StepScreen)


@dataclass(frozen=True)
class Stop(Generic[S]):
    """What is said on a screen until something holds there, and the key that goes on."""

    screen: type[S]
    says: str
    until: Callable[[S], bool]
    key: str = ""
    """Empty where there is nothing to press: it goes on by itself."""
    does: str = ""


def _stays(_: StepScreen) -> bool:
    return False


def _counted(screen: DataScreen) -> bool:
    return screen.draft is not None and screen.draft.scan is not None


def _state(screen: TrainScreen) -> RunState:
    return screen.snapshot.state


def _out_of(*phases: str) -> Callable[[TrainScreen], bool]:
    """Whether the run is done with these phases."""
    return lambda screen: _state(screen).phase not in phases


STOPS: tuple[Stop[Any], ...] = (
    Stop(
        HomeScreen,
        "It waits for you: nothing is trained yet.",
        lambda screen: any(line.name == NAME for line in screen.lines),
        "ctrl+p",
        "has it under Tour",
    ),
    Stop(
        HomeScreen,
        "Its run stands in the list, and trains on whether somebody looks or not.",
        lambda screen: any(line.name == NAME and line.saved for line in screen.lines),
        "enter",
        "opens it",
    ),
    Stop(
        HomeScreen,
        "That was the whole way; c asks base and tuned again. Now your own: choose a model, then press / "
        "on the data screen and name a file, a folder or hf:ORG/NAME.",
        _stays,
        "n",
        "begins",
    ),
    Stop(
        ModelScreen,
        "A base model only continues a text; it follows no instruction yet. This tiny one comes with the "
        "program. Its weights stay as they are: an adapter beside them learns.",
        _stays,
        "enter",
        "takes it",
    ),
    Stop(
        DataScreen,
        "Two sets of instructions with their answers come with the program: write about a product, judge "
        "a review. All rows are being read and counted; that takes a moment.",
        _counted,
    ),
    Stop(
        DataScreen,
        "The sample is a row just as the model reads it; the answer, with a bar at its left (↓), is what is "
        "learnt. ← and → turn the rows. The run trains on these or refuses to start.",
        _stays,
        "enter",
        "goes on",
    ),
    Stop(
        RecipeScreen,
        "The settings that matter, with what each does; then what they come to: steps, memory. They suit "
        "this model and these sets, so leave them as they are.",
        _stays,
        "ctrl+n",
        "starts the training",
    ),
    Stop(
        TrainScreen,
        "It ended before its end; why, and what to do, stands above. r takes it up again where there is a "
        "checkpoint.",
        lambda screen: _state(screen).status not in ("failed", "crashed", "stopped"),
        "esc",
        "leads back to the runs",
    ),
    Stop(
        TrainScreen,
        "Another run trains now; this one waits for its turn and begins by itself.",
        lambda screen: _state(screen).status != "waiting",
    ),
    Stop(
        TrainScreen,
        "A process of its own loads PyTorch and the model, in 4 bits. It needs nobody to look: leave with "
        "esc, or lose the line, and it goes on; the list of runs brings you back.",
        _out_of("", "import", "render", "load"),
    ),
    Stop(
        TrainScreen,
        "The longest rows are tried first: if memory is not enough, that shows now and not after an hour. "
        "The memory panel has what is taken (the bar) and the forecast (┃).",
        _out_of("probe"),
    ),
    Stop(
        TrainScreen,
        "The base model is measured on rows that training never sees: its loss will be the dashed line "
        "to beat, and its answers the first samples.",
        _out_of("baseline"),
    ),
    Stop(
        TrainScreen,
        "The first steps. A dot is the loss of one step, of 16 rows: how much the right answers surprise "
        "the model. The line is the mean of the last few.",
        lambda screen: _state(screen).step >= TOO_FEW,
    ),
    Stop(
        TrainScreen,
        "The loss falls; the sentence on top says how it goes. Soon rows that training never sees are "
        "measured: if these fall too, it learns the task, not the rows by heart.",
        lambda screen: bool(_state(screen).evaluations),
    ),
    Stop(
        TrainScreen,
        "◆ is the loss on rows that training never sees: under the dashes it is better than the base. 4 "
        "shows what the adapter answers so far to a few of them, and the base; 4 again all panels.",
        lambda screen: _state(screen).status == "finished",
    ),
    Stop(TrainScreen, "The adapter is saved; the worker leaves.", lambda screen: not screen.snapshot.alive),
    Stop(
        TrainScreen,
        "Trained. The adapter is a small file beside the model, which is as it was. What it is worth shows "
        "when both answer the same question.",
        _stays,
        "c",
        "compares base and tuned",
    ),
    Stop(
        CompareScreen,
        "The model is loaded once. For the base's column the adapter is off, for the other it is on: what "
        "differs between the answers is the adapter's doing.",
        lambda screen: screen.loaded is not None,
    ),
    Stop(
        CompareScreen,
        "The fairest question is one that was held out of training; its right answer is then shown "
        "beneath. Nothing is left to chance: each takes its likeliest words.",
        lambda screen: screen.talk.last is not None,
        "ctrl+t",
        "asks the first",
    ),
    Stop(
        CompareScreen,
        "Both answer at once. The base goes on as it learnt to from plain text; tuned says what was asked "
        "for, and stops by itself.",
        lambda screen: not screen.busy,
    ),
    Stop(
        CompareScreen,
        "The reference beneath is one right answer; other words can say the same. ctrl+t asks the next "
        "row, or type a question of your own. Done?",
        _stays,
        "esc",
        "twice leads to the runs, and to your rows",
    ),
)
"""In the order of the walk. On a screen the first whose condition does not hold yet is said."""

ELSEWHERE = "It waits where you left it."


class Tour:
    """Looks at the screen in front while it is on, and has its coach say what fits."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._hidden = False
        app.screen_change_signal.subscribe(app, lambda _: self.look())
        app.set_interval(SECONDS_BETWEEN_LOOKS, self.look)

    def begin(self) -> None:
        """Begin the walk, or show where it stands; a draft of another run is left in peace."""
        screens = [screen for screen in self._app.screen_stack if isinstance(screen, StepScreen)]
        drafts = [screen for screen in screens if screen.STEP in (2, 3, 4)]
        if drafts and not _is_ours(drafts[-1]):
            self._app.notify(
                "A run is being set up here. Leave it (esc) to take the tour: it begins at the list of runs."
            )
            return
        self._hidden = False
        if not drafts and (screens[1:] == [] or not _is_ours(screens[-1])):
            self._app.post_message(RunBegun(str(RECIPE)))
        self.look()

    def turn(self) -> None:
        """Hide the coach, or show it again."""
        self._hidden = not self._hidden
        self.look()

    def look(self) -> None:
        screen = self._app.screen
        screen.set_class(not self._hidden, "-touring")
        if not self._hidden and isinstance(screen, StepScreen) and screen.stands:
            screen.query_one(Coach).says(*said(screen))


def said(screen: StepScreen) -> tuple[str, str, str]:
    """What is to be said on a screen: sentences, the key that goes on, what it does."""
    if _is_ours(screen):
        for stop in STOPS:
            if type(screen) is stop.screen and not stop.until(screen):
                return stop.says, stop.key, stop.does
    return ELSEWHERE, "esc", "goes back"


def _is_ours(screen: Screen[Any]) -> bool:
    """Whether what a screen shows is the tour's own draft or run."""
    match screen:
        case HomeScreen():
            return True
        case TrainScreen():
            return _is_run(screen.followed)
        case CompareScreen():
            return _is_run(screen.run)
        case StepScreen():
            return screen.draft is not None and screen.draft.recipe.name == NAME
    return False


def _is_run(run: Run) -> bool:
    return re.fullmatch(rf"\d+-\d+-{NAME}(-\d+)?", run.name) is not None
