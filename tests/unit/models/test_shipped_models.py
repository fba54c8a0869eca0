"""The models in ``models/`` pass the gate and see the street's people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from firmware.drivers.litert import load_model
from firmware.drivers.model_manifest import read_manifest
from firmware.flow.form import FORMS, LARGE, SMALL
from tools.evaluate.measure import Detector, Seen, average_precision, counts
from tools.street import Scene, Street

MODELS = Path(__file__).parents[3] / "models"
DETECTORS = ("street_s", "street_m")
MEGABYTE = 1024 * 1024
LARGEST_BYTES = {"street_s.tflite": 2 * MEGABYTE, "street_m.tflite": 6 * MEGABYTE, "upper_bodies.tflite": 2 * MEGABYTE}


@pytest.mark.parametrize("file", LARGEST_BYTES)
def test_a_shipped_model_is_what_its_manifest_says(file: str) -> None:
    entry = next(entry for entry in read_manifest(MODELS).model if entry.file == file)
    assert (MODELS / file).stat().st_size <= LARGEST_BYTES[file]
    assert entry.licence
    assert "synthetic street" in entry.training_data
    assert entry.measured
    load_model(MODELS, entry).run()


def test_the_small_detector_is_the_poles_default() -> None:
    manifest = read_manifest(MODELS)
    default, other = manifest.for_task("persons"), manifest.for_task("persons", "street_m")
    assert default is not None
    assert other is not None
    assert (default.file, FORMS[default.input.shape]) == ("street_s.tflite", SMALL)
    assert (other.file, FORMS[other.input.shape]) == ("street_m.tflite", LARGE)


def test_every_file_is_listed() -> None:
    listed = {entry.file for entry in read_manifest(MODELS).model}
    assert {path.name for path in MODELS.glob("*.tflite")} == listed


@pytest.mark.parametrize("name", DETECTORS)
def test_it_sees_people_and_no_ghosts(name: str) -> None:
    """A rough line far below the published figures: a broken export or decoder falls through it, noise does not."""
    detector = Detector(MODELS, read_manifest(MODELS).for_task("persons", name))
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
    assert average_precision(slices) > 0.5


@pytest.mark.parametrize("name", DETECTORS)
def test_a_grey_nothing_holds_nobody(name: str) -> None:
    detector = Detector(MODELS, read_manifest(MODELS).for_task("persons", name))
    for level in (0, 90, 128, 255):
        _, scores = detector.look(np.full(640 * 360 * 3 // 2, level, np.uint8))
        assert (scores >= detector.threshold).sum() <= 1
