"""llama.cpp's own converter, told of a tokenizer what it does not find out by itself.

    python converter.py NAME convert_hf_to_gguf.py ITS ARGUMENTS...

NAME is how the tokenizer cuts text, in the words of engine/exports/pre_tokenizer.py, for one that the
converter does not know by its hash; "" where it knows it. Pieces of a tokenizer.json that has bytes to fall
back on then get the order of their merges, which the converter drops where no tokenizer.model is there. What
the file makes of text is held against the run's prompts, id by id, when the export is asked.
"""

import importlib
import json
import sys
from pathlib import Path

NEVER = -1e6
"""The score of a piece that no merge makes: below all ranks."""


def main() -> None:
    name, script, *words = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script, *words]
    converter = importlib.import_module(Path(script).stem)
    if name:
        _name(importlib.import_module("conversion.base").TextModel, name)
    else:
        _rank(importlib.import_module("gguf").LlamaHfVocab)
    converter.main()


def _name(model: type, name: str) -> None:
    known = model.get_vocab_base_pre  # type: ignore[attr-defined]

    def told(self: object, tokenizer: object) -> str:
        try:
            return str(known(self, tokenizer))
        except NotImplementedError:
            return name

    model.get_vocab_base_pre = told  # type: ignore[attr-defined]


def _rank(vocabulary: type) -> None:
    """llama.cpp joins the two neighbours whose piece has the highest score, the tokenizer those whose merge
    stands first in its list."""
    ranks: dict[int, float] = {}

    def score(self: object, token_id: int) -> float:
        if not ranks:
            ranks.update(scores(self.fname_tokenizer))  # type: ignore[attr-defined]
        return ranks.get(token_id, NEVER)

    vocabulary.get_token_score = score  # type: ignore[attr-defined]


def scores(tokenizer: Path) -> dict[int, float]:
    """By the ids of pieces: less the place in the list of the first merge that makes each."""
    model = json.loads(tokenizer.read_text("utf-8"))["model"]
    found: dict[int, float] = {}
    for place, merge in enumerate(model["merges"]):
        both = merge.split(" ", 1) if isinstance(merge, str) else merge
        found.setdefault(model["vocab"]["".join(both)], -float(place))
    return found


if __name__ == "__main__":
    main()
