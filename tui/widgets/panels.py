"""What the panels beside the loss curve say: progress, memory, how it went."""

from __future__ import annotations

from textual.content import Content

from engine import asking
from engine.events import RunState
from tui.feed import Snapshot
from tui.safe import clean
from tui.widgets.figures import duration, figure, place_in_line, size
from tui.widgets.marks import facts, meter, phase_words, status_mark

# What a worker counts of its own memory.
OWN = {"rss": "This run, host", "allocated": "This run, torch", "reserved": "Reserved by torch"}


def progress_facts(snapshot: Snapshot, now: float, width: int) -> Content:
    """Step, epoch, rates and losses, aligned."""
    state = snapshot.state
    ran = (now if snapshot.alive else state.updated_at) - state.started_at
    pairs = [
        ("Step", f"{state.step:,} / {state.total:,}" if state.total else "–"),
        ("Epoch", f"{state.epoch:.2f}"),
        ("Loss", figure(state.loss)),
        ("Validation", figure(state.evaluations[-1].loss if state.evaluations else None)),
        ("Base model", figure(state.base_loss)),
        ("Learning rate", f"{state.learning_rate:.2e}" if state.step else "–"),
        ("Gradient norm", figure(state.grad_norm if state.step else None, 3)),
        ("Tokens/s", f"{state.tokens_per_s:,.0f}" if state.tokens_per_s else "–"),
        (ran_for(snapshot), duration(ran) if state.started_at else "–"),
    ]
    return facts(pairs, width)


def ran_for(snapshot: Snapshot) -> str:
    if snapshot.state.status == "waiting":
        return "Waiting for"
    return "Running for" if snapshot.alive else "Ran for"


def memory_facts(snapshot: Snapshot, width: int) -> Content:
    """Each GPU, or the host where there is none; then what the worker itself counts."""
    lines: list[Content] = []
    for gpu in snapshot.gpus:
        lines.append(Content.styled(clean(gpu.name, newlines=False)[:width], "bold"))
        if gpu.total and gpu.used is not None:
            lines += _filled(gpu.used, gpu.total, width)
        pairs = [("Utilisation", gpu.utilisation, "%"), ("Temperature", gpu.temperature, " °C")]
        known = [(name, f"{value}{unit}") for name, value, unit in pairs if value is not None]
        if gpu.power is not None:
            known.append(("Power", f"{gpu.power:.0f} W"))
        lines.append(facts(known, width))
    host = snapshot.host
    if host is not None and not snapshot.gpus:
        lines.append(Content.styled("no GPU: host memory", "bold"))
        lines += _filled(host.memory_used, host.memory_total, width)
        lines.append(facts([("Processor", f"{host.cpu:.0f}%")], width))
    own = snapshot.state.memory
    if own:
        named = [(OWN.get(name, clean(name, newlines=False)), size(own[name])) for name in own]
        lines.append(facts(named, width))
    return Content("\n").join(lines) if lines else Content.styled("not known", "$foreground-muted")


def status_line(snapshot: Snapshot, width: int) -> Content:
    """A bar with the status and what is done now, on one line."""
    state = snapshot.state
    words = Content.assemble(status_mark(state.status), "  ", (now_doing(snapshot), "$foreground-muted"))
    percent = f" {state.step / state.total:4.0%}" if state.total else "     "
    room = width - words.cell_length - len(percent) - 2
    bar = meter(state.step / state.total if state.total else 0.0, max(8, room))
    return Content.assemble(words, "  ", bar, percent)


def now_doing(snapshot: Snapshot) -> str:
    """What goes on, in words: of a run that is over, how it ended."""
    state = snapshot.state
    match state.status:
        case "finished":
            return f"after {state.step:,} steps; the adapter is saved"
        case "stopped":
            return f"at step {state.step:,}; the adapter is saved" if state.saved else state.reason
        case "waiting":
            return f"for its turn behind {clean(state.behind, newlines=False)}; {place_in_line(state.ahead)}"
        case "failed" | "crashed":
            return f"at step {state.step:,}" if state.step else "before the first step"
        case _:
            return phase_words(state, snapshot.phase_seconds)


def outcome(state: RunState) -> Content:
    """What a person should know of it besides figures: how it ended, warnings, the gain."""
    lines = []
    if state.status in ("failed", "crashed"):
        lines.append(Content.styled(f"✗ {clean(state.reason)}", "bold $text-error"))
        mend = f"{clean(state.mend)}. " if state.mend else ""
        lines.append(Content.assemble(mend, ("r", "bold $text-accent"), " resumes it."))
    if state.paused:
        lines.append(Content.styled(f"! it waits: {clean(state.paused)}", "bold $text-warning"))
    if state.saved:
        lines.append(Content.assemble(gained(state), ("c", "bold $text-accent"), " compares base and tuned."))
    lines += [Content(f"· {asking.told(*each)}") for each in state.told[-2:]]
    lines += [Content.styled(f"! {clean(text)}", "$text-warning") for text in state.warnings[-3:]]
    return Content("\n").join(lines)


def gained(state: RunState) -> str:
    """Validation loss against the base model's own."""
    if not state.evaluations:
        return ""
    last = state.evaluations[-1].loss
    if state.base_loss is None:
        return f"Validation loss {figure(last)}. "
    return f"Validation loss {figure(state.base_loss)} → {figure(last)}. "


def _filled(used: int, total: int, width: int) -> list[Content]:
    figures = f" {used / 1e9:.1f} / {size(total)}"
    return [Content.assemble(meter(used / total, max(4, width - len(figures))), figures)]
