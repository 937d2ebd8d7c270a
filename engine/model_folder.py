"""What the files in one model folder say, and why such a folder cannot be trained."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from engine import weights
from engine.errors import UserError

CAUSAL = ("ForCausalLM", "LMHeadModel")
"""Ends of the names of architectures that continue text and do nothing else."""


PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""Files of weights that only a pickle reader could load."""

END_BYTES = 1 << 20
"""Of each end of a weight file, for its fingerprint."""


def resolve(path: Path) -> Path:
    """The absolute folder, if it holds a config.json. Raises UserError."""
    if not path.exists():
        raise UserError(f"{path}: no such model folder; give a folder with config.json, or org/name")
    if not path.is_dir():
        raise UserError(f"{path} is a file; give the folder that holds config.json and *.safetensors")
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: {_why_no_config(path)}")
    return path.resolve()


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a model that can be trained, with its weights there. Raises UserError."""
    config = _json(path / "config.json")
    if not is_causal(config):
        raise UserError(
            f"{path}: {config['architectures'][0]} is not a text-only causal language model; "
            "choose one whose config.json says ...ForCausalLM"
        )
    if own := _own_code(config):
        raise UserError(f"{path}: {own}")
    if not weights.shards(path):
        raise UserError(f"{path}: {_why_no_weights(path)}")
    return config


def is_causal(config: dict[str, Any]) -> bool:
    """Whether the architecture that config.json names is a text-only causal language model."""
    return str(config["architectures"][0]).endswith(CAUSAL)


def holds_another_kind(path: Path) -> bool:
    """Whether the folder is readable and holds something else: an encoder, a model of pictures."""
    try:
        return not is_causal(_json(path / "config.json"))
    except UserError:
        return False


def licence(path: Path) -> str:
    """The licence that the head of the model card names, or ""."""
    try:
        with (path / "README.md").open("rb") as file:
            head = file.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""
    named = re.search(r"^licen[sc]e(?:_name)?:\s*[\"']?([^\s\"']+)", head, re.MULTILINE)
    return named[1] if named else ""


def has_template(path: Path) -> bool:
    """Whether the tokenizer brings a chat template of its own."""
    if (path / "chat_template.jinja").is_file() or (path / "chat_template.json").is_file():
        return True
    try:
        settings = json.loads((path / "tokenizer_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and bool(settings.get("chat_template"))


def fingerprint(path: Path) -> str:
    """A sha256 by which a changed model is noticed: config, tokenizer, and both ends of each weight file.

    Weights of many gigabytes are not read whole: another training changes every part of them.
    """
    total = hashlib.sha256()
    for name in ("config.json", "tokenizer.json"):
        total.update((path / name).read_bytes() if (path / name).is_file() else b"-")
    for file in weights.shards(path):
        size = file.stat().st_size
        total.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            total.update(stream.read(END_BYTES))
            stream.seek(max(0, size - END_BYTES))
            total.update(stream.read(END_BYTES))
    return total.hexdigest()


def _json(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not readable JSON ({error}); download the model again") from None
    match config:
        case {"architectures": [str(), *_]}:
            return dict(config)
    raise UserError(f"{file}: names no architecture; give a causal language model's folder")


def _own_code(config: dict[str, Any]) -> str:
    """Why a model cannot be had without the Python code beside it; "" where the libraries know its kind."""
    if "auto_map" not in config:
        return ""
    kind = str(config.get("model_type"))
    library = importlib.util.find_spec("transformers")  # to import it takes seconds
    known = Path(library.origin).parent / "models" if library and library.origin else Path()
    if re.fullmatch(r"[\w-]+", kind) and (known / kind.replace("-", "_") / "__init__.py").is_file():
        return ""  # the library's own class is taken, and the code beside the model is not
    return (
        f"model_type {kind} needs the Python code that comes with it (auto_map), which is never run; "
        "take a model whose kind transformers knows by itself"
    )


def _why_no_config(path: Path) -> str:
    if (path / "adapter_config.json").is_file():
        return "this is an adapter, not a model; name the base model it was trained on"
    if any(path.glob("*.gguf")):
        return "only GGUF files, which cannot be trained; get this model's safetensors version"
    return "no config.json; give a Hugging Face model folder, or org/name"


def _why_no_weights(path: Path) -> str:
    if pickled := next((ending for ending in PICKLED if any(path.glob(ending))), ""):
        return (
            f"weights only as pickle ({pickled}), which can run code when loaded; "
            "convert them to safetensors, or take a version that has them"
        )
    if any(path.glob("*.gguf")):
        return _why_no_config(path)
    return "no weights (model.safetensors) beside config.json; download the model again"
