"""The decoder against a slow and obvious reference."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.flow.decode import Decoder, Quantised, lowest_passing
from firmware.flow.region import mask

HEAT = Quantised(0.08, -1)
BOX = Quantised(0.25, -128)
EVERYWHERE = mask(180, 320, (), ())

Grid = npt.NDArray[np.int8]


def reference(heat: Grid, box: Grid, threshold: float, counted: npt.NDArray[np.bool_]) -> list[tuple[float, ...]]:
    """Return the boxes, by loops."""
    plane = heat.reshape(24, 40).astype(int)
    found = []
    for row in range(24):
        for column in range(40):
            value = plane[row, column]
            around = plane[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            score = 1 / (1 + math.exp(-(value - HEAT.zero_point) * HEAT.scale))
            if value < around.max() or score < threshold:
                continue
            left, top, right, bottom = (
                np.float32((int(part) - BOX.zero_point) * BOX.scale) for part in box[0, row, column]
            )
            x, y = column * 8 + 4, row * 8 + 4
            found.append((-value, row * 40 + column, (x - left, y - top, x + right, y + bottom)))
    kept: list[tuple[float, ...]] = []
    for _, _, one in sorted(found)[:64]:
        if all(overlap(one, other) <= 0.5 for other in kept):
            kept.append(one)
    return [one for one in kept if counted[min(max(int(one[3]), 0), 179), min(max(int((one[0] + one[2]) / 2), 0), 319)]]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - across * down
    return across * down / union if union else 0.0


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9, 0.999]), st.sampled_from([8, 60, 128]))
@settings(max_examples=60, deadline=None)
def test_like_the_reference(seed: int, threshold: float, spread: int) -> None:
    rng = np.random.default_rng(seed)
    heat = rng.integers(-spread, spread, (1, 24, 40, 1)).astype(np.int8)
    box = rng.integers(-128, rng.integers(-100, 127), (1, 24, 40, 4)).astype(np.int8)
    corner = tuple(tuple(float(part) for part in point) for point in rng.random((4, 2)))
    counted = mask(180, 320, corner, ())  # type: ignore[arg-type]  # four points of two
    decoder = Decoder(HEAT, BOX, threshold=threshold, counted=counted)
    number = decoder.decode(heat, box)
    boxes, scores = decoder.people()
    expected = reference(heat, box, threshold, counted)
    assert number == len(expected) == len(boxes)
    assert np.allclose(boxes, np.array(expected).reshape(-1, 4), atol=1e-3)
    assert (np.diff(scores) <= 0).all()
    assert (scores >= threshold - 1e-6).all()


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.3), st.integers(-128, 127))
def test_the_lowest_passing_value_is_the_lowest(threshold: float, scale: float, zero_point: int) -> None:
    def score(value: int) -> float:
        return 1 / (1 + math.exp(-(value - zero_point) * scale))

    lowest = lowest_passing(threshold, Quantised(scale, zero_point))
    assert all(score(value) >= threshold - 1e-9 for value in range(max(lowest, -128), 128))
    assert all(score(value) < threshold + 1e-9 for value in range(-128, lowest))


def test_an_empty_street_is_nobody() -> None:
    decoder = Decoder(HEAT, BOX, threshold=0.5, counted=EVERYWHERE)
    assert decoder.decode(np.full((1, 24, 40, 1), -128, np.int8), np.zeros((1, 24, 40, 4), np.int8)) == 0


def test_more_than_sixty_four_are_sixty_four() -> None:
    heat = np.full((1, 24, 40, 1), -128, np.int8)
    heat[0, ::2, ::2] = 100
    decoder = Decoder(HEAT, BOX, threshold=0.5, counted=EVERYWHERE)
    assert decoder.decode(heat, np.full((1, 24, 40, 4), -120, np.int8)) == 64


@pytest.mark.parametrize("people", [0, 3, 60])
def test_wiping_leaves_nothing_of_a_place_or_a_score(people: int) -> None:
    heat = np.full((1, 24, 40, 1), -128, np.int8)
    heat.reshape(-1)[2 : 2 + 13 * people : 13] = 90
    decoder = Decoder(HEAT, BOX, threshold=0.5, counted=EVERYWHERE)
    decoder.decode(heat, np.full((1, 24, 40, 4), -100, np.int8))
    decoder.wipe()
    blank = Decoder(HEAT, BOX, threshold=0.5, counted=EVERYWHERE)
    for name, value in vars(decoder).items():
        if isinstance(value, np.ndarray):
            assert (value == getattr(blank, name)).all(), name
