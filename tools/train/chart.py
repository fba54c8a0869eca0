"""Draws a run's curves.

Knows:  ``curve-NAME.csv``: seconds, step, rate, loss of scores, loss of boxes.
Never:  a chart library; Pillow draws lines.
Leaves: ``curve-NAME.png``.
Clauses: none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT, EDGE = 900, 420, 50
COLOURS = {"scores": (30, 90, 200), "boxes": (200, 90, 30)}


def curves(out: Path, name: str) -> Path | None:
    """Draw the losses over minutes; returns the picture's path, None where no line was written yet."""
    table = out / f"curve-{name}.csv"
    if not table.exists():
        return None
    rows = np.array([[float(cell) for cell in line.split(",")] for line in table.read_text().split()])
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(picture)
    minutes = rows[:, 0] / 60
    top = float(np.percentile(rows[:, 3:5], 99)) * 1.05
    for k in range(5):
        y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * k / 4
        pen.line([(EDGE, y), (WIDTH - EDGE, y)], fill=(225, 225, 225))
        pen.text((8, y - 6), f"{top * k / 4:.2f}", fill="black")
    for column, (label, colour) in enumerate(COLOURS.items(), start=3):
        xs = EDGE + (WIDTH - 2 * EDGE) * minutes / max(float(minutes.max()), 1e-6)
        ys = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * np.clip(rows[:, column] / top, 0, 1)
        pen.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=colour, width=2)
        pen.text((WIDTH - EDGE - 80, 10 + 14 * column), label, fill=colour)
    pen.text((EDGE, HEIGHT - EDGE + 12), f"{name}: loss over {minutes.max():.0f} minutes, {int(rows[-1, 1])} steps",
             fill="black")  # fmt: skip
    path = out / f"curve-{name}.png"
    picture.save(path)
    return path
