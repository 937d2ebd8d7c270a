"""The loss of a run as curves: raw, smoothed, validation, and the base model's own as a flat line."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from statistics import median

from textual import events
from textual.color import Color
from textual_plotext import PlotextPlot

from engine.events import RunState
from tui.widgets.figures import smoothed

Point = tuple[float, float]

# A spike above this many times the middle value is drawn at the edge: the curve stays readable.
HIGHEST_OVER_MEDIAN = 8.0
SAMPLES_A_BUCKET = 32


class LossPlot(PlotextPlot):
    """Draws what a run's state says; draws again only when that, the size or the theme changes."""

    can_focus = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state = RunState()
        self._drawn: object = None

    def show(self, state: RunState) -> None:
        drawn = (len(state.losses), len(state.evaluations), state.base_loss, state.total)
        self._state = state
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw()

    def on_resize(self, _: events.Resize) -> None:
        self._draw()

    def on_mount(self) -> None:
        super().on_mount()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def _draw(self) -> None:
        plt, state = self.plt, self._state
        plt.clear_data()
        plt.clear_figure()
        if state.losses:
            self._draw_curves()
        self.refresh()

    def _draw_curves(self) -> None:
        plt, state = self.plt, self._state
        finite = [(step, loss) for step, loss in state.losses if isfinite(loss)]
        columns = max(8, self.size.width - 8)
        raw = downsampled(finite, columns * 2)
        soft = [(x, y) for x, y in zip((x for x, _ in raw), smoothed([y for _, y in raw]), strict=True)]
        held_out = [(e.step, e.loss) for e in state.evaluations if isfinite(e.loss)]
        top = ceiling([y for _, y in raw], [y for _, y in held_out] + [state.base_loss or 0.0])
        last = max(state.total, state.step)
        if state.base_loss is not None:
            self._line([(1, state.base_loss), (last, state.base_loss)], "base model", "┄", "secondary")
        self._dots(clipped(raw, top), "training", "braille", "foreground")
        if len(soft) > 2:
            self._line(clipped(soft, top), "smoothed", "hd", "primary")
        self._dots(clipped(held_out, top), "validation", "◆", "warning")
        low = min([y for _, y in raw + held_out] + [state.base_loss or inf])
        plt.ylim(max(0.0, low - 0.08 * (top - low)), top * 1.02)
        plt.xlim(1, max(2, last))
        plt.xfrequency(5)
        plt.yfrequency(5)

    def _line(self, points: Sequence[Point], label: str, marker: str, colour: str) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self.plt.plot(xs, ys, label=label, marker=marker, color=self._rgb(colour))

    def _dots(self, points: Sequence[Point], label: str, marker: str, colour: str) -> None:
        if points:
            xs, ys = [x for x, _ in points], [y for _, y in points]
            self.plt.scatter(xs, ys, label=label, marker=marker, color=self._rgb(colour))

    def _rgb(self, variable: str) -> tuple[int, int, int]:
        return Color.parse(self.app.theme_variables[variable]).rgb


def downsampled(points: Sequence[tuple[int, float]], most: int) -> list[Point]:
    """At most `most` points with the shape of all: of each bucket its lowest and its highest.

    A long bucket is looked at in strides, so the cost is that of the plot, not of the run.
    """
    if len(points) <= most:
        return [(float(step), loss) for step, loss in points]
    buckets = max(1, most // 2)
    kept: list[Point] = []
    for number in range(buckets):
        start, end = number * len(points) // buckets, (number + 1) * len(points) // buckets
        bucket = points[start : end : max(1, (end - start) // SAMPLES_A_BUCKET)]
        pair = {min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])}
        kept.extend((float(step), loss) for step, loss in sorted(pair))
    return kept


def ceiling(losses: Sequence[float], others: Sequence[float]) -> float:
    """The top of the plot: all of the curve, unless it has spikes far above the rest."""
    if not losses:
        return max([*others, 1.0])
    return max(min(max(losses), HIGHEST_OVER_MEDIAN * median(losses)), *others)


def clipped(points: Sequence[Point], top: float) -> list[Point]:
    """The points with those above the plot drawn at its edge."""
    return [(x, min(y, top)) for x, y in points]
