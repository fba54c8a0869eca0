"""Ours beside the anchors: the same pictures, the same machine, the same run, one thread.

Knows:  contenders, sets of pictures.
Never:  a figure of one model taken under other conditions than another's.
Leaves: one row a set and model; tables and charts of them.
Clauses: none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tools.evaluate import chart, score, table
from tools.evaluate.contender import Contender, race
from tools.evaluate.pictures import PictureSet
from tools.evaluate.score import HEIGHTS, Matched

BAND_NAMES = tuple(f"{low}-{high - 1}" for low, high in HEIGHTS)
UNKNOWN = float("nan")
Tell = Callable[[str], None]


def seen_by(runners: Sequence[Contender], chosen: PictureSet) -> dict[str, list[Matched]]:
    """Ask every contender about every picture, in turn; returns each one's reckoning by name."""
    out: dict[str, list[Matched]] = {runner.name: [] for runner in runners}
    for picture, marked in chosen.pictures():
        for runner in runners:
            out[runner.name].append(score.match(runner.find(picture), marked))
    return out


def figures(every: Sequence[Matched], threshold: float) -> dict[str, float]:
    """Return the figures of one model on one set.

    Where not all persons are boxed, only recall means anything: the rest is nan.
    """
    complete = all(one.complete for one in every)
    people, found = score.recall(every, threshold)
    errors = score.count_errors(every, threshold)
    out: dict[str, float] = {
        "pictures": len(every),
        "persons": people,
        "threshold": threshold,
        "AP50": score.average_precision(every) if complete else UNKNOWN,
        "recall": found,
        "precision": score.precision(every, threshold) if complete else UNKNOWN,
        "count MAE": float(np.abs(errors).mean()) if complete else UNKNOWN,
        "count bias": float(errors.mean()) if complete else UNKNOWN,
        "presence AUC": score.presence_auc(every) if complete else UNKNOWN,
        "calibration error": score.calibration_error(score.calibration(every)) if complete else UNKNOWN,
    }
    for name, band in zip(BAND_NAMES, HEIGHTS, strict=True):
        out[f"AP {name}"] = score.average_precision(every, band) if complete else UNKNOWN
    for name, band in zip(BAND_NAMES, HEIGHTS, strict=True):
        out[f"recall {name}"] = score.recall(every, threshold, band)[1]
    return out


def compare(
    runners: Sequence[Contender], sets: Sequence[PictureSet], out: Path | None, tell: Tell = print
) -> list[dict[str, table.Cell]]:
    """Measure every contender on every set; tell each set's table as it is done, draw calibration into ``out``."""
    rows: list[dict[str, table.Cell]] = []
    for chosen in sets:
        seen = seen_by(runners, chosen)
        here: list[dict[str, table.Cell]] = [
            {"set": chosen.name, "model": runner.name, **figures(seen[runner.name], runner.threshold)}
            for runner in runners
        ]
        tell(table.text(here) + "\n")
        rows += here
        if out is not None and all(one.complete for one in seen[runners[0].name]):
            curves = {name: [(s, right) for s, right, _ in score.calibration(every)] for name, every in seen.items()}
            title = f"{chosen.name}: share of boxes that are right, by score"
            chart.curves(out / f"calibration-{chosen.name.replace(':', 'x')}.png", title, curves,
                         across="score", diagonal=True)  # fmt: skip
    return rows


def speeds(runners: Sequence[Contender], rounds: int) -> list[dict[str, table.Cell]]:
    """Return one row a model: milliseconds on one thread in one interleaved run, and the size of its file."""
    spent = race(runners, rounds)
    return [
        {
            "model": runner.name,
            "ours": "yes" if runner.ours else "",
            "ms": spent[runner.name][0],
            "processor ms": spent[runner.name][1],
            **{
                f"of {other.name[:20]}": spent[runner.name][1] / spent[other.name][1]
                for other in runners
                if not other.ours
            },
            "KB": runner.file.stat().st_size // 1024,
        }
        for runner in runners
    ]


def draw(rows: Sequence[table.Row], fast: Sequence[table.Row], out: Path) -> None:
    """Write the charts: AP50, count error and recall by set and model, milliseconds by model."""
    models = list(dict.fromkeys(str(row["model"]) for row in rows))
    complete = list(dict.fromkeys(str(row["set"]) for row in rows if not np.isnan(float(row["AP50"]))))
    every = list(dict.fromkeys(str(row["set"]) for row in rows))
    for column, name, sets in (
        ("AP50", "ap50", complete),
        ("count MAE", "count", complete),
        ("recall", "recall", every),
    ):
        values = {
            model: [next(float(r[column]) for r in rows if r["set"] == s and r["model"] == model) for s in sets]
            for model in models
        }
        chart.bars(out / f"{name}.png", f"{column}, by set", sets, values)
    chart.bars(out / "milliseconds.png", "milliseconds a call, 1 thread", ["all"],
               {str(row["model"]): [float(row["ms"])] for row in fast})  # fmt: skip
