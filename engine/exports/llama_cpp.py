"""llama.cpp's own programs: where they are, and the command lines that make GGUF files with them."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError

VARIABLE = "LLAMA_CPP"
BELOW = ("", "build/bin", "bin")
"""Where its programs lie in a checkout, built or unpacked."""

CONVERT, CONVERT_LORA = "convert_hf_to_gguf.py", "convert_lora_to_gguf.py"
QUANTIZE, SERVER = "llama-quantize", "llama-server"

DIRECT = ("f16", "q8_0")
"""What the converter writes by itself; others are quantised from f16."""
TYPES = (*DIRECT, "q4_k_m", "lora")

BASE = "base-f16.gguf"
"""The file of what an adapter was trained on, beside an adapter alone."""

GET = (
    "llama.cpp is not on this machine: `git clone https://github.com/ggml-org/llama.cpp && cmake -B"
    " llama.cpp/build -S llama.cpp && cmake --build llama.cpp/build --target llama-quantize"
    " llama-server`, then --llama-cpp llama.cpp"
)


@dataclass(frozen=True)
class Tools:
    """Its programs that were found; None for those that were not."""

    convert: Path | None
    convert_lora: Path | None
    quantize: Path | None
    server: Path | None


def types(text: str) -> list[str]:
    """The types in "f16,q4_k_m". Raises UserError."""
    asked = [one.strip().lower() for one in text.split(",") if one.strip()]
    for one in asked:
        if one not in TYPES:
            raise UserError(f"--types {one}: no such type; there is {', '.join(TYPES)}")
    if not asked:
        raise UserError(f"--types: name what to make: {', '.join(TYPES)}")
    return list(dict.fromkeys(asked))


def found(folder: Path | None = None) -> Tools:
    """In the folder that was given, else in $LLAMA_CPP, else on PATH. Raises UserError for a folder that has
    none of it."""
    given = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    tools = Tools(*(_one(name, given) for name in (CONVERT, CONVERT_LORA, QUANTIZE, SERVER)))
    if given is not None and tools == Tools(None, None, None, None):
        raise UserError(f"{given}: neither {CONVERT} nor {QUANTIZE} is there; name llama.cpp's own folder")
    return tools


def check(tools: Tools, wanted: list[str]) -> None:
    """Raise UserError where a program is missing that these types need, with how to get it."""
    full = [one for one in wanted if one != "lora"]
    if (full and tools.convert is None) or ("lora" in wanted and tools.convert_lora is None):
        raise UserError(GET)
    if any(one not in DIRECT for one in full) and tools.quantize is None:
        raise UserError(
            f"{QUANTIZE} is not there, which q4_k_m needs: build llama.cpp, or ask for --types f16,q8_0"
        )


def convert(tools: Tools, model: Path, file: Path, kind: str) -> list[str]:
    """A model's folder into a file of a type that the converter writes by itself (see its --help)."""
    return [sys.executable, str(tools.convert), str(model), "--outfile", str(file), "--outtype", kind]


def convert_lora(tools: Tools, adapter: Path, base: Path, file: Path) -> list[str]:
    """PEFT's folder into a file; of the base its configuration is read."""
    words = [str(adapter), "--base", str(base), "--outfile", str(file), "--outtype", "f16"]
    return [sys.executable, str(tools.convert_lora), *words]


def quantize(tools: Tools, f16: Path, file: Path, kind: str) -> list[str]:
    """A file of 16 bits into one of a type of fewer (llama.cpp's tools/quantize/README.md)."""
    return [str(tools.quantize), str(f16), str(file), kind.upper()]


def _one(name: str, given: Path | None) -> Path | None:
    if given is not None:
        return next((given / below / name for below in BELOW if (given / below / name).is_file()), None)
    on_path = shutil.which(name)
    return Path(on_path) if on_path else None
