"""The loss of a run as a small SVG picture, for a model card."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 30
POINTS = 300

TRAINING = 'stroke="#337ab7"'
VALIDATION = 'stroke="#d9534f" stroke-width="2"'

Points = Sequence[tuple[float, float]]


def svg(training: Points, validation: Points) -> str:
    """Both losses by step, in nats a token. Points that are no number are left out."""
    training, validation = _finite(training), _finite(validation)
    both = [*training, *validation]
    if not both:
        return ""
    low, high = min(loss for _, loss in both), max(loss for _, loss in both)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    last = max(step for step, _ in both) or 1

    def place(point: tuple[float, float]) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * point[0] / last
        y = TOP + (HEIGHT - TOP - BOTTOM) * (high - point[1]) / (high - low)
        return f"{x:.1f},{y:.1f}"

    def line(points: Points, style: str) -> str:
        if len(points) < 2:
            return ""
        return f'<polyline fill="none" {style} points="{" ".join(map(place, points))}"/>'

    marks = "".join(
        '<circle cx="{}" cy="{}" r="3" fill="#d9534f"/>'.format(*place(point).split(","))
        for point in validation
    )
    levels = [low + (high - low) * part / 3 for part in range(4)]
    axis = "".join(
        f'<text x="{LEFT - 6}" y="{place((0, level)).split(",")[1]}" text-anchor="end">{level:.2f}</text>'
        for level in levels
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' font-size="11" fill="#555">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n{axis}\n'
        f'<text x="{LEFT}" y="{HEIGHT - 8}">0</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">step {last:,.0f}</text>\n'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        'loss in nats a token: <tspan fill="#337ab7">training</tspan>,'
        ' <tspan fill="#d9534f">validation</tspan></text>\n'
        f"{line(_thinned(training), TRAINING)}\n"
        f"{line(validation, VALIDATION)}{marks}\n</svg>\n"
    )


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(step, loss) for step, loss in points if math.isfinite(loss)]


def _thinned(points: Points) -> list[tuple[float, float]]:
    """At most POINTS of them: the mean of each stretch, at its end."""
    size = -(-len(points) // POINTS) or 1
    stretches = [points[start : start + size] for start in range(0, len(points), size)]
    return [(own[-1][0], sum(loss for _, loss in own) / len(own)) for own in stretches]
