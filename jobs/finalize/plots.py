"""Plots of the report, as inline SVG drawn by `leather`, whose colors follow the page's style.

Of libraries that draw SVG, leather was compared with pygal 3.1: a plot takes 2 kB instead of 15, has no script, no link
to another host and no random id, so the same job gives the same page, and leather needs no other package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import leather

from jobs.terminal.escapes import html

_WIDTH: Final = 480
_HEIGHT: Final = 240
_BAR_PX: Final = 24
_SIZE: Final = re.compile(r'^<svg width="(\d+)" height="(\d+)"')
_MAX_LABEL_CHARS: Final = 24
_MAX_DIGITS: Final = 10  # of a label, after the point


def columns(caption: str, bars: Sequence[tuple[str, float]]) -> str:
    """A plot with a column for each label."""
    chart = leather.Chart()
    chart.add_columns([(_label(label), value) for label, value in bars])
    chart.add_y_scale(0, max((value for _, value in bars), default=1) or 1)
    return _figure(caption, chart, _HEIGHT)


def bars(caption: str, counts: Mapping[str, int], *, of: str = "kept") -> str:
    """A plot with a horizontal bar for each name, the first on top.

    Args:
        caption: What it shows.
        counts: The length of each bar.
        of: `kept` or `rejected`, for the color.
    """
    chart = leather.Chart()
    pairs = [(value, _label(name)) for name, value in counts.items()]
    chart.add_bars(pairs)
    chart.add_x_scale(0, max((value for value, _ in pairs), default=1) or 1)
    return _figure(caption, chart, 90 + _BAR_PX * len(pairs), of)


def line(caption: str, points: Sequence[tuple[float, float]]) -> str:
    """A plot of a line through points."""
    chart = leather.Chart()
    chart.add_line(points)
    chart.add_y_scale(0, max((y for _, y in points), default=1) or 1)
    return _figure(caption, chart, _HEIGHT)


def _label(text: str) -> str:
    return text if len(text) <= _MAX_LABEL_CHARS else f"{text[: _MAX_LABEL_CHARS - 1]}…"


def _figure(caption: str, chart: leather.Chart, height: int, of: str = "kept") -> str:
    svg = _SIZE.sub(r'<svg viewBox="0 0 \1 \2" role="img"', chart.to_svg(width=_WIDTH, height=height))
    return f'<figure class="plot of-{of}"><figcaption>{html(caption)}</figcaption>{svg}</figure>'


def histogram(values: Sequence[float], num_bins: int = 8) -> list[tuple[str, float]]:
    """Counts values in bins of equal width; each bin is labeled with its lower edge.

    >>> histogram([0, 1, 1, 4], 2)
    [('0', 3), ('3', 1)]
    """
    low, high = min(values), max(values)
    is_whole = all(float(value).is_integer() for value in values)
    width = (high - low) / num_bins or 1.0
    if is_whole:
        width = max(1, -(-(int(high - low) + 1) // num_bins))
    counts: dict[int, int] = {}
    for value in values:
        place = min(int((value - low) / width), num_bins - 1)
        counts[place] = counts.get(place, 0) + 1
    edges = [low + place * width for place in range(max(counts) + 1)]
    return [(label, counts.get(place, 0)) for place, label in enumerate(_labels(edges, is_whole))]


def _labels(edges: Sequence[float], is_whole: bool) -> list[str]:
    """Numbers with as few decimals as tell them apart, because a plot puts columns of one label in one place."""
    labels: list[str] = []
    for digits in range(1 if is_whole else 2, _MAX_DIGITS):
        labels = [_short(edge, digits) if is_whole else f"{edge:.{digits}f}" for edge in edges]
        if len(set(labels)) == len(labels):
            break
    return labels


def _short(number: float, digits: int = 1) -> str:
    """A whole number in few characters, such as 950, 12.3k and 4M.

    >>> _short(950), _short(12_345), _short(12_345, 2), _short(4_000_000)
    ('950', '12.3k', '12.35k', '4M')
    """
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.{digits}f}".rstrip("0").removesuffix(".") + unit
    return f"{number:.0f}"
