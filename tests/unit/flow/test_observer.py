"""One picture to counts, with networks of planted behaviour and no library at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from firmware.flow.decode import Decoder, Quantised
from firmware.flow.form import SMALL
from firmware.flow.observer import Head, Observer
from firmware.flow.record import Dimension
from firmware.flow.region import mask
from firmware.flow.slice import SliceCounts
from firmware.flow.tensors import ATTRIBUTE_SHAPE
from tests.parts.small_models import Walker, crowd, draw


class Detector:
    """Bright cells are people 2 * 4 ** U cells tall, one wide."""

    def __init__(self) -> None:
        self.tensors = {
            "input": np.zeros(SMALL.picture, np.int8),
            **{meaning: np.full(shape, -128, np.int8) for meaning, shape in SMALL.outputs.items()},
        }
        self.runs = 0

    def input(self) -> npt.NDArray[np.int8]:
        return self.tensors["input"]

    def output(self, meaning: str) -> npt.NDArray[np.int8]:
        return self.tensors[meaning]

    def run(self) -> None:
        self.runs += 1
        cells = self.tensors["input"].reshape(24, 8, 48, 8, 3).astype(int).mean(axis=(1, 3)) + 128
        self.tensors["heat_8"][0, :, :, 0] = cells[..., 0] - 128
        box = self.tensors["box_8"][0]
        box[..., :2], box[..., 2] = 50 - 100, 0 - 100
        box[..., 3] = np.round(100 * (np.log(2) + np.log(4) * cells[..., 1] / 255)) - 100


class Attributes:
    """The crop's mean Y says the sex."""

    def __init__(self) -> None:
        self.tensors = {"input": np.zeros(ATTRIBUTE_SHAPE, np.int8), "sex": np.zeros((8, 2), np.int8)}
        self.runs = 0
        self.fail = False

    def input(self) -> npt.NDArray[np.int8]:
        return self.tensors["input"]

    def output(self, meaning: str) -> npt.NDArray[np.int8]:
        return self.tensors[meaning]

    def run(self) -> None:
        self.runs += 1
        if self.fail:
            raise RuntimeError
        luma = self.tensors["input"][..., 0].astype(float).mean(axis=(1, 2))
        self.tensors["sex"][:, 0] = np.clip(luma, -60, 60)
        self.tensors["sex"][:, 1] = -self.tensors["sex"][:, 0]


def build(*, minimum: int = 20) -> tuple[Observer, Detector, Attributes]:
    scales = (Quantised(0.1, 0), Quantised(0.01, -100)) * 3
    decoder = Decoder(SMALL, scales, threshold=0.9, counted=mask(180, 320, (), ()))
    detector, attributes = Detector(), Attributes()
    head = Head(Dimension.SEX, Quantised(0.1, 0), confidence=0.8)
    return Observer(SMALL, detector, decoder, attributes, (head,), minimum), detector, attributes


def test_everybody_is_counted_and_the_eight_tallest_are_looked_at() -> None:
    observer, _, _ = build()
    counts = observer.count(draw(*crowd(11)))
    assert counts.persons == 11
    assert sum(counts.sex) == 11
    assert counts.sex[2] >= 3
    assert counts.age == (0,) * 5


def test_small_people_are_unknown_by_rule() -> None:
    small = Walker(5, 5, u=0)  # two cells tall: 30 pixels of the picture
    tall = Walker(10, 20, u=255)
    observer, _, _ = build(minimum=40)
    assert observer.count(draw(small, tall, dark=90)).sex == (0, 1, 1)
    observer, _, _ = build(minimum=25)
    assert observer.count(draw(small, tall, dark=90)).sex[2] < 2


def test_the_same_work_for_nobody_and_for_many() -> None:
    observer, detector, attributes = build()
    for people in (0, 1, 8, 40):
        observer.count(draw(*crowd(people)))
    assert (detector.runs, attributes.runs) == (4, 4)


@pytest.mark.parametrize("people", [0, 1, 20])
def test_nothing_of_the_picture_is_left_after_the_count(people: int) -> None:
    observer, detector, attributes = build()
    observer.count(draw(*crowd(people), dark=33))
    assert_blank(observer, detector, attributes)


def test_nothing_is_left_after_a_failure_either() -> None:
    observer, detector, attributes = build()
    attributes.fail = True
    with pytest.raises(RuntimeError):
        observer.count(draw(*crowd(20), dark=33))
    assert_blank(observer, detector, attributes)


def assert_blank(observer: Observer, detector: Detector, attributes: Attributes) -> None:
    fresh, _, _ = build()
    assert (detector.tensors["input"] == -128).all()
    assert (attributes.tensors["input"] == -128).all()
    pairs = [(observer, fresh), (observer._decoder, fresh._decoder), (observer._input, fresh._input)]
    pairs += [(observer._crops, fresh._crops), (observer._heads[0], fresh._heads[0])]
    for used, unused in pairs:
        for name, value in vars(used).items():
            if isinstance(value, np.ndarray):
                assert (value == getattr(unused, name)).all(), name


def test_a_slice_depends_on_its_picture_alone() -> None:
    observer, _, _ = build()
    picture = draw(*crowd(7))
    alone = observer.count(picture)
    observer.count(draw(*crowd(30), dark=50))
    assert observer.count(picture) == alone == SliceCounts(7, sex=alone.sex)
