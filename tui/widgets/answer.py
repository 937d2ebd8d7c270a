"""One column of a comparison: who answers, the turns so far, the answer as it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive

from engine import transcripts
from engine.transcripts import Conversation, Exchange
from tui.safe import clean
from tui.widgets.prose import View, marked, prose
from tui.widgets.quiet import Quiet

FRAMES_A_SECOND = 10

BLOCK = 1000
"""Characters of what comes, after which a line's end begins a block of its own: what is whole is not wrapped
again with each token, so that a long answer comes as fast as a short one.
"""

STAMP = re.compile(r"^\d{8}-\d{6}-")
"""Date and time before a run's name."""

NOTHING = "Answers stand here: type a question below, or ctrl+t asks one that was held out of training."


class AnswerColumn(VerticalScroll):
    """Draws its side of the conversation. Tokens are gathered and painted a few times a second."""

    # Its text grows with each token; its place on the screen stays.
    virtual_size = Reactive(Size(0, 0))

    class Scrolled(Message):
        """It shows another part of its text."""

        def __init__(self, column: AnswerColumn, y: float) -> None:
            super().__init__()
            self.column = column
            self.y = y

    def __init__(self, column: str, number: int) -> None:
        super().__init__(id=f"column-{number}", classes="panel", can_focus=True)
        self.column = column
        self._titles: tuple[str, ...] = (column,)
        self._coming = ""
        self._dirty = False
        self._follows = True
        self._said = Quiet(classes="said")
        self._comes: list[Quiet] = []
        """Blocks of the answer that comes; the last one grows."""

    def compose(self) -> Iterator[Quiet]:
        yield self._said

    def on_mount(self) -> None:
        self.set_interval(1 / FRAMES_A_SECOND, self._flush)

    def head(self, *titles: str) -> None:
        """Say who answers here, in the longest of these ways that fits."""
        self._titles = titles
        self._show_title()

    def on_resize(self) -> None:
        self._show_title()

    def _show_title(self) -> None:
        room = self.size.width
        fitting = [title for title in self._titles if len(title) <= room] or self._titles[-1:]
        self.border_title = Content(clean(fitting[0], newlines=False))

    def draw(self, talk: Conversation, rival: str | None, view: View, notes: tuple[str, ...] = ()) -> None:
        """All that is whole. rival: the column whose words it is held against; notes: stand above all."""
        parts = [Content.styled(clean(note), "$text-warning") for note in notes]
        parts += [part for exchange in talk.exchanges for part in self._exchange(exchange, rival, view)]
        if not talk.exchanges:
            parts.append(Content.styled(NOTHING, "$foreground-muted"))
        self._said.show(Content("\n\n").join(parts))
        self._to_end()
        last = talk.last
        said = last.answers.get(self.column) if last else None
        ends = transcripts.figures(said) if said else ["…"] if last else []
        self.border_subtitle = Content(" · ".join(dict.fromkeys([*ends[:1], *ends[-1:]])))

    def _exchange(self, exchange: Exchange, rival: str | None, view: View) -> Iterator[Content]:
        answer = exchange.answers.get(self.column)
        yield from (spoken(turn) for turn in exchange.put_to(self.column))
        if answer is None:
            return
        if cut := transcripts.cut(answer):
            yield Content.styled(f"✂ {cut}", "$text-warning")
        own = prose(answer["text"], view)
        other = exchange.answers.get(rival) if rival else None
        if other is not None:
            own = marked(own, prose(other["text"], view))
        if not own.plain.strip():
            own = Content.styled("(an empty answer)", "$foreground-muted")
        # How it came belongs to it: the foot of the column has room for the least of it alone.
        yield Content.assemble(
            own, "\n", (" · ".join(transcripts.figures(answer)[1:-1]), "$foreground-muted")
        )

    def begin(self) -> None:
        """An answer begins: what was shown of it is gone."""
        self.end()
        self.border_subtitle = Content("…")
        self._to_end()

    def take(self, text: str) -> None:
        self._coming += text
        self._dirty = True

    def end(self) -> None:
        """What was coming has come; `draw` shows it."""
        self._coming, self._dirty = "", False
        for block in self._comes:
            block.remove()
        self._comes = []

    def _flush(self) -> None:
        if not self._dirty:
            return
        self._dirty = False
        if not self._comes:
            self._next_block("comes")
        while (end := self._coming.find("\n", BLOCK)) >= 0:
            self._comes[-1].show(clean(self._coming[:end]))
            self._coming = self._coming[end + 1 :]
            self._next_block("goes-on")
        self._comes[-1].show(clean(self._coming))
        self._to_end()

    def _next_block(self, classes: str) -> None:
        self._comes.append(Quiet(classes=classes))
        self.mount(self._comes[-1])

    def _to_end(self) -> None:
        """Show the end, unless somebody has scrolled up to read."""
        if self._follows:
            self.call_after_refresh(self.scroll_end, animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value or new_value >= self.max_scroll_y:
            self._follows = new_value >= self.max_scroll_y
        if self.has_focus:
            self.post_message(self.Scrolled(self, new_value))


def spoken(turn: Mapping[str, Any]) -> Content:
    """A turn of a question: marked, and what is not the user's named."""
    role = str(turn["role"])
    mark = "▸ " if role == "user" else f"{clean(role, newlines=False)}: "
    return Content.assemble((mark, "bold $text-accent"), (clean(str(turn["content"])), "$foreground-muted"))


def titles(column: Mapping[str, Any], model: str, four_bit: bool, run: str) -> tuple[str, ...]:
    """Who answers in a column, from the longest to the shortest: the proof that it is what it says."""
    name, bits = column["column"], "4-bit" if four_bit else "16-bit"
    if column["members"]:
        members = " + ".join(column["members"])
        return f"{name} · the logits of {members} averaged", f"{name} · {members}", name
    if not column["on"]:
        return f"{name} · {model} in {bits} · adapter off", f"{name} · {model} · {bits}", f"{name} · {bits}"
    step, digest = column["step"], f"{kind(column)} {column['digest'][:8]} on"
    whose = f" · {column['run']}" if column["run"] != name.partition("@")[0] else ""
    return (
        f"{name}{whose} · step {step} · {digest}",
        f"{name} · step {step} · {digest}",
        f"{name} · {digest}",
        f"{name} · {column['digest'][:8]}",
        f"{STAMP.sub('', name)} · {column['digest'][:8]}",
        column["digest"][:8],
    )


def kind(column: Mapping[str, Any]) -> str:
    """What a column has beside the base: an adapter on it, or weights of its own in its place."""
    return "weights" if column["whole"] else "adapter"
