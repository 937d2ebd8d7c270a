"""llama.cpp's own converter, told how a tokenizer cuts text that it does not know by its hash.

    python converter.py NAME convert_hf_to_gguf.py ITS ARGUMENTS...

NAME is what engine/exports/pre_tokenizer.py calls it. What the file then makes of text is held against the
run's prompts, id by id, when the export is asked.
"""

import importlib
import sys
from pathlib import Path


def main() -> None:
    name, script, *words = sys.argv[1:]
    sys.path.insert(0, str(Path(script).parent))
    sys.argv = [script, *words]
    converter = importlib.import_module(Path(script).stem)
    model = importlib.import_module("conversion.base").TextModel
    known = model.get_vocab_base_pre

    def told(self: object, tokenizer: object) -> str:
        try:
            return str(known(self, tokenizer))
        except NotImplementedError:
            return name

    model.get_vocab_base_pre = told
    converter.main()


if __name__ == "__main__":
    main()
