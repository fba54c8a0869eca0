"""Ours beside the anchors: the same pictures, the same machine, the same run, one thread.

Knows:  contenders, sets of pictures.
Never:  a figure of one model taken under other conditions than another's.
Leaves: one row a set and model; tables and charts of them.
Clauses: none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tools.evaluate import chart, score, table
from tools.evaluate.bootstrap import interval
from tools.evaluate.contender import Contender, race
from tools.evaluate.footprint import megabytes
from tools.evaluate.pictures import PictureSet
from tools.evaluate.score import HEIGHTS, Matched

BAND_NAMES = tuple(f"{low}-{high - 1}" for low, high in HEIGHTS)
UNKNOWN = float("nan")
DRAWS = 200
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
) -> tuple[list[dict[str, table.Cell]], list[dict[str, table.Cell]]]:
    """Measure every contender on every set; tell each set's table as it is done, draw calibration into ``out``.

    Returns a row a set and model, and a row for each of ours against each other one where AP50 means anything.
    """
    rows: list[dict[str, table.Cell]] = []
    gaps: list[dict[str, table.Cell]] = []
    for chosen in sets:
        seen = seen_by(runners, chosen)
        here: list[dict[str, table.Cell]] = [
            {"set": chosen.name, "model": runner.name, **figures(seen[runner.name], runner.threshold)}
            for runner in runners
        ]
        tell(table.text(here) + "\n")
        rows += here
        if not all(one.complete for one in seen[runners[0].name]):
            continue
        gaps += _differences(chosen.name, runners, seen)
        if out is not None:
            curves = {name: [(s, right) for s, right, _ in score.calibration(every)] for name, every in seen.items()}
            title = f"{chosen.name}: share of boxes that are right, by score"
            chart.curves(out / f"calibration-{chosen.name.replace(':', 'x')}.png", title, curves,
                         across="score", diagonal=True)  # fmt: skip
    return rows, gaps


def _differences(
    name: str, runners: Sequence[Contender], seen: Mapping[str, list[Matched]]
) -> list[dict[str, table.Cell]]:
    """AP50 of ours less that of the others, with the interval that redrawn pictures give; the same for count MAE."""
    out: list[dict[str, table.Cell]] = []
    for ours, other in ((a, b) for a in runners if a.ours for b in runners if not b.ours):
        pairs = list(zip(seen[ours.name], seen[other.name], strict=True))

        def ap_gap(some: Sequence[tuple[Matched, Matched]]) -> float:
            return score.average_precision([a for a, _ in some]) - score.average_precision([b for _, b in some])

        def mae_gap(some: Sequence[tuple[Matched, Matched]], ours: Contender = ours, other: Contender = other) -> float:
            first = score.count_errors([a for a, _ in some], ours.threshold)
            return float(
                np.abs(first).mean() - np.abs(score.count_errors([b for _, b in some], other.threshold)).mean()
            )

        low, high = interval(pairs, ap_gap, draws=DRAWS)
        row: dict[str, table.Cell] = {"set": name, "ours": ours.name, "less": other.name, "AP50": ap_gap(pairs)}
        row.update({"AP50 5 %": low, "AP50 95 %": high, "count MAE": mae_gap(pairs)})
        row["count MAE 5 %"], row["count MAE 95 %"] = interval(pairs, mae_gap, draws=DRAWS)
        out.append(row)
    return out


def speeds(runners: Sequence[Contender], rounds: int) -> list[dict[str, table.Cell]]:
    """Return one row a model: milliseconds on one thread in one interleaved run, memory, the size of its file."""
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
            "MB in memory": megabytes(runner.file),
            "KB of file": runner.file.stat().st_size // 1024,
        }
        for runner in runners
    ]


def draw(rows: Sequence[table.Row], fast: Sequence[table.Row], out: Path) -> None:
    """Write the charts: AP50, count error and recall by set and model, milliseconds by model."""
    draw_sets(rows, out, (("AP50", "ap50"), ("count MAE", "count"), ("recall", "recall")))
    spent = {str(row["model"]): [float(row["ms"])] for row in fast}
    chart.bars(out / "milliseconds.png", "milliseconds a call, 1 thread", ["all"], spent)


def draw_sets(rows: Sequence[table.Row], out: Path, columns: Sequence[tuple[str, str]]) -> None:
    """Write one chart for each (column, name): sets across, models side by side; sets without a figure are left out."""
    models = list(dict.fromkeys(str(row["model"]) for row in rows))
    for column, name in columns:
        by = {(str(row["set"]), str(row["model"])): float(row[column]) for row in rows}
        sets = [s for s in dict.fromkeys(s for s, _ in by) if not np.isnan(by[s, models[0]])]
        chart.bars(out / f"{name}.png", f"{column}, by set", sets, {m: [by[s, m] for s in sets] for m in models})
