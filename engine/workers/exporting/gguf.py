"""GGUF files by llama.cpp's own converter, each begun with the four bytes that such a file begins with."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.errors import RunFailed
from engine.exports import llama_cpp
from engine.exports.llama_cpp import Tools
from engine.workers.io import Stopped

MAGIC = b"GGUF"
SECONDS_BETWEEN_LOOKS = 0.1


def fill(
    tools: Tools,
    types: list[str],
    model: Path | None,
    adapter: Path | None,
    base: Path,
    out: Path,
    cancelled: Callable[[], bool],
) -> None:
    """Write a file of each type into a folder. Raises RunFailed with the converter's last word."""
    for kind in types:
        file = out / f"{'adapter' if kind == 'lora' else 'model'}-{kind}.gguf"
        source = adapter if kind == "lora" else model
        assert source is not None
        for command in llama_cpp.commands(tools, kind, source, base, file):
            _run(command, cancelled)
        for left in out.glob("*.f16.gguf"):
            left.unlink()
        _check(file)


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
