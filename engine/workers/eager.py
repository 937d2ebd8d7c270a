"""Without an accelerator nothing is compiled; then torch's compiler need not be loaded either."""

from __future__ import annotations

import os


def uncompiled() -> None:
    """Call before Unsloth or bitsandbytes is imported.

    On a processor they compile nothing, but bitsandbytes wraps functions that nobody calls here in
    torch.compile, which loads the compiler: 2.2 of 10.7 seconds of a worker's start. The adapter comes out
    bit for bit the same.
    """
    import torch

    if not torch.accelerator.is_available():
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
