"""What was found on this machine, and what to do about what was not. Nothing is imported, nothing loaded."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine import RECIPES, hardware, hub, runs

Status = Literal["ok", "warn", "missing"]

# What the tests ran on; a test holds this equal to constraints.txt and requirements-unsloth.txt,
# which an installed copy of the program does not have.
TESTED = {
    "textual": "8.2.8",
    "pydantic": "2.14.3",
    "tokenizers": "0.23.3",
    "transformers": "5.17.0",
    "torch": "2.13.0",
    "accelerate": "1.15.0",
    "bitsandbytes": "0.50.2",
    "datasets": "4.8.5",
    "optuna": "5.0.0",
    "peft": "0.21.2",
    "trl": "1.15.0",
    "unsloth": "2026.10.9",
    "unsloth_zoo": "2026.10.9",
}

TRAINING = ("torch", "accelerate", "bitsandbytes", "datasets", "peft", "trl", "unsloth", "unsloth_zoo")

LEAST_DISK = 10 * 10**9
"""Bytes free below which a run of a model of some billion parameters may not find room to save."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `mend` is empty where there is nothing to do."""

    name: str
    status: Status
    found: str
    mend: str = ""


def examine() -> list[Finding]:
    """Everything that can be known without loading a model library. Never raises."""
    return [
        _python(),
        *_gpus(),
        *(_package(name) for name in TESTED),
        *_home(),
        _cache(),
        offline_finding(),
        logout_finding(),
    ]


def training_problem() -> str | None:
    """Why nothing can be trained or answered here, with the command that mends it; None where it can."""
    gone = absent(TRAINING)
    return f"Training needs {', '.join(gone)} (not installed): {install_command()}" if gone else None


def sweep_problem() -> str | None:
    """The same of a sweep, which needs Optuna besides."""
    gone = absent((*TRAINING, "optuna"))
    return f"A sweep needs {', '.join(gone)} (not installed): {install_command()}" if gone else None


def absent(packages: Iterable[str]) -> list[str]:
    """Those of the packages that cannot be imported, without importing them."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def install_command(source: Path = RECIPES.parent) -> str:
    """How to install what trains: in the source folder this runs from, or in one still to be fetched."""
    commands = (
        "pip install -c constraints.txt '.[train]' && pip install --no-deps -r requirements-unsloth.txt"
    )
    if not (source / "constraints.txt").is_file():
        return f"run `{commands}` in the folder of ift-tui's source"
    if sys.prefix == str(source / ".venv"):
        return f"run `make run` in {source}"
    return f"run `{commands}` in {source}"


def version_finding(name: str, version: str | None) -> Finding:
    """A package against the version that was tested; a build's +local part is no difference."""
    tested = TESTED[name]
    if version is None:
        return Finding(name, "missing", "not installed", install_command())
    if version.partition("+")[0] == tested:
        return Finding(name, "ok", version)
    return Finding(name, "warn", version, f"tested with {tested}; if it fails, {install_command()}")


def disk_finding(folder: Path, free: int | None) -> Finding:
    """Room for runs: adapters and checkpoints are small, merged models and the model cache are not."""
    if free is None:
        return Finding("disk", "warn", f"{folder}: free space is not known")
    found = f"{free / 1e9:,.1f} GB free for {folder}"
    if free < LEAST_DISK:
        return Finding("disk", "warn", found, "make room, or set IFT_TUI_HOME to a folder with more")
    return Finding("disk", "ok", found)


def offline_finding(environment: Mapping[str, str] = os.environ) -> Finding:
    """Whether models can be fetched, by what the environment says; the network is not asked."""
    for name in hub.OFFLINE:
        if hub.is_yes(environment.get(name, "")):
            return Finding("hub", "warn", f"{name} is set", f"unset {name} to fetch models not in the cache")
    signed_in = (
        "with" if environment.get("HF_TOKEN") or (hub.home().parent / "token").is_file() else "without"
    )
    return Finding("hub", "ok", f"may be asked, {signed_in} a token")


def logout_finding(root: Path = Path("/")) -> Finding:
    """Whether the system ends what a user left running when the last session closes (logind.conf(5))."""
    setting = "no"
    for file in _logind_files(root):
        for line in file.read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "KillUserProcesses":
                setting = value.strip()
    if not hub.is_yes(setting):
        return Finding("logout", "ok", "what runs goes on after a logout")
    return Finding(
        "logout",
        "warn",
        "systemd ends a user's processes at logout, runs among them (KillUserProcesses)",
        "run `loginctl enable-linger` once, and start with `systemd-run --user --scope ift-tui`",
    )


def _logind_files(root: Path) -> list[Path]:
    """In the order in which later ones win: the main file, then fragments by name."""
    folders = [root / name / "systemd" for name in ("usr/lib", "run", "etc")]
    main = next((file for folder in reversed(folders) if (file := folder / "logind.conf").is_file()), None)
    parts = {file.name: file for folder in folders for file in sorted(folder.glob("logind.conf.d/*.conf"))}
    return [*([main] if main else []), *(parts[name] for name in sorted(parts))]


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} in {sys.prefix}")


def _gpus() -> list[Finding]:
    gpus = hardware.gpus()
    if gpus:
        return [
            Finding(
                f"GPU {gpu.index}",
                "ok",
                f"{gpu.name}, {(gpu.total or 0) / 2**30:.1f} GiB, driver {gpu.driver}",
            )
            for gpu in gpus
        ]
    if shutil.which("nvidia-smi"):
        mend = "run `nvidia-smi`: it says what is wrong between driver and GPU"
    else:
        mend = "small models train on the CPU; for larger ones use a machine with an NVIDIA GPU and driver"
    return [Finding("GPU", "warn", "none that the NVIDIA driver shows", mend)]


def _package(name: str) -> Finding:
    try:
        return version_finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return version_finding(name, None)


def _home() -> list[Finding]:
    folder = runs.home()
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        place = Finding("runs", "ok", str(folder))
    else:
        place = Finding(
            "runs", "missing", f"{folder} cannot be written", "set IFT_TUI_HOME to a folder that can"
        )
    return [place, disk_finding(folder, hardware.host(folder).disk_free)]


def _cache() -> Finding:
    folder = hub.home()
    models = sum(1 for _ in hub.cached())
    size = sum(path.lstat().st_size for path in folder.glob("models--*/blobs/*"))
    if not folder.is_dir():
        return Finding("model cache", "ok", f"{folder} (not there yet)")
    return Finding("model cache", "ok", f"{models} models, {size / 1e9:,.1f} GB in {folder}")
