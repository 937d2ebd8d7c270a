"""The base model: built in, in a folder, in the Hugging Face cache, or from the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, OptionList

from engine.errors import UserError
from tui.draft import Draft
from tui.feed import Edges
from tui.keys import shown
from tui.safe import clean
from tui.screens.messages import ModelChosen
from tui.screens.step import StepScreen
from tui.widgets.fields import OneLine
from tui.widgets.model_list import ModelList, described
from tui.widgets.quiet import Quiet

if TYPE_CHECKING:
    from engine.fit import Fit
    from engine.models import ModelInfo
    from engine.schema import Recipe
    from engine.shapes import Unknown


NO_MODELS = (
    "No model was found. Press / and type a Hugging Face id (org/name) or a folder with a config.json."
)


class ModelScreen(StepScreen):
    """A list of models with what is known of the one under the cursor."""

    STEP = 2
    HELP = (
        "Choose the base model whose behaviour you want to change. Only a small adapter is trained; the "
        "model itself stays as it is. The list shows parameters, and what a run would take at its peak with "
        "the recipe's settings as they are now (4-bit, rank, batch, longest row): ✓ fits, ! is tight, ✗ does "
        "not fit into what is free, ? is not known. Beside it stands what would make it fit.\n\n"
        "Models of the catalogue are downloaded when the run starts. Any other model: press / and type "
        "a Hugging Face id (org/name) or a folder."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        *shown(
            "model",
            ("ctrl+n", "next", "Next", "next", "Take this model; on to the data"),
            ("slash", "type", "Other", "type", "Type a folder or a hub id"),
        ),
    ]

    def __init__(self, edges: Edges, draft: Draft) -> None:
        super().__init__()
        self._edges = edges
        self._plan = draft.recipe
        self._models: list[ModelInfo] = []
        self._fits: dict[str, Fit | Unknown] = {}

    def body(self) -> ComposeResult:
        with Horizontal(id="model"):
            with Vertical(classes="panel", id="models") as panel:
                panel.border_title = "Base models"
                panel.border_subtitle = "parameters · memory of a run"
                yield Quiet("looking for models …", id="looking")
                yield ModelList()
            with Vertical(id="model-side"):
                with VerticalScroll(classes="panel", id="about", can_focus=False) as about:
                    about.border_title = "About"
                    yield Quiet(id="described")
                with Vertical(classes="panel", id="typed") as typed:
                    typed.border_title = "Another: folder or hub id"
                    yield OneLine(placeholder="press /   e.g. Qwen/Qwen3-4B")

    def on_mount(self) -> None:
        self.query_one(ModelList).display = False
        self._look()

    @work(thread=True, exclusive=True)
    def _look(self) -> None:
        models = self._edges.models()
        self.app.call_from_thread(self._list, models)

    def _list(self, models: list[ModelInfo]) -> None:
        if not self.stands:
            return
        listed = self.query_one(ModelList)
        self.query_one("#looking", Quiet).show(NO_MODELS)
        self.query_one("#looking").display = not models
        listed.display = bool(models)
        listed.show(models, self._plan.model.id)
        self._models = models
        self._weigh(self._plan, models)
        if models and not isinstance(self.focused, Input):
            listed.focus()

    @work(thread=True, exclusive=True, group="weigh")
    def _weigh(self, plan: Recipe, models: list[ModelInfo]) -> None:
        fits = self._edges.fits(plan, models)
        self.app.call_from_thread(self._weighed, plan, fits)

    def _weighed(self, plan: Recipe, fits: dict[str, Fit | Unknown]) -> None:
        if self.stands and plan is self._plan:  # else others are under way
            self._fits |= fits
            self.query_one(ModelList).weigh(fits)
            self._describe(self.query_one(ModelList).chosen)

    def draft_changed(self) -> None:
        """Other settings of the recipe: what a run takes is another figure."""
        if self.draft is not None and self.draft.recipe != self._plan:
            self._plan = self.draft.recipe
            if self._models:
                self._weigh(self._plan, self._models)

    def on_option_list_option_highlighted(self, _: OptionList.OptionHighlighted) -> None:
        self._describe(self.query_one(ModelList).chosen)

    def _describe(self, model: ModelInfo | None) -> None:
        if model is not None:
            self.query_one("#described", Quiet).show(described(model, self._fits.get(model.id)))

    def on_option_list_option_selected(self, _: OptionList.OptionSelected) -> None:
        self.action_next()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self._check(event.value.strip())

    @work(thread=True, exclusive=True, group="check")
    def _check(self, typed: str) -> None:
        try:
            model = self._edges.describe(typed)
            self._fits |= self._edges.fits(self._plan, [model])
        except UserError as error:
            self.app.call_from_thread(self._wrong, str(error))
        else:
            self.app.call_from_thread(self._take, model)

    def _wrong(self, sentence: str) -> None:
        self.query_one("#described", Quiet).show(f"✗ {clean(sentence)}")

    def _take(self, model: ModelInfo) -> None:
        self._describe(model)
        if model.problem:
            self.refuse(model.problem)
        else:
            self.post_message(ModelChosen(model.id))

    def action_next(self) -> None:
        field = self.query_one(Input)
        chosen = self.query_one(ModelList).chosen
        if field.has_focus and field.value.strip():
            self._check(field.value.strip())
        elif chosen is not None:
            self._take(chosen)

    def action_type(self) -> None:
        self.query_one(Input).focus()
