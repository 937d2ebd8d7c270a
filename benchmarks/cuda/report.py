"""What was measured, as numbers with their spread, and the table of what has still to be measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

DRAWS = 2000
"""Of the bootstrap."""


def figure(samples: Sequence[float], unit: str) -> dict[str, Any]:
    """Samples, their median, and the 95% interval of the median by bootstrap with a fixed seed."""
    values = np.array(samples, dtype=float)
    drawn = np.random.default_rng(0).choice(values, (DRAWS, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return {
        "unit": unit,
        "samples": [short(one) for one in samples],
        "median": short(statistics.median(samples)),
        "interval": [short(float(low)), short(float(high))],
    }


def ratios(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Of two measured in turns: the ratio of each turn."""
    return figure([one / other for one, other in zip(above, below, strict=True)], "times")


def bar(what: str, value: float, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """Whether a figure is what the issue asks for: at least so much, or at most."""
    holds = (least is None or value >= least) and (most is None or value <= most)
    return {"what": what, "value": short(value), "least": least, "most": most, "holds": holds}


def short(value: float) -> float:
    return float(f"{value:.5g}")


def table(cells: Sequence[Any], found: Mapping[str, Any] | None, checked: Mapping[str, Any] | None) -> str:
    """Every cell as Markdown: its figures where a GPU ran it, else that it is open and why.

    found: a document of a GPU; checked: one of a CPU, whose figures mean nothing: that its logic ran is told.
    """
    lines = ["| | cell | what is asked | state |", "|---|---|---|---|"]
    for cell in cells:
        one = ((found or {}).get("cells") or {}).get(cell.name, {})
        tried = ((checked or {}).get("cells") or {}).get(cell.name, {})
        lines.append(f"| {cell.part} | {cell.name} | {cell.asked} | {state(one, tried)} |")
    return "\n".join(lines) + "\n"


def state(one: Mapping[str, Any], tried: Mapping[str, Any]) -> str:
    """A cell's state in a few words."""
    if one.get("status") == "measured":
        told = [_figure(name, value) for name, value in one["figures"].items()]
        told += [f"{each['what']}: {'holds' if each['holds'] else 'MISSED'}" for each in one["bars"]]
        return "; ".join(told) or "ran"
    logic = {
        "measured": "; its logic runs on a CPU",
        "failed": "; its logic fails on a CPU",
    }.get(tried.get("status", ""), "")
    if one.get("status") == "failed":
        return f"failed: {one['reason']}{logic}"
    return f"open{logic}"


def headline(found: Mapping[str, Any] | None) -> str:
    """Of which machine and when, in one line."""
    if not found:
        return "No GPU has run this yet: every cell is open.\n"
    device, versions = found["device"], found["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{device['name']}, driver {device['driver']}; {packages}; {found['written']}; `{found['command']}`\n"
    )


def _figure(name: str, value: Mapping[str, Any]) -> str:
    low, high = value["interval"]
    spread = f" [{low:g}, {high:g}]" if len(value["samples"]) > 1 else ""
    return f"{name} {value['median']:g}{spread} {value['unit']}"
