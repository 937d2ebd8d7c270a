"""The loss plot: draws anew only where the run, the view or the size is another one."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from engine.state import RunState
from tui.widgets import curves
from tui.widgets.curves import View
from tui.widgets.lines import Lines


class LossPlot(Lines):
    """Raw and smoothed training loss, validation, the base model's own, and another run's beside them."""

    can_focus = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawn: object = None
        self._curves: Sequence[Content] = ()

    def show_run(self, state: RunState, other: RunState | None, view: View) -> None:
        self.show(lambda width, height: self._drawn_as(state, other, view, width, height))

    def _drawn_as(
        self, state: RunState, other: RunState | None, view: View, width: int, height: int
    ) -> Sequence[Content]:
        first, last = curves.steps_in_sight(state, view)
        # Of a long run many steps fall into one dot: it is drawn anew when there is something to see.
        stride = max(1, (last - first) // max(1, 8 * width))
        beside = other and (id(other.losses.values), len(other.losses))
        drawn = (
            len(state.losses) // stride, first, last, state.over, len(state.evaluations), state.base_loss,
            len(state.troubles), len(state.resumed_at), beside, view, width, height,
        )  # fmt: skip
        if drawn != self._drawn and width and height:
            self._drawn = drawn
            self._curves = (
                curves.draw(state, other, view, width, height)
                if state.losses
                else [Content.styled("the curve begins with the first step", "$foreground-muted")]
            )
        return self._curves


def legend(state: RunState, other: str, view: View) -> Content:
    """What the marks mean, of those that there are."""
    parts = [("⠢ step", curves.RAW), (f"━ mean of {curves.window(state, view):,}", curves.SMOOTHED)]
    if other:
        parts.append((f"⠂ {other}", curves.OTHER))
    parts += [("◆ validation", curves.VALIDATION), ("┄ base", curves.BASE)]
    return Content("  ").join(Content.styled(text, style) for text, style in parts)
