"""The tensors against a slow and obvious reference."""

from __future__ import annotations

import numpy as np

from firmware.flow.tensors import ATTRIBUTE_SHAPE, DETECTOR_SHAPE, PICTURE_BYTES, AttributeInput, DetectorInput, Planes


def noise(seed: int) -> Planes:
    return Planes(np.random.default_rng(seed).integers(0, 256, PICTURE_BYTES, dtype=np.uint8))


def test_detector_input_is_the_pooled_luma_and_the_chroma_as_it_is() -> None:
    planes, filler = noise(1), DetectorInput()
    tensor = np.full(DETECTOR_SHAPE, 77, np.int8)
    filler.fill(planes, tensor)
    values = tensor.astype(int) + 128
    pooled = (planes.y.reshape(180, 2, 320, 2).astype(int).sum(axis=(1, 3)) + 2) // 4
    assert (values[0, :180, :, 0] == pooled).all()
    assert (values[0, :180, :, 1] == planes.u).all()
    assert (values[0, :180, :, 2] == planes.v).all()
    assert not values[0, 180:].any()


def test_attribute_input_is_the_upper_body_by_nearest_pixel() -> None:
    planes, filler = noise(2), AttributeInput()
    boxes = np.array(
        [[100, 40, 130, 140], [0, 0, 20, 60], [300, 100, 330, 200], [-30, -20, 5, 50], [5, 5, 5, 5]]
        + [[0, 0, 9, 9]] * 3,
        np.float32,
    )
    tensor = np.zeros(ATTRIBUTE_SHAPE, np.int8)
    filler.fill(planes, boxes, tensor)
    for person, (left, top, right, bottom) in enumerate(2 * boxes.astype(float)):
        height = max((bottom - top) * 0.45, 1)
        width = 0.75 * height
        first = (left + right) / 2 - width / 2
        for row in range(64):
            y = int(np.clip(top + (row + 0.5) / 64 * height, 0, 359))
            for column in range(0, 48, 5):
                x = int(np.clip(first + (column + 0.5) / 48 * width, 0, 639))
                expected = [planes.y[y, x], planes.u[y // 2, x // 2], planes.v[y // 2, x // 2]]
                assert (tensor[person, row, column].astype(int) + 128).tolist() == expected


def test_wiping_leaves_nothing() -> None:
    planes, detector, attributes = noise(3), DetectorInput(), AttributeInput()
    detector.fill(planes, np.zeros(DETECTOR_SHAPE, np.int8))
    attributes.fill(planes, np.full((8, 4), 50, np.float32), np.zeros(ATTRIBUTE_SHAPE, np.int8))
    kept = {"_row_steps", "_column_steps"}  # constants
    for filler in (detector, attributes):
        memory = {name: value for name, value in vars(filler).items() if name not in kept}
        assert any(value.any() for value in memory.values())
        filler.wipe()
        assert not any(value.any() for value in memory.values())
