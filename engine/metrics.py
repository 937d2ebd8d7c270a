"""Is an answer right, and in which form? Functions of plain text; what is summed over rows is in classes.py.

exact       the answer is the reference, white space at the ends aside
normalised  the same with case, punctuation and runs of white space aside
fields      every value of the row's `fields` stands in the answer as it is written there
choice      the choice that the answer names is the reference's
number      the last number of the answer is the last number of the reference
text        nothing is right or wrong; overlap with the reference is measured (overlap.py)
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.schema import Metric

# A minus stands at the start of a number, not between two: 10-3 ends with 3.
NUMBER = re.compile(r"(?:(?<!\w)[-−])?(?:\d{1,3}(?:[,\u202f]\d{3})+(?!\d)|\d+)(?:\.\d+)?")


def right(
    metric: Metric,
    row: Mapping[str, Any],
    reference: str,
    answer: str,
    ended: bool,
    choices: Sequence[str] = (),
) -> bool | None:
    """Whether an answer counts; None for free text. It must have ended by itself: a model that runs on is
    not right.
    """
    if metric == "text":
        return None
    if not ended:
        return False
    match metric:
        case "exact":
            return answer.strip() == reference.strip()
        case "normalised":
            return normalised(answer) == normalised(reference)
        case "choice":
            named = chosen(answer, choices)
            return named is not None and named == chosen(reference, choices)
        case "number":
            found = last_number(answer)
            return found is not None and found == last_number(reference)
    fields = row.get("fields")
    values = fields.values() if isinstance(fields, Mapping) else ()
    return bool(values) and all(str(value) in answer for value in values)


def normalised(text: str) -> str:
    """Compatible characters as one (NFKC), no case, no punctuation, one space between words."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (" " if unicodedata.category(char)[0] in "PZC" else char for char in folded)
    return " ".join("".join(kept).split())


def chosen(answer: str, choices: Sequence[str]) -> str | None:
    """The choice that an answer is, or the only one that stands in it as whole words; None if unclear."""
    said = normalised(answer)
    by_words = {normalised(choice): choice for choice in choices}
    if said in by_words:
        return by_words[said]
    standing = [words for words in by_words if words and f" {words} " in f" {said} "]
    # "not good" names "good" too: the longer choice is what was said.
    longest = [
        words for words in standing if not any(words != other and words in other for other in standing)
    ]
    return by_words[longest[0]] if len(longest) == 1 else None


def last_number(text: str) -> Decimal | None:
    """The last number in a text: 1,234.50 and −3 are numbers; None where there is none."""
    found = NUMBER.findall(text)
    if not found:
        return None
    try:
        return Decimal(re.sub(r"[,\u202f]", "", found[-1]).replace("−", "-"))
    except InvalidOperation:
        return None


def valid(form: str, answer: str) -> bool | None:
    """Whether an answer has the form that the recipe asks for: "json", or a regular expression for the whole
    of it; None where it asks for none.
    """
    if not form:
        return None
    if form != "json":
        return re.fullmatch(form, answer.strip(), re.DOTALL) is not None
    try:
        json.loads(answer)
    except ValueError:
        return False
    return True
