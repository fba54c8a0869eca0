"""Each output form read back to a person whose place is known, and the slots nobody may believe."""

from __future__ import annotations

import numpy as np
import pytest

from tools.evaluate import forms
from tools.evaluate.forms import form_of

SIZE = (320, 320)
PERSON = np.array([80.0, 40.0, 112.0, 120.0])  # pixels: middle (96, 80), sides (32, 80)


def assert_one(answer: forms.Answer, tolerance: float = 1e-3) -> None:
    boxes, scores = answer
    assert len(boxes) == 1
    assert boxes[0] * 320 == pytest.approx(PERSON, abs=tolerance)
    assert scores[0] == pytest.approx(0.81, abs=1e-3)


def ssd_answer(number: float) -> list[forms.Floats]:
    boxes = np.full((1, 10, 4), 0.5, np.float32)
    boxes[0, 0] = np.array([40, 80, 120, 112]) / 320  # top left bottom right
    classes, scores = np.zeros((1, 10), np.float32), np.full((1, 10), 0.99, np.float32)
    scores[0, 0] = 0.81
    return [boxes, classes, scores, np.array([number], np.float32)]


def test_ssd_believes_no_slot_past_the_number() -> None:
    assert_one(forms.ssd(ssd_answer(1), SIZE))


@pytest.mark.parametrize("number", [0.0, -3.0, float("nan"), float("inf")])
def test_ssd_number_of_nothing_is_nothing(number: float) -> None:
    assert len(forms.ssd(ssd_answer(number), SIZE)[0]) == 0


def test_ssd_other_classes_are_not_persons() -> None:
    answer = ssd_answer(1)
    answer[1][0, 0] = 17
    assert len(forms.ssd(answer, SIZE)[0]) == 0


@pytest.mark.parametrize("unit", [1.0, 320.0])
def test_yolov8_and_yolov5_in_pixels_or_fractions(unit: float) -> None:
    eight = np.zeros((1, 84, 2100), np.float32)
    eight[0, :4, 7] = np.array([96, 80, 32, 80]) * unit / 320
    eight[0, 4, 7], eight[0, 30, 9] = 0.81, 0.99
    assert_one(forms.yolov8([eight], SIZE))
    five = np.zeros((1, 6300, 85), np.float32)
    five[0, 7, :6] = [*(np.array([96, 80, 32, 80]) * unit / 320), 0.9, 0.9]
    assert_one(forms.yolov5([five], SIZE))


def test_yolox_grid_of_the_second_stride() -> None:
    rows = np.zeros((1, 2100, 85), np.float32)
    cell = 1600 + 5 * 20 + 6  # stride 16: column 6 (96), row 5 (80)
    rows[0, cell, :6] = [0, 0, np.log(2), np.log(5), 0.9, 0.9]
    assert_one(forms.yolox([rows], SIZE), 0.01)


def test_doubles_are_suppressed_and_neighbours_kept() -> None:
    rows = np.zeros((1, 2100, 85), np.float32)
    for cell, objectness in ((1706, 0.9), (1707, 0.5), (1712, 0.4)):
        rows[0, cell, :6] = [0, 0, np.log(4), np.log(5), objectness, 0.9]
    boxes, scores = forms.yolox([rows], SIZE)
    assert scores == pytest.approx([0.81, 0.36])
    assert boxes[1, 0] - boxes[0, 0] == pytest.approx(96 / 320)


def test_yolofast_logits() -> None:
    coarse, fine = (np.full((1, g, g, 255), -20, np.float32) for g in (10, 20))
    cell = fine[0, 5, 6].reshape(3, 85)
    logit = np.log(9)  # sigmoid 0.9
    cell[2, :6] = [-20, -20, np.log(32 / 52), np.log(80 / 132), logit, logit]
    assert_one(forms.yolofast([coarse, fine], SIZE), 0.1)


def test_ours_from_real_numbers() -> None:
    outputs = []
    for stride in (8, 16, 32):
        grid = (1, 192 // stride, 384 // stride)
        outputs += [np.full((*grid, 1), -9, np.float32), np.zeros((*grid, 4), np.float32)]
    outputs[2][0, 5, 6, 0], outputs[2][0, 5, 7, 0] = np.log(0.81 / 0.19), 0
    outputs[3][0, 5, 6] = [0, 0, np.log(2), np.log(5)]  # stride 16: column 6 (96), row 5 (80)
    outputs[3][0, 5, 7] = [-1, 0, np.log(2), np.log(5)]
    for order in (outputs, outputs[::-1]):
        boxes, scores = forms.street(order, (192, 384))
        assert boxes[0] * [384, 192, 384, 192] == pytest.approx(PERSON)
        assert scores == pytest.approx([0.81])


def test_forms_are_told_by_their_shapes() -> None:
    assert form_of(SIZE, [(1, 10, 4), (1, 10), (1, 10), (1,)]) == "ssd"
    assert form_of(SIZE, [(1, 84, 2100)]) == "yolov8"
    assert form_of(SIZE, [(1, 6300, 85)]) == "yolov5"
    assert form_of(SIZE, [(1, 2100, 85)]) == "yolox"
    assert form_of(SIZE, [(1, 20, 20, 255), (1, 10, 10, 255)]) == "yolofast"
    ours = [(1, 192 // stride, 384 // stride, last) for stride in (8, 16, 32) for last in (4, 1)]
    assert form_of((192, 384), ours) == "street"
    assert form_of((192, 384), ours[:4]) is None
    assert form_of((224, 224), [(1, 1001)]) is None
    assert form_of(SIZE, [(1, 2100, 85), (1, 2100, 85)]) is None
