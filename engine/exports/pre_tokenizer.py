"""What llama.cpp calls the way in which a tokenizer cuts text before its merges.

Its converter knows tokenizers by a hash of what they make of one text, and refuses all others, though most of
them cut text in one of a few ways. The names and patterns are those of llama.cpp's src/llama-vocab.cpp.
"""

from __future__ import annotations

from typing import Any

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
REST = " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

PATTERNS = {
    f"{CONTRACTIONS}|{WORDS}|\\p{{N}}{{1,3}}|{REST}": "llama-bpe",
    f"{CONTRACTIONS}|{WORDS}|\\p{{N}}|{REST}": "qwen2",
}
"""Of tokenizers that cut by a pattern of their own and turn what it finds into bytes."""

Step = dict[str, Any]


def named(step: Step | None) -> str | None:
    """llama.cpp's name for "pre_tokenizer" of a tokenizer.json; None where it has none for it."""
    match _steps(step):
        case [last] if _gpt2(last):
            return "gpt-2"
        case [{"type": "Digits", "individual_digits": True}, last] if _gpt2(last):
            return "smollm"  # each digit by itself, then as GPT-2
        case [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}, last]:
            return PATTERNS.get(pattern) if _bytes(last) and not last.get("use_regex", True) else None
        case _:
            return None


def _steps(step: Step | None) -> list[Step]:
    if step is None:
        return []
    return list(step["pretokenizers"]) if step.get("type") == "Sequence" else [step]


def _gpt2(step: Step) -> bool:
    return _bytes(step) and bool(step.get("use_regex", True))


def _bytes(step: Step) -> bool:
    return step.get("type") == "ByteLevel" and not step.get("add_prefix_space", True)
