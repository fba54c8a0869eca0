"""The yardstick itself: hand-made slices with known figures."""

from __future__ import annotations

import numpy as np
import pytest

from tools.evaluate.measure import Seen, average_precision, counts, occupancy_error, overlap, recalls, reckoned
from tools.street.truth import PersonTruth


def person(left: float, top: float, right: float, bottom: float, visible: float = 1.0) -> PersonTruth:
    return PersonTruth((left, top, right, bottom), visible, "female", "20-39", "worn")


def seen(boxes: list[tuple[float, float, float, float]], scores: list[float], *truth: PersonTruth) -> Seen:
    return Seen(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), truth)


def test_overlap() -> None:
    assert overlap(np.array([0, 0, 10, 10], np.float32), person(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap(np.array([0, 0, 10, 10], np.float32), person(10, 10, 20, 20)) == 0


def test_one_person_is_found_once() -> None:
    here = person(0, 0, 20, 40)
    one = reckoned(seen([(0, 0, 20, 40), (1, 1, 20, 40)], [0.9, 0.8], here))
    assert one.verdicts.tolist() == [1, 0]
    assert one.persons.tolist() == [[40, pytest.approx(0.9)]]


def test_who_is_hardly_visible_is_neither_missed_nor_false() -> None:
    one = reckoned(seen([(0, 0, 20, 40)], [0.9], person(0, 0, 20, 40, visible=0.1)))
    assert one.verdicts.tolist() == [-1]
    assert len(one.persons) == 0


def test_perfect_and_half_perfect() -> None:
    here, there = person(0, 0, 20, 40), person(100, 0, 120, 40)
    good = seen([(0, 0, 20, 40), (100, 0, 120, 40)], [0.9, 0.8], here, there)
    assert average_precision([good]) == pytest.approx(1.0)
    half = seen([(0, 0, 20, 40), (300, 0, 320, 40)], [0.9, 0.95], here, there)
    assert average_precision([half]) == pytest.approx(0.25)  # recall 0.5 at precision 0.5


def test_counting_error_is_of_means_not_of_slices() -> None:
    here = person(0, 0, 20, 40)
    over = seen([(0, 0, 20, 40), (50, 0, 70, 40)], [0.9, 0.9], here)
    under = seen([], [], here)
    assert occupancy_error([[over, under]], 0.5) == (0.0, 0.0)
    assert occupancy_error([[over], [under]], 0.5) == (1.0, 0.0)
    found, there = counts([over, under], 0.95)
    assert (found.sum(), there.sum()) == (0, 2)


def test_recall_by_height() -> None:
    bands = recalls([seen([(0, 0, 20, 60)], [0.9], person(0, 0, 20, 60), person(100, 0, 110, 20))], 0.5)
    assert [(band, n) for band, n, _ in bands if n] == [("15-39", 1), ("40-79", 1)]
    assert [share for _, n, share in bands if n] == [0.0, 1.0]
