"""What the licence of a base model asks of somebody who passes on a model made from it, in plain words.

A reminder and no advice: the licence's own text is what holds, and it is copied where the base has it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """start: of the name in a model card's head. asks: what it asks, a sentence each; shown: what it asks to
    be shown with the model, in its own words where it has some."""

    start: str
    asks: tuple[str, ...]
    shown: str = ""


CHANGED = "Changed from its base by training."

LICENCES = (
    Licence("apache-2.0", (
        "Pass on the licence's text and any NOTICE file, and say that the model was changed.",
    ), CHANGED),
    Licence("mit", ("Pass on the copyright notice and the licence's text.",)),
    Licence("cc0", ("Nothing: it is in the public domain.",)),
    Licence("cc-by-nc", ("Name the makers and link the licence.", "No commercial use."), CHANGED),
    Licence("cc-by", ("Name the makers, link the licence, and say what was changed.",), CHANGED),
    Licence("llama", (
        "Pass on a copy of the licence, with a NOTICE file that names it.",
        'Show "Built with Llama" where the model is offered, and begin the model\'s name with "Llama".',
        "Its acceptable use policy holds for the tuned model too.",
        "Services with more than 700 million users a month need Meta's own leave.",
    ), "Built with Llama."),
    Licence("gemma", (
        "Pass on a copy of the Gemma terms of use, with a NOTICE file that names them.",
        "Its prohibited use policy holds for the tuned model too, and must bind whoever gets it.",
        "Say in the changed files that they were changed.",
    ), "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms. "
       + CHANGED),
    Licence("qwen-research", ("No commercial use.", "Pass on the licence's text and its notice.")),
)  # fmt: skip

UNKNOWN = ("It is not known here: read it before you pass the model on.",)


def asks(name: str) -> tuple[str, ...]:
    """What the licence of that name asks."""
    found = _found(name)
    return found.asks if found else UNKNOWN


def shown(name: str) -> str:
    """What stands in a card because the licence of that name asks for it; "" where it asks for nothing."""
    found = _found(name)
    return found.shown if found else ""


def _found(name: str) -> Licence | None:
    return next((one for one in LICENCES if name.lower().startswith(one.start)), None)
