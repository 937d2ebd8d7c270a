"""What computes attention, as `train.attention` asks for it; and whether the loaded model goes by that.

- transformers' own classes take `attn_implementation` (what an Unsloth without a GPU loads, and with one the
  families for which it has no forward of its own).
- For llama, mistral, qwen2, qwen3 and their kin on a GPU Unsloth 2026.10.9 drops that argument (read): its
  own forwards take flash-attn where it is installed, else xformers, else torch's kernels, by two flags that
  they look at in every pass.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from engine.errors import UserError
from engine.schema import Attention

NAMES = {"sdpa": "sdpa", "flash": "flash_attention_2", "eager": "eager"}
"""transformers' for what a recipe calls flash, and so on."""


def asked(attention: Attention) -> dict[str, str]:
    """What loading a model is told; nothing where it is left to the libraries. Raises UserError for what
    cannot be here."""
    if attention == "flash" and not (torch.cuda.is_available() and find_spec("flash_attn")):
        missing = "the package flash-attn" if torch.cuda.is_available() else "a GPU"
        raise UserError(f'train.attention: flash needs {missing}, which is not here; set it to "sdpa"')
    return {} if attention == "model" else {"attn_implementation": NAMES[attention]}


def have(model: Any, attention: Attention) -> None:
    """Have Unsloth's own forwards take what is asked for, and see that the model does. Raises UserError."""
    if attention == "model":
        return
    found = _of_unsloth(attention) if _own_forwards(model) else model.config._attn_implementation
    if found != NAMES[attention]:
        raise UserError(
            f'train.attention: this model cannot be trained with {attention} here; set it to "model",'
            f" which takes {found}"
        )


def _own_forwards(model: Any) -> bool:
    """Whether its attention is computed by Unsloth and not by transformers."""
    forwards = (
        type(module).forward for module in model.modules() if type(module).__name__.endswith("Attention")
    )
    return any(forward.__module__.startswith("unsloth.models.") for forward in forwards)


def _of_unsloth(attention: Attention) -> str:
    """What its forwards take from now on."""
    from unsloth.utils import attention_dispatch

    if attention == "sdpa":
        attention_dispatch.HAS_FLASH_ATTENTION = attention_dispatch.HAS_XFORMERS = False
    return "flash_attention_2" if attention_dispatch.HAS_FLASH_ATTENTION else "sdpa"
