"""GGUF files by llama.cpp's own converter, each begun with the four bytes that such a file begins with."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.errors import RunFailed
from engine.exports import llama_cpp, pre_tokenizer
from engine.exports.llama_cpp import Tools
from engine.workers.io import Stopped

MAGIC = b"GGUF"
SECONDS_BETWEEN_LOOKS = 0.1

UNKNOWN = "pre-tokenizer was not recognized"
"""In the converter's last word, where it knows no hash of this tokenizer."""


def fill(
    tools: Tools,
    types: list[str],
    model: Path,
    adapter: Path,
    base: Path,
    out: Path,
    cancelled: Callable[[], bool],
    bare: tuple[Path, Path] | None = None,
) -> list[str]:
    """Write a file of each type into a folder; what a person should know of them, one sentence each.

    model: the folder of the merged model; adapter and base: those of the adapter and of what it was trained
    on, for "lora"; bare: a model without the adapter, to be written as well, and into which file. Raises
    RunFailed with the converter's last word.
    """
    whole = [kind for kind in types if kind != "lora"]
    rounded = [kind for kind in whole if kind not in llama_cpp.DIRECT]
    first = out / name("f16")
    wanted = [(model, out / name(kind), kind) for kind in whole if kind not in rounded]
    if rounded and "f16" not in whole:
        wanted.append((model, first, "f16"))
    if bare is not None:
        wanted.append((*bare, "f16"))
    cut = ""
    for source, file, kind in wanted:
        cut = _converted(llama_cpp.convert(tools, source, file, kind), source, cut, cancelled)
        _check(file)
    for kind in rounded:
        _run(llama_cpp.quantize(tools, first, out / name(kind), kind), cancelled)
        _check(out / name(kind))
    if "lora" in types:
        _run(llama_cpp.convert_lora(tools, adapter, base, out / name("lora")), cancelled)
        _check(out / name("lora"))
    if "f16" not in whole:
        first.unlink(missing_ok=True)
    if not cut:
        return []
    return [f"llama.cpp does not know its tokenizer: it is marked as {cut}, which cuts text the same way"]


def _converted(command: list[str], model: Path, cut: str, cancelled: Callable[[], bool]) -> str:
    """Run the converter, once more with a word on the tokenizer where it does not know that; the word."""
    told = [sys.executable, str(Path(__file__).with_name("converter.py"))]
    if _loses_merges(model):
        _run([*told, "", *command[1:]], cancelled)
        return ""
    if not cut:
        try:
            _run(command, cancelled)
            return ""
        except RunFailed as error:
            if UNKNOWN not in str(error):
                raise
        cut = _cut(model)
    _run([*told, cut, *command[1:]], cancelled)
    return cut


def _loses_merges(model: Path) -> bool:
    """Whether the converter reads pieces with bytes to fall back on from tokenizer.json: it gives all of them
    the same score, and the order of their merges is lost."""
    if (model / "tokenizer.model").is_file() or not (model / "tokenizer.json").is_file():
        return False
    own = json.loads((model / "tokenizer.json").read_text("utf-8")).get("model") or {}
    return own.get("type") == "BPE" and bool(own.get("byte_fallback"))


def name(kind: str) -> str:
    """Of the file of a type."""
    return f"{'adapter' if kind == 'lora' else 'model'}-{kind}.gguf"


def _cut(model: Path) -> str:
    """What llama.cpp calls the way in which a model's tokenizer cuts text. Raises RunFailed."""
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))
    found = pre_tokenizer.named(tokenizer["pre_tokenizer"])
    if found is None:
        raise RunFailed(
            "llama.cpp has no way to cut text as the base's tokenizer does, and its file would answer other"
            " prompts than were asked; export merged instead"
        )
    return found


def _run(command: list[str], cancelled: Callable[[], bool]) -> None:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            while process.poll() is None:
                if cancelled():
                    raise Stopped("cancelled")
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").strip().splitlines()
            name = next(
                (Path(word).name for word in command if "llama" in word or "convert" in word), command[0]
            )
            raise RunFailed(f"llama.cpp's {name} failed: {lines[-1] if lines else process.returncode}")


def _check(file: Path) -> None:
    """Raise RunFailed where the converter ended well and left no GGUF file."""
    try:
        with file.open("rb") as stream:
            right = stream.read(4) == MAGIC
    except OSError:
        right = False
    if not right:
        raise RunFailed(f"llama.cpp's converter wrote no GGUF file ({file.name})")
