"""What is worth knowing about a set before it is trained on: lengths, labels, languages, odd answers."""

from __future__ import annotations

import heapq
import itertools
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine import sets
from engine.dataset import Sample
from engine.render import Rendered
from engine.sources import Row
from engine.survey import Survey

BARS = 20
FAR = 2
"""How many times longer than 99 of 100 rows a row has to be to stand apart."""

LONGEST = 10
FIRST_PLACES = 10

MOST_BALANCES = 5
MOST_LABELS = 50
"""A set with more different answers than these has no labels to balance."""

LONGEST_LABEL = 40
RARE = 0.05
"""A label with less than this share of the rows is worth a word."""

NEAR_EMPTY = 2
"""Characters of an answer, letters and digits, up to which it is near-empty where it is no label."""

TEXTS_FOR_LANGUAGE = 300
SHORTEST_FOR_LANGUAGE = 20


@dataclass
class Report:
    """Grows sample by sample, in bounded memory: eight bytes a sample, and the few that it names.

    lengths: tokens of each sample that is trained on; uncut: of every row that could be rendered, before it
    was cut or left out for its length.
    """

    paths: list[str]
    samples: Counter[int] = field(default_factory=Counter)
    tokens: Counter[int] = field(default_factory=Counter)
    trained: Counter[int] = field(default_factory=Counter)
    lengths: array[int] = field(default_factory=lambda: array("I"))
    uncut: array[int] = field(default_factory=lambda: array("I"))
    answers: list[Counter[str]] = field(default_factory=list)
    many: set[int] = field(default_factory=set)
    short: Counter[str] = field(default_factory=Counter)
    short_places: dict[str, list[str]] = field(default_factory=dict)
    longest: list[tuple[int, int, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers = [Counter() for _ in self.paths]

    def add(self, sample: Sample) -> None:
        """Take one sample in."""
        number, rendered = sample.one.number, sample.rendered
        length = len(rendered.ids)
        self.samples[number] += 1
        self.tokens[number] += length
        self.trained[number] += rendered.trained
        self.lengths.append(length)
        self.uncut.append(length + rendered.cut)
        if len(self.longest) < LONGEST or length > self.longest[0][0]:
            entry = (length, -len(self.lengths), sets.place(sample.row))
            (heapq.heappush if len(self.longest) < LONGEST else heapq.heappushpop)(self.longest, entry)
        if sample.messages:
            self._answered(number, sample)
        every = max(1, len(self.lengths) // TEXTS_FOR_LANGUAGE)
        if len(self.texts) < TEXTS_FOR_LANGUAGE or len(self.lengths) % every == 0:
            self.texts.append(rendered.text if not sample.messages else " ".join(_said(sample)))
            if len(self.texts) >= 2 * TEXTS_FOR_LANGUAGE:
                self.texts = self.texts[::2]

    def left_out(self, rendered: Rendered) -> None:
        """Take in a row that is not trained on, for its length or its mask."""
        self.uncut.append(len(rendered.ids))

    def _answered(self, number: int, sample: Sample) -> None:
        answer = sample.reference.strip()
        if number not in self.many:
            counts = self.answers[number]
            counts[answer[: LONGEST_LABEL + 1]] += 1
            if len(counts) > MOST_LABELS:
                self.many.add(number)
                counts.clear()
        if len(answer) <= LONGEST_LABEL and sum(map(str.isalnum, answer)) <= NEAR_EMPTY:
            self.short[answer[:LONGEST_LABEL]] += 1
            places = self.short_places.setdefault(answer[:LONGEST_LABEL], [])
            if len(places) < FIRST_PLACES:
                places.append(sets.place(sample.row))

    def labels(self) -> list[Counter[str]]:
        """Answers and their rows, of each set whose answers are labels: few, short, and repeated."""
        return [
            counts
            for number, counts in enumerate(self.answers)
            if 1 < len(counts) <= max(2, self.samples[number] // 4)
            and all(len(answer) <= LONGEST_LABEL for answer in counts)
        ]

    def told(self, survey: Survey, held_out: bool) -> dict[str, Any]:
        """The report as plain data. held_out: rows were to be set aside for validation."""
        labels = self.labels()
        known = set().union(*labels)
        odd = [answer for answer in self.short if answer not in known]
        short = sum(self.short[answer] for answer in odd)
        places = [place for answer in odd for place in self.short_places[answer]]
        conflicts = survey.conflicts()
        return {
            "sources": [
                {
                    "path": path,
                    "samples": self.samples[i],
                    "tokens": self.tokens[i],
                    "trained_tokens": self.trained[i],
                }
                for i, path in enumerate(self.paths)
            ],
            "labels": sum(labels, Counter()).most_common(),
            "languages": languages(self.texts),
            "near_empty": {"rows": short, "first": places[:FIRST_PLACES]},
            "longest": [{"place": place, "tokens": n} for n, _, place in sorted(self.longest, reverse=True)],
            "conflicts": {
                "questions": len(conflicts),
                "first": [survey.place(number) for number in conflicts[:FIRST_PLACES]],
            },
            "warnings": list(_warnings(survey, labels, len(conflicts), short, held_out)),
        }

    def usual(self) -> int:
        """Tokens that 99 of 100 samples stay within; 0 without any."""
        lengths = sorted(self.lengths)
        return lengths[(len(lengths) - 1) * 99 // 100] if lengths else 0

    def histogram(self) -> list[tuple[int, int]]:
        """Rows by length before any cut, as (upper bound in tokens, rows).

        Bars are of one width; a last one takes the hundredth of the rows that is far longer than the rest.
        """
        lengths = sorted(self.uncut)
        if not lengths:
            return []
        usual = lengths[(len(lengths) - 1) * 99 // 100]
        most = lengths[-1] if lengths[-1] <= FAR * usual else usual
        width = max(1, -(-most // BARS))
        bars = Counter((length + width - 1) // width for length in lengths if length <= most)
        shown = [(bar * width, bars[bar]) for bar in range(1, max(bars) + 1)]
        longer = len(lengths) - bars.total()
        return [*shown, (lengths[-1], longer)] if longer else shown


def balance(rows: Iterable[Row]) -> list[str]:
    """In words, how often each value stands in the columns that hold few different ones."""
    counts: dict[str, Counter[str]] = {}
    total = 0
    for row in rows:
        total += 1
        for column, value in row.data.items():
            seen = counts.setdefault(column, Counter())
            if len(seen) <= MOST_LABELS and isinstance(value, str | int | float) and value != "":
                seen[str(value)[: LONGEST_LABEL + 1]] += 1
    few = {
        column: seen
        for column, seen in counts.items()
        if 1 < len(seen) <= min(MOST_LABELS, total // 4)
        and all(len(value) <= LONGEST_LABEL for value in seen)
    }
    return [
        f"{column}: {', '.join(f'{count:,} {value}' for value, count in seen.most_common(5))}"
        + (f" and {len(seen) - 5} more" if len(seen) > 5 else "")
        for column, seen in itertools.islice(few.items(), MOST_BALANCES)
    ]


def languages(texts: Iterable[str]) -> list[tuple[str, float]]:
    """Shares of the languages among some texts, as ISO 639-1 codes; too short ones are not guessed at."""
    long = [text for text in texts if len(text) >= SHORTEST_FOR_LANGUAGE or not text.isascii()]
    if not long:
        return []
    import py3langid

    found = Counter(py3langid.classify(text[:2000])[0] for text in long)
    return [(name, round(count / len(long), 3)) for name, count in found.most_common()]


def _said(sample: Sample) -> list[str]:
    return [message["content"] for message in sample.messages if message["content"]]


def _warnings(
    survey: Survey, labels: list[Counter[str]], conflicts: int, short: int, held_out: bool
) -> Iterable[str]:
    if conflicts:
        yield f"{_count(conflicts, 'question')} with more than one answer: the model can learn only one"
    for counts in labels:
        for label, count in counts.items():
            if count < RARE * counts.total():
                yield f"only {_count(count, 'row')} of {counts.total():,} say {label!r}: hardly to be learnt"
    if short:
        yield f"{_count(short, 'near-empty answer')}"
    if held_out and not len(survey.rows["validation"]):
        yield "no row is set aside for validation: there will be no validation loss"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
