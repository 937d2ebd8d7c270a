"""Text that somebody has already put into a chat template: known by the markers around its answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Markers:
    """One family: its marker, what stands before an answer and closes it, what opens a turn, its BOS."""

    name: str
    marker: str
    before: str
    end: str
    turn: str
    begin: str = ""

    @cached_property
    def answers(self) -> re.Pattern[str]:
        """Matches an answer as its group, with its end marker where that is there."""
        before, end, turn = map(re.escape, (self.before, self.end, self.turn))
        return re.compile(f"{before}[ \\t]*\\n*(.*?(?:{end}|(?={turn})|\\Z))", re.DOTALL)


MARKERS = (
    Markers("ChatML", "<|im_start|>", "<|im_start|>assistant", "<|im_end|>", "<|im_start|>"),
    Markers("Llama 3", "<|start_header_id|>", "<|start_header_id|>assistant<|end_header_id|>", "<|eot_id|>",
            "<|start_header_id|>", "<|begin_of_text|>"),
    Markers("Gemma", "<start_of_turn>", "<start_of_turn>model", "<end_of_turn>", "<start_of_turn>", "<bos>"),
    Markers("Llama 2", "[INST]", "[/INST]", "</s>", "[INST]", "<s>"),
    Markers("Phi", "<|assistant|>", "<|assistant|>", "<|end|>", "<|user|>"),
    Markers("Zephyr", "<|assistant|>", "<|assistant|>", "</s>", "<|user|>"),
    Markers("DeepSeek", "<｜Assistant｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "<｜User｜>",
            "<｜begin▁of▁sentence｜>"),
)  # fmt: skip
BY_NAME = {markers.name: markers for markers in MARKERS}


def find(text: str) -> Markers | None:
    """The markers that stand before an answer in this text."""
    found = [markers for markers in MARKERS if markers.before in text and markers.marker in text]
    closed = [markers for markers in found if markers.end in text]
    return next(iter(closed or found), None)


def answers(text: str, name: str) -> Sequence[tuple[int, int]]:
    """The characters that are answers, with their end markers."""
    return [match.span(1) for match in BY_NAME[name].answers.finditer(text)]
