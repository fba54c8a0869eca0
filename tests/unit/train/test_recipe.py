"""The parts of the recipe that need no training framework: what training sees is what the counter sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from firmware.drivers.model_manifest import read_manifest
from firmware.flow.tensors import DETECTOR_SHAPE, DetectorInput, Planes
from tools.train.manifest import replace_entry
from tools.train.shards import Shelf, as_seen, write

SMALL_BYTES = 640 * 360 * 3 // 2


def test_training_pictures_equal_the_counters_tensor() -> None:
    small = np.random.default_rng(1).integers(0, 256, SMALL_BYTES, dtype=np.uint8)
    tensor = np.zeros(DETECTOR_SHAPE, np.int8)
    DetectorInput().fill(Planes(small), tensor)
    assert np.array_equal((tensor.view(np.uint8) ^ 0x80)[0, :180], as_seen(small))


def test_shards_keep_boxes_with_their_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    made = [
        (rng.integers(0, 256, (180, 320, 3), dtype=np.uint8), rng.random((k, 5)).astype(np.float32)) for k in (2, 0, 3)
    ]
    write(tmp_path, 0, made)
    shelf = Shelf(tmp_path)
    write(tmp_path, 1, made[:1])
    assert len(shelf) == 3
    shelf.refresh()
    assert len(shelf) == 4
    for k, (picture, boxes) in enumerate([*made, made[0]]):
        assert np.array_equal(shelf[k][0], picture)
        assert np.array_equal(shelf[k][1], boxes)


def entry(task: str, threshold: float) -> dict[str, object]:
    heat = {"name": "a", "shape": [1, 24, 40, 1], "dtype": "int8", "scale": 0.1, "zero_point": 3, "meaning": "heat"}
    picture = {**heat, "name": "in", "shape": [1, 192, 320, 3], "meaning": "picture"}
    out: dict[str, object] = {
        "file": f"{task}.tflite", "sha256": "0" * 64, "task": task, "licence": "Apache-2.0",
        "training_data": 'a "street"', "input": picture, "output": [heat], "measured": {"ap50": 0.5},
    }  # fmt: skip
    if task == "persons":
        return {**out, "score_threshold": threshold}
    return {**out, "minimum_height_pixels": 60, "output": [{**heat, "meaning": "sex", "confidence": 0.8}]}


def test_the_manifest_is_one_the_firmware_reads(tmp_path: Path) -> None:
    for task, threshold in (("persons", 0.3), ("attributes", 0.0), ("persons", 0.4)):
        replace_entry(tmp_path, entry(task, threshold))
    manifest = read_manifest(tmp_path)
    assert [model.task for model in manifest.model] == ["persons", "attributes"]
    assert manifest.model[0].score_threshold == 0.4
    assert manifest.model[0].training_data == 'a "street"'
    assert manifest.model[0].measured == {"ap50": 0.5}
