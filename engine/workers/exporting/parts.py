"""Files that every folder with a model in it needs: tokenizer, chat template, stop tokens, licence."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import render
from engine.formats import Message, Unusable
from engine.render import ChatFormat

TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "tokenizer.model", "vocab.json", "merges.txt", "spiece.model",
)  # fmt: skip

LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*", "COPYING*")

ASKED: list[Message] = [{"role": "user", "content": "Hello"}]

NOT_THINKING = "{%- if enable_thinking is not defined %}{%- set enable_thinking = false %}{%- endif %}\n"
"""For templates whose prompt leaves a thought open unless told not to: in training none was thought."""


def tokenizer(chat: ChatFormat, saved: Path, base: Path | None, out: Path) -> None:
    """Tokenizer files as they lie beside the adapter, the base's where only it has them, and the template."""
    for name in TOKENIZER:
        source = next((f / name for f in (saved, base) if f is not None and (f / name).is_file()), None)
        if source is not None:
            shutil.copyfile(source, out / name)
    render.save_templates(asking(chat), out)


def asking(chat: ChatFormat) -> ChatFormat:
    """The format with a template whose generation prompt is what stood before the answers in training.

    Others will ask with add_generation_prompt. Where that writes something else, a template is told not to
    think, or gets what it leaves out (an empty thought, a channel, a space) at its end; where neither gives
    the prompt of training it stays, and the check of the prompts says that it differs.
    """
    try:
        wanted = chat.prompt(ASKED)
        rest = wanted.removeprefix(chat.written(ASKED, asking=True)[0])
        added = f"{{% if add_generation_prompt %}}{{{{ {json.dumps(rest)} }}}}{{% endif %}}"
        ways = (
            chat.template,
            NOT_THINKING + chat.template,
            chat.template.removesuffix("\n") + added,  # Jinja drops a newline at a template's end
        )
        for template in ways:
            if replace(chat, template=template).written(ASKED, asking=True)[0] == wanted:
                return replace(chat, template=template)
    except Unusable:
        pass
    return chat


def generation_config(chat: ChatFormat, base: Path | None, out: Path) -> None:
    """generation_config.json: what stops an answer, begin and padding, and nothing that colours it.

    The base model's own sampling settings were made for another model and are not what was measured.
    """
    config = _json(base / "config.json") | _json(base / "generation_config.json") if base else {}
    stops = chat.stop_ids
    pad = _id(chat, "pad_token")
    pad = config.get("pad_token_id") if pad is None else pad
    facts = {
        "bos_token_id": chat.begin_id if chat.begin_id is not None else config.get("bos_token_id"),
        "eos_token_id": stops if len(stops) != 1 else stops[0],
        "pad_token_id": pad if pad is not None else (stops[0] if stops else None),
    }
    kept = {key: value for key, value in facts.items() if value is not None}
    (out / "generation_config.json").write_text(json.dumps(kept, indent=2) + "\n", "utf-8")


def licences(base: Path | None, out: Path) -> list[str]:
    """The base's licence and notices, copied; their names."""
    files = sorted({file for pattern in LICENCES for file in base.glob(pattern)}) if base else []
    for file in files:
        if file.is_file():
            shutil.copyfile(file, out / file.name)
    return [file.name for file in files]


def _id(chat: ChatFormat, name: str) -> int | None:
    found: int | None = chat.tokenizer.token_to_id(chat.special_tokens.get(name, ""))
    return found


def _json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
