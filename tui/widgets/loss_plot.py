"""The loss of a run as curves: raw, smoothed, validation, and the base model's own as a flat line."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, isfinite, log10
from statistics import median

from textual import events
from textual.app import RenderResult
from textual.color import Color
from textual.content import Content
from textual_plotext import PlotextPlot

from engine.events import RunState
from tui.widgets.figures import smoothed

Point = tuple[float, float]
Rgb = tuple[int, int, int]

LEGEND = Content.assemble(
    ("⠢ step", "$foreground-muted"), "  ", ("━ smoothed", "$text-primary"), "  ",
    ("◆ validation", "$text-warning"), "  ", ("┄ base", "$foreground"),
)  # fmt: skip

# A spike above this many times the middle value is drawn at the edge: the curve stays readable.
HIGHEST_OVER_MEDIAN = 8.0
SAMPLES_A_BUCKET = 32
SMOOTHED_OVER = 8


class LossPlot(PlotextPlot):  # type: ignore[misc]
    """Draws what a run's state says; draws again only when that, the size or the theme changes."""

    can_focus = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.theme = "clear"  # no ground of its own: the panel's shows through
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

    def render(self) -> RenderResult:
        if not self._state.losses:
            return Content.styled("the curve begins with the first step", "$foreground-muted")
        drawn: RenderResult = super().render()
        return drawn

    def _draw(self) -> None:
        self.plt.clear_data()
        self.plt.clear_figure()
        if self._state.losses and self.size.width:
            self._draw_curves()
        self.refresh()

    def _draw_curves(self) -> None:
        state, plt = self._state, self.plt
        finite = [(step, loss) for step, loss in state.losses if isfinite(loss)]
        raw = downsampled(finite, 2 * self.size.width)
        means = smoothed([loss for _, loss in raw], SMOOTHED_OVER)
        held_out = [(float(e.step), e.loss) for e in state.evaluations if isfinite(e.loss)]
        flat = [] if state.base_loss is None else [state.base_loss]
        others = [loss for _, loss in held_out] + flat
        top = ceiling([loss for _, loss in raw], others)
        low = min([loss for _, loss in raw] + others, default=0.0)
        last = float(max(state.total, state.step, 2))
        for base in flat:
            self._line([(1.0, base), (last, base)], "┄", self._colour("foreground", 0.8))
        self._dots(clipped(raw, top), "braille", self._colour("foreground", 0.55))
        mean = [(step, loss) for (step, _), loss in zip(raw, means, strict=True)]
        self._line(clipped(mean, top), "braille", self._colour("primary"))
        self._dots(clipped(held_out, top), "◆", self._colour("warning"))
        margin = 0.05 * (top - low) or 0.1
        plt.ylim(max(0.0, low - margin), top + margin)
        plt.xlim(1, last)
        plt.xaxes(True, False)
        plt.yaxes(True, False)
        plt.xticks(
            ticks := round_ticks(1.0, last, max(2, self.size.width // 10)), map("{:,.0f}".format, ticks)
        )
        plt.yticks(ticks := round_ticks(low, top, max(2, self.size.height // 3)), map("{:g}".format, ticks))

    def _line(self, points: Sequence[Point], marker: str, colour: Rgb) -> None:
        if len(points) > 1:
            xs, ys = zip(*points, strict=True)
            self.plt.plot(xs, ys, marker=marker, color=colour)

    def _dots(self, points: Sequence[Point], marker: str, colour: Rgb) -> None:
        if points:
            xs, ys = zip(*points, strict=True)
            self.plt.scatter(xs, ys, marker=marker, color=colour)

    def _colour(self, variable: str, strength: float = 1.0) -> Rgb:
        variables = self.app.theme_variables
        ground = Color.parse(variables["background"])
        return ground.blend(Color.parse(variables[variable]), strength).rgb


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
    return max([min(max(losses), HIGHEST_OVER_MEDIAN * median(losses)), *others])


def clipped(points: Sequence[Point], top: float) -> list[Point]:
    """The points with those above the plot drawn at its edge."""
    return [(x, min(y, top)) for x, y in points]


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Up to `most` round numbers between two, evenly spaced by 1, 2 or 5 times a power of ten."""
    span = (high - low) / max(1, most - 1)
    if span <= 0:
        return [low]
    power = 10.0 ** floor(log10(span))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span * 0.999)
    first = ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, floor(high / step + 1e-9) + 1)]
