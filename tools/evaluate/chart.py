"""Bars and curves as PNG, drawn with Pillow alone.

Knows:  names, numbers, eight colours that remain apart for most eyes.
Never:  a smoothed curve, an axis of bars that does not begin at zero.
Leaves: PNG files.
Clauses: none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#999933", "#555555")
WIDTH, HEIGHT = 1000, 500
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 122
KEY_ROW = 20
TICKS = 5


class _Page:
    """A white page with a title, a key, and a frame whose vertical axis goes from ``low`` to ``high``."""

    def __init__(self, title: str, names: Sequence[str], low: float, high: float) -> None:
        self.picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
        self.draw = ImageDraw.Draw(self.picture)
        self.font = ImageFont.load_default(13)
        self._low, self._high = low, low + round_up(high - low)
        self.draw.text((LEFT, 10), title, fill="black", font=ImageFont.load_default(16))
        for tick in range(TICKS + 1):
            value = self._low + (self._high - self._low) * tick / TICKS
            y = self.y(value)
            self.draw.line((LEFT, y, WIDTH - RIGHT, y), fill="#dddddd")
            self.draw.text((8, y - 7), f"{value:.3g}", fill="black", font=self.font)
        x, row = LEFT, HEIGHT - 3 * KEY_ROW - 4
        for name, colour in zip(names, _colours(len(names)), strict=True):
            wide = 34 + int(self.draw.textlength(name, font=self.font))
            if x > LEFT and x + wide > WIDTH:
                x, row = LEFT, row + KEY_ROW
            self.draw.rectangle((x, row + 2, x + 12, row + 14), fill=colour)
            self.draw.text((x + 17, row), name, fill="black", font=self.font)
            x += wide

    def y(self, value: float) -> float:
        """Return the row of a value."""
        share = (min(max(value, self._low), self._high) - self._low) / (self._high - self._low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def save(self, path: Path) -> None:
        """Write the PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.picture.save(path)


def round_up(length: float) -> float:
    """Return the least of 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten that is no shorter; 1 for nothing."""
    if length <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(length))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= length * (1 - 1e-9))


def _colours(n: int) -> list[str]:
    return [COLOURS[k % len(COLOURS)] for k in range(n)]


def bars(path: Path, title: str, groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    """Draw a group of bars for each of ``groups``, one bar for each of ``series``; nan leaves a gap."""
    values = [v for row in series.values() for v in row if not math.isnan(v)]
    page = _Page(title, list(series), min([0.0, *values]), max([0.0, *values]))
    room = (WIDTH - LEFT - RIGHT) / max(len(groups), 1)
    thick = room * 0.8 / max(len(series), 1)
    for g, group in enumerate(groups):
        start = LEFT + g * room + room * 0.1
        for k, (row, colour) in enumerate(zip(series.values(), _colours(len(series)), strict=True)):
            if not math.isnan(row[g]):
                first, last = sorted((page.y(row[g]), page.y(0.0)))
                page.draw.rectangle((start + k * thick, first, start + (k + 1) * thick - 1, last), fill=colour)
        page.draw.text((start, HEIGHT - BOTTOM + 8 + 15 * (g % 2)), group, fill="black", font=page.font)
    page.save(path)


def curves(
    path: Path,
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    across: str,
    diagonal: bool = False,
) -> None:
    """Draw (x, y) points joined in order; ``diagonal`` adds the line on which x is y."""
    points = [point for line in series.values() for point in line]
    xs, ys = [x for x, _ in points] or [0.0, 1.0], [y for _, y in points] or [0.0, 1.0]
    first, last = (0.0, 1.0) if min(xs) >= 0 and max(xs) <= 1 else (min(xs), max(xs))
    low, high = (0.0, 1.0) if min(ys) >= 0 and max(ys) <= 1 else (min(0.0, *ys), max(ys))
    page = _Page(title, list(series), low, high)

    def x_of(value: float) -> float:
        return LEFT + (value - first) / ((last - first) or 1.0) * (WIDTH - LEFT - RIGHT)

    if diagonal:
        page.draw.line((x_of(first), page.y(first), x_of(last), page.y(last)), fill="#aaaaaa", width=1)
    for line, colour in zip(series.values(), _colours(len(series)), strict=True):
        placed = [(x_of(x), page.y(y)) for x, y in line]
        if len(placed) > 1:
            page.draw.line(placed, fill=colour, width=2)
        for x, y in placed:
            page.draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
    for tick in range(TICKS + 1):
        value = first + (last - first) * tick / TICKS
        page.draw.text((x_of(value) - 10, HEIGHT - BOTTOM + 6), f"{value:.3g}", fill="black", font=page.font)
    page.draw.text((LEFT, HEIGHT - BOTTOM + 24), across, fill="black", font=page.font)
    page.save(path)
