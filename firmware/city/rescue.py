"""A damaged outbox: moved aside, and what still proves itself taken over.

Knows:  the damaged file and its side files.
Never:  a row without its digest, a damaged file overwritten or deleted.
Leaves: the file under a new name; the rows that are sound.
Clauses: 6.2(2) (a minute is told once: what was told already is remembered even after damage).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from firmware.city.spool import ROWS, Row, read
from firmware.ground.durable import sync_folder


def isolate(path: Path, stamp: int) -> Path:
    """Move a damaged file and its side files aside, durably; return the file's new name. Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for ending in ("", "-wal", "-shm"):
        side = path.with_name(path.name + ending)
        if side.exists():
            side.rename(aside.with_name(aside.name + ending))
    sync_folder(path.parent)
    return aside


def salvage(path: Path) -> tuple[list[Row], dict[str, int]]:
    """Return the sound rows of a damaged file, and its newest minutes by series.

    Reads as far as it can be read; never raises for damage.
    """
    rows = list[Row]()
    newest = dict[str, int]()
    file = sqlite3.connect(path)
    try:
        for columns in file.execute(ROWS):
            row, sound = read(columns)
            if sound:
                rows.append(row)
    except sqlite3.Error:
        pass  # what could be read before is good; the caller counts and logs
    try:
        newest.update(file.execute("SELECT topic, minute FROM newest"))
    except (sqlite3.Error, TypeError, ValueError):
        newest.clear()
    finally:
        file.close()
    return rows, newest
