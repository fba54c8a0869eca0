"""Runs a model over slices and keeps what it found beside what was there.

Knows:  the firmware's tensors and decoder.
Never:  a rule of its own for what counts as found.
Leaves: :class:`Seen` values, figures from many of them.
Clauses: none.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware.drivers.litert import load_model
from firmware.drivers.model_manifest import read_manifest
from firmware.flow.decode import MODEL_HEIGHT, MODEL_WIDTH, Decoder, Quantised
from firmware.flow.tensors import DetectorInput, Planes
from tools.street.truth import PersonTruth, Truth

Floats = npt.NDArray[np.float32]
LOWEST_SCORE = 0.04
SMALLEST_HEIGHT = 15.0
"""Small-picture pixels; shorter persons are neither missed nor false."""

HEIGHTS = ((15, 40), (40, 80), (80, 150), (150, 361))


@dataclass(frozen=True, slots=True)
class Seen:
    """One slice: boxes found (n, 4; small-picture pixels), their scores, and the truth."""

    boxes: Floats
    scores: Floats
    truth: Truth


class Detector:
    """The detector of a model directory, as the counter runs it; ``milliseconds`` lists each bare interpreter call."""

    def __init__(self, directory: Path) -> None:
        entry = read_manifest(directory).for_task("persons")
        if entry is None:
            message = "the manifest lists no model for persons"
            raise ValueError(message)
        self.threshold = float(entry.score_threshold or 0.5)
        self._network = load_model(directory, entry)
        self._input = DetectorInput()
        heat, box = (self._network.output_entry(meaning) for meaning in ("heat", "box"))
        everywhere = np.ones((MODEL_HEIGHT, MODEL_WIDTH), np.bool_)
        self._decoder = Decoder(
            Quantised(heat.scale, heat.zero_point),
            Quantised(box.scale, box.zero_point),
            threshold=LOWEST_SCORE,
            counted=everywhere,
        )
        self.milliseconds: list[float] = []

    def look(self, small: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Return boxes (n, 4; small-picture pixels) and scores of a 640 x 360 I420 picture."""
        self._input.fill(Planes(small), self._network.input())
        began = time.perf_counter()
        self._network.run()
        self.milliseconds.append((time.perf_counter() - began) * 1e3)
        self._decoder.decode(self._network.output("heat"), self._network.output("box"))
        boxes, scores = self._decoder.people()
        return np.clip(boxes * 2, 0, [640, 360, 640, 360]).astype(np.float32), scores


def overlap(box: Floats, person: PersonTruth) -> float:
    """Return intersection over union of a found box and a person's."""
    left, top, right, bottom = person.box
    w = min(float(box[2]), right) - max(float(box[0]), left)
    h = min(float(box[3]), bottom) - max(float(box[1]), top)
    if w <= 0 or h <= 0:
        return 0.0
    union = float((box[2] - box[0]) * (box[3] - box[1])) + (right - left) * (bottom - top) - w * h
    return w * h / union


def matched(seen: Seen) -> tuple[list[tuple[float, int]], list[tuple[float, float]]]:
    """Match greedily by score at IoU 0.5.

    Returns (score, verdict) of each box: 1 right, 0 false, -1 neither (a person nobody asked for); and
    (height, best score or 0) of each person asked for.
    """
    asked = [k for k, p in enumerate(seen.truth) if p.counted and p.box[3] - p.box[1] >= SMALLEST_HEIGHT]
    best: dict[int, float] = {}
    verdicts: list[tuple[float, int]] = []
    for k in np.argsort(-seen.scores):
        score = float(seen.scores[k])
        overlaps = [(overlap(seen.boxes[k], person), n) for n, person in enumerate(seen.truth)]
        free = max(((o, n) for o, n in overlaps if n in asked and n not in best), default=(0.0, -1))
        if free[0] >= 0.5:
            best[free[1]] = score
            verdicts.append((score, 1))
            continue
        spare = max((o for o, n in overlaps if n not in asked), default=0.0)
        verdicts.append((score, -1 if spare >= 0.4 else 0))
    people = [(seen.truth[n].box[3] - seen.truth[n].box[1], best.get(n, 0.0)) for n in asked]
    return verdicts, people


def average_precision(slices: list[Seen]) -> float:
    """Return AP at IoU 0.5, all-point interpolated."""
    verdicts, wanted = [], 0
    for seen in slices:
        found, people = matched(seen)
        verdicts += [v for v in found if v[1] >= 0]
        wanted += len(people)
    if not verdicts or not wanted:
        return float("nan")
    verdicts.sort(key=lambda v: -v[0])
    right = np.cumsum([v[1] for v in verdicts])
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = right / wanted
    return float((np.diff(np.concatenate([[0.0], recall])) * envelope).sum())


def counts(slices: list[Seen], threshold: float) -> tuple[Floats, Floats]:
    """Return how many were counted and how many were there, a slice."""
    found = np.array([(s.scores >= threshold).sum() for s in slices], np.float32)
    there = np.array([sum(p.counted for p in s.truth) for s in slices], np.float32)
    return found, there


def fleeting(street: list[Seen], threshold: float) -> float:
    """Return false persons a slice of an empty street, without what stands at one place in half of the slices or more.

    That is what an ignore polygon drawn at commissioning takes out: a bollard, a poster, a statue.
    """
    found = [seen.boxes[seen.scores >= threshold] for seen in street]
    every = [
        PersonTruth((float(b[0]), float(b[1]), float(b[2]), float(b[3])), 1.0, "", "", "") for s in found for b in s
    ]
    left = 0
    for boxes in found:
        for box in boxes:
            same = sum(overlap(box, other) >= 0.5 for other in every)
            left += same < max(2, len(street) / 2)
    return left / max(len(street), 1)


def occupancy_error(streets: list[list[Seen]], threshold: float) -> tuple[float, float]:
    """Return MAE and bias of mean occupancy over streets, as shares of the true mean occupancy."""
    pairs = [(float(f.mean()), float(t.mean())) for f, t in (counts(street, threshold) for street in streets)]
    whole = max(sum(there for _, there in pairs), 1e-9)
    return (
        sum(abs(found - there) for found, there in pairs) / whole,
        sum(found - there for found, there in pairs) / whole,
    )


def recalls(slices: list[Seen], threshold: float) -> list[tuple[str, int, float]]:
    """Return (height band, persons, share found) by the height of persons in small-picture pixels."""
    people = [pair for seen in slices for pair in matched(seen)[1]]
    out = []
    for low, high in HEIGHTS:
        band = [score >= threshold for height, score in people if low <= height < high]
        out.append((f"{low}-{high - 1}", len(band), float(np.mean(band)) if band else float("nan")))
    return out
