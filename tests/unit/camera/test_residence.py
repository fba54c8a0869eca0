"""The histogram's percentiles are never flattering and never further off than a band."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.camera.residence import BAND_US, BANDS, Residence


@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=300), st.sampled_from([1, 500, 900, 999, 1000]))
def test_a_percentile_lies_in_the_band_of_the_exact_one(values: list[int], per_mille: int) -> None:
    residence = Residence()
    for value in values:
        residence.note(value)
    exact = sorted(values)[-(-len(values) * per_mille // 1000) - 1]
    found = residence.percentile_us(per_mille)
    assert found >= exact
    if exact < BANDS * BAND_US:
        assert found - exact <= BAND_US
    assert residence.summary().max_us == max(values)
    assert residence.summary().count == len(values) == sum(count for _, count in residence.bands())


def test_nothing_noted_is_zero_everywhere_and_clearing_begins_again() -> None:
    residence = Residence()
    empty = residence.summary()
    assert (empty.count, empty.p50_us, empty.p99_9_us, empty.max_us) == (0, 0, 0, 0)
    residence.note(1_000)
    residence.clear()
    assert residence.summary() == empty
    assert residence.bands() == ()
