"""The memory panel: what the run holds, what others hold, what was forecast; then the rest of the machine."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from engine.hardware import Gpu, Host
from engine.state import RunState
from tui.feed import Snapshot
from tui.safe import clean
from tui.widgets.figures import size
from tui.widgets.marks import facts

OURS, OTHERS, FREE = "$primary", "$foreground-muted", "$frame"
FORECAST, PEAK = "┃", "╎"


def memory_lines(snapshot: Snapshot, width: int, chosen: int | None = None) -> list[Content]:
    """The GPU that is chosen, or the run's own, and a line for each other; the host where there is none.

    A run that is over holds nothing: what it took then stands there, beside what others hold now.
    """
    host, state = snapshot.host, snapshot.state
    if snapshot.gpus:
        gpu = gpu_shown(snapshot, chosen)
        lines = _of_gpu(gpu, state, snapshot.alive, width)
        lines += [_in_short(other, width) for other in snapshot.gpus if other is not gpu]
        if host is not None:
            lines += _rows([("Host memory", _of(host.memory_used, host.memory_total))], width)
            lines += _this_process(state, width) if snapshot.alive else []
    elif host is not None:
        lines = [Content.styled("no GPU: host memory", "bold"), *_of_host(host, state, snapshot.alive, width)]
    else:
        return [Content.styled("not known", "$foreground-muted")]
    if host is not None:
        pairs = [("Processor", f"{host.cpu:.0f}% of {host.cores} cores")]
        if host.disk_free is not None:
            pairs.append(("Disk free", size(host.disk_free)))
        lines += _rows(pairs, width)
    return lines


def gpu_shown(snapshot: Snapshot, chosen: int | None) -> Gpu:
    """The GPU that a person has chosen, else the one that the run trains on, else the first."""
    gpus, state = snapshot.gpus, snapshot.state
    if chosen is not None:
        return gpus[chosen % len(gpus)]
    mine = state.loaded.get("gpu")
    by_name = next((gpu for gpu in gpus if mine and gpu.uuid == mine), None)
    return by_name or next((gpu for gpu in gpus if gpu.held_by(state.pid)), gpus[0])


def trains_on(gpu: Gpu, state: RunState) -> bool:
    """Whether it is this GPU that the run has; where nothing says so, the first."""
    if mine := state.loaded.get("gpu"):
        return bool(gpu.uuid == mine)
    return bool(gpu.held_by(state.pid)) or (gpu.index == 0 and "reserved" in state.memory)


def _of_gpu(gpu: Gpu, state: RunState, alive: bool, width: int) -> list[Content]:
    lines = [Content.styled(clean(f"{gpu.index}: {gpu.name}", newlines=False)[:width], "bold")]
    mine = trains_on(gpu, state)
    # A driver in another container does not know our process: then torch's own count must do.
    ours = (gpu.held_by(state.pid) or state.memory.get("reserved")) if mine and alive else None
    forecast = state.forecast.get("total") if mine else None
    measured = (
        _highest(state.peaks.get("peak"), state.peaks.get("reserved"), *_probed(state)) if mine else None
    )
    if gpu.total and gpu.used is not None:
        lines.append(_bar(gpu.used, gpu.total, ours, forecast, measured, width))
    lines.append(_at_work(gpu))
    slowed = [clean(f"! slowed: {reason}", newlines=False) for reason in gpu.slowed]
    lines += [Content.styled(words[:width], "$text-warning") for words in slowed]
    pairs = [("This run", size(ours))] if mine and alive else []
    pairs += _marks(forecast, measured, alive)
    if ours is not None and gpu.used is not None:
        pairs.append(("Others", size(max(0, gpu.used - ours))))
    if gpu.free is not None:
        pairs.append(("Free", size(gpu.free)))
    if mine and alive and "allocated" in state.memory:
        pairs.append(("Used by torch", size(state.memory["allocated"])))
        pairs.append(("Held by torch", size(state.memory.get("reserved"))))
    return [*lines, *_rows(pairs, width), *(measured_words(state, width) if mine else ())]


def _of_host(host: Host, state: RunState, alive: bool, width: int) -> list[Content]:
    ours = state.memory.get("rss") if alive else None
    forecast = state.forecast.get("total")
    measured = _highest(state.peaks.get("rss_peak"), state.peaks.get("rss"), *_probed(state))
    pairs = [("This run", size(ours))] if ours else []
    pairs += _marks(forecast, measured, alive)
    if ours:
        pairs.append(("Others", size(max(0, host.memory_used - ours))))
    pairs.append(("Free", size(host.memory_available)))
    return [
        _bar(host.memory_used, host.memory_total, ours, forecast, measured, width),
        *_rows(pairs, width),
        *measured_words(state, width),
    ]


def _this_process(state: RunState, width: int) -> list[Content]:
    held = state.memory.get("rss")
    return _rows([("This run, host", size(held))], width) if held else []


def measured_words(state: RunState, width: int) -> list[Content]:
    """What the probe has measured at the longest batch, beside the forecast."""
    train, evaluation = (state.probed.get(name) or {} for name in ("train", "evaluation"))
    if not train.get("peak"):
        return []
    forecast = state.probed.get("forecast") or state.forecast.get("total")
    said = "" if forecast is None else f"forecast {size(forecast)}, "
    words = (
        f"{said}measured {size(train['peak'])} at the longest batch ({train['rows']} × {train['length']:,})"
    )
    if evaluation.get("peak"):
        words += f", {size(evaluation['peak'])} in evaluation"
    return Content.styled(words, "$foreground-muted").wrap(max(10, width))


def _probed(state: RunState) -> list[int | None]:
    return [(state.probed.get(name) or {}).get("peak") for name in ("train", "evaluation")]


def _highest(*figures: int | None) -> int | None:
    return max((figure for figure in figures if figure), default=None)


def _marks(forecast: int | None, peak: int | None, alive: bool) -> list[tuple[str, str]]:
    pairs = [(f"{PEAK} Peak so far" if alive else f"{PEAK} Peak", peak), (f"{FORECAST} Forecast", forecast)]
    return [(name, size(figure)) for name, figure in pairs if figure]


def _bar(
    used: int, total: int, ours: int | None, forecast: int | None, peak: int | None, width: int
) -> Content:
    """Ours first, then others', then what is free; the marks count from the left, as ours does."""
    words = f" {_of(used, total)}"
    room = max(4, width - len(words))
    mine = min(ours or 0, used)
    cells = [("━", OURS)] * _cells(mine, total, room)
    cells += [("╍", OTHERS)] * (_cells(used, total, room) - len(cells))
    cells += [("─", FREE)] * (room - len(cells))
    for mark, at, style in ((PEAK, peak, "$text-warning"), (FORECAST, forecast, "$text-accent")):
        if at and at <= total:
            cells[min(room - 1, _cells(at, total, room))] = (mark, style)
    return Content.assemble(*cells, words)


