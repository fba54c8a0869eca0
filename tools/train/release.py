"""The last step: threshold and confidences chosen on what was held out, figures measured, manifest written.

Knows:  the evaluation's streets and their truth.
Never:  a threshold chosen on what it was trained on.
Leaves: an entry of ``MANIFEST.toml``.
Clauses: 4.2(2), 6.1(3), 1.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from firmware.drivers.model_manifest import Model, read_manifest
from tools.evaluate import figures
from tools.evaluate.drawn import streets_of
from tools.evaluate.measure import Detector, fleeting, occupancy_error
from tools.train.export import Exported
from tools.train.manifest import replace_entry
from tools.train.upper_bodies import load

LICENCE = "Apache-2.0"
STARTS = "BSD-3-Clause and Apache-2.0"
FALSE_PERSONS_ALLOWED = 0.02
CHOOSING_SEED = 1_000
"""Other streets than those of :mod:`tools.evaluate.figures`."""

MINIMUM_HEIGHT = 150
MASK = 2
"""Number of the mask's head."""

COVERAGE = 0.6
"""Share of real faces that sex and age answer, where what they answer is right often enough."""

LEAST_RIGHT = {"sex": 0.80, "age": 0.52}
"""Of the answered; a head that stays below it on real faces answers nothing (confidence ``SILENT``)."""

SILENT = 0.999
RIGHT_WANTED = 0.83
FACES = "synthetic street of tools/street; faces of fairface_540 and kaggle_face_mask_detection_853 (tier B)"


def described(sources: Path, start: Path | None, teacher: Path | None = None) -> str:
    """Return one line on what a model was trained on, started from and taught by."""
    found = json.loads(sources.read_text())
    parts = [
        f"{name} (tier {facts['tier']}, {facts['pictures']} pictures, sha256 {facts['sha256'][:16]})"
        for name, facts in found.items()
    ]
    named = (("started from", start), ("photographs also boxed by", teacher))
    begun = [f"{how} {file.name} (sha256 {_hash(file)[:16]}, {STARTS})" for how, file in named if file is not None]
    return "; ".join(["synthetic street of tools/street", *parts, *begun])


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


def attributes(directory: Path, made: Exported, crops: Path, start: Path | None) -> None:
    """Choose the mask's confidence, measure on held-out upper bodies, write the entry.

    Confidences are chosen on drawn people of other streets (the mask's) and the first half of the held-out faces; what
    is answered of real faces is measured on the second half.
    """
    pictures, classes, real = load(crops / "held.npz")
    answers = _answers(made, pictures)
    faces = np.flatnonzero(real & (classes[:, MASK] >= 0))
    of_masks = np.isin(np.arange(len(real)), faces[: len(faces) // 2])
    drawn, of_drawn, _ = load(crops / "choose.npz")
    confidence = _confidence(
        (_answers(made, drawn)[MASK], of_drawn[:, MASK]), (answers[MASK][of_masks], classes[of_masks, MASK])
    )
    measured: dict[str, float] = {}
    outputs = []
    for k, output in enumerate(made.outputs):
        name = str(output["meaning"])
        if k != MASK:
            known = np.flatnonzero(real & (classes[:, k] >= 0))
            choosing = np.isin(np.arange(len(real)), known[: len(known) // 2])
            halves = (known[: len(known) // 2], known[len(known) // 2 :])
            sure = _speaking(name, *((answers[k][half], classes[half, k]) for half in halves))
        else:
            choosing, sure = of_masks, confidence
        outputs.append({**output, "confidence": sure})
        for where, chosen in (("real", real), ("street", ~real)):
            here = chosen & (classes[:, k] >= 0)
            if not here.any():
                continue
            told = ~choosing[here]
            measured.update(_accuracy(f"{where}_{name}", answers[k][here], classes[here, k], sure, told))
    measured.update({f"int8_error_{name}": error for name, error in made.error.items()})
    entry: dict[str, Any] = {
        "file": made.file.name,
        "sha256": made.sha256,
        "task": "attributes",
        "licence": LICENCE,
        "training_data": FACES + (f"; trunk of {start.name} (sha256 {_hash(start)[:16]}, Apache-2.0)" if start else ""),
        "minimum_height_pixels": MINIMUM_HEIGHT,
        "input": {**made.input, "meaning": "upper_bodies"},
        "output": outputs,
        "measured": measured,
    }
    replace_entry(directory, entry)
    measured.update(figures.short_attributes(directory))
    replace_entry(directory, entry)


def _confidence(*sets: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]) -> float:
    """Return the least confidence above which every set's answers are right as often as wanted."""
    for confidence in np.arange(0.60, 0.99, 0.01):
        sure = [(scores.max(axis=1) >= confidence, scores.argmax(axis=1) == truth) for scores, truth in sets]
        if all(answered.any() and right[answered].mean() >= RIGHT_WANTED for answered, right in sure):
            return round(float(confidence), 2)
    return 0.99


def _speaking(name: str, *halves: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]) -> float:
    """Return the confidence at which a head answers ``COVERAGE`` of the first half of the faces.

    It is ``SILENT`` where the answers of either half are not right often enough: the second half can only silence.
    """
    confidence = float(np.quantile(halves[0][0].max(axis=1), 1 - COVERAGE))
    for scores, truth in halves:
        sure = scores.max(axis=1) >= confidence
        if not sure.any() or (scores.argmax(axis=1) == truth)[sure].mean() < LEAST_RIGHT[name]:
            return SILENT
    return round(confidence, 3)


def _accuracy(
    name: str,
    scores: npt.NDArray[np.float32],
    truth: npt.NDArray[np.int64],
    confidence: float,
    told: npt.NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Return accuracy and balanced accuracy of all, accuracy and share of the answered (among ``told``, if given)."""
    right, classes = scores.argmax(axis=1) == truth, np.unique(truth)
    out = {
        f"{name}_n": float(len(truth)),
        f"{name}_accuracy": float(right.mean()),
        f"{name}_balanced": _balanced(right, truth),
    }
    told = np.ones(len(truth), np.bool_) if told is None else told
    sure = told & (scores.max(axis=1) >= confidence)
    out[f"{name}_answered"] = float(sure.sum() / told.sum())
    if sure.any():
        out[f"{name}_accuracy_answered"] = float(right[sure].mean())
    if all((sure & (truth == c)).any() for c in classes):
        out[f"{name}_balanced_answered"] = _balanced(right[sure], truth[sure])
    return {key: round(value, 3) for key, value in out.items()}


def _balanced(right: npt.NDArray[np.bool_], truth: npt.NDArray[np.int64]) -> float:
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))


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
