"""The figures a manifest states of a detector, and measuring them again from nothing but the model and this checkout.

Knows:  which streets are drawn for them, how many slices, how far a second measurement may lie from the first.
Never:  a picture from outside: drawn streets are the same on every machine.
Leaves: ``measured`` values; a line for each that does not come out again.
Clauses: 1 (figures that anybody can check), 4.2(2), 6.1(3).

Two runs of one file on one machine give one and the same number. Between machines LiteRT's fast kernels round
differently: for one model and the same streets, the fast and the plain kernels of one machine lay 0.04 of AP50 apart on
a dozen slices, the fast ones of two machines 0.04 on 120. The full figures are taken with the fast kernels, as a pole
runs, and are compared with that in mind. The short ones are taken with the plain kernels, whose whole numbers are the
same everywhere, and are compared closely: they are the model's fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware.drivers.model_manifest import Model
from tools.evaluate.attributes import Estimator, answers, of_streets
from tools.evaluate.drawn import SUITES, streets_of
from tools.evaluate.measure import Detector, average_precision, counts, fleeting, occupancy_error

MEASURING_SEED = 5_000
FULL_SLICES, SHORT_SLICES = 10, 1
SHORT_SUITES = ("day", "infrared")
SHORT = "short_"
TOLERANCES = {"ap50": 0.05, "mae": 0.05, "bias": 0.05, "slice": 0.02, "things": 0.02}
"""Of the full figures, by the last word of a figure's name."""

SHORT_TOLERANCES = {"ap50": 0.005, "persons": 1, "right": 1, "answered": 1}
SHORT_STREETS, SHORT_LOOKS = 3, 4
"""Of attributes: crowded streets, slices a street."""


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


def short(plain: Detector, threshold: float) -> dict[str, float]:
    """Measure one slice of each street of two suites: seconds, and as good as a fingerprint of the model.

    ``plain`` computes with the reference kernels.
    """
    out: dict[str, float] = {}
    for name in SHORT_SUITES:
        streets = streets_of(name, plain, SHORT_SLICES, MEASURING_SEED, width=640)
        every = [seen for street in streets for seen in street]
        out[f"{SHORT}{name}_ap50"] = round(average_precision(every), 3)
        out[f"{SHORT}{name}_persons"] = float(counts(every, threshold)[0].sum())
    return out


def measured(directory: Path, threshold: float | None = None, entry: Model | None = None) -> dict[str, float]:
    """Return all that a manifest states of a detector's counting, at its own threshold unless told another."""
    fast, plain = Detector(directory, entry), Detector(directory, entry, reference=True)
    chosen = threshold or fast.threshold
    return {**full(fast, chosen), **short(plain, chosen)}


def short_attributes(directory: Path) -> dict[str, float]:
    """Ask the attribute heads, in plain kernels, about some drawn people: how many right, how many answered."""
    estimator = Estimator(directory, reference=True)
    bodies = list(of_streets(None, estimator.minimum_height, SHORT_STREETS, SHORT_LOOKS))
    out: dict[str, float] = {f"{SHORT}street_persons": float(len(bodies))}
    for one in answers(estimator, bodies):
        name = f"{SHORT}street_{one.dimension.value}"
        out[f"{name}_right"] = float((one.scores.argmax(axis=1) == one.truth).sum())
        out[f"{name}_answered"] = float((one.scores.max(axis=1) >= estimator.confidence[one.dimension]).sum())
    return out


def checks(stated: Mapping[str, float | int | str], again: Mapping[str, float]) -> list[Check]:
    """Compare what came out with what is stated. A figure that is not stated at all can hold in no way."""
    out = []
    for name, value in again.items():
        tolerances = SHORT_TOLERANCES if name.startswith(SHORT) else TOLERANCES
        out.append(Check(name, float(stated.get(name, "nan")), value, tolerances[name.rpartition("_")[2]]))
    return out
