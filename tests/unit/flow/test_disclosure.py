"""The rule against a brute-force reading of its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.flow.disclosure import Rules, protect, protect_tile
from firmware.flow.record import CATEGORIES, AttributeTile, Dimension, PublishedMinute, SuppressedMinute
from firmware.flow.slice import SliceCounts
from firmware.flow.tally import MinuteTally, TileTally
from firmware.ground.clock import MinuteNumber

MINUTE = MinuteNumber(29_923_296)


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    planned = draw(st.sampled_from([12, 30, 60, 120]))
    k = draw(st.integers(3, 6))
    return Rules(
        planned=planned,
        k_total=k,
        k_attr=max(5, k),
        k_cell=draw(st.integers(3, 5)),
        peak_rank=max(3, math.ceil(planned / 12)) + draw(st.integers(0, 2)),
        congested_tenths=10 * k + draw(st.integers(0, 50)),
        min_coverage_thousandths=draw(st.sampled_from([800, 900, 1000])),
        dimensions=tuple(Dimension),
        window_minutes=1,
    )


@st.composite
def slices(draw: st.DrawFn) -> list[SliceCounts]:
    most = draw(st.sampled_from([1, 3, 8, 20]))
    found = []
    for persons in draw(st.lists(st.integers(0, most), max_size=70)):
        split = {}
        for dimension in Dimension:
            cuts = sorted(draw(st.integers(0, persons)) for _ in CATEGORIES[dimension][1:])
            split[dimension.value] = tuple(b - a for a, b in zip([0, *cuts], [*cuts, persons], strict=True))
        found.append(SliceCounts(persons, **split))
    return found


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def ranked(values: Sequence[int], rank: int) -> int:
    return sorted(values, reverse=True)[rank - 1] if len(values) >= rank else 0


def minute_by_the_text(seen: list[SliceCounts], rule: Rules) -> PublishedMinute | SuppressedMinute | None:
    counts = [one.persons for one in seen]
    if len(counts) < Fraction(rule.min_coverage_thousandths, 1000) * rule.planned:
        return None
    peak = ranked(counts, rule.peak_rank)
    if peak < rule.k_total:
        return SuppressedMinute(MINUTE, rule.planned, rule.k_total)
    mean = Fraction(sum(counts), len(counts))
    return PublishedMinute(
        minute=MINUTE,
        slices=len(counts),
        slices_planned=rule.planned,
        mean_occupancy_tenths=half_up(10 * mean),
        peak_occupancy=peak,
        occupancy_twentieths=half_up(Fraction(20 * sum(one > 0 for one in counts), len(counts))),
        congested=half_up(10 * mean) >= rule.congested_tenths,
        k=rule.k_total,
    )


@given(slices(), rules())
@settings(max_examples=150, deadline=None)
def test_minutes_follow_the_text(seen: list[SliceCounts], rule: Rules) -> None:
    tally = MinuteTally(rule.planned)
    for one in seen:
        tally.add(one)
    record = protect(tally, MINUTE, rule)
    assert record == minute_by_the_text(seen, rule)
    if isinstance(record, PublishedMinute):
        assert record.peak_occupancy >= rule.k_total >= 3
        assert 0 <= record.occupancy_twentieths <= 20


def tile_by_the_text(seen: list[SliceCounts], rule: Rules) -> AttributeTile | None:
    if len(seen) < Fraction(rule.min_coverage_thousandths, 1000) * rule.planned:
        return None
    crowded = [one for one in seen if one.persons >= rule.k_attr]
    rank = max(rule.peak_rank, 3, math.ceil(rule.planned * rule.window_minutes / 12))
    if ranked([one.persons for one in crowded], rank) < rule.k_attr:
        return None
    shares, folded = {}, {}
    for dimension in rule.dimensions:
        series = {
            name: [one.of(dimension)[place] for one in crowded] for place, name in enumerate(CATEGORIES[dimension])
        }
        small = tuple(
            name for name, values in series.items() if name != "unknown" and ranked(values, rank) < rule.k_cell
        )
        for name in small:
            series["unknown"] = [a + b for a, b in zip(series["unknown"], series.pop(name), strict=True)]
        if len(series) > 1 and ranked(series["unknown"], rank) >= rule.k_cell:
            sums = {name: sum(values) for name, values in series.items()}
            shares[dimension] = tenths(sums)
            folded[dimension] = small
    if not shares:
        return None
    return AttributeTile(MINUTE, rule.window_minutes, shares, folded, rule.k_attr, rule.k_cell)


def tenths(sums: dict[str, int]) -> dict[str, int]:
    total = sum(sums.values())
    exact = {name: Fraction(10 * part, total) for name, part in sums.items()}
    told = {name: math.floor(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: told[name] - exact[name])[: 10 - sum(told.values())]:
        told[name] += 1
    return told


@given(slices(), rules())
@settings(max_examples=150, deadline=None)
def test_tiles_follow_the_text(seen: list[SliceCounts], rule: Rules) -> None:
    tally = TileTally(rule.dimensions, rule.k_attr)
    for one in seen:
        tally.add(one)
    tile = protect_tile(tally, MINUTE, rule)
    assert tile == tile_by_the_text(seen, rule)
    if tile is not None:
        for dimension, shares in tile.share_tenths.items():
            assert sum(shares.values()) == 10
            assert {*shares, *tile.folded[dimension]} == set(CATEGORIES[dimension])


def test_the_tile_rule_has_something_to_tell_on_a_busy_street() -> None:
    rule = Rules(
        planned=60, k_total=3, k_attr=5, k_cell=3, peak_rank=5, congested_tenths=100, min_coverage_thousandths=800,
        dimensions=tuple(Dimension), window_minutes=1,
    )  # fmt: skip
    tally = TileTally(rule.dimensions, rule.k_attr)
    for _ in range(60):
        tally.add(SliceCounts(12, sex=(4, 4, 4), age=(1, 4, 3, 0, 4), mask=(8, 1, 3)))
    tile = protect_tile(tally, MINUTE, rule)
    assert tile is not None
    assert tile.share_tenths[Dimension.SEX] == {"female": 4, "male": 3, "unknown": 3}
    assert tile.folded[Dimension.AGE] == ("0-19", "65+")
    assert tile.share_tenths[Dimension.AGE] == {"20-39": 3, "40-64": 3, "unknown": 4}
    assert tile.share_tenths[Dimension.MASK] == {"worn": 7, "unknown": 3}


def test_a_tally_never_grows() -> None:
    tally = TileTally(tuple(Dimension), 5)
    before = sum(len(bytes(one._slices)) for sets in tally._of.values() for one in sets.values())
    for _ in range(2000):
        tally.add(SliceCounts(6, sex=(2, 2, 2), age=(1, 1, 1, 1, 2), mask=(3, 3, 0)))
    after = sum(len(bytes(one._slices)) for sets in tally._of.values() for one in sets.values())
    assert before == after
