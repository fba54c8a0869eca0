"""The figures a manifest states of a detector, and measuring them again from nothing but the model and this checkout.

Knows:  which streets are drawn for them, how many slices, how far a second measurement may lie from the first.
Never:  a picture from outside: drawn streets are the same on every machine.
Leaves: ``measured`` values; a line for each that does not come out again.
Clauses: 1 (figures that anybody can check), 4.2(2), 6.1(3).

Two runs of one file on one machine give one and the same number. Between machines LiteRT's kernels may round an
activation differently, and with it a box at the edge of a threshold: that is what the tolerances are for. They are far
smaller than the difference between two trainings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tools.evaluate.drawn import SUITES, streets_of
from tools.evaluate.measure import Detector, average_precision, counts, fleeting, occupancy_error

MEASURING_SEED = 5_000
FULL_SLICES, SHORT_SLICES = 10, 1
SHORT_SUITES = ("day", "infrared")
SHORT = "short_"
TOLERANCES = {"ap50": 0.01, "mae": 0.015, "bias": 0.015, "slice": 0.01, "things": 0.01, "persons": 4}
"""By the last word of a figure's name."""


@dataclass(frozen=True, slots=True)
class Check:
    """One figure: what the manifest states, what came out, how far apart they may lie."""

    name: str
    stated: float
    measured: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether it came out again."""
        return abs(self.stated - self.measured) <= self.tolerance


def full(detector: Detector, threshold: float) -> dict[str, float]:
    """Measure every suite; some minutes of one core."""
    out: dict[str, float] = {}
    for name in SUITES:
        streets = streets_of(name, detector, FULL_SLICES, MEASURING_SEED)
        every = [seen for street in streets for seen in street]
        if name == "empty":
            out["empty_false_persons_a_slice"] = round(float(counts(every, threshold)[0].mean()), 4)
            moving = float(np.mean([fleeting(street, threshold) for street in streets]))
            out["empty_false_persons_a_slice_besides_standing_things"] = round(moving, 4)
            continue
        mae, bias = occupancy_error(streets, threshold)
        out[f"{name}_ap50"] = round(average_precision(every), 3)
        out[f"{name}_occupancy_mae"] = round(mae, 3)
        out[f"{name}_occupancy_bias"] = round(bias, 3)
    return out


def short(detector: Detector, threshold: float) -> dict[str, float]:
    """Measure one slice of each street of two suites: seconds, and as good as a fingerprint of the model."""
    out: dict[str, float] = {}
    for name in SHORT_SUITES:
        every = [seen for street in streets_of(name, detector, SHORT_SLICES, MEASURING_SEED) for seen in street]
        out[f"{SHORT}{name}_ap50"] = round(average_precision(every), 3)
        out[f"{SHORT}{name}_persons"] = float(counts(every, threshold)[0].sum())
    return out


def measured(detector: Detector, threshold: float) -> dict[str, float]:
    """Return all that a manifest states of a detector's counting."""
    return {**full(detector, threshold), **short(detector, threshold)}


def checks(stated: Mapping[str, float | int | str], again: Mapping[str, float]) -> list[Check]:
    """Compare what came out with what is stated. A figure that is not stated at all can hold in no way."""
    return [
        Check(name, float(stated.get(name, "nan")), value, TOLERANCES[name.rpartition("_")[2]])
        for name, value in again.items()
    ]
