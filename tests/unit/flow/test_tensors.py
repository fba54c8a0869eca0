"""The tensors against a slow and obvious reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from firmware.flow.form import FORMS, LARGE, Form
from firmware.flow.tensors import ATTRIBUTE_SHAPE, PICTURE_BYTES, AttributeInput, DetectorInput, Planes


def noise(seed: int) -> Planes:
    return Planes(np.random.default_rng(seed).integers(0, 256, PICTURE_BYTES, dtype=np.uint8))


@pytest.mark.parametrize("form", FORMS.values())
def test_detector_input_is_the_whole_picture_squeezed(form: Form) -> None:
    """Against a slow and obvious reference: planes by a triangle as wide as two places, or as two pixels."""
    planes, filler = noise(1), DetectorInput(form)
    tensor = np.full(form.picture, 77, np.int8)
    filler.fill(planes, tensor)
    values = tensor.astype(int) + 128

    def shares(place: int, here: int, there: int) -> list[float]:
        step = there / here
        raw = [max(0.0, 1 - abs(k + 0.5 - (place + 0.5) * step) / max(step, 1)) for k in range(there)]
        return [share / sum(raw) for share in raw]

    for channel, plane in enumerate((planes.y, planes.u, planes.v)):
        for row in range(0, form.height, 17):
            lines = np.array(shares(row, form.height, plane.shape[0])) @ plane
            for column in range(0, form.width, 23):
                expected = float(lines @ np.array(shares(column, form.width, plane.shape[1])))
                assert abs(values[0, row, column, channel] - expected) < 3


@pytest.mark.parametrize("form", FORMS.values())
@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_an_even_picture_stays_even(form: Form, level: int) -> None:
    tensor = np.full(form.picture, 77, np.int8)
    DetectorInput(form).fill(Planes(np.full(PICTURE_BYTES, level, np.uint8)), tensor)
    assert (tensor.astype(int) + 128 == level).all()


def test_attribute_input_is_the_upper_body_by_nearest_pixel() -> None:
    planes, filler = noise(2), AttributeInput()
    boxes = np.array(
        [[100, 40, 130, 140], [0, 0, 20, 60], [300, 100, 330, 200], [-30, -20, 5, 50], [5, 5, 5, 5]]
        + [[0, 0, 9, 9]] * 3,
        np.float32,
    ) + np.float32(0.137)
    tensor = np.zeros(ATTRIBUTE_SHAPE, np.int8)
    filler.fill(planes, boxes, tensor)
    for person, (left, top, right, bottom) in enumerate(2 * boxes.astype(float)):
        height = max((bottom - top) * 0.32, 1)
        width = 0.75 * height
        first = (left + right) / 2 - width / 2
        for row in range(0, 96, 3):
            y = int(np.clip(top + (row + 0.5) / 96 * height, 0, 359))
            for column in range(0, 72, 5):
                x = int(np.clip(first + (column + 0.5) / 72 * width, 0, 639))
                expected = [planes.y[y, x], planes.u[y // 2, x // 2], planes.v[y // 2, x // 2]]
                assert (tensor[person, row, column].astype(int) + 128).tolist() == expected


def memory_of(part: object) -> list[np.ndarray[Any, Any]]:
    """Return every array that ``part`` and its own parts write to; constants are named or stand in tuples."""
    found = []
    for name, value in vars(part).items():
        if isinstance(value, np.ndarray):
            found += [value] * (name not in {"_row_steps", "_column_steps"})
        elif not isinstance(value, tuple):
            found += memory_of(value)
    return found


def test_wiping_leaves_nothing() -> None:
    planes, detector, attributes = noise(3), DetectorInput(LARGE), AttributeInput()
    detector.fill(planes, np.zeros(LARGE.picture, np.int8))
    attributes.fill(planes, np.full((8, 4), 50, np.float32), np.zeros(ATTRIBUTE_SHAPE, np.int8))
    for filler in (detector, attributes):
        memory = list(memory_of(filler))
        assert len(memory) >= 6, "the parts were looked into"
        assert any(value.any() for value in memory)
        filler.wipe()
        assert not any(value.any() for value in memory)
