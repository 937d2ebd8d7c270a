"""The highest memory of this process since a moment: the GPU's where there is one, else the host's."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import torch

from engine import footprint


def forget() -> None:
    """Begin anew: what was higher before is forgotten."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # what the allocator keeps of a former moment is not this one's
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:  # not allowed here: then the peak is that of the whole life
        pass


def read() -> int:
    """Bytes: what torch reserved at most with the context beside it, or the largest resident set."""
    return _gpu() if torch.cuda.is_available() else resident()


def resident() -> int:
    """Bytes of the largest resident set."""
    try:
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _gpu() -> int:
    return int(torch.cuda.max_memory_reserved()) + context()


def context() -> int:
    """Bytes of the GPU that this process has beside torch's own; the forecast's figure where NVML is silent.

    NVML counts processes by the numbers of the machine: in a container it does not know this one.
    """
    try:
        import pynvml

        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except Exception:  # no package, no driver that answers, or a GPU in parts
        processes = []
    ours = next((one.usedGpuMemory for one in processes if one.pid == os.getpid()), None)
    return ours - torch.cuda.memory_reserved() if ours else footprint.CUDA_CONTEXT
