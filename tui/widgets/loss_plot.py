"""The loss plot: draws anew only where the run, the view or the size is another one."""

from __future__ import annotations

from textual import events
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
        self._state, self._view = RunState(), View()
        self._other: RunState | None = None
        self._drawn: object = None

    def show_run(self, state: RunState, other: RunState | None, view: View) -> None:
        self._state, self._other, self._view = state, other, view
        self._draw()

    def on_resize(self, _: events.Resize) -> None:
        self._draw()

    def _draw(self) -> None:
        state, other, width, height = self._state, self._other, *self.size
        first, last = curves.steps_in_sight(state, self._view)
        # Of a long run many steps fall into one dot: it is drawn anew when there is something to see.
        stride = max(1, (last - first) // max(1, 8 * width))
        beside = other and (id(other.losses.values), len(other.losses))
        drawn = (
            len(state.losses) // stride, first, last, state.over, len(state.evaluations), state.base_loss,
            len(state.troubles), len(state.resumed_at), beside, self._view, width, height,
        )  # fmt: skip
        if drawn == self._drawn or not width or not height:
            return
        self._drawn = drawn
        if not state.losses:
            self.show([Content.styled("the curve begins with the first step", "$foreground-muted")])
        else:
            self.show(curves.draw(state, other, self._view, width, height))


def legend(state: RunState, other: str, view: View) -> Content:
    """What the marks mean, of those that there are."""
    parts = [("⠢ step", curves.RAW), (f"━ mean of {curves.window(state, view):,}", curves.SMOOTHED)]
    if other:
        parts.append((f"⠂ {other}", curves.OTHER))
    parts += [("◆ validation", curves.VALIDATION), ("┄ base", curves.BASE)]
    return Content("  ").join(Content.styled(text, style) for text, style in parts)
