"""BLEU and chrF of a whole set of answers, by sacrebleu."""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics import BLEU, CHRF


def bleu(references: Sequence[str], answers: Sequence[str]) -> float:
    """Corpus BLEU from 0 to 100 (Papineni et al. 2002), as sacrebleu computes it by default."""
    split = "zh" if _mostly_han(references) else "13a"
    return float(BLEU(tokenize=split).corpus_score(list(answers), [list(references)]).score)


def chrf(references: Sequence[str], answers: Sequence[str]) -> float:
    """Corpus chrF from 0 to 100 (Popović 2015)."""
    return float(CHRF().corpus_score(list(answers), [list(references)]).score)


def _mostly_han(texts: Sequence[str]) -> bool:
    text = "".join(texts)
    return sum("\u4e00" <= char <= "\u9fff" for char in text) * 4 > len(text)
