"""An answer as it is read: Markdown and code drawn, reasoning folded, and the words that differ marked.

Nothing in it is ever taken for markup of the terminal or for a link; `plain` shows the exact text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from textual.content import Content

from engine.differing import differing
from tui.safe import clean

DIFFERS = "bold underline"
MOST_WORDS = 4_000
"""Longer answers are compared up to here."""
LONGEST_DRAWN = 20_000
"""Characters above which an answer stays plain."""

_WORD = re.compile(r"\w+|[^\w\s]")
_THOUGHT = re.compile(r"(?:<(think|thinking|reasoning)>)?(.*?)</(think|thinking|reasoning)>\s*", re.DOTALL)
_THINKS = re.compile(r"<(?:think|thinking|reasoning)>(.*)\Z", re.DOTALL)

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")


@dataclass(frozen=True)
class View:
    """How answers are shown, in all columns alike."""

    plain: bool = False
    unfolded: bool = False


@lru_cache(maxsize=256)  # a conversation is drawn anew with each of its answers
def prose(text: str, view: View) -> Content:
    """An answer in full, as the view says."""
    if view.plain:
        return Content(clean(text))
    thought, said = parted(text)
    parts = []
    if thought is not None:
        words = len(thought.split())
        mark = "▾" if view.unfolded else "▸"
        parts.append(
            Content.styled(f"{mark} reasoning, {words:,} word{'' if words == 1 else 's'}", "$text-accent")
        )
        if view.unfolded:
            parts.append(Content.styled(clean(thought.strip()), "$foreground-muted italic"))
    if said.strip() or thought is None:
        parts.append(drawn(said))
    return Content("\n").join(parts)


def parted(text: str) -> tuple[str | None, str]:
    """Reasoning (None where there is none, its opening tag may have been in the prompt) and the answer."""
    if found := _THOUGHT.match(text):
        return found[2], text[found.end() :]
    if found := _THINKS.match(text):
        return found[1], ""  # it was cut off in the middle of its thoughts
    return None, text


def drawn(text: str) -> Content:
    """Markdown as text with weight; what it does not understand stands as it is written."""
    if len(text) > LONGEST_DRAWN:
        return Content(clean(text))
    return Content("\n").join(_blocks(_MARKDOWN.parse(text), text.split("\n")))


def marked(own: Content, other: Content) -> Content:
    """With the words that are not the other's underlined: the longest common sequence is left as it is."""
    mine, theirs = list(_WORD.finditer(own.plain)), [found[0] for found in _WORD.finditer(other.plain)]
    words = [found[0] for found in mine]
    for start, end in differing(words[:MOST_WORDS], theirs[:MOST_WORDS]):
        own = own.stylize(DIFFERS, mine[start].start(), mine[end - 1].end())
    return own


def _blocks(tokens: Sequence[Token], lines: Sequence[str]) -> Iterator[Content]:
    """Each block as lines, with the blank lines between blocks as they were."""
    shown, bullets, quoted = 0, list[str](), 0
    at = ""
    heading = False
    for token in tokens:
        match token.type:
            case "bullet_list_open":
                bullets.append("• ")
            case "ordered_list_open":
                bullets.append("")
            case "bullet_list_close" | "ordered_list_close":
                bullets.pop()
            case "list_item_open":
                at = "  " * (len(bullets) - 1) + (bullets[-1] or f"{token.info}{token.markup} ")
            case "blockquote_open":
                quoted += 1
            case "blockquote_close":
                quoted -= 1
            case "heading_open":
                heading = True
            case "heading_close":
                heading = False
        if token.map is None or token.type not in ("inline", "fence", "code_block", "html_block", "hr"):
            continue
        if 0 < shown < token.map[0] or (not shown and token.map[0]):
            yield from (Content("") for _ in range(max(0, token.map[0] - shown)))
        shown = token.map[1]
        block = _block(token, lines)
        if heading:
            block = block.stylize("bold $text-primary")
        lead, at = at or "  " * len(bullets), ""
        for number, line in enumerate(block.split("\n")):
            before = "│ " * quoted + (lead if number == 0 else " " * len(lead))
            yield Content.assemble((before, "$text-accent"), line) if before else line


def _block(token: Token, lines: Sequence[str]) -> Content:
    match token.type:
        case "inline":
            return _inline(token.children or [])
        case "fence" | "code_block":
            return _code(token.content.removesuffix("\n"))
        case "hr":
            return Content.styled("─" * 12, "$foreground-muted")
    assert token.map is not None
    return Content(clean("\n".join(lines[token.map[0] : token.map[1]])))


def _code(text: str) -> Content:
    lines = [Content.styled(clean(line, newlines=False), "$text-success") for line in text.split("\n")]
    return Content("\n").join(Content.assemble(("▏ ", "$foreground-muted"), line) for line in lines)


STYLES = {"strong": "bold", "em": "italic", "s": "strike"}


def _inline(children: Sequence[Token]) -> Content:
    """Words with their weight; links show where they lead, pictures what they say."""
    parts: list[Content] = []
    worn: list[str] = []
    for child in children:
        kind, _, edge = child.type.rpartition("_")
        if kind in STYLES and edge == "open":
            worn.append(STYLES[kind])
        elif kind in STYLES and edge == "close":
            worn.remove(STYLES[kind])
        elif child.type == "link_close" or child.type == "link_open":
            href = str(child.attrs.get("href", "")) if child.type == "link_open" else ""
            if href:
                worn.append("$text-accent")
                leads = href
            elif "$text-accent" in worn:
                worn.remove("$text-accent")
                parts.append(Content.styled(f" ({clean(leads, newlines=False)})", "$foreground-muted"))
        elif child.type in ("softbreak", "hardbreak"):
            parts.append(Content("\n"))
        elif child.type == "code_inline":
            parts.append(Content.styled(clean(child.content), "$text-success"))
        else:
            text = clean(child.content)
            parts.append(Content.styled(text, " ".join(worn)) if worn else Content(text))
    return Content("").join(parts)
