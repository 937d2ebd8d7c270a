"""What the train screen says beside its curve: progress, status, how it went, what there is to note."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from textual.content import Content

from engine import asking, auto, reading
from engine.state import Evaluation, RunState
from tui.feed import Snapshot
from tui.safe import clean
from tui.widgets.figures import duration, figure, place_in_line
from tui.widgets.marks import facts, meter, phase_words, status_mark

SPENT = {"data": "in data", "steps": "in steps", "evaluation": "in evaluation", "saving": "in saving"}
"""Where a run's time goes, as the events count it."""

NOTES_IN_SIGHT = 2


def progress_lines(snapshot: Snapshot, now: float, width: int) -> list[Content]:
    """Step, losses, rates, counts and where the time went; the most needed first, for a small screen."""
    state = snapshot.state
    last = state.evaluations[-1] if state.evaluations else None
    since = state.waits_since if state.status == "waiting" else state.started_at + state.idle
    ran = (now if snapshot.alive else state.updated_at) - since
    pairs = [
        ("Step", f"{state.step:,} / {state.total:,}" if state.total else "–"),
        ("Loss", figure(state.loss)),
        ("Validation", figure(last.loss if last else None)),
        ("Base model", figure(state.base_loss)),
        *([("Answers right", f"{last.right} of {last.answered}")] if last and last.right is not None else []),
        *([("Time left", duration(state.eta) if state.eta is not None else "–")] if snapshot.alive else []),
        (ran_for(snapshot), duration(ran) if state.started_at else "–"),
        ("Learning rate", f"{state.learning_rate:.2e}" if state.step else "–"),
        ("Gradient norm", figure(state.grad_norm if state.step else None, 3)),
        ("Tokens/s", f"{state.tokens_per_s:,.0f}" if state.tokens_per_s else "–"),
        ("Epoch", f"{state.epoch:.2f}"),
        ("Rows seen", counted_rows(snapshot)),
        ("Tokens", f"{state.tokens:,}" if state.tokens else "–"),
        ("of them trained", f"{state.trained_tokens:,}" if state.trained_tokens else "–"),
    ]
    together = sum(state.spent.values())
    for name, words in SPENT.items():
        if name in state.spent:
            share = f"{state.spent[name] / together:4.0%}"
            pairs.append((f"Time {words}", f"{duration(state.spent[name])} {share}"))
    return list(facts(pairs, width).split())


def counted_rows(snapshot: Snapshot) -> str:
    """Rows that the steps so far have trained on, each as often as it came."""
    state = snapshot.state
    batch = state.shrunk[0] * state.shrunk[1] if state.shrunk else snapshot.batch
    seen = reading.rows_trained(state.step, state.rendered.get("count", 0), batch)
    return f"{seen:,}" if seen else "–"


def ran_for(snapshot: Snapshot) -> str:
    if snapshot.state.status == "waiting":
        return "Waiting for"
    return "Running for" if snapshot.alive else "Ran for"


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
            return f"after {state.step:,} steps; the {state.learns} is saved"
        case "stopped":
            return f"at step {state.step:,}; the {state.learns} is saved" if state.saved else state.reason
        case "waiting":
            return f"for its turn behind {clean(state.behind, newlines=False)}; {place_in_line(state.ahead)}"
        case "failed" | "crashed":
            return f"at step {state.step:,}" if state.step else "before the first step"
        case _:
            return phase_words(state, snapshot.phase_seconds)


def outcome(state: RunState, width: int) -> Content:
    """What is to be known of it besides figures: how it ended, why it waits, the gain, the last notes."""
    lines = []
    if state.status in ("failed", "crashed"):
        lines.append(Content.styled(f"✗ {clean(state.reason)}", "bold $text-error"))
        mend = f"{clean(state.mend)}. " if state.mend else ""
        lines.append(Content.assemble(mend, ("r", "bold $text-accent"), " resumes it."))
    if state.paused:
        lines.append(Content.styled(f"! it waits: {clean(state.paused)}", "bold $text-warning"))
    if state.saved:
        lines += [Content(right(one)) for one in state.measured if one["tuned"] is not None]
        lines.append(Content.assemble(gained(state), ("c", "bold $text-accent"), " compares base and tuned."))
    said = notes(state)
    shown = said[-NOTES_IN_SIGHT:]
    whole = f": all {len(said)} notes" if len(said) > 1 else ": in full"
    more = Content.assemble(("  w", "bold $text-accent"), whole)
    for note in shown:
        last = note is shown[-1] and (len(said) > len(shown) or note.cell_length > width)
        room = width - (more.cell_length if last else 0)
        lines.append(note.first_line.truncate(max(10, room), ellipsis=True) + (more if last else Content("")))
    return Content("\n").join(lines)


def notes(state: RunState) -> list[Content]:
    """All that a run had to say beside figures, in full: what it was told, what went wrong, its warnings."""
    found = [(step, "·", asking.told(step, what, value), "") for step, what, value in state.told]
    for trouble in state.troubles:
        where = f": {', '.join(trouble.places)}" if trouble.places else ""
        text = f"step {trouble.step:,}: the {trouble.what} is no number; {trouble.done}{where}"
        found.append((trouble.step, "✗", text, "$text-error"))
    found.sort(key=lambda note: note[0])
    at_a_glance = [one for one in state.chosen if one["key"] in auto.AT_A_GLANCE]
    lines = [("·", f"auto: {reading.chosen(**one)}", "") for one in at_a_glance]
    lines += [(sign, text, style) for _, sign, text, style in found]
    lines += [("!", text, "$text-warning") for text in state.warnings]
    if state.shrunk:
        each, times = state.shrunk
        lines.append(
            ("!", f"memory ran out: batches of {each}, {times} to a step since then", "$text-warning")
        )
    if state.kept_best:
        early = "; it stopped early" if state.kept_best.get("stopped_early") else ""
        best = f"the {state.learns} is that of step {state.kept_best['step']:,}, the best by validation loss"
        lines.append(("·", best + early, ""))
    return [Content.styled(f"{sign} {clean(text)}", style) for sign, text, style in lines]


def right(measured: dict[str, Any]) -> str:
    """How many validation rows of a set were answered right, before and after."""
    name, rows = PurePath(str(measured["source"])).name, measured["rows"]
    shares = [f"{measured[column]} ({measured[column] / rows:.0%})" for column in ("base", "tuned")]
    return f"Right of {rows} in {clean(name, newlines=False)}: {shares[0]} → {shares[1]}."


def gained(state: RunState) -> str:
    """Validation loss against the base model's own."""
    if not state.evaluations:
        return ""
    last = state.evaluations[-1]
    before = "" if state.base_loss is None else f"{figure(state.base_loss)} → "
    return f"Validation loss {before}{figure(last.loss)}. {_accuracy(state, last)}"


def _accuracy(state: RunState, last: Evaluation) -> str:
    """How many validation answers are right, where the recipe has them counted."""
    if last.right is None:
        return ""
    before = "" if state.base_right is None else f"{state.base_right} → "
    return f"Right {before}{last.right} of {last.answered}. "
