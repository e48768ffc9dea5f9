"""A picture of how the usage has changed: a bar for each day, in SVG."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from scripts.maintenance.usage import formatted
from scripts.maintenance.usage_history import History

OTHERS = "(others)"

COLORS = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000"),
    "#999999",
)
"""Those of Okabe and Ito, which are told apart with any eyes: https://jfly.uni-koeln.de/color/"""

MOST_BARS = 60
WIDTH, HEIGHT, LEFT, TOP = 600, 300, 80, 20
"""Of the bars, and where they begin, in pixels."""


def chart(history: History) -> str:
    """Return a picture of past days, the last one at the right."""
    days = _days(history)
    names = _names(history, days)
    bars = [_sizes(history[day], names) for day in days]
    highest = max(map(sum, bars), default=0) or 1
    step = WIDTH / max(len(days), 1)
    parts = []
    for number, (day, sizes) in enumerate(zip(days, bars)):
        top: float = TOP + HEIGHT
        for name, size, color in zip(names, sizes, COLORS):
            height = HEIGHT * size / highest
            top -= height
            title = f"<title>{html.escape(name)}, {day}: {formatted(size)}</title>"
            parts.append(
                f'<rect x="{LEFT + number * step:.1f}" y="{top:.1f}" width="{step * 0.8:.1f}" '
                f'height="{height:.1f}" fill="{color}">{title}</rect>'
            )
        if number in {0, len(days) - 1}:
            parts.append(_text(LEFT + number * step, TOP + HEIGHT + 20, day))
    for quarter in range(5):
        line = TOP + HEIGHT - HEIGHT * quarter / 4
        parts.append(f'<path d="M{LEFT} {line:.1f}h{WIDTH}" stroke="#ccc"/>')
        parts.append(_text(LEFT - 75, line + 4, formatted(highest * quarter / 4)))
    for number, (name, color) in enumerate(zip(names, COLORS)):
        x, y = LEFT + WIDTH + 20, TOP + 20 * number
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{color}"/>')
        parts.append(_text(x + 20, y + 11, name))
    frame = f'width="{LEFT + WIDTH + 300}" height="{TOP + HEIGHT + 40}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {frame} font-family="sans-serif">'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, background, *parts, "</svg>"]) + "\n"


def _days(history: History) -> list[str]:
    """Return the days to show: the last one, and before it as many as there is room for."""
    days = sorted(history)
    every = -(-len(days) // MOST_BARS) or 1
    return days[::-1][::every][::-1]


def _names(history: History, days: Sequence[str]) -> list[str]:
    """Return the repositories that have the most on the last day, and what stands for the rest."""
    last = history[days[-1]] if days else {}
    names = sorted(last, key=lambda name: -last[name])
    ever = {name for day in days for name in history[day]}
    most = len(COLORS)
    if len(ever) <= most:
        return names + sorted(ever - set(names))
    return [*names[: most - 1], OTHERS]


def _sizes(day: Mapping[str, int], names: Sequence[str]) -> list[int]:
    sizes = [day.get(name, 0) for name in names]
    if names and names[-1] == OTHERS:
        sizes[-1] = sum(day.values()) - sum(sizes)
    return sizes


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="13">{html.escape(text)}</text>'
