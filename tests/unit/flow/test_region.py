from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.flow.region import mask

LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))


def test_no_region_is_everything() -> None:
    assert mask(180, 320, (), ()).all()


def test_a_half_is_exactly_a_half() -> None:
    counted = mask(180, 320, LEFT_HALF, ())
    assert counted[:, :160].all()
    assert not counted[:, 160:].any()


def test_ignored_places_are_cut_out() -> None:
    counted = mask(180, 320, LEFT_HALF, (((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5)),))
    assert not counted[:90].any()
    assert counted[90:, :160].all()


@given(st.integers(0, 9), st.integers(0, 15))
def test_a_triangle_by_its_inequality(row: int, column: int) -> None:
    x, y = (column + 0.5) / 16, (row + 0.5) / 10
    if abs(x + y - 1) > 1e-9:
        assert mask(10, 16, TRIANGLE, ())[row, column] == (x + y < 1)
