"""The reckoning: what is right, false, spared; and figures known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.evaluate import score
from tools.evaluate.score import Found, Marked, Matched, match, no_boxes


def boxes(*rows: tuple[float, float, float, float]) -> score.Floats:
    return np.array(rows, np.float32).reshape(-1, 4)


def one(
    found: score.Floats, scores: list[float], wanted: score.Floats, *, complete: bool = True, **more: score.Floats
) -> Matched:
    marked = Marked(wanted, more.get("spared", no_boxes()), more.get("regions", no_boxes()), complete)
    return match(Found(found, np.array(scores, np.float32)), marked)


HERE, THERE = (0.0, 0.0, 20.0, 40.0), (100.0, 0.0, 120.0, 100.0)


def test_a_better_score_takes_the_person_whatever_the_order() -> None:
    reckoned = one(boxes(HERE, (1, 1, 20, 40)), [0.5, 0.8], boxes(HERE))
    assert reckoned.scores.tolist() == pytest.approx([0.8, 0.5])
    assert reckoned.verdicts.tolist() == [1, 0]


def test_a_crowd_excuses_boxes_inside_it_and_nothing_beside_it() -> None:
    crowd = boxes((0, 0, 200, 200))
    reckoned = one(boxes((10, 10, 30, 50), (190, 150, 230, 250)), [0.9, 0.8], no_boxes(), regions=crowd)
    assert reckoned.verdicts.tolist() == [-1, 0]
    assert reckoned.counted(0.5) == 1


def test_a_spared_person_excuses_only_its_own_box() -> None:
    reckoned = one(boxes(HERE, (0, 0, 200, 200)), [0.9, 0.8], no_boxes(), spared=boxes(HERE))
    assert reckoned.verdicts.tolist() == [-1, 0]


def test_bands_do_not_punish_each_other() -> None:
    every = [one(boxes(HERE), [0.9], boxes(HERE, THERE))]
    assert score.average_precision(every, (15, 80)) == pytest.approx(1.0)
    assert score.average_precision(every, (80, 150)) == 0
    assert math.isnan(score.average_precision(every, (150, 361)))
    assert score.recall(every, 0.5) == (2, 0.5)
    assert score.recall(every, 0.95, (15, 80)) == (1, 0.0)


def test_counts_and_precision_at_the_threshold() -> None:
    every = [one(boxes(HERE, THERE), [0.9, 0.3], boxes(HERE)), one(no_boxes(), [], boxes(HERE, THERE))]
    assert score.count_errors(every, 0.2).tolist() == [1, -2]
    assert score.count_errors(every, 0.5).tolist() == [0, -2]
    assert score.precision(every, 0.2) == 0.5
    assert math.isnan(score.precision(every, 0.95))


def test_presence_is_the_chance_that_a_peopled_picture_scores_higher() -> None:
    someone = [one(boxes(HERE), [s], boxes(HERE)) for s in (0.9, 0.5)]
    nobody = [one(boxes(HERE), [s], no_boxes()) for s in (0.7, 0.5)]
    assert score.presence_auc([*someone, *nobody]) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert math.isnan(score.presence_auc(someone))


def test_calibration_of_a_boaster() -> None:
    every = [one(boxes(HERE), [0.95], boxes(HERE)), one(boxes(HERE), [0.95], no_boxes())]
    curve = score.calibration(every)
    assert curve == [(pytest.approx(0.95), 0.5, 2)]
    assert score.calibration_error(curve) == pytest.approx(0.45)


@given(st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), max_size=30), st.integers(0, 5))
def test_average_precision_lies_between_nothing_and_all(told: list[tuple[float, bool]], missed: int) -> None:
    scores = np.array(sorted((s for s, _ in told), reverse=True), np.float32)
    verdicts = np.array([right for _, right in told], np.int8)
    people = np.stack([np.full(int(verdicts.sum()) + missed, 50.0)] * 2, axis=1).astype(np.float32)
    every = [Matched(scores, verdicts, np.full(len(scores), 50, np.float32), people, complete=True)]
    found = score.average_precision(every)
    if not len(people):
        assert math.isnan(found)
        return
    assert 0 <= found <= verdicts.sum() / len(people) + 1e-9
    if verdicts.all():
        assert found == pytest.approx(verdicts.sum() / len(people))
