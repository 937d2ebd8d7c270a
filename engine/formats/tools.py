"""Tools and tool calls, brought to the one form that chat templates expect (OpenAI's)."""

from __future__ import annotations

from typing import Any

from engine.formats.examples import Unusable
from engine.formats.texts import parsed

Call = dict[str, Any]


def tools(cell: Any, column: str) -> list[Call]:
    """The functions that a conversation may call: a list, or the JSON string of one. Raises Unusable."""
    listed = parsed(cell) if isinstance(cell, str) and cell.strip() else cell
    if not listed:
        return []
    if not isinstance(listed, list):
        listed = [listed]
    return [_function(tool, f"{column}: no list of functions with names") for tool in listed]


def calls(value: Any, where: str) -> list[Call]:
    """A turn's tool calls; arguments become an object where they are the JSON of one. Raises Unusable."""
    listed = parsed(value)
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list) or not listed:
        raise Unusable("malformed turn", f"{where}: no tool call that can be read")
    return [_call(_function(call, f"{where}: a tool call without the name of a function")) for call in listed]


def _function(value: Any, problem: str) -> Call:
    """{type: function, function: {name, ...}}, from that or from what stands under `function` alone."""
    value = parsed(value)
    inner = value.get("function") if isinstance(value, dict) else None
    whole = value if isinstance(inner, dict) else {"type": "function", "function": value}
    function = whole["function"]
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise Unusable("malformed turn", problem)
    return whole


def _call(call: Call) -> Call:
    function = call["function"]
    arguments = parsed(function.get("arguments"))
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        arguments = function["arguments"]
    return {**call, "function": {**function, "arguments": arguments}}
