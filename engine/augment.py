"""Changed copies of a text: synonyms for some words, some slips of the keyboard; names and code stay."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from random import Random
from typing import TypeVar

from engine import RECIPES

SYNONYMS = RECIPES / "words" / "synonyms.toml"

HAN = "\u3400-\u9fff"
LETTERS_A_CHINESE_WORD = 2

# Braces within braces, five deep. No part of it can match in two ways, so a long text costs its length.
_BRACED = r"\{[^{}]*+\}"
for _ in range(4):
    _BRACED = rf"\{{(?:[^{{}}]++|{_BRACED})*+\}}"

PROTECTED = re.compile(
    rf"```.*?```|`[^`\n]*`|{_BRACED}|<[A-Za-z/!?][^<>]*>|\w\[[^\[\]\n]*\]|https?://[^\s{HAN}]+|www\.[^\s{HAN}]+",
    re.DOTALL,
)
TOKEN = re.compile(rf"[^\s{HAN}\u3000-\u303f\uff00-\uffef]+")
CODE = re.compile(r"[\d_\\/=@#$%^&*+|~<>{}\[\]`]|\w[.:(]\w|\w\(\)|[a-z][A-Z]|^-")
WORD = re.compile(rf"[{HAN}]+|[^\W\d_{HAN}]+(?:[-'’][^\W\d_{HAN}]+)*")
LETTERS = re.compile(r"[A-Za-z]+")
SENTENCE_END = ".!?:\n。！？：…"
SHORTEST_WORD = 3

ROWS_OF_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

T = TypeVar("T")


def changed(text: str, synonyms: float, noise: float, seed: str) -> str:
    """The text with some words replaced and some letters mistyped; the same for equal arguments.

    synonyms: share of all words, where so many have a synonym (recipes/words); two Chinese characters
    count as a word. noise: share of the Latin letters; none in a text that is mostly Chinese. White space,
    line breaks, numbers, links, `{…}`, `<…>`, code, and capitalised words inside a sentence (they may be
    names) stay as they are.

    Chinese words are found by their characters, the longest first, without a segmenter: where two words meet
    so that their characters spell a third, that third can be replaced. chinese_kept lists known cases.
    """
    random = Random(seed)
    if synonyms:
        text = _with_synonyms(text, synonyms, random)
    return _with_slips(text, noise, random) if noise else text


def _with_synonyms(text: str, share: float, random: Random) -> str:
    words, places = 0.0, []
    for start, end in _plain(text):
        for word in WORD.finditer(text, start, end):
            if re.match(f"[{HAN}]", word[0]):
                words += len(word[0]) / LETTERS_A_CHINESE_WORD
                places += _chinese_places(text, *word.span())
            else:
                words += 1
                if others := _english_others(text, *word.span()):
                    places.append((*word.span(), others))
    parts, at = [], 0
    for start, end, others in _some(places, share * words, random):
        parts += [text[at:start], _in_case_of(text[start:end], _one(others, random))]
        at = end
    return "".join([*parts, text[at:]])


def _with_slips(text: str, share: float, random: Random) -> str:
    letters, places = 0, []
    for start, end in _plain(text):
        for word in WORD.finditer(text, start, end):
            for part in LETTERS.finditer(text, *word.span()):
                letters += len(part[0])
                if not _may_be_name(text, *word.span()) and len(part[0]) >= SHORTEST_WORD:
                    places += [(at, at + 1 < part.end()) for at in range(part.start() + 1, part.end())]
    if letters < len(re.findall(f"[{HAN}]", text)):
        return text
    characters = list(text)
    for at, has_next in _some(places, share * letters, random):
        _slip(characters, at, has_next, random)
    return "".join(characters)


def _slip(characters: list[str], at: int, has_next: bool, random: Random) -> None:
    letter = characters[at]
    match _one(("swap", "drop", "double", "beside"), random):
        case "swap" if has_next and characters[at + 1] != letter:
            characters[at], characters[at + 1] = characters[at + 1], letter
        case "drop":
            characters[at] = ""
        case "beside" if letter.lower() in _keys():
            beside = _one(_keys()[letter.lower()], random)
            characters[at] = beside if letter.islower() else beside.upper()
        case _:
            characters[at] = letter * 2


def _plain(text: str) -> Iterator[tuple[int, int]]:
    """Where words may be changed: outside links, markup, placeholders and whatever looks like code."""
    at = 0
    for kept in PROTECTED.finditer(text):
        yield from _without_code(text, at, kept.start())
        at = kept.end()
    yield from _without_code(text, at, len(text))


def _without_code(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for token in TOKEN.finditer(text, start, end):
        if CODE.search(token[0]):
            yield start, token.start()
            start = token.end()
    yield start, end


def _english_others(text: str, start: int, end: int) -> list[str]:
    others = _groups("english").get(text[start:end].lower(), ())
    if not others or _may_be_name(text, start, end):
        return []
    article = re.search(r"(?i)\b(an?)\s+$", text[max(0, start - 8) : start])
    if article is None:
        return list(others)
    # The article stands already: a word that wants the other one does not fit.
    return [other for other in others if (other[0] in "aeiou") == (article[1].lower() == "an")]


def _chinese_places(text: str, start: int, end: int) -> list[tuple[int, int, list[str]]]:
    words, places = _groups("chinese"), []
    longest = max(map(len, words))
    while start < end:
        sizes = range(min(longest, end - start), 1, -1)
        size = next((size for size in sizes if text[start : start + size] in words), 1)
        if others := words.get(text[start : start + size]):
            places.append((start, start + size, list(others)))
        start += size
    return places


def _may_be_name(text: str, start: int, end: int) -> bool:
    if not text[start].isupper() or text[start:end].isupper():
        return text[start:end].isupper()
    before = text[max(0, start - 40) : start].rstrip(" \t\"'“‘”’(*>-")
    return bool(before) and before[-1] not in SENTENCE_END


def _in_case_of(word: str, other: str) -> str:
    return other[0].upper() + other[1:] if word[0].isupper() else other


def _some(items: list[T], count: float, random: Random) -> list[T]:
    # Rounded up or down by chance, so that short texts too get their share on the average. Of Random only
    # random() promises the same numbers in every version of Python.
    count = min(len(items), int(count + random.random()))
    order = list(range(len(items)))
    for at in range(count):
        other = at + int(random.random() * (len(order) - at))
        order[at], order[other] = order[other], order[at]
    return [items[at] for at in sorted(order[:count])]


def _one(items: Sequence[T], random: Random) -> T:
    return items[int(random.random() * len(items))]


@cache
def _groups(language: str) -> dict[str, tuple[str, ...]]:
    """Each word with the others of its group; none for words that stay as they are."""
    document = tomllib.loads(SYNONYMS.read_text("utf-8"))
    kept: dict[str, tuple[str, ...]] = dict.fromkeys(document.get(f"{language}_kept", ()), ())
    return kept | {
        word: tuple(other for other in group if other != word)
        for group in document[language]
        for word in group
    }


@cache
def _keys() -> dict[str, list[str]]:
    """The keys left and right of each letter."""
    pairs = [(left, right) for row in ROWS_OF_KEYS for left, right in pairwise(row)]
    letters = "".join(ROWS_OF_KEYS)
    return {key: [a if b == key else b for a, b in pairs if key in (a, b)] for key in letters}
