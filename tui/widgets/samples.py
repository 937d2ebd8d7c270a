"""Held-out prompts as they are answered while the adapter learns, beside the base model and the reference."""

from __future__ import annotations

from textual.content import Content

from engine.state import Answer, Prompt, RunState
from tui.safe import clean

NOTHING = "The same few held-out prompts are answered here at each evaluation."
MARGIN = 11


def prompt_at(state: RunState, place: int) -> Prompt | None:
    """The prompt at that place, counted round and round; None where nothing is asked."""
    numbers = sorted(state.prompts)
    return state.prompts[numbers[place % len(numbers)]] if numbers else None


def answer_at(one: Prompt | None, step: int | None) -> int | None:
    """Which of its answers is shown: the last one until a step, None for the newest; None without any."""
    if one is None or not one.answers:
        return None
    if step is None:
        return len(one.answers) - 1
    return max((at for at, answer in enumerate(one.answers) if answer.step <= step), default=0)


def title(state: RunState, place: int, step: int | None) -> str:
    """Which prompt of how many, and at which of the steps at which it was asked."""
    one = prompt_at(state, place)
    if one is None:
        return "Samples"
    many = len(state.prompts)
    shown = answer_at(one, step)
    when = "before training"
    if shown is not None:
        when = f"step {one.answers[shown].step:,} ({shown + 1} of {len(one.answers)})"
    return f"Samples · prompt {place % many + 1} of {many} · {when}"


def sample_text(
    state: RunState, place: int, step: int | None, width: int, height: int | None = None
) -> Content:
    """A prompt, its reference, the base model's answer, and that of the adapter as it stood at a step.

    height: lines that there are, of which each part gets a fair share; None: as many as it takes.
    """
    one = prompt_at(state, place)
    if one is None:
        return Content.styled(NOTHING, "$foreground-muted")
    shown = answer_at(one, step)
    answer = None if shown is None else one.answers[shown]
    parts = [
        _part("prompt", Content(clean(one.text)), width),
        _part("reference", Content(clean(one.reference)), width),
        _part("base", _answer(one.base), width),
        _part(f"step {answer.step:,}" if answer else "adapter", _answer(answer), width, "$text-primary"),
    ]
    return Content("\n").join(line for part in _shared(parts, width, height) for line in part)


def _shared(parts: list[list[Content]], width: int, height: int | None) -> list[list[Content]]:
    """The parts within so many lines: the longest ones give first, and none is left without a line."""
    kept = [len(part) for part in parts]
    while height is not None and sum(kept) > height and max(kept) > 1:
        kept[kept.index(max(kept))] -= 1
    return [
        part
        if most == len(part)
        else [
            *part[: most - 1],
            part[most - 1].truncate(width - 2) + Content.styled(" …", "$foreground-muted"),
        ]
        for part, most in zip(parts, kept, strict=True)
    ]


def _answer(answer: Answer | None) -> Content:
    if answer is None:
        return Content.styled("not asked yet", "$foreground-muted")
    text = clean(answer.text) or "(nothing)"
    return Content.assemble(text, ("" if answer.ended else " …cut off", "$foreground-muted"))


def _part(name: str, text: Content, width: int, style: str = "$foreground-muted") -> list[Content]:
    """A name in the margin, and the text beside it, as many lines as it needs."""
    lines = text.wrap(max(10, width - MARGIN)) or [Content("")]
    names = [name, *[""] * (len(lines) - 1)]
    return [
        Content.assemble((name.ljust(MARGIN), style), line) for name, line in zip(names, lines, strict=True)
    ]
