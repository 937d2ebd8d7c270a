"""Reads a model's tokenizer, and chooses the chat template: the model's own, a layout, or a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import RECIPES
from engine.errors import UserError
from engine.formats import Message, Unusable
from engine.render.chat import ChatFormat
from engine.schema import TrainOn

LAYOUTS = RECIPES / "chat_templates"
OWN = "the model's own"
PLAIN = "plain"
"""The layout of models that have no template."""

# What every chat template is tried with when it is chosen, so that a broken one is told at once.
GREETING: list[Message] = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
]


def load(folder: Path, template: str = "", train_on: TrainOn = "answers") -> ChatFormat:
    """Tokenizer and chat template from a model's folder. Raises UserError.

    template: "" for the model's own, or the plain layout where it has none; the name of one of the model's
    templates or of a shipped layout; or a .jinja file.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file():
        raise UserError(f"{folder}: no tokenizer.json; save the model's fast tokenizer there")
    try:
        tokenizer = Tokenizer.from_file(str(file))
        config = _json(folder / "tokenizer_config.json")
        own = _own(folder, config)
        special = {**_json(folder / "special_tokens_map.json"), **config}
    except Exception as error:  # the library raises bare Exception for a file it cannot read
        raise UserError(
            f"{folder}: its tokenizer cannot be read ({error}); download the model again"
        ) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    names = {key: _content(value) for key, value in special.items() if key.endswith("_token")}
    known = {key: value for key, value in names.items() if value is not None}
    source, origin = _chosen(folder, own, template)
    adds_bos = config.get("add_bos_token") is True
    chat = ChatFormat(
        tokenizer, source, origin, known, adds_bos, train_on, tool_template=_for_tools(own, template)
    )
    _try(chat)
    return chat


def with_template(chat: ChatFormat, folder: Path, template: str, train_on: TrainOn) -> ChatFormat:
    """The same tokenizer with another template, or other parts that are trained. Raises UserError."""
    own = _own(folder, _json(folder / "tokenizer_config.json"))
    source, origin = _chosen(folder, own, template)
    other = replace(
        chat, template=source, origin=origin, train_on=train_on, tool_template=_for_tools(own, template)
    )
    _try(other)
    return other


def save_templates(chat: ChatFormat, folder: Path) -> None:
    """Put the templates into a folder with a tokenizer, so that `load` and transformers take these alone."""
    config = folder / "tokenizer_config.json"
    settings = _json(config)
    if settings.pop("chat_template", None) is not None:
        config.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "chat_template.jinja").write_text(chat.template, "utf-8")
    if chat.tool_template:
        (folder / "additional_chat_templates").mkdir(exist_ok=True)
        (folder / "additional_chat_templates" / "tool_use.jinja").write_text(chat.tool_template, "utf-8")


def layouts() -> list[str]:
    """The names of the shipped layouts."""
    return sorted(file.stem for file in LAYOUTS.glob("*.jinja"))


def own_templates(folder: Path) -> list[str]:
    """The names of the model's own chat templates; "default" is the one that is taken unasked."""
    return sorted(_own(folder, _json(folder / "tokenizer_config.json")))


def _chosen(folder: Path, own: dict[str, str], asked: str) -> tuple[str, str]:
    """The template's source, and what it is called. Raises UserError."""
    if asked.endswith(".jinja"):
        return _read(Path(asked)), asked
    if asked in own:
        return own[asked], OWN if asked == "default" else f"{OWN}, {asked}"
    if asked and asked not in layouts():
        has = f"this model has {', '.join(sorted(own))}" if own else "this model has none"
        raise UserError(
            f"data.chat_template: no template {asked}; {has}; the layouts are {', '.join(layouts())};"
            " a file's name ends in .jinja"
        )
    if asked or not own:
        name = asked or PLAIN
        return _read(LAYOUTS / f"{name}.jinja"), name
    if "default" not in own and len(own) > 1:
        raise UserError(
            f"{folder}: none of its chat templates is the default; choose {' or '.join(sorted(own))}"
        )
    return own.get("default", next(iter(own.values()))), OWN


def _for_tools(own: dict[str, str], asked: str) -> str:
    """transformers takes this one unasked where there are tools, in the default's place."""
    return own.get("tool_use", "") if asked in ("", "default") else ""


def _own(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """The model's chat templates by name."""
    listed = config.get("chat_template")
    found: dict[str, str] = {}
    if isinstance(listed, list):
        found = {entry["name"]: entry["template"] for entry in listed}
    elif isinstance(listed, str) and listed:
        found = {"default": listed}
    for file in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        found[file.stem] = file.read_text("utf-8")
    if (folder / "chat_template.jinja").is_file():
        found["default"] = (folder / "chat_template.jinja").read_text("utf-8")
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"data.chat_template: {file} cannot be read ({error}); name a text file") from None


def _try(chat: ChatFormat) -> None:
    """Raises UserError for a template that is no Jinja, or takes too long or too much for a greeting."""
    from jinja2 import TemplateSyntaxError

    from engine.render import chat_templates

    try:
        chat_templates.compiled(chat.template)
        chat.written(GREETING)
    except TemplateSyntaxError as error:
        raise UserError(
            f"the chat template ({chat.origin}), line {error.lineno}: {error.message}; mend it, or"
            " choose another in data.chat_template"
        ) from None
    except Unusable as error:
        if isinstance(error.__context__, chat_templates.Exceeded):
            raise UserError(
                f"the chat template ({chat.origin}) cannot be used: {error.detail}; choose another in"
                " data.chat_template"
            ) from None


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def _content(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token if isinstance(token, str) else None