def _rows(pairs: list[tuple[str, str]], width: int) -> list[Content]:
    return list(facts(pairs, width).split()) if pairs else []


def _cells(part: int, total: int, room: int) -> int:
    return round(min(max(part / total, 0.0), 1.0) * room)


def _at_work(gpu: Gpu) -> Content:
    known = [
        text
        for figure, text in (
            (gpu.utilisation, f"{gpu.utilisation}% busy"),
            (gpu.temperature, f"{gpu.temperature} °C"),
            (gpu.power, f"{gpu.power or 0:.0f} W"),
        )
        if figure is not None
    ]
    return Content.styled(" · ".join(known), "$foreground-muted")


def _in_short(gpu: Gpu, width: int) -> Content:
    """Another GPU on one line."""
    facts_of = _of(gpu.used, gpu.total) if gpu.total and gpu.used is not None else "?"
    busy = "" if gpu.utilisation is None else f" {gpu.utilisation:3}%"
    end = f"{facts_of}{busy}"
    name = clean(f"{gpu.index}: {gpu.name}", newlines=False)[: max(2, width - len(end) - 1)]
    slowed = "!" if gpu.slowed else " "
    return Content.styled(f"{name.ljust(width - len(end) - 1)}{slowed}{end}", "$foreground-muted")


def _of(used: int, total: int) -> str:
    return f"{used / 1e9:.1f} / {size(total)}"


def summed(gpus: Sequence[Gpu]) -> str:
    """How many there are, for the panel's title."""
    return f"Memory · {len(gpus)} GPUs (u)" if len(gpus) > 1 else "Memory"
