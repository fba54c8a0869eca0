"""Runs a model over slices and keeps what it found beside what was there.

Knows:  the firmware's tensors and decoder.
Never:  a rule of its own for what counts as found.
Leaves: :class:`Seen` values, figures from many of them.
Clauses: none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from firmware.drivers.litert import LoadedModel, load_model
from firmware.drivers.model_manifest import Model, read_manifest
from firmware.flow.decode import HALF_HEIGHT, HALF_WIDTH, Decoder, Quantised
from firmware.flow.form import FORMS
from firmware.flow.tensors import DetectorInput, Planes
from tools.evaluate import score
from tools.evaluate.score import Floats
from tools.street.truth import PersonTruth, Truth

LOWEST_SCORE = 0.04
SMALLEST_HEIGHT = 15.0
"""Small-picture pixels; shorter persons are neither missed nor false."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One slice: boxes found (n, 4; small-picture pixels), their scores, and the truth."""

    boxes: Floats
    scores: Floats
    truth: Truth


def plain(directory: Path, entry: Model) -> LoadedModel:
    """Load a model that passes the firmware's gate, but compute with LiteRT's plain kernels."""
    load_model(directory, entry)
    interpreter = Interpreter(
        str(directory / entry.file), num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    return LoadedModel(entry, interpreter)


class Detector:
    """A detector of a model directory, as the counter runs it; ``milliseconds`` lists each bare interpreter call."""

    def __init__(self, directory: Path, entry: Model | None = None, *, reference: bool = False) -> None:
        """Load ``entry``, or the directory's own choice for persons. Raises ValueError if there is none.

        ``reference`` computes with LiteRT's plain kernels: slow, and the same whole numbers on every machine.
        """
        entry = entry or read_manifest(directory).for_task("persons")
        if entry is None:
            message = "the manifest lists no model for persons"
            raise ValueError(message)
        self.threshold = float(entry.score_threshold or 0.5)
        self._network = plain(directory, entry) if reference else load_model(directory, entry)
        form = FORMS[entry.input.shape]
        self._input, self._meanings = DetectorInput(form), tuple(form.outputs)
        entries = [self._network.output_entry(meaning) for meaning in self._meanings]
        self._decoder = Decoder(
            form,
            [Quantised(output.scale, output.zero_point) for output in entries],
            threshold=LOWEST_SCORE,
            counted=np.ones((HALF_HEIGHT, HALF_WIDTH), np.bool_),
        )
        self.milliseconds: list[float] = []

    def run(self) -> None:
        """Call the bare interpreter once, on whatever its input holds."""
        self._network.run()

    def look(self, small: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Return boxes (n, 4; small-picture pixels) and scores of a 640 x 360 I420 picture."""
        self._input.fill(Planes(small), self._network.input())
        began = time.perf_counter()
        self._network.run()
        self.milliseconds.append((time.perf_counter() - began) * 1e3)
        self._decoder.decode([self._network.output(meaning) for meaning in self._meanings])
        boxes, scores = self._decoder.people()
        return np.clip(boxes * 2, 0, [640, 360, 640, 360]).astype(np.float32), scores


def detectors(directories: Sequence[Path]) -> dict[str, Detector]:
    """Return every detector of these model directories by its file's name; with its folder's if there are several."""
    return {
        (f"{directory.name}-" if len(directories) > 1 else "") + entry.file.removesuffix(".tflite"): Detector(
            directory, entry
        )
        for directory in directories
        for entry in read_manifest(directory).model
        if entry.task == "persons"
    }


def sure_boxes(detector: Detector, small: npt.NDArray[np.uint8]) -> Floats:
    """Return the boxes that a pole with this detector counts as persons."""
    boxes, scores = detector.look(small)
    return boxes[scores >= detector.threshold]


def overlap(box: Floats, person: PersonTruth) -> float:
    """Return intersection over union of a found box and a person's."""
    return float(score.overlaps(np.asarray(box, np.float32)[None], np.array([person.box], np.float32))[0][0, 0])


def asked(person: PersonTruth) -> bool:
    """Return whether a detector is asked for this person."""
    return person.counted and person.box[3] - person.box[1] >= SMALLEST_HEIGHT


def marked(truth: Truth) -> score.Marked:
    """Return what a detector is asked for on a street, and what it is spared."""
    boxes = np.array([person.box for person in truth], np.float32).reshape(-1, 4)
    wanted = np.array([asked(person) for person in truth], np.bool_)
    return score.Marked(boxes[wanted], boxes[~wanted], score.no_boxes())


def reckoned(seen: Seen) -> score.Matched:
    """Return one slice's reckoning."""
    return score.match(score.Found(seen.boxes, seen.scores), marked(seen.truth))


def average_precision(slices: list[Seen]) -> float:
    """Return AP at IoU 0.5, all-point interpolated."""
    return score.average_precision([reckoned(seen) for seen in slices])


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
    every = [reckoned(seen) for seen in slices]
    return [(f"{low}-{high - 1}", *score.recall(every, threshold, (low, high))) for low, high in score.HEIGHTS]
