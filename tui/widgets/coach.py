"""The lines above the keys that lead through the tour; seen only on a screen that has the class -touring."""

from __future__ import annotations

from textual.content import Content

from tui.widgets.quiet import Quiet


class Coach(Quiet):
    """Its height is fixed, so that no panel moves when it says something else."""

    def says(self, sentences: str, key: str = "", does: str = "") -> None:
        self.show(told(sentences, key, does))


def told(sentences: str, key: str, does: str) -> Content:
    """What one sees, and the key that goes on, if there is one to press now."""
    goes_on = (" ", (key, "bold $text-accent"), " ", does, ".") if key else ("",)
    hides = ("  ^l hides this", "$foreground-muted")
    return Content.assemble(("Tour  ", "bold $text-primary"), sentences, *goes_on, hides)
