"""The validation losses of a sweep's trials, laid over each other; one of them and the best stand out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from statistics import median

from textual.content import Content

from engine.sweeps import Trial
from tui.widgets.braille import Canvas
from tui.widgets.curves import AXIS, CURSOR, GUTTER, HIGHEST_OVER_MEDIAN, Frame, figure_short, round_ticks
from tui.widgets.lines import Lines

REST, BEST = "$foreground-muted", "bold $text-success"

Points = list[tuple[float, float]]
"""Percent of the way, and the loss there."""


class SweepCurves(Lines):
    can_focus = False

    def show_trials(self, trials: Sequence[Trial], best: int, chosen: int) -> None:
        """best, chosen: the numbers of the trials that stand out, 0 for none."""
        self.show(lambda width, height: draw(trials, best, chosen, width, height))


def draw(trials: Sequence[Trial], best: int, chosen: int, width: int, height: int) -> list[Content]:
    """As many lines as are high: curves over the part of the way, for trials may have other steps."""
    found = [(trial.number, line) for trial in trials for line in lines_of(trial)]
    losses = [loss for _, line in found for _, loss in line]
    if not losses:
        return [Content.styled("the curves begin with the first evaluation", REST)]
    rows, wide = max(1, height - 3), max(1, width - GUTTER - 1)
    frame = framed(losses, 2 * wide, 4 * rows)
    canvas = Canvas(wide, rows)
    for number, line in sorted(found, key=lambda one: (one[0] == chosen, one[0] == best)):
        style = CURSOR if number == chosen else BEST if number == best else REST
        mark = "◆" if number == chosen else "●" if number == best else ""
        _put(canvas, frame, line, style, mark)
    ticks = round_ticks(frame.low, frame.top, max(2, rows // 3))
    names = {frame.y(value) // 4: figure_short(value) for value in ticks}
    drawn = []
    for row, cells in enumerate(canvas.rows()):
        edge = f"{names.get(row, '')[:GUTTER]:>{GUTTER}}{'┤' if row in names else '│'}"
        drawn.append(Content.assemble((edge, AXIS), cells))
    blank = " " * GUTTER
    ends = f"0%{'of the way':^{max(10, wide - 6)}}100%"
    return [
        *drawn,
        Content.styled(f"{blank}└{'─' * wide}", AXIS),
        Content.styled(f"{blank} {ends[:wide]}", AXIS),
        legend(best, chosen),
    ]


def legend(best: int, chosen: int) -> Content:
    """Which trials stand out, and how."""
    parts = [Content.styled(f"◆ trial {chosen}", CURSOR)] if chosen else []
    if best and best != chosen:
        parts.append(Content.styled(f"● best, trial {best}", BEST))
    return Content("  ").join([*parts, Content.styled("⠒ others", REST)])


def lines_of(trial: Trial) -> list[Points]:
    """One curve a seed; the base model's own loss at step 0 is the same of all, and is left out."""
    found = []
    for curve, total in zip(trial.curves, trial.totals, strict=True):
        points = [(100 * step / total, loss) for step, loss in sorted(curve.items()) if step and total]
        found.append([point for point in points if isfinite(point[1])])
    return [points for points in found if points]


def framed(losses: Sequence[float], columns: int, rows: int) -> Frame:
    """All losses, but for those far above the middle of them: a trial that comes apart stretches nothing."""
    top = min(max(losses), HIGHEST_OVER_MEDIAN * median(losses))
    low = min(losses)
    margin = 0.05 * (top - low) or 0.1
    return Frame(0, 100, max(0.0, low - margin), top + margin, False, columns, rows)


def _put(canvas: Canvas, frame: Frame, line: Points, style: str, mark: str) -> None:
    places = [(frame.x(share), frame.y(loss)) for share, loss in line]
    for (x, y), (to_x, to_y) in pairwise(places):
        canvas.line(x, y, to_x, to_y, style)
    for x, y in places:
        canvas.dot(x, y, style)
        if mark:
            canvas.put(x // 2, y // 4, mark, style)
