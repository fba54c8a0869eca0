"""Tables as text, Markdown and CSV, from one list of rows.

Knows:  columns, numbers and how many of their digits are honest.
Never:  a number that was not in a row.
Leaves: strings and files.
Clauses: none.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

Cell = str | int | float
Row = Mapping[str, Cell]


def shown(value: Cell) -> str:
    """Return a cell's text: three digits after the point below 10, one below 1000; a dash for what is not known."""
    if isinstance(value, str | int):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return all columns, in the order they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row))


def text(rows: Sequence[Row]) -> str:
    """Return aligned columns, words to the left, numbers to the right."""
    columns = columns_of(rows)
    cells = [[shown(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(column), *(len(line[k]) for line in cells)) for k, column in enumerate(columns)]
    words = [all(isinstance(row.get(column, ""), str) for row in rows) for column in columns]
    lines = [columns, *cells]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if word else cell.rjust(width)
            for cell, width, word in zip(line, widths, words, strict=True)
        ).rstrip()
        for line in lines
    )


def markdown(rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    columns = columns_of(rows)
    words = [all(isinstance(row.get(column, ""), str) for row in rows) for column in columns]
    lines = [columns, ["---" if word else "---:" for word in words]]
    lines += [[shown(row.get(column, "")) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save(rows: Sequence[Row], out: Path, name: str) -> None:
    """Write ``name``.md and ``name``.csv into the folder ``out``; the CSV has all digits."""
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(markdown(rows) + "\n")
    with (out / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns_of(rows), restval="")
        writer.writeheader()
        writer.writerows(rows)
