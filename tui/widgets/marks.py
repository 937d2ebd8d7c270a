"""Words and glyphs that mean the same on every screen: a status, a phase, a meter."""

from __future__ import annotations

from textual.content import Content

from engine.state import RunState, Status
from tui.widgets.figures import duration

STATUS: dict[Status, tuple[str, str]] = {
    "starting": ("○", "$text-accent"),
    "waiting": ("◌", "$text-accent"),
    "running": ("●", "$text-accent"),
    "finished": ("✓", "$text-success"),
    "stopped": ("■", "$text-warning"),
    "failed": ("✗", "$text-error"),
    "crashed": ("✗", "$text-error"),
}

PHASE = {
    "": "starting the worker",
    "import": "importing Unsloth",
    "load": "loading the base model",
    "render": "rendering the rows",
    "probe": "probing memory with the longest rows",
    "baseline": "measuring the base model's own loss",
    "train": "training",
    "evaluate": "evaluating on the validation rows",
    "save": "saving what was learned",
    "measure": "counting right answers of base and tuned",
}


def status_mark(status: Status) -> Content:
    """A glyph and a word: colour is never the only mark."""
    glyph, style = STATUS[status]
    return Content.styled(f"{glyph} {status}", style)


def phase_words(state: RunState, seconds: int) -> str:
    """What the worker is doing now; before the first step, for how long."""
    words = PHASE.get(state.phase, state.phase)
    if state.step == 0:
        return f"{words} … {duration(seconds)}"
    left = "" if state.eta is None else f" · {duration(state.eta)} left"
    return f"{words}{left}"


def meter(fraction: float, width: int, style: str = "$primary") -> Content:
    """A bar that is `fraction` full, drawn in text."""
    full = round(min(max(fraction, 0.0), 1.0) * width)
    return Content.assemble(("━" * full, style), ("─" * (width - full), "$frame"))


def indented(text: Content, width: int, cells: int = 4) -> Content:
    """Lines of that width that begin so many cells in, those that it is wrapped into with them."""
    lines = text.wrap(max(cells, width - cells))
    return Content("\n").join(Content.assemble(" " * cells, line) for line in lines)


def facts(pairs: list[tuple[str, str]], width: int) -> Content:
    """Names on the left, figures aligned on the right, one pair a line."""
    lines = []
    for name, value in pairs:
        room = max(1, width - len(name))
        lines.append(Content.assemble((name, "$foreground-muted"), Content(value[:room].rjust(room))))
    return Content("\n").join(lines)
