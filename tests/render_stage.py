"""Real chat templates and tokenizers for the tests of rendering: those that installed packages carry."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine import RECIPES
from engine.formats import Conversation, Message
from tests.conftest import CASES

TINY = RECIPES / "models" / "tiny"
TOKENIZERS = {
    path.name: path
    for path in [
        TINY,
        *(CASES / "tokenizers" / name for name in ("gpt2", "mistral-v3", "qwen-mini-8k", "qwen3")),
    ]
    if path.is_dir()
}

LOOKS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "How it is outside",
            "parameters": {
                "type": "object",
                "properties": {"town": {"type": "string"}},
                "required": ["town"],
            },
        },
    }
]
CALL = {
    "id": "abcdefgh1",
    "type": "function",
    "function": {"name": "weather", "arguments": {"town": "Zürich"}},
}


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _answer(text: str, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}  # type: ignore[typeddict-item]


SYSTEM: Message = {"role": "system", "content": "Be brief: answer in one word."}
SHAPES: dict[str, Conversation] = {
    "one turn": Conversation([_user("What colour is it?"), _answer("Green.")]),
    "system": Conversation([SYSTEM, _user("What colour is it?"), _answer("Green.")]),
    "turns": Conversation(
        [
            _user("What colour is it?"),
            _answer("Green."),
            _user("And the price?"),
            _answer("45 dollars, 龍 and 🙂"),
        ]
    ),
    "one letter": Conversation([_user("a"), _answer("b"), _user("a"), _answer("a")]),
    "white space": Conversation(
        [_user(" \n What?  "), _answer("\n  Green.\n\n"), _user("Why?"), _answer("So. ")]
    ),
    "questions in a row": Conversation([_user("What?"), _user("Well?"), _answer("Green.")]),
    "system in the middle": Conversation(
        [_user("What?"), _answer("Green."), SYSTEM, _user("Why?"), _answer("So.")]
    ),
    "thought": Conversation([_user("What?"), _answer("Green.", reasoning_content="It was green before.")]),
    "tools": Conversation(
        [
            _user("Is it cold in Zürich?"),
            _answer("", tool_calls=[CALL]),
            {"role": "tool", "name": "weather", "tool_call_id": "abcdefgh1", "content": "-3 degrees"},
            _answer("Yes."),
        ],
        LOOKS,
    ),
}


@cache
def templates() -> dict[str, str]:
    """Every chat template of trl and unsloth under the package's name and its own."""
    found: dict[str, str] = {}
    for name, source in (*_of_trl(), *_of_unsloth()):
        if source not in found.values():
            found[name] = source
    return found


def _of_trl() -> Iterator[tuple[str, str]]:
    spec = find_spec("trl")
    if spec is not None and spec.origin:
        for file in sorted((Path(spec.origin).parent / "chat_templates").glob("*.jinja")):
            yield f"trl {file.stem}", file.read_text("utf-8")


def _of_unsloth() -> Iterator[tuple[str, str]]:
    """Unsloth's are strings in a module that takes long to import: only its assignments are run."""
    spec = find_spec("unsloth")
    if spec is None or not spec.origin:
        return
    tree = ast.parse((Path(spec.origin).parent / "chat_templates.py").read_text("utf-8"))
    names: dict[str, Any] = {"_ollama_template": str, "CHAT_TEMPLATES": {}, "DEFAULT_SYSTEM_MESSAGE": {}}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            try:
                exec(compile(ast.Module([statement], []), "unsloth", "exec"), names)
            except (NameError, KeyError):
                continue  # what needs the imports is no template
    for name, (source, *_) in names["CHAT_TEMPLATES"].items():
        yield f"unsloth {name}", source.replace("{system_message}", "Answer what is asked.")


def with_template(folder: Path, template: str, model: Path = TINY) -> Path:
    """A copy of a model's tokenizer with another chat template."""
    shutil.copytree(model, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    folder.chmod(0o755)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    return folder


CONTROL = re.compile(r"<[|｜]?/?[A-Za-z_▁\d]+[|｜]?>|<\|[A-Za-z_\d]+>|\[/?[A-Z_]+\]")


def knowing_all(folder: Path) -> Path:
    """The embedded model's tokenizer, to which the control tokens of all these templates were added."""
    from tokenizers import AddedToken, Tokenizer

    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = {name for source in templates().values() for name in CONTROL.findall(source)}
    names = sorted(name for name in found if "think" not in name and "tool" not in name.lower())
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
