"""What a detector found beside what was there: matched once, and every figure drawn from that.

Knows:  boxes, scores, persons asked for, places where nothing counts.
Never:  a picture, a model, a figure that was not counted here.
Leaves: :class:`Matched` values; average precision, recall, precision, counts, calibration from many of them.
Clauses: none; what 4.2(2) and 6.1(3) are believed by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

OVERLAP = 0.5
"""Intersection over union from which a box is the person's."""

SPARED_OVERLAP = 0.4
"""The same for a person nobody asked for: a box there is neither right nor false."""

REGION_SHARE = 0.5
"""Share of a box that must lie in a region of uncounted people for it to be neither right nor false."""

HEIGHTS = ((15, 40), (40, 80), (80, 150), (150, 361))
"""Bands of height in small-picture pixels (the picture fitted into 640 x 360)."""


def no_boxes() -> Floats:
    """Return an empty (0, 4)."""
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, slots=True)
class Marked:
    """What is on a picture; boxes are (n, 4) left, top, right, bottom, in small-picture pixels.

    ``wanted`` are persons a detector is asked for. ``spared`` are persons it is not asked for (too small, hidden);
    ``regions`` are places where uncounted people are. ``complete`` says that nobody is missing from the boxes:
    without it only recall means anything.
    """

    wanted: Floats
    spared: Floats
    regions: Floats
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector said of a picture: boxes (n, 4) in the same pixels, scores (n) 0..1, in any order."""

    boxes: Floats
    scores: Floats


@dataclass(frozen=True, slots=True)
class Matched:
    """One picture's reckoning.

    ``scores`` (n) falling; ``verdicts`` (n) 1 right, 0 false, -1 neither; ``heights`` (n) of the found boxes, of the
    person instead where the box is right. ``persons`` (m, 2): height and best score (0: missed) of each one asked for.
    """

    scores: Floats
    verdicts: npt.NDArray[np.int8]
    heights: Floats
    persons: Floats
    complete: bool

    def counted(self, threshold: float) -> int:
        """Return how many boxes count as persons at ``threshold``."""
        return int(((self.scores >= threshold) & (self.verdicts >= 0)).sum())


def overlaps(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return intersection over union, and over the first's own area, of every pair: (n, m) each."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    sides = np.clip(np.minimum(first[:, None, 2:], second[None, :, 2:]) - corner, 0, None)
    shared = sides[..., 0] * sides[..., 1]
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return shared / np.maximum(union, 1e-9), shared / np.maximum(areas[0][:, None], 1e-9)


def match(found: Found, marked: Marked) -> Matched:
    """Match greedily by score at IoU 0.5: a box takes the free person it overlaps most; a second box is false."""
    order = np.argsort(-found.scores, kind="stable")
    boxes, scores = found.boxes[order].reshape(-1, 4), found.scores[order]
    with_wanted = overlaps(boxes, marked.wanted)[0]
    excused = np.any(overlaps(boxes, marked.spared)[0] >= SPARED_OVERLAP, axis=1)
    excused |= np.any(overlaps(boxes, marked.regions)[1] >= REGION_SHARE, axis=1)
    tall = marked.wanted[:, 3] - marked.wanted[:, 1]
    best = np.zeros(len(tall), np.float32)
    verdicts, heights = np.zeros(len(boxes), np.int8), boxes[:, 3] - boxes[:, 1]
    for k in range(len(boxes)):
        free = np.where(best > 0, -1, with_wanted[k])
        taken = int(free.argmax()) if len(free) else -1
        if taken >= 0 and free[taken] >= OVERLAP:
            best[taken], verdicts[k], heights[k] = max(scores[k], 1e-6), 1, tall[taken]
        elif excused[k]:
            verdicts[k] = -1
    return Matched(scores, verdicts, heights, np.stack([tall, best], axis=1), marked.complete)


def average_precision(every: Iterable[Matched], band: tuple[float, float] = (0.0, 1e9)) -> float:
    """Return AP at IoU 0.5, all-point interpolated, of persons whose height lies in ``band``; nan where there are none.

    A box that found a person of another band, or found nobody and is itself of another band, counts neither way.
    """
    scores, right, asked = [], [], 0
    for one in every:
        here = (one.verdicts >= 0) & (one.heights >= band[0]) & (one.heights < band[1])
        scores.append(one.scores[here])
        right.append(one.verdicts[here])
        asked += int(((one.persons[:, 0] >= band[0]) & (one.persons[:, 0] < band[1])).sum())
    if not asked:
        return float("nan")
    falling = np.argsort(-np.concatenate(scores), kind="stable")
    hits = np.cumsum(np.concatenate(right)[falling].astype(np.int64))
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(np.concatenate([[0.0], hits / asked])) * envelope).sum())


def recall(every: Iterable[Matched], threshold: float, band: tuple[float, float] = (0.0, 1e9)) -> tuple[int, float]:
    """Return how many persons of that height were asked for, and the share found at ``threshold`` (nan of none)."""
    people = np.concatenate([one.persons for one in every])
    people = people[(people[:, 0] >= band[0]) & (people[:, 0] < band[1])]
    return len(people), float((people[:, 1] >= threshold).mean()) if len(people) else float("nan")


def precision(every: Iterable[Matched], threshold: float) -> float:
    """Return the share of boxes at ``threshold`` that are right; nan where there are none."""
    said = np.concatenate([one.verdicts[(one.scores >= threshold) & (one.verdicts >= 0)] for one in every])
    return float((said == 1).mean()) if len(said) else float("nan")


def count_errors(every: Sequence[Matched], threshold: float) -> npt.NDArray[np.int64]:
    """Return counted less there, a picture."""
    return np.array([one.counted(threshold) - len(one.persons) for one in every], np.int64)


def presence_auc(every: Sequence[Matched]) -> float:
    """Return how well the best score tells pictures with somebody from pictures with nobody; nan without both."""
    best = np.array([max(one.scores[one.verdicts >= 0], default=0.0) for one in every], np.float64)
    someone = np.array([len(one.persons) > 0 for one in every])
    if someone.all() or not someone.any():
        return float("nan")
    above = best[someone][:, None] - best[~someone][None]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def calibration(every: Iterable[Matched], bins: int = 10) -> list[tuple[float, float, int]]:
    """Return (mean score, share right, boxes) of each tenth of the score's range that holds any box."""
    pairs = [(one.scores[one.verdicts >= 0], one.verdicts[one.verdicts >= 0]) for one in every]
    scores, right = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    place = np.minimum((scores * bins).astype(int), bins - 1)
    return [
        (float(scores[place == k].mean()), float(right[place == k].mean()), int((place == k).sum()))
        for k in range(bins)
        if (place == k).any()
    ]


def calibration_error(curve: Sequence[tuple[float, float, int]]) -> float:
    """Return the mean distance of score from truth over boxes (expected calibration error)."""
    boxes = sum(n for _, _, n in curve)
    return sum(abs(score - share) * n for score, share, n in curve) / boxes if boxes else float("nan")
