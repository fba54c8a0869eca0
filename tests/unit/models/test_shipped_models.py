"""The models in ``models/`` pass the gate and see the street's people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from firmware.drivers.litert import load_model
from firmware.drivers.model_manifest import read_manifest
from tools.evaluate.measure import Detector, Seen, average_precision, counts
from tools.street import Scene, Street

MODELS = Path(__file__).parents[3] / "models"
LARGEST_BYTES = 2 * 1024 * 1024


@pytest.mark.parametrize("task", ["persons", "attributes"])
def test_a_shipped_model_is_what_its_manifest_says(task: str) -> None:
    entry = read_manifest(MODELS).for_task(task)  # type: ignore[arg-type] # one of the two
    assert entry is not None
    assert (MODELS / entry.file).stat().st_size <= LARGEST_BYTES
    assert entry.licence
    assert "synthetic street" in entry.training_data
    assert entry.measured
    load_model(MODELS, entry).run()


def test_every_file_is_listed() -> None:
    listed = {entry.file for entry in read_manifest(MODELS).model}
    assert {path.name for path in MODELS.glob("*.tflite")} == listed


def test_it_sees_people_and_no_ghosts() -> None:
    """A rough line far below the published figures: a broken export or decoder falls through it, noise does not."""
    detector = Detector(MODELS)
    small = np.empty(640 * 360 * 3 // 2, np.uint8)
    slices = []
    for seed in (901_001, 901_002, 901_003):
        street = Street(Scene(people_per_minute=25), seed, width=640)
        for k in range(5):
            truth = street.render(12.0 + 6 * k, None, small)
            slices.append(Seen(*detector.look(small), truth))
    found, there = counts(slices, detector.threshold)
    assert there.sum() > 20
    assert 0.5 < found.sum() / there.sum() < 1.6
    assert average_precision(slices) > 0.35


def test_a_grey_nothing_holds_nobody() -> None:
    detector = Detector(MODELS)
    for level in (0, 90, 128, 255):
        _, scores = detector.look(np.full(640 * 360 * 3 // 2, level, np.uint8))
        assert (scores >= detector.threshold).sum() <= 1
