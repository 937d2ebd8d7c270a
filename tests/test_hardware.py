"""What the machine has; and that whatever its driver does, nobody hears of it as an exception."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from engine import hardware


class Driver:
    """A driver of one GPU that does not say how much power it takes."""

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, **broken: Any) -> None:
        self.broken = broken

    def __getattr__(self, query: str) -> Any:
        answers = {
            "nvmlSystemGetDriverVersion": b"580.10",
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetHandleByIndex": object(),
            "nvmlDeviceGetName": "Test GPU",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=100, used=30, free=70),
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=0),
            "nvmlDeviceGetTemperature": 41,
            "nvmlDeviceGetPowerUsage": 72_500,
        }

        def ask(*_: Any) -> Any:
            if query in self.broken:
                raise self.broken[query]
            return answers[query]

        return ask


@pytest.fixture(autouse=True)
def forget_driver() -> Iterator[None]:
    hardware._nvml.cache_clear()
    yield
    hardware._nvml.cache_clear()


class Two(Driver):
    """Two GPUs, of which each query answers for the one that is asked about."""

    ANSWERS: ClassVar[dict[str, Any]] = {
        "nvmlSystemGetDriverVersion": b"580.10",
        "nvmlDeviceGetCount": 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda gpu: f"GPU {'AB'[gpu]}",
        "nvmlDeviceGetUUID": lambda gpu: f"GPU-{gpu}{gpu}",
        "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(total=100, used=30 + gpu, free=70 - gpu),
        "nvmlDeviceGetUtilizationRates": lambda gpu: SimpleNamespace(gpu=90 + gpu),
        "nvmlDeviceGetTemperature": lambda gpu, _: 40 + gpu,
        "nvmlDeviceGetPowerUsage": lambda gpu: 1000 * (300 + gpu),
        "nvmlDeviceGetEnforcedPowerLimit": 350_000,
        "nvmlDeviceGetCudaComputeCapability": lambda gpu: [8 + gpu, 0],
        # idle | power cap on the first, heat and a clock of the user's on the second
        "nvmlDeviceGetCurrentClocksEventReasons": lambda gpu: (0x1 | 0x4, 0x20 | 0x2)[gpu],
        "nvmlDeviceGetComputeRunningProcesses": lambda gpu: [
            SimpleNamespace(pid=7 + gpu, usedGpuMemory=20),
            SimpleNamespace(pid=99, usedGpuMemory=None),
        ],
    }

    def __getattr__(self, query: str) -> Any:
        answer = self.ANSWERS[query]

        def ask(*arguments: Any) -> Any:
            if query in self.broken:
                raise self.broken[query]
            return answer(*arguments) if callable(answer) else answer

        return ask


def test_two_gpus_each_say_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_nvml", cache(Two))
    one, two = hardware.gpus()
    assert (one.name, one.uuid, one.used, one.utilisation) == ("GPU A", "GPU-00", 30, 90)
    assert (two.name, two.uuid, two.used, two.utilisation) == ("GPU B", "GPU-11", 31, 91)
    assert one.slowed == ("its power limit",) and two.slowed == ("heat",)
    assert (one.capability, two.capability) == ((8, 0), (9, 0))
    assert (one.power, one.power_limit) == (300.0, 350.0)
    assert (one.held_by(7), one.held_by(8), two.held_by(8), one.held_by(99), one.held_by(None)) == (
        20, None, 20, None, None,
    )  # fmt: skip


def test_an_older_driver_says_by_another_name_why_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older(Two):
        nvmlDeviceGetCurrentClocksEventReasons = None
        ANSWERS: ClassVar[dict[str, Any]] = {
            **Two.ANSWERS,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x40,
        }

    monkeypatch.setattr(hardware, "_nvml", cache(Older))
    assert hardware.gpus()[0].slowed == ("heat (the hardware)",)


def with_driver(monkeypatch: pytest.MonkeyPatch, **broken: Any) -> list[hardware.Gpu]:
    monkeypatch.setattr(hardware, "_nvml", cache(lambda: Driver(**broken)))
    return hardware.gpus()


def test_a_gpu_is_read_in_bytes_degrees_and_watts(monkeypatch: pytest.MonkeyPatch) -> None:
    (gpu,) = with_driver(monkeypatch)
    assert gpu == hardware.Gpu(0, "Test GPU", 100, 30, 70, 0, 41, 72.5, "580.10")


def test_a_query_that_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = RuntimeError("not supported")
    (gpu,) = with_driver(monkeypatch, nvmlDeviceGetPowerUsage=lost, nvmlDeviceGetMemoryInfo=lost)
    assert (gpu.power, gpu.total, gpu.used, gpu.free) == (None, None, None, None)
    assert gpu.temperature == 41


def test_a_driver_that_answers_nothing_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_driver(monkeypatch, nvmlDeviceGetCount=RuntimeError("lost")) == []


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def absent() -> None:
        raise pynvml.NVMLError_LibraryNotFound

    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    assert hardware.gpus() == []


def test_the_host_adds_up(tmp_path: Path) -> None:
    host = hardware.host(tmp_path / "not" / "there" / "yet")
    assert host.memory_total == host.memory_used + host.memory_available
    assert host.memory_total > 2**28
    assert host.cores == os.cpu_count()
    assert 0 <= host.cpu <= 100 * host.cores
    assert host.disk_free is not None and host.disk_total is not None
    assert 0 < host.disk_free <= host.disk_total
