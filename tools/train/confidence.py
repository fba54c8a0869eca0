"""When a head may speak: the confidence above which its answers are right often enough.

Knows:  scores, truth, how many pixels a face has.
Never:  a confidence chosen on what is reported.
Leaves: a confidence for each head, figures of what is answered with it.
Clauses: 4.2(2), 6.1(3) (estimated sex, age band and mask, or unknown).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIZES = (20, 30, 40)
"""Face heights, pixels, at which real faces choose and are measured; a pole has no more than about 45."""

DRAWN = 0
"""Stands for drawn people where pixels of a face stand."""

COVERAGE = 0.6
"""Share of the largest real faces that sex and age answer, where what they answer is right often enough."""

LEAST_RIGHT = {"sex": 0.80, "age": 0.52, "mask": 0.90}
"""Of the answered, at every size; a head that stays below it answers nothing (confidence ``SILENT``)."""

MOST_DRAWN = 0.02
"""Share of all drawn people told a wrong mask state, at most: many are turned away and should be told nothing."""

BALANCED = ("sex", "mask")
"""Heads whose share of right answers is the mean over classes."""

ROOM = 0.03
"""More than the least is wanted where a confidence is chosen: others are never quite like those it was chosen on."""

SILENT = 0.999


@dataclass(frozen=True, slots=True)
class Told:
    """Scores (n, classes) of one head, the true classes, how many pixels each face has (0: a drawn person)."""

    scores: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]

    def answered(self, confidence: float, pixels: int) -> npt.NDArray[np.bool_]:
        """Return who of that size is answered at that confidence."""
        return np.asarray((self.pixels == pixels) & (self.scores.max(axis=1) >= confidence))


def right_enough(name: str, told: Told, confidence: float, pixels: int, more: float = 0.0) -> bool:
    """Whether what is answered to people of that size is right as often as wanted, and ``more``. Silence is."""
    asked = told.answered(confidence, pixels)
    if not asked.any():
        return True
    right, truth = (told.scores.argmax(axis=1) == told.truth)[asked], told.truth[asked]
    if pixels == DRAWN:
        return bool((~right).sum() <= MOST_DRAWN * (told.pixels == DRAWN).sum())
    share = _balanced(right, truth) if name in BALANCED else float(right.mean())
    return share >= LEAST_RIGHT[name] + more


def confidence_of(name: str, told: Told) -> float:
    """Return the least confidence at which answers are right often enough, with some room, at every size.

    ``SILENT`` where sex or age would be told of fewer than ``COVERAGE`` of the largest real faces.
    """
    sizes = (*SIZES, *((DRAWN,) if name == "mask" else ()))
    for confidence in np.arange(0.5, 0.99, 0.01):
        if all(right_enough(name, told, float(confidence), pixels, ROOM) for pixels in sizes):
            covered = told.answered(float(confidence), SIZES[-1]).sum() / max(1, (told.pixels == SIZES[-1]).sum())
            return round(float(confidence), 2) if name == "mask" or covered >= COVERAGE else SILENT
    return SILENT


def accuracy(
    name: str, scores: npt.NDArray[np.float32], truth: npt.NDArray[np.int64], confidence: float
) -> dict[str, float]:
    """Return accuracy and balanced accuracy of all, accuracy and share of the answered."""
    right, classes = scores.argmax(axis=1) == truth, np.unique(truth)
    out = {
        f"{name}_n": float(len(truth)),
        f"{name}_accuracy": float(right.mean()),
        f"{name}_balanced": _balanced(right, truth),
    }
    sure = scores.max(axis=1) >= confidence
    out[f"{name}_answered"] = float(sure.mean())
    if sure.any():
        out[f"{name}_accuracy_answered"] = float(right[sure].mean())
    if all((sure & (truth == c)).any() for c in classes):
        out[f"{name}_balanced_answered"] = _balanced(right[sure], truth[sure])
    return {key: round(value, 3) for key, value in out.items()}


def _balanced(right: npt.NDArray[np.bool_], truth: npt.NDArray[np.int64]) -> float:
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))
