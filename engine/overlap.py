"""How much of a reference an answer says: ROUGE, on words of any language.

rouge-score, the usual library, takes ASCII letters alone for words: an answer in Chinese or Russian scores 0
whatever it says. The figures here equal its own on English text without its stemmer. BLEU and chrF come from
sacrebleu (engine/workers/corpus.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# Scripts without spaces between words count character by character.
WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+"
)


def words(text: str) -> list[str]:
    """Words in small letters, without punctuation."""
    return WORD.findall(text.lower())


def rouge_n(reference: Sequence[str], answer: Sequence[str], n: int) -> float:
    """F1 of n-grams in common (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries")."""
    wanted, said = _grams(reference, n), _grams(answer, n)
    return _f1((wanted & said).total(), wanted.total(), said.total())


def rouge_l(reference: Sequence[str], answer: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words (Lin 2004)."""
    row = [0] * (len(answer) + 1)
    for word in reference:
        before = 0
        for i, said in enumerate(answer, 1):
            here = row[i]
            row[i] = before + 1 if word == said else max(here, row[i - 1])
            before = here
    return _f1(row[-1], len(reference), len(answer))


def rouge(reference: str, answer: str) -> dict[str, float]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of one answer, from 0 to 1."""
    wanted, said = words(reference), words(answer)
    return {
        "rouge1": rouge_n(wanted, said, 1),
        "rouge2": rouge_n(wanted, said, 2),
        "rougeL": rouge_l(wanted, said),
    }


def _grams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def _f1(common: int, wanted: int, said: int) -> float:
    if not common:
        return 0.0
    precision, recall = common / said, common / wanted
    return 2 * precision * recall / (precision + recall)
