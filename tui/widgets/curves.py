"""The loss of a run as curves on a canvas; the cost of drawing is that of the plot, not of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, isfinite, log10
from statistics import median

from textual.content import Content

from engine.series import Series
from engine.state import Evaluation, RunState
from tui.widgets.braille import Canvas
from tui.widgets.figures import figure

RAW, SMOOTHED, VALIDATION, BASE = "$foreground-muted", "bold $text-primary", "$text-warning", "$foreground"
OTHER, CURSOR, AXIS, WRONG = "$text-success", "$text-accent", "$foreground-muted", "$text-error"

GUTTER = 6
"""Cells for the numbers of the axis."""

SPIKE = 2.0
"""Times the middle of its neighbours: a column above that is marked at the top and stretches nothing."""

HIGHEST_OVER_MEDIAN = 8.0
"""Times the middle of all: nor does an end that comes apart, above that."""

FEWEST_IN_SIGHT = 20

WINDOWS_IN_SIGHT = 25
SMALLEST_WINDOW = 4


@dataclass(frozen=True)
class View:
    """How a person looks at it: logarithmic or not, the last n steps or all (0), where the cursor stands."""

    log: bool = False
    last: int = 0
    cursor: int | None = None


@dataclass(frozen=True)
class Frame:
    """What the plot covers: steps from left to right, losses from bottom to top, in dots."""

    first: int
    last: int
    low: float
    top: float
    log: bool
    columns: int
    rows: int

    def x(self, step: float) -> int:
        return round((step - self.first) / max(1, self.last - self.first) * (self.columns - 1))

    def y(self, value: float) -> int:
        """From the top; what lies outside is at the edge."""
        scale: Callable[[float], float] = log10 if self.log else float
        value = min(max(value, self.low), self.top)
        share = (scale(value) - scale(self.low)) / ((scale(self.top) - scale(self.low)) or 1.0)
        return round((1 - share) * (self.rows - 1))

    def step_at(self, column: int) -> int:
        """The first step whose place is that column or one to the right of it."""
        return ceil(self.first + (column - 0.5) / max(1, self.columns - 1) * (self.last - self.first))


@dataclass(frozen=True)
class Column:
    """The steps that fall into one column of dots; mean and smoothed are None where no loss is a number."""

    at: int
    low: float
    high: float
    smoothed: float | None
    unsound: bool
    """Whether a loss among them is no number."""
    missing: bool
    """Whether steps between them and the column before are missing."""


def draw(state: RunState, other: RunState | None, view: View, width: int, height: int) -> list[Content]:
    """As many lines as are high, each at most as many cells wide."""
    rows = max(1, height - 2)
    wide = max(1, width - GUTTER - 1)
    over = window(state, view)
    blank = Frame(*steps_in_sight(state, view), 0.0, 1.0, False, 2 * wide, 4 * rows)
    own = list(columns(state.losses, blank, over))
    beside = list(columns(other.losses, blank, over)) if other is not None else []
    frame = framed(blank, state, view, own, beside)
    canvas = Canvas(wide, rows)
    _curves(canvas, frame, state, own, beside)
    if view.cursor is not None and frame.first <= view.cursor <= frame.last:
        for row in range(rows):
            canvas.put(frame.x(view.cursor) // 2, row, "│", CURSOR, over=False)
    ticks = (log_ticks if frame.log else round_ticks)(frame.low, frame.top, max(2, rows // 3))
    names = {frame.y(value) // 4: figure_short(value) for value in ticks}
    lines = []
    for row, drawn in enumerate(canvas.rows()):
        edge = f"{names.get(row, '')[:GUTTER]:>{GUTTER}}{'┤' if row in names else '│'}"
        lines.append(Content.assemble((edge, AXIS), drawn))
    return [*lines, *_step_axis(frame, state, own)]


def steps_in_sight(state: RunState, view: View) -> tuple[int, int]:
    """The first and the last step of the plot: all that are planned, or the last n that are done.

    Early in a long run not all that are planned, but two to four times those that are done.
    """
    if view.last and state.losses:
        done = state.losses[-1][0]
        return max(1, done - view.last + 1), max(done, 2)
    ample = FEWEST_IN_SIGHT
    while ample < 2 * state.step:
        ample *= 2
    return 1, max(min(state.total or ample, ample), state.step, 2)


def window(state: RunState, view: View) -> int:
    """How many steps the smoothed curve is the mean of: a power of two near a 25th of the steps in sight."""
    first, last = steps_in_sight(state, view)
    seen = state.losses.until(last) - state.losses.before(first)
    return max(SMALLEST_WINDOW, 1 << int(seen / WINDOWS_IN_SIGHT).bit_length() >> 1)


def smoothed(losses: Series, end: int, over: int) -> float | None:
    """The mean of the last `over` losses before entry `end`, those that are numbers; None without any."""
    return losses.span(end - over, end).mean


def columns(losses: Series, frame: Frame, over: int) -> Iterator[Column]:
    """The columns of dots in which there are steps, from left to right."""
    behind = losses.before(frame.step_at(0))
    for at in range(frame.columns):
        start, behind = behind, losses.before(frame.step_at(at + 1))
        if start == behind:
            continue
        part = losses.span(start, behind)
        missing = start > 0 and losses.steps[start] - losses.steps[start - 1] > 1
        value = smoothed(losses, behind, over) if part.finite else None
        yield Column(at, part.low, part.high, value, part.finite < part.entries, missing)


def framed(
    blank: Frame, state: RunState, view: View, own: Sequence[Column], beside: Sequence[Column]
) -> Frame:
    """The frame with losses from bottom to top that hold what is in sight, but for spikes.

    The base model's loss, far above that of most runs, is out of sight where one looks at the last steps.
    """
    others = [one.loss for one in state.evaluations if blank.first <= one.step <= blank.last]
    if state.base_loss is not None and not view.last:
        others.append(state.base_loss)
    others += [column.smoothed for column in beside if column.smoothed is not None]
    others = [value for value in others if isfinite(value)]
    known = [column for column in own if column.smoothed is not None]
    top = ceiling([column.high for column in known], others)
    lows = [column.low for column in known] + others
    if view.log and (positive := [value for value in lows if value > 0]) and top > 0:
        return replace(blank, low=min(positive) / 1.05, top=max(top, min(positive)) * 1.05, log=True)
    low = min(lows, default=0.0)
    margin = 0.05 * (top - low) or 0.1
    return replace(blank, low=max(0.0, low - margin), top=top + margin)


def ceiling(highs: Sequence[float], others: Sequence[float]) -> float:
    """The top of the plot: all of the curve, but for single spikes, and for an end far above the rest."""
    if not highs:
        return max([*others, 1.0])
    around = [median(highs[max(0, at - 2) : at + 3]) for at in range(len(highs))]
    plain = [high for high, usual in zip(highs, around, strict=True) if high <= SPIKE * usual]
    most = max(HIGHEST_OVER_MEDIAN * median(highs), highs[0])
    return max([min(max(plain, default=most), most), *others])


def at_cursor(state: RunState, other: RunState | None, view: View) -> list[tuple[str, str]]:
    """What stands at the cursor, by name: step, loss, mean, the nearest validation, another run's loss."""
    if view.cursor is None:
        return []
    losses, step = state.losses, view.cursor
    end = losses.until(step)
    here = losses.values[end - 1] if end and losses.steps[end - 1] == step else None
    pairs = [("step", f"{step:,}"), ("loss", figure(here))]
    if end:
        pairs.append((f"mean of {window(state, view):,}", figure(smoothed(losses, end, window(state, view)))))
    near = min(state.evaluations, key=lambda one: (abs(one.step - step), one.step), default=None)
    if isinstance(near, Evaluation):
        pairs.append((f"validation at {near.step:,}", figure(near.loss)))
    if other is not None:
        end = other.losses.until(step)
        same = end and other.losses.steps[end - 1] == step
        pairs.append(("other run", figure(other.losses.values[end - 1] if same else None)))
    return pairs


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Up to `most` round numbers between two, as many as there can be, by 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    power = 10.0 ** floor(log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        numbers = range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)
        if len(numbers) <= most:
            break
    return [round(number * step, 10) for number in numbers]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """1, 2 and 5 times powers of ten between two; only the powers where that is too many."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**power for power in powers for f in factors if low <= f * 10.0**power <= high]
        if len(found) <= most:
            break
    return found or [low, high]


def figure_short(value: float) -> str:
    """For an axis: at most six characters."""
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e6 or not value else f"{value:.0e}"


def _curves(
    canvas: Canvas, frame: Frame, state: RunState, own: Sequence[Column], beside: Sequence[Column]
) -> None:
    for column in own:
        if column.smoothed is not None and column.low <= frame.top:
            canvas.line(column.at, frame.y(column.low), column.at, frame.y(column.high), RAW)
    for column in beside:
        if column.smoothed is not None and column.at % 2 == 0:  # dotted: told apart without colours
            canvas.dot(column.at, frame.y(column.smoothed), OTHER)
    _connect(canvas, frame, own)
    base = state.base_loss
    if base is not None and frame.low <= base <= frame.top:
        for x in range(canvas.width):
            canvas.put(x, frame.y(base) // 4, "┄", BASE, over=False)
    for column in own:
        if column.high > frame.top:
            canvas.put(column.at // 2, 0, "▲", WRONG)
    for one in state.evaluations:
        if frame.first <= one.step <= frame.last and isfinite(one.loss):
            canvas.put(frame.x(one.step) // 2, frame.y(one.loss) // 4, "◆", VALIDATION)


def _connect(canvas: Canvas, frame: Frame, found: Sequence[Column]) -> None:
    """The smoothed line; interrupted where a loss is no number, where steps are missing, above the plot."""
    before: Column | None = None
    for column in found:
        if column.smoothed is None or column.smoothed > frame.top:
            before = None
            continue
        y = frame.y(column.smoothed)
        if before is None or before.smoothed is None or column.unsound or column.missing:
            canvas.dot(column.at, y, SMOOTHED)
        else:
            canvas.line(before.at, frame.y(before.smoothed), column.at, y, SMOOTHED)
        before = column


def _step_axis(frame: Frame, state: RunState, own: Sequence[Column]) -> list[Content]:
    """The bottom line with what happened at a step on it, and the steps' numbers."""
    width = frame.columns // 2
    ticks = round_ticks(frame.first, frame.last, max(2, width // 10))
    axis = [("─", AXIS)] * width
    names = [" "] * width
    for tick in ticks:
        axis[at := min(frame.x(tick) // 2, width - 1)] = ("┬", AXIS)
        name = f"{tick:,.0f}"
        start = min(max(0, at - len(name) // 2), width - len(name))
        if start >= 0 and (start == 0 or names[start - 1] == " ") and not "".join(names[start:]).strip():
            names[start : start + len(name)] = name
    seen = range(frame.first, frame.last + 1)
    for step in state.resumed_at:
        if step in seen:
            axis[frame.x(step) // 2] = ("↻", CURSOR)
    wrong = [frame.x(trouble.step) for trouble in state.troubles if trouble.step in seen]
    for at in wrong + [column.at for column in own if column.unsound]:
        axis[at // 2] = ("✗", WRONG)
    blank = " " * GUTTER
    return [
        Content.assemble((f"{blank}└", AXIS), *axis),
        Content.styled(f"{blank} {''.join(names)}", AXIS),
    ]
