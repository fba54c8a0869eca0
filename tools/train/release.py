"""The last step: threshold and confidences chosen on what was held out, figures measured, manifest written.

Knows:  the evaluation's streets and their truth.
Never:  a threshold chosen on what it was trained on.
Leaves: an entry of ``MANIFEST.toml``.
Clauses: 4.2(2), 6.1(3), 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from firmware.drivers.model_manifest import Model, read_manifest
from tools.evaluate import figures
from tools.evaluate.drawn import streets_of
from tools.evaluate.measure import Detector, fleeting, occupancy_error
from tools.train.confidence import DRAWN, SILENT, SIZES, Told, accuracy, confidence_of, right_enough
from tools.train.export import Exported
from tools.train.face_file import hash_of
from tools.train.manifest import replace_entry
from tools.train.upper_bodies import load

LICENCE = "Apache-2.0"
STARTS = "BSD-3-Clause and Apache-2.0"
FALSE_PERSONS_ALLOWED = 0.02
CHOOSING_SEED = 1_000
"""Other streets than those of :mod:`tools.evaluate.figures`."""

MINIMUM_HEIGHT = 150


def described(sources: Path, start: Path | None, teacher: Path | None = None, blend: Sequence[Path] = ()) -> str:
    """Return one line on what a model was trained on, started from and taught by, and which runs are blended in it."""
    found = json.loads(sources.read_text())
    parts = [
        f"{name} (tier {facts['tier']}, {facts['pictures']} pictures, sha256 {facts['sha256'][:16]})"
        for name, facts in found.items()
    ]
    named = (("started from", start), ("photographs also boxed by", teacher))
    begun = [f"{how} {file.name} (sha256 {_hash(file)[:16]}, {STARTS})" for how, file in named if file is not None]
    if blend:
        runs = ", ".join(f"{file.name} (sha256 {_hash(file)[:16]})" for file in blend)
        begun.append(f"its last steps begun with the mean of {runs}")
    return "; ".join(["synthetic street of tools/street", *parts, *begun])


def described_faces(start: Path, *, tier_b: bool) -> str:
    """Return one line on what the attribute heads were trained on, started from and taught by."""
    faces = "; faces of fairface_540 and kaggle_face_mask_detection_853 (tier B)" if tier_b else ""
    named = f"age_gender_model.bin of @vladmandic/face-api 1.7.15 (sha256 {hash_of(start)[:16]}, MIT)"
    return f"synthetic street of tools/street{faces}; started from and taught by {named}"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _entry(made: Exported, threshold: float, data: str) -> dict[str, Any]:
    return {
        "file": made.file.name,
        "sha256": made.sha256,
        "task": "persons",
        "licence": LICENCE,
        "training_data": data,
        "score_threshold": threshold,
        "input": {**made.input, "meaning": "picture"},
        "output": made.outputs,
        "measured": {},
    }


def listed(directory: Path, made: Exported) -> Model:
    """Write an entry for a file that is not measured yet; return it as the firmware reads it."""
    replace_entry(directory, _entry(made, 0.4, "a run's pause"))
    return _read(directory, made)


def detector(directory: Path, made: Exported, *, threshold: float | None, data: str) -> None:
    """Choose the threshold, measure, write the entry."""
    entry = _entry(made, threshold or 0.4, data)
    replace_entry(directory, entry)
    if threshold is None:
        entry["score_threshold"] = threshold = _choose(Detector(directory, _read(directory, made)))
        replace_entry(directory, entry)
    entry["measured"] = figures.measured(directory, threshold, _read(directory, made))
    entry["measured"].update({f"int8_error_{name}": error for name, error in made.error.items()})
    replace_entry(directory, entry)


def _read(directory: Path, made: Exported) -> Model:
    return next(model for model in read_manifest(directory).model if model.file == made.file.name)


def _choose(model: Detector) -> float:
    """Return the threshold of least occupancy error by day, dusk and rain that keeps empty streets empty."""
    names = ("day", "dusk", "rain", "infrared", "empty")
    suites = {name: streets_of(name, model, 10, CHOOSING_SEED) for name in names}
    empty = suites.pop("empty")
    best, chosen = float("inf"), 0.5
    for threshold in np.arange(0.15, 0.75, 0.01):
        false = float(np.mean([fleeting(street, float(threshold)) for street in empty]))
        errors = [occupancy_error(streets, float(threshold)) for streets in suites.values()]
        score = sum(mae + 0.5 * abs(bias) for mae, bias in errors) + max(0.0, false - FALSE_PERSONS_ALLOWED) * 50
        if score < best:
            best, chosen = score, round(float(threshold), 2)
    return chosen


def attributes(directory: Path, made: Exported, crops: Path, data: str) -> None:
    """Choose each head's confidence, measure on held-out upper bodies, write the entry.

    Confidences are chosen on people who neither taught nor are measured (``choose.npz``). What was held out can only
    silence a head whose answers are not right often enough there.
    """
    choosing = _answered(made, crops / "choose.npz")
    held = _answered(made, crops / "held.npz")
    measured: dict[str, float] = {}
    outputs = []
    for k, output in enumerate(made.outputs):
        name = str(output["meaning"])
        chosen, told = choosing.of(k), held.of(k)
        sure = confidence_of(name, chosen)
        if not all(right_enough(name, told, sure, pixels) for pixels in SIZES):
            sure = SILENT
        outputs.append({**output, "confidence": sure})
        for pixels in (*SIZES, DRAWN):
            here = told.pixels == pixels
            if here.any():
                where = f"real_{name}_{pixels}px" if pixels else f"street_{name}"
                measured.update(accuracy(where, told.scores[here], told.truth[here], sure))
    measured.update({f"int8_error_{name}": error for name, error in made.error.items()})
    entry: dict[str, Any] = {
        "file": made.file.name,
        "sha256": made.sha256,
        "task": "attributes",
        "licence": LICENCE,
        "training_data": data,
        "minimum_height_pixels": MINIMUM_HEIGHT,
        "input": {**made.input, "meaning": "upper_bodies"},
        "output": outputs,
        "measured": measured,
    }
    replace_entry(directory, entry)
    measured.update(figures.short_attributes(directory))
    replace_entry(directory, entry)


@dataclass(frozen=True, slots=True)
class _Every:
    answers: list[npt.NDArray[np.float32]]
    classes: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]

    def of(self, head: int) -> Told:
        known = self.classes[:, head] >= 0
        return Told(self.answers[head][known], self.classes[known, head], self.pixels[known])


def _answered(made: Exported, path: Path) -> _Every:
    pictures, classes, pixels = load(path)
    return _Every(_answers(made, pictures), classes, pixels)


def _answers(made: Exported, pictures: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    """Run the int8 model over crops; returns softmax scores of each output."""
    run = Interpreter(str(made.file), num_threads=1)
    run.allocate_tensors()
    source = run.get_input_details()[0]["index"]
    numbers = {d["name"]: d for d in run.get_output_details()}
    found: list[list[npt.NDArray[np.float32]]] = [[] for _ in made.outputs]
    for start in range(0, len(pictures) - 7, 8):
        run.set_tensor(source, (pictures[start : start + 8] ^ 0x80).view(np.int8))
        run.invoke()
        for k, output in enumerate(made.outputs):
            logits = (
                run.get_tensor(numbers[output["name"]]["index"]).astype(np.float32) - output["zero_point"]
            ) * output["scale"]
            grown = np.exp(logits - logits.max(axis=1, keepdims=True))
            found[k].append(grown / grown.sum(axis=1, keepdims=True))
    whole = [np.concatenate(parts) for parts in found]
    missing = len(pictures) - len(whole[0])
    return [np.concatenate([part, np.full((missing, part.shape[1]), 1 / part.shape[1], np.float32)]) for part in whole]
