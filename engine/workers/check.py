"""Child of the front end: quantises a small matrix to 4 bits and multiplies with it. Does that work here?"""

from __future__ import annotations

from typing import Any

from engine.workers.io import Channel

WIDTH = 64
"""Of the matrix, in weights: one NF4 block a row."""

HIGHEST_ERROR = 0.2
"""Relative error of the product; NF4 on normal weights gives about 0.1, a broken kernel gives 1 or NaN."""


def main() -> None:
    channel = Channel()
    facts: dict[str, Any] = {"torch": "", "cuda": False, "device": "", "four_bit": False, "problem": ""}
    try:
        _check(facts)
    except Exception as error:  # whatever a broken install raises is the finding itself
        facts["problem"] = f"{type(error).__name__}: {error}"
    channel.say("checked", **facts)


def _check(facts: dict[str, Any]) -> None:
    import torch

    facts["torch"] = torch.__version__
    facts["cuda"] = torch.cuda.is_available()
    facts["device"] = torch.cuda.get_device_name(0) if facts["cuda"] else "cpu"

    from bitsandbytes import functional
    from bitsandbytes.nn import Linear4bit

    device = "cuda" if facts["cuda"] else "cpu"
    torch.manual_seed(0)
    layer = Linear4bit(WIDTH, WIDTH, bias=False, compute_dtype=torch.float32, quant_type="nf4")
    exact = layer.weight.detach().clone().float()
    layer = layer.to(device)
    rows = torch.randn(8, WIDTH)
    product = layer(rows.to(device)).float().cpu()
    expected = rows @ exact.T
    error = float((product - expected).norm() / expected.norm())
    stored = functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float().cpu()
    if layer.weight.dtype != torch.uint8 or stored.shape != exact.shape:
        facts["problem"] = f"the layer was not quantised (stored as {layer.weight.dtype})"
    elif not error < HIGHEST_ERROR:
        facts["problem"] = f"a 4-bit product is off by {error:.0%}"
    else:
        facts["four_bit"] = True


if __name__ == "__main__":
    main()
