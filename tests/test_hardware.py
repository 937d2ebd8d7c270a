"""What the machine has; and that whatever its driver does, nobody hears of it as an exception."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
