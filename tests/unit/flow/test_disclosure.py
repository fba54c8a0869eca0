"""The rule against a brute-force reading of its text."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from firmware.flow.disclosure import Rules, protect, protect_tile
from firmware.flow.record import CATEGORIES, AttributeTile, Dimension, PublishedMinute, SuppressedMinute
from firmware.flow.slice import SliceCounts
from firmware.flow.tally import MinuteTally, TileTally
from firmware.ground.clock import MinuteNumber

MINUTE = MinuteNumber(29_923_296)


class Scene:
    """A rule and the slices of a minute, drawn so that every outcome of the rule comes up."""

    def __init__(self, seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - a simulated street
        planned = dice.choice([12, 30, 60])
        k = dice.randint(3, 5)
        self.rule = Rules(
            planned=planned,
            k_total=k,
            k_attr=max(5, k),
            k_cell=dice.randint(3, 4),
            peak_rank=max(3, math.ceil(planned / 12)) + dice.choice([0, 0, 1]),
            congested_tenths=10 * k + dice.randint(0, 30),
            min_coverage_thousandths=dice.choice([800, 800, 900, 1000]),
            dimensions=tuple(Dimension),
            window_minutes=dice.choice([1, 1, 5]),
        )
        around, busy_share = dice.choice([1, 3, 5, 9]), dice.random()
        weights = {d: [dice.choice([0, 0.3, 1, 2]) for _ in CATEGORIES[d]] for d in Dimension}
        self.slices = []
        whole, fifth = planned * self.rule.window_minutes, planned * self.rule.window_minutes // 5
        for _ in range(dice.choice([whole, whole, whole - fifth, whole - fifth - 1])):
            persons = max(0, round(dice.gauss(around, 1))) if dice.random() < busy_share else dice.randint(0, 3)
            split = {d.value: self._split(dice, persons, weights[d]) for d in Dimension}
            self.slices.append(SliceCounts(persons, **split))

    @staticmethod
    def _split(dice: random.Random, persons: int, weights: list[float]) -> tuple[int, ...]:
        chosen = dice.choices(range(len(weights)), weights=[weight + 0.01 for weight in weights], k=persons)
        return tuple(chosen.count(place) for place in range(len(weights)))


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


def test_minutes_follow_the_text() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(600):
        scene = Scene(seed)
        tally, first_minute = MinuteTally(scene.rule.planned), scene.slices[: scene.rule.planned]
        for one in first_minute:
            tally.add(one)
        record = protect(tally, MINUTE, scene.rule)
        assert record == minute_by_the_text(first_minute, scene.rule), seed
        kinds[type(record).__name__] += 1
        if isinstance(record, PublishedMinute):
            kinds["congested"] += record.congested
            kinds["at k"] += record.peak_occupancy == scene.rule.k_total
    assert min(kinds.values()) > 20, kinds
    assert len(kinds) == 5


def tile_by_the_text(seen: list[SliceCounts], rule: Rules) -> AttributeTile | None:
    if len(seen) < Fraction(rule.min_coverage_thousandths, 1000) * rule.planned * rule.window_minutes:
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


def test_tiles_follow_the_text() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(600):
        scene = Scene(seed)
        tally = TileTally(scene.rule.dimensions, scene.rule.k_attr)
        for one in scene.slices:
            tally.add(one)
        tile = protect_tile(tally, MINUTE, scene.rule)
        assert tile == tile_by_the_text(scene.slices, scene.rule), seed
        kinds[type(tile).__name__] += 1
        for dimension, shares in tile.share_tenths.items() if tile else ():
            kinds["folded"] += bool(tile and tile.folded[dimension])
            kinds["whole"] += not (tile and tile.folded[dimension])
            assert sum(shares.values()) == 10
            assert tile
            assert {*shares, *tile.folded[dimension]} == set(CATEGORIES[dimension])
        kinds["an attribute untold beside a told one"] += tile is not None and len(tile.share_tenths) < len(Dimension)
    assert min(kinds.values()) > 10, kinds
    assert len(kinds) == 5


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
