"""Settings as YAML: scalars, lists and tables of one level, each scalar as JSON, which is YAML too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def text(settings: Mapping[str, Any], head: Sequence[str]) -> str:
    """A document with comments at its head. None is an empty value."""
    lines = [f"# {line}" for line in head]
    for key, value in settings.items():
        if isinstance(value, list):
            lines.append(f"{key}:")
            lines += [line for one in value for line in _item(one)]
        else:
            lines.append(f"{key}: {_scalar(value)}".rstrip())
    return "\n".join(lines) + "\n"


def _item(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"  - {_scalar(value)}"]
    lines = [f"{key}: {_scalar(one)}".rstrip() for key, one in value.items()]
    return [f"  {'- ' if i == 0 else '  '}{line}" for i, line in enumerate(lines)]


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    # 2e-05 is text to YAML 1.1, which wants a point in a number.
    return (
        f"{value:.10f}".rstrip("0") if isinstance(value, float) and "e" in repr(value) else json.dumps(value)
    )
