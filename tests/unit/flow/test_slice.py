from __future__ import annotations

import pytest

from firmware.flow.record import Dimension
from firmware.flow.slice import MOST_PERSONS, SliceCounts


def test_sums_are_the_persons_or_zero() -> None:
    counts = SliceCounts(3, sex=(1, 1, 1), age=(0, 0, 0, 0, 3))
    assert counts.of(Dimension.SEX) == (1, 1, 1)
    assert counts.of(Dimension.AGE) == (0, 0, 0, 0, 3)
    assert counts.of(Dimension.MASK) == (0, 0, 0)


@pytest.mark.parametrize(
    ("persons", "sex"),
    [(-1, (0, 0, 0)), (MOST_PERSONS + 1, (0, 0, 0)), (3, (1, 1, 0)), (3, (4, -1, 0)), (3, (3, 0)), (0, (1, -1, 0))],
)
def test_anything_else_is_refused(persons: int, sex: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"persons|sex"):
        SliceCounts(persons, sex=sex)


def test_a_slice_has_no_room_for_anything_else() -> None:
    counts = SliceCounts(1)
    assert not hasattr(counts, "__dict__")
    with pytest.raises((AttributeError, TypeError)):
        counts.box = (0, 0, 1, 1)  # type: ignore[attr-defined]  # that is what is tested
