"""Counting on simulated streets of 1 to 60 people a minute, by day, at night and in rain, minute by minute.

Knows:  held-out streets with exact truth; commissioning as an installer does it; the firmware's minutes.
Never:  a constant fitted on the street it is applied to.
Leaves: rows by condition and rate; a chart.
Clauses: 4.2(2), 6.1(3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from firmware.flow.region import mask
from tools.evaluate import chart, table
from tools.evaluate.bootstrap import interval
from tools.evaluate.cores import spread
from tools.evaluate.drawn import HELD_OUT_SEEDS, POLES, SMALL_BYTES
from tools.evaluate.empty import COMMISSIONING_SLICES, COMMISSIONING_STEP, outside, standing
from tools.evaluate.measure import Detector, detectors, sure_boxes
from tools.evaluate.minutes import SLICES, Minute, rules, summary
from tools.evaluate.score import Floats
from tools.street.scene import Scene
from tools.street.street import Street
from tools.street.truth import persons_in

CONDITIONS: dict[str, Scene] = {"day": Scene(), "night": Scene(light="night"), "rain": Scene(rain=True)}
SUN = {"day": "day", "rain": "day", "night": "night"}
"""Which of the two constants of ``$meta`` is for which condition."""

RATES = (1.0, 3.0, 6.0, 12.0, 20.0, 40.0, 60.0)
WARM_SECONDS = 120
"""The street is looked at when it has filled."""

SEED = 40_000
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Watched:
    """One street's minutes, commissioned; and what would have been counted without ignore polygons."""

    condition: str
    rate: float
    minutes: tuple[Minute, ...]
    found: tuple[Minute, ...]


def watch(with_all: Mapping[str, Detector], condition: str, rate: float, seed: int, minutes: int) -> dict[str, Watched]:
    """Commission one street, then count it for some minutes, a slice a second; drawn once for all detectors."""
    pole = POLES[seed % len(POLES)]
    scene = replace(CONDITIONS[condition], people_per_minute=rate, height=pole[0], tilt=pole[1], turn=pole[2])
    street, small = Street(scene, HELD_OUT_SEEDS + seed), np.empty(SMALL_BYTES, np.uint8)
    before: dict[str, list[Floats]] = {name: [] for name in with_all}
    for k in range(COMMISSIONING_SLICES):
        street.render(WARM_SECONDS + COMMISSIONING_STEP * k, None, small)
        for name, detector in with_all.items():
            before[name].append(sure_boxes(detector, small))
    masks = {name: mask(360, 640, (), tuple(standing(boxes))) for name, boxes in before.items()}
    began = WARM_SECONDS + COMMISSIONING_STEP * COMMISSIONING_SLICES
    there = list[int]()
    counted: dict[str, list[tuple[int, int]]] = {name: [] for name in with_all}
    for second in range(minutes * SLICES):
        there.append(persons_in(street.render(began + second, None, small)))
        for name, detector in with_all.items():
            boxes = sure_boxes(detector, small)
            counted[name].append((outside(boxes, masks[name]), len(boxes)))

    def told(counts: Sequence[int]) -> tuple[Minute, ...]:
        cuts = [slice(k, k + SLICES) for k in range(0, len(counts), SLICES)]
        return tuple(Minute(tuple(counts[cut]), tuple(there[cut])) for cut in cuts)

    return {
        name: Watched(condition, rate, told([kept for kept, _ in counts]), told([found for _, found in counts]))
        for name, counts in counted.items()
    }


def _watch(task: tuple[Sequence[Path], str, float, int, int]) -> dict[str, Watched]:
    return watch(detectors(task[0]), *task[1:])


def watch_all(
    models: Sequence[Path], minutes: int, streets: int, cores: int = 1, tell: Tell = print
) -> dict[str, list[Watched]]:
    """Watch ``streets`` streets of each condition and rate with every detector of these directories."""
    tasks = [
        (models, condition, rate, SEED + 1_000 * c + 50 * r + number, minutes)
        for c, condition in enumerate(CONDITIONS)
        for r, rate in enumerate(RATES)
        for number in range(streets)
    ]
    out: dict[str, list[Watched]] = defaultdict(list)
    for done, watched in enumerate(spread(_watch, tasks, cores), start=1):
        for name, one in watched.items():
            out[name].append(one)
        tell(f"{done} of {len(tasks)} streets")
    return out


def gain_of(watched: Sequence[Watched]) -> float:
    """Return the constant by which counted means must be multiplied to lie right on the whole."""
    counted = sum(sum(minute.counted) for one in watched for minute in one.minutes)
    there = sum(sum(minute.there) for one in watched for minute in one.minutes)
    return there / counted if counted else 1.0


def _with_constant(watched: Sequence[Watched], chosen: Sequence[Watched]) -> dict[str, float]:
    """Mean absolute error and bias of ``chosen`` streets, each times a constant fitted on all others of its sun."""
    apart = []
    for one in chosen:
        gain = gain_of([w for w in watched if w is not one and SUN[w.condition] == SUN[one.condition]])
        means = np.array([[np.mean(m.counted) * gain, np.mean(m.there)] for m in one.minutes])
        apart.append(means)
    counted, there = np.concatenate(apart).T
    whole = float(there.sum()) or float("nan")
    errors = counted - there
    return {"MAE with constant": float(np.abs(errors).sum()) / whole, "bias with constant": float(errors.sum()) / whole}


def constants(watched: Sequence[Watched]) -> dict[str, int]:
    """Return ``mean_day_percent`` and ``mean_night_percent`` as ``flow.toml`` would have them for such streets."""
    suns = {sun: [w for w in watched if SUN[w.condition] == sun] for sun in dict.fromkeys(SUN.values())}
    return {f"mean_{sun}_percent": round(100 * gain_of(some)) for sun, some in suns.items() if some}


def _figure(some: Sequence[Watched], name: str) -> float:
    return summary([minute for one in some for minute in one.minutes], rules())[name]


def report(watched: Sequence[Watched]) -> list[dict[str, table.Cell]]:
    """Return a row for each condition and rate, for each condition, and for all; intervals are over streets."""
    rows: list[dict[str, table.Cell]] = []
    for condition in (*CONDITIONS, "all"):
        for rate in (*RATES, None) if condition != "all" else (None,):
            chosen = [w for w in watched if condition in (w.condition, "all") and rate in (w.rate, None)]
            if not chosen:
                continue
            row: dict[str, table.Cell] = {"condition": condition, "people/min": "all" if rate is None else f"{rate:g}"}
            row.update(summary([m for w in chosen for m in w.minutes], rules()))
            row.update(_with_constant(watched, chosen))
            as_found = summary([m for w in chosen for m in w.found], rules())
            row.update({"MAE as found": as_found["MAE"], "bias as found": as_found["bias"]})
            if rate is None:
                for name in ("MAE", "bias"):
                    row[f"{name} 5 %"], row[f"{name} 95 %"] = interval(chosen, partial(_figure, name=name))
            rows.append(row)
    return rows


def draw(rows: Sequence[table.Row], out: Path, model: str) -> None:
    """Write charts of a model's error and bias by rate."""
    rates = [f"{rate:g}" for rate in RATES]
    for column, name in (("MAE", "counting-mae"), ("bias", "counting-bias")):
        values = {
            condition: [
                next((float(r[column]) for r in rows if (r["condition"], r["people/min"]) == (condition, rate)), np.nan)
                for rate in rates
            ]
            for condition in CONDITIONS
        }
        title = f"{column} of mean occupancy as a share of what was there, by people a minute"
        chart.bars(out / f"{name}-{model}.png", f"{model}: {title}", rates, values)
