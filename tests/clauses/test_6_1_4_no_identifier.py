"""6.1(4): in no case an identifier. What is known of a person ends with the slice, and nothing by person is sent."""

from __future__ import annotations

import dataclasses
import gc

from firmware.flow.record import AttributeTile, Dimension, Gap, PublishedMinute, SuppressedMinute
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from tests.parts.leased_counter import counting
from tests.parts.small_models import Walker, draw

RECORDS = {
    PublishedMinute: {
        "minute", "slices", "slices_planned", "mean_occupancy_tenths", "peak_occupancy", "occupancy_twentieths",
        "congested", "k",
    },
    SuppressedMinute: {"minute", "slices_planned", "k"},
    AttributeTile: {"first_minute", "window_minutes", "share_tenths", "folded", "k_total", "k_cell"},
    Gap: {"first_minute", "last_minute", "reason"},
}  # fmt: skip
"""Every field that leaves people flow. A new one must be argued for here first."""


def test_the_closed_list_of_what_leaves() -> None:
    for record, fields in RECORDS.items():
        assert {field.name for field in dataclasses.fields(record)} == fields


async def test_two_people_who_change_places_are_the_same_slice() -> None:
    """Equal people are interchangeable: a count cannot say which of them stood where, now or a second ago."""
    async with counting(FlowSettings(attributes=tuple(Dimension))) as parts:
        one, other = Walker(6, 4, v=255), Walker(12, 30, u=90)
        here = await parts.count(draw(one, other))
        there = await parts.count(draw(Walker(12, 30, v=255), Walker(6, 4, u=90)))
    assert here.persons == there.persons == 2
    assert here == there


async def test_no_object_of_a_slice_outlives_it() -> None:
    async with counting() as parts:
        for people in range(1, 6):
            await parts.count(draw(*[Walker(4 + 3 * n, 8) for n in range(people)]))
    gc.collect()
    assert [kept for kept in gc.get_objects() if isinstance(kept, SliceCounts)] == []
