"""The decoder against a slow and obvious reference."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.flow.decode import OVERLAP, Decoder, Quantised, lowest_passing
from firmware.flow.form import FORMS, LARGE, SMALL, Form
from firmware.flow.region import mask

HEAT = Quantised(0.08, -1)
BOX = Quantised(0.03, -10)
SCALES = (HEAT, BOX, Quantised(0.05, 20), Quantised(0.02, 0), HEAT, BOX)
EVERYWHERE = mask(180, 320, (), ())

Outputs = list[npt.NDArray[np.int8]]


def blank(form: Form) -> Outputs:
    return [np.full(shape, -128, np.int8) for shape in form.outputs.values()]


def made(form: Form, *, threshold: float = 0.5, counted: npt.NDArray[np.bool_] = EVERYWHERE) -> Decoder:
    return Decoder(form, SCALES, threshold=threshold, counted=counted)


def reference(
    form: Form, outputs: Outputs, threshold: float, counted: npt.NDArray[np.bool_]
) -> list[tuple[float, ...]]:
    """Return the boxes, by loops."""
    found, number = [], 0
    for grid, (rows, columns, stride) in enumerate(form.grids):
        heat, box = SCALES[2 * grid], SCALES[2 * grid + 1]
        for row in range(rows):
            for column in range(columns):
                logit = (int(outputs[2 * grid][0, row, column, 0]) - heat.zero_point) * heat.scale
                if 1 / (1 + math.exp(-logit)) >= threshold - 1e-9:
                    x, y, w, h = ((int(v) - box.zero_point) * box.scale for v in outputs[2 * grid + 1][0, row, column])
                    across, down = stride * 320 / form.width, stride * 180 / form.height
                    x, y = (column + x) * across, (row + y) * down
                    w, h = (math.exp(min(max(side, -6), 6)) * unit / 2 for side, unit in ((w, across), (h, down)))
                    level = int(min(max(np.float32(logit) * 40 + 511.5, 1), 1023))
                    found.append((-level, number, (x - w, y - h, x + w, y + h)))
                number += 1
    kept: list[tuple[float, ...]] = []
    for _, _, one in sorted(found)[:256]:
        if all(overlap(one, other) <= OVERLAP for other in kept):
            kept.append(one)
    return [
        one for one in kept[:64] if counted[min(max(int(one[3]), 0), 179), min(max(int((one[0] + one[2]) / 2), 0), 319)]
    ]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - across * down
    return across * down / union if union else 0.0


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([3, 8]), st.sampled_from(sorted(FORMS))
)
@settings(max_examples=25, deadline=None)
def test_like_the_reference(seed: int, threshold: float, crowd: int, shape: tuple[int, ...]) -> None:
    rng, form = np.random.default_rng(seed), FORMS[shape]
    outputs = blank(form)
    for heat, box in zip(outputs[0::2], outputs[1::2], strict=True):
        chosen = rng.random(heat.shape[1:3]) < crowd / 100
        heat[0, :, :, 0] = np.where(chosen, rng.integers(-60, 127, chosen.shape), -128)
        box[0] = rng.integers(-40, 90, box.shape[1:])
    corner = tuple(tuple(float(part) for part in point) for point in rng.random((4, 2)))
    counted = mask(180, 320, corner, ())  # type: ignore[arg-type]  # four points of two
    decoder = made(form, threshold=threshold, counted=counted)
    number = decoder.decode(outputs)
    boxes, scores = decoder.people()
    expected = np.array(reference(form, outputs, threshold, counted)).reshape(-1, 4)
    assert number == len(expected) == len(boxes)
    assert np.allclose(boxes, expected, atol=2e-2)
    assert (np.diff(scores) <= 0).all()
    assert (scores >= threshold - 0.01).all()


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.3), st.integers(-128, 127))
def test_the_lowest_passing_value_is_the_lowest(threshold: float, scale: float, zero_point: int) -> None:
    def score(value: int) -> float:
        return 1 / (1 + math.exp(-(value - zero_point) * scale))

    lowest = lowest_passing(threshold, Quantised(scale, zero_point))
    assert all(score(value) >= threshold - 1e-9 for value in range(max(lowest, -128), 128))
    assert all(score(value) < threshold + 1e-9 for value in range(-128, lowest))


@pytest.mark.parametrize("form", FORMS.values())
def test_an_empty_street_is_nobody(form: Form) -> None:
    assert made(form).decode(blank(form)) == 0


def test_more_than_sixty_four_are_sixty_four() -> None:
    outputs = blank(SMALL)
    outputs[0][0, ::2, ::2] = 100
    outputs[1][...] = -10
    assert made(SMALL).decode(outputs) == 64


def test_one_person_seen_on_two_grids_is_one() -> None:
    outputs = blank(LARGE)
    outputs[0][0, 9, 9] = 40  # stride 8: middle at cell 9.5, 4 x 8 cells
    outputs[1][0, 9, 9] = [7, 7, -10 + 46, -10 + 69]
    outputs[2][0, 4, 4] = 90  # stride 16: the same place, 2 x 4 cells
    outputs[3][0, 4, 4] = [38, 38, 35, 69]
    decoder = made(LARGE)
    assert decoder.decode(outputs) == 1
    _, scores = decoder.people()
    assert scores[0] == pytest.approx(1 / (1 + math.exp(-(90 - 20) * 0.05)), abs=0.003)


@pytest.mark.parametrize("people", [0, 3, 60])
def test_wiping_leaves_nothing_of_a_place_or_a_score(people: int) -> None:
    outputs = blank(SMALL)
    outputs[0].reshape(-1)[2 : 2 + 13 * people : 13] = 90
    decoder, fresh = made(SMALL), made(SMALL)
    decoder.decode(outputs)
    decoder.wipe()
    for name, value in vars(decoder).items():
        if isinstance(value, np.ndarray):
            assert (value == getattr(fresh, name)).all(), name
