"""What a whole pole told of a simulated street, against what was there.

Knows:  a state directory whose outbox still holds its records (no broker took them), a street's truth.
Never:  a number that the pole did not tell: suppressed minutes are compared by their state alone.
Leaves: a table; mean absolute error and bias of mean occupancy.
Clauses: none.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

K = 3
PEAK_RANK = 5
SECONDS_A_MINUTE = 60


def told_minutes(state: Path) -> list[dict[str, Any]]:
    """Return the minute records that wait in the outbox, in order."""
    outbox = state / "city" / "outbox.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT payload FROM waiting WHERE topic LIKE '%/minute' ORDER BY first_minute")
        return [json.loads(payload) for (payload,) in rows]


def compare(told: list[dict[str, Any]], truth: dict[str, Any]) -> list[str]:
    """Return a line a minute and a summary; ``truth`` begins with the first minute told."""
    lines, errors, there, agreed = [], list[float](), list[float](), 0
    real = {minute["minute"]: minute for minute in truth["minutes"]}
    first = told[0]["spSeq"]
    for record in told:
        minute = real[record["spSeq"] - first]
        crowded = minute["counts_descending"][PEAK_RANK - 1] >= K
        published = record["spStatus"] == "published"
        agreed += published == crowded
        mean = minute["mean_occupancy"]
        said = f"{record['spMeanOccupancy']:5.1f}" if published else "    -"
        lines.append(f"minute {record['spSeq'] - first:3}  true {mean:5.2f}  told {said}  {record['spStatus']}")
        if published:
            errors.append(record["spMeanOccupancy"] - mean)
            there.append(mean)
    if errors:
        mae = sum(map(abs, errors)) / len(errors)
        share = sum(map(abs, errors)) / sum(there)
        bias = sum(errors) / sum(there)
        lines.append(f"published {len(errors)} of {len(told)}: MAE {mae:.2f} persons ({share:.1%}), bias {bias:+.1%}")
    lines.append(f"published where it should be, or suppressed where it should be: {agreed} of {len(told)}")
    return lines
