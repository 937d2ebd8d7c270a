"""The base models that can be had, by where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.shapes import Unknown
from tui.safe import clean
from tui.widgets import forecast
from tui.widgets.figures import left, short, size
from tui.widgets.forecast import SIGNS

if TYPE_CHECKING:
    from engine.fit import Fit
    from engine.models import ModelInfo

NAME_WIDTH = 24
ORIGINS = {
    "builtin": "Built in",
    "folder": "Folders",
    "cache": "Hugging Face cache",
    "catalogue": "Catalogue · downloaded at the start",
}

TEMPLATES = {True: "its own", False: "none: a plain one is used", None: "not known yet"}


class ModelList(OptionList):
    """One line a model, grouped by origin; groups are headings that cannot be chosen."""

    def __init__(self) -> None:
        super().__init__(compact=True, markup=False)
        self._models: dict[str, ModelInfo] = {}

    def weigh(self, fits: Mapping[str, Fit | Unknown]) -> None:
        """Mark each model by whether a run with it fits."""
        for id, model in self._models.items():
            self.replace_option_prompt(id, line(model, fits.get(id)))

    @property
    def chosen(self) -> ModelInfo | None:
        """The model under the cursor."""
        option = self.highlighted_option
        return self._models.get(option.id or "") if option else None

    def show(self, models: Sequence[ModelInfo], chosen: str) -> None:
        self._models = {model.id: model for model in models}
        self.clear_options()
        for origin, group in groupby(models, key=lambda model: model.origin):
            self.add_option(Option(heading(origin), disabled=True))
            self.add_options(Option(line(model), id=model.id) for model in group)
        if chosen in self._models:
            self.highlighted = self.get_option_index(chosen)
        elif models:
            self.highlighted = self.get_option_index(models[0].id)


def heading(origin: str) -> Content:
    return Content.styled(ORIGINS.get(origin, origin), "bold $text-primary")


def line(model: ModelInfo, found: Fit | Unknown | None = None) -> Content:
    """Whether a run with it fits, name, parameters, what that run takes; a mark where it cannot train."""
    name = clean(model.name, newlines=False)
    mark, total = ("  ", "") if found is None else ("? ", "$foreground-muted"), "" if found is None else "?"
    if found is not None and not isinstance(found, Unknown):
        sign, style = SIGNS[found.forecast.verdict]
        mark, total = (f"{sign} ", style), size(found.forecast.total)
    if model.problem:
        mark = ("! ", "$text-warning")
    figures = f"{short(model.parameters):>6} {total:>8}"
    return Content.assemble(mark, left(name, NAME_WIDTH), (figures, "$foreground-muted"))


def described(model: ModelInfo, found: Fit | Unknown | None = None) -> Content:
    """All that is known of a model, one fact a line, and whether a run fits; foreign words cleaned."""
    pairs = [
        ("Id", model.id),
        ("Parameters", short(model.parameters)),
        ("In 4-bit", size(model.bytes_4bit)),
        ("In 16-bit", size(model.bytes_16bit)),
        ("Architecture", model.architecture or "?"),
        ("Context", f"{model.context:,} tokens" if model.context else "?"),
        ("Chat template", TEMPLATES[model.chat_template]),
        ("Licence", model.licence or "not stated"),
        ("Where", where(model)),
    ]
    lines = [
        Content.assemble((name.ljust(14), "$foreground-muted"), clean(value, newlines=False))
        for name, value in pairs
    ]
    if found is not None and not model.problem:
        lines = [forecast.line(found, ""), Content(""), *lines]
    if model.problem:
        lines += [Content(""), Content.styled(f"! {clean(model.problem)}", "$text-warning")]
    elif model.path is None:
        download = f"Its weights ({size(model.bytes_16bit)}) are downloaded when the run starts."
        lines += [Content(""), Content(download)]
    if model.gated:
        lines.append(Content("Gated: accept its terms on the hub first, and set HF_TOKEN."))
    if model.note:
        lines += [Content(""), Content.styled(clean(model.note), "$foreground-muted")]
    return Content("\n").join(lines)


def where(model: ModelInfo) -> str:
    """The folder a person would look for it in."""
    if model.origin == "builtin":
        return "with the program"
    return str(model.path) if model.path else "the Hugging Face hub"
