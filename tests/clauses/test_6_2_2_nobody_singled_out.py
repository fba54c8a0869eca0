"""6.2(2): by no means can a person be made out. Nobody, one and two are one record; suppressed cells stay unknown.

The attackers here know every record ever published, the rule and the code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from math import comb, exp, factorial

import msgspec
import pytest

from firmware.flow.disclosure import Rules, protect, protect_tile
from firmware.flow.record import CATEGORIES, AttributeTile, Dimension
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.flow.tally import MinuteTally, TileTally
from firmware.ground.clock import MinuteNumber

MINUTE = MinuteNumber(29_923_296)
RULES = FlowSettings(attributes=tuple(Dimension), window_minutes=5).rules()

Tile = list[SliceCounts]


def minute_bytes(counts: list[int], rules: Rules = RULES) -> bytes:
    tally = MinuteTally(rules.planned)
    for persons in counts:
        tally.add(SliceCounts(persons))
    return msgspec.json.encode(protect(tally, MINUTE, rules))


@pytest.mark.parametrize("slices", [60, 55, 48])
def test_nobody_one_and_two_are_the_same_bytes(slices: int) -> None:
    dice = random.Random(1)  # noqa: S311 - a simulated street
    empty = minute_bytes([0] * 60)
    for most in (0, 1, 2):
        for _ in range(50):
            assert minute_bytes([dice.randint(0, most) for _ in range(slices)]) == empty
    assert minute_bytes([2] * 55 + [3] * 4) == empty
    assert minute_bytes([2] * 55 + [3] * 5) != empty


def test_a_flickering_detector_opens_fewer_than_one_minute_in_a_thousand() -> None:
    """Two people in view all minute long, recall 0.9, 0.01 false alarms a slice, by the exact sum."""
    recall, alarms, planned = 0.9, 0.01, RULES.planned
    at_least_three = sum(
        comb(2, seen) * recall**seen * (1 - recall) ** (2 - seen)
        * (1 - sum(exp(-alarms) * alarms**n / factorial(n) for n in range(3 - seen)))
        for seen in range(3)
    )  # fmt: skip

    def opened(rank: int) -> float:
        return 1 - sum(
            comb(planned, n) * at_least_three**n * (1 - at_least_three) ** (planned - n) for n in range(rank)
        )

    assert opened(RULES.peak_rank) < 1e-3
    assert opened(1) > 0.3  # the plain maximum would not do


def month() -> Iterator[Tile]:
    """A light month: a busy tile a day, with rare categories that the rule has to hide."""
    dice = random.Random(20_261_123)  # noqa: S311 - a simulated street
    for _ in range(30):
        busy, rare = dice.uniform(3, 14), dice.choice([0, 0, 1, 2, 3])
        yield [one_slice(dice, min(64, int(dice.gauss(busy, 2) + 0.5)), rare) for _ in range(5 * RULES.planned)]


def one_slice(dice: random.Random, persons: int, rare: int) -> SliceCounts:
    persons = max(0, persons)
    split = {}
    for dimension in Dimension:
        counts = [0] * len(CATEGORIES[dimension])
        counts[0] = dice.randint(0, min(rare, persons))
        for _ in range(persons - counts[0]):
            counts[
                dice.choices(range(1, len(counts)), weights=[4, *[2] * (len(counts) - 2)][: len(counts) - 1])[0]
            ] += 1
        split[dimension.value] = tuple(counts)
    return SliceCounts(persons, **split)


def told(tile: Tile) -> AttributeTile | None:
    tally = TileTally(RULES.dimensions, RULES.k_attr)
    for counts in tile:
        tally.add(counts)
    return protect_tile(tally, MINUTE, RULES)


def told_naively(tile: Tile) -> dict[str, dict[str, int]]:
    """The mutant: exact sums, small ones left out, as many a dashboard does it."""
    sums = {}
    for dimension in Dimension:
        by_category = [sum(counts.of(dimension)[n] for counts in tile) for n in range(len(CATEGORIES[dimension]))]
        sums[dimension.value] = {"all": sum(by_category)} | {
            name: part for name, part in zip(CATEGORIES[dimension], by_category, strict=True) if part >= 200
        }
    return sums


def without_the_hidden(tile: Tile, record: AttributeTile | None) -> Tile:
    """Another world: whoever is hidden in ``record`` is nobody's category, everywhere that the rule hides anything."""

    def emptied(counts: SliceCounts, dimension: Dimension) -> tuple[int, ...]:
        values = list(counts.of(dimension))
        hidden = range(len(values) - 1)
        if record is not None and dimension in record.share_tenths and counts.persons >= RULES.k_attr:
            hidden = [CATEGORIES[dimension].index(name) for name in record.folded[dimension]]  # type: ignore[assignment]
        for place in hidden:
            values[-1] += values[place]
            values[place] = 0
        return tuple(values)

    return [SliceCounts(counts.persons, **{d.value: emptied(counts, d) for d in Dimension}) for counts in tile]


def test_a_month_of_records_does_not_tell_whether_a_hidden_category_was_there_at_all() -> None:
    """Differences, complements, all at once: a world without them gives the same bytes, so no method can tell."""
    hidden = published = 0
    for tile in month():
        record = told(tile)
        other = without_the_hidden(tile, record)
        assert msgspec.json.encode(told(other)) == msgspec.json.encode(record)
        assert minute_bytes([one.persons for one in other[:60]]) == minute_bytes([one.persons for one in tile[:60]])
        hidden += other != tile
        published += record is not None
    assert published > 5
    assert hidden > 15


def test_the_naive_rule_gives_its_hidden_cells_away() -> None:
    recovered = 0
    for tile in month():
        for dimension, sums in told_naively(tile).items():
            missing = [name for name in CATEGORIES[Dimension(dimension)] if name not in sums]
            if len(missing) == 1:  # the complement is the cell
                place = CATEGORIES[Dimension(dimension)].index(missing[0])
                truth = sum(counts.of(Dimension(dimension))[place] for counts in tile)
                recovered += sums["all"] - sum(part for name, part in sums.items() if name != "all") == truth
    assert recovered > 10


@pytest.mark.parametrize("dimension", Dimension)
def test_four_people_give_no_attributes_however_long_they_stay(dimension: Dimension) -> None:
    split: Callable[[int], tuple[int, ...]] = lambda n: (n, *[0] * (len(CATEGORIES[dimension]) - 1))  # noqa: E731 - short
    assert told([SliceCounts(4, **{dimension.value: split(4)})] * 300) is None
