"""The memory forecast: one line beside the settings, and every term of it on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textual.content import Content

from engine import auto, reading
from engine.auto import Choice
from engine.fit import Fit
from engine.memory import Remedy
from engine.shapes import Unknown
from tui.safe import clean
from tui.widgets.figures import duration, size

SIGNS = {
    "fits": ("✓", "$text-success"),
    "tight": ("!", "$text-warning"),
    "does not fit": ("✗", "$text-error"),
}
MOST_REMEDIES = 3
NAME, FIGURE = 22, 9


def line(found: Fit | Unknown, hint: str = "  (f2: its terms)", choices: Sequence[Choice] = ()) -> Content:
    """The total against what is free, the verdict, what was chosen for the recipe, and the cheapest ways out
    where it is not good."""
    chosen = Content.styled(short_choices(choices), "$foreground-muted")
    if isinstance(found, Unknown):
        said = f"memory: not known, {clean(found.reason, newlines=False)}"
        return Content("\n").join([Content.styled(said, "$foreground-muted"), *[chosen] * bool(chosen)])
    forecast = found.forecast
    sign, style = SIGNS[forecast.verdict]
    where = "GPU" if forecast.device.kind == "cuda" else "host"
    first = Content.assemble(
        (f"{sign} {forecast.verdict}: ", style),
        f"about {size(forecast.total)} of {size(forecast.device.free)} {where} memory free now",
        (hint, "$foreground-muted"),
    )
    remedies = [remedy(one) for one in found.remedies[:MOST_REMEDIES]]
    return Content("\n").join([first, *[chosen] * bool(chosen), *remedies])


def short_choices(choices: Sequence[Choice]) -> str:
    """auto: batch size 8, gradient accumulation 2, adamw, gradient checkpointing off; or empty."""
    shown = [_short(one) for one in choices if one.key in auto.AT_A_GLANCE]
    return "auto: " + ", ".join(shown) if shown else ""


def _short(choice: Choice) -> str:
    name = choice.key.replace("_", " ")
    if isinstance(choice.value, bool):
        return f"{name} {'on' if choice.value else 'off'}"
    return f"{name} {choice.value}"


def remedy(found: Remedy) -> Content:
    """What to change, as it stands in a recipe, and what that comes to."""
    changes = ", ".join(f"{key} = {str(value).lower()}" for key, value in found.changes)
    sign, style = SIGNS[found.verdict]
    return Content.assemble(("  ", ""), (clean(changes), "bold"), f" → {size(found.total)} ", (sign, style))


def probed(answer: Mapping[str, Any]) -> Content:
    """What a probe has measured, or where memory ran out in it and what to do (the `probed` message)."""
    return Content("\n").join(_probed(answer))


def _probed(answer: Mapping[str, Any]) -> Iterator[Content]:
    if not answer["fits"]:
        yield Content.styled(f"✗ {clean(answer['reason'], newlines=False)}", "$text-error")
        yield Content(f"  {clean(answer['mend'], newlines=False)}")
        return
    yield Content.styled("Measured on the longest rows", "bold $text-primary")
    measured = answer["measured"]
    for name, found in (("two steps", measured["train"]), ("evaluation", measured["evaluation"])):
        if found:
            how = f"{found['rows']} x {found['length']:,} tokens"
            yield Content.assemble(
                f"{name:<{NAME}}{size(found['peak']):>{FIGURE}}  ", (how, "$foreground-muted")
            )
    if measured["forecast"]:
        how = "for these very rows"
        yield Content.assemble(
            f"{'forecast':<{NAME}}{size(measured['forecast']):>{FIGURE}}  ", (how, "$foreground-muted")
        )
    yield Content(
        f"A usual step takes {measured['seconds']:.3g} s, the run about {duration(measured['eta'])}."
    )


def page(found: Fit | Unknown, width: int, said: Content | None = None) -> Content:
    """Every term with its figure and how it is reckoned, remedies, disk, what is not known well.

    said: what there is to say of a probe, which comes first.
    """
    first = [said, Content("")] if said is not None else []
    return Content("\n").join([*first, *_lines(found, width)])


def _lines(found: Fit | Unknown, width: int) -> Iterator[Content]:
    yield line(found, "", ())
    if isinstance(found, Unknown):
        return
    yield from (remedy(one) for one in found.remedies[MOST_REMEDIES:])
    yield Content("")
    for term in found.forecast.terms:
        how = Content.styled(term.how, "$foreground-muted").wrap(max(20, width - NAME - FIGURE - 2))
        yield Content.assemble(f"{term.name:<{NAME}}{size(term.bytes):>{FIGURE}}  ", how[0])
        yield from (Content.assemble(" " * (NAME + FIGURE + 2), more) for more in how[1:])
    yield Content.styled(f"{'together':<{NAME}}{size(found.forecast.total):>{FIGURE}}", "bold")
    yield Content("")
    if found.choices:
        yield Content.styled("Chosen for this machine and these rows", "bold $text-primary")
        for one in found.choices:
            yield from Content(clean(reading.chosen(one.key, one.value, one.why), newlines=False)).wrap(
                max(20, width)
            )
        yield Content("")
    yield Content.styled("On the disk", "bold $text-primary")
    disk = found.disk
    for name, count in (
        ("model" if found.plan.full else "adapter", disk.result),
        ("checkpoints, all kept", disk.checkpoints),
        ("merged, if exported", disk.merged),
    ):
        yield Content(f"{name:<{NAME}}{size(count):>{FIGURE}}")
    for note in found.forecast.notes:
        yield Content.styled(f"· {clean(note, newlines=False)}", "$foreground-muted")
