"""What this machine has: GPUs as NVML sees them, and the host. Never raises."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Gpu:
    """One GPU now. None where the driver does not say (power of a laptop chip)."""

    index: int
    name: str
    total: int | None
    used: int | None
    free: int | None
    utilisation: int | None
    """Percent of the last sampling period in which a kernel ran."""
    temperature: int | None
    """Degrees Celsius."""
    power: float | None
    """Watts."""
    driver: str
    uuid: str = ""
    power_limit: float | None = None
    """Watts."""
    slowed: tuple[str, ...] = ()
    """Why its clocks are held back now, in words; not because it is idle or was set so."""
    holders: tuple[tuple[int, int], ...] = ()
    """Processes with memory on it, and how much: (pid, bytes), as far as the driver says."""
    capability: tuple[int, int] | None = None
    """CUDA's number for what it can do: (8, 0) is an A100, (9, 0) an H200."""

    def held_by(self, pid: int | None) -> int | None:
        """Bytes that a process holds; None where the driver does not know it (of another container)."""
        return dict(self.holders).get(pid) if pid is not None else None


# nvml.h, nvmlClocksEventReason*: what is not the user's own choice, and not idleness.
SLOWED = {
    0x04: "its power limit",
    0x08: "the hardware (power or heat)",
    0x20: "heat",
    0x40: "heat (the hardware)",
    0x80: "the power supply (brake)",
}


@dataclass(frozen=True)
class Host:
    """The machine around the GPU now. Bytes; `cpu` in percent of all cores since the last look."""

    memory_total: int
    memory_available: int
    memory_used: int
    cpu: float
    cores: int
    disk_free: int | None
    disk_total: int | None


def gpus() -> list[Gpu]:
    """The NVIDIA GPUs that the driver shows; empty without a driver or a GPU."""
    nvml = _nvml()
    if nvml is None:
        return []
    driver = _text(_ask(nvml.nvmlSystemGetDriverVersion))
    found = []
    for index in range(_ask(nvml.nvmlDeviceGetCount) or 0):
        handle = _ask(nvml.nvmlDeviceGetHandleByIndex, index)
        if handle is not None:
            found.append(_gpu(nvml, index, handle, driver))
    return found


def host(disk: Path) -> Host:
    """Memory, processor and the file system that holds `disk` (or its nearest parent that exists)."""
    memory = psutil.virtual_memory()
    space = _space(disk)
    return Host(
        memory_total=memory.total,
        memory_available=memory.available,
        memory_used=memory.total - memory.available,
        cpu=psutil.cpu_percent(interval=None),
        cores=psutil.cpu_count() or 1,
        disk_free=getattr(space, "free", None),
        disk_total=getattr(space, "total", None),
    )


def available_memory() -> int:
    """Bytes of host memory that a process can still have."""
    return psutil.virtual_memory().available


def others(index: int) -> list[str]:
    """Who else holds memory of a GPU, in words; empty where the driver does not say."""
    nvml = _nvml()
    handle = nvml and _ask(nvml.nvmlDeviceGetHandleByIndex, index)
    holders = handle and _ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    found = []
    for holder in holders or []:
        if holder.pid != os.getpid():
            held = getattr(holder, "usedGpuMemory", None)
            size = f" holds {held / 1e9:.1f} GB" if held else " holds some"
            found.append(f"{_process_name(holder.pid)} ({holder.pid}){size}")
    return found


def _process_name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:  # of another container, or gone
        return "another process"


def _gpu(nvml: Any, index: int, handle: Any, driver: str) -> Gpu:
    memory = _ask(nvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _ask(nvml.nvmlDeviceGetUtilizationRates, handle)
    milliwatts = _ask(nvml.nvmlDeviceGetPowerUsage, handle)
    limit = _ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return Gpu(
        index=index,
        name=_text(_ask(nvml.nvmlDeviceGetName, handle)),
        total=memory and int(memory.total),
        used=memory and int(memory.used),
        free=memory and int(memory.free),
        utilisation=rates and int(rates.gpu),
        temperature=_ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        power=None if milliwatts is None else milliwatts / 1000,
        driver=driver,
        uuid=_text(_ask(nvml.nvmlDeviceGetUUID, handle)),
        power_limit=None if limit is None else limit / 1000,
        slowed=_slowed(nvml, handle),
        holders=_holders(nvml, handle),
        capability=_capability(nvml, handle),
    )


def _slowed(nvml: Any, handle: Any) -> tuple[str, ...]:
    # The query was renamed with driver 535; older drivers know it by its former name alone.
    query = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    bits = query and _ask(query, handle)
    if bits is None:
        bits = _ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return tuple(word for bit, word in SLOWED.items() if (bits or 0) & bit)


def _holders(nvml: Any, handle: Any) -> tuple[tuple[int, int], ...]:
    holders = _ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
    return tuple((h.pid, int(h.usedGpuMemory)) for h in holders if getattr(h, "usedGpuMemory", None))


def _capability(nvml: Any, handle: Any) -> tuple[int, int] | None:
    found = _ask(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return (int(found[0]), int(found[1])) if found else None


@cache
def _nvml() -> Any:
    """The initialised library, or None. Asked once: drivers do not appear under a running program."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver, or a driver and library that do not match
        return None
    return pynvml


def _ask(query: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return query(*arguments)
    except Exception:  # NVMLError of this one query: not supported, GPU lost, no permission
        return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _space(path: Path) -> Any:
    for folder in (path, *path.absolute().parents):
        try:
            return psutil.disk_usage(str(folder))
        except OSError:
            continue
    return None
