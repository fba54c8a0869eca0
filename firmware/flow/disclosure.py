"""The rule under which a minute may be told. Pure: the same tally is always the same record.

Knows:  a tally, the rule's numbers and their floors.
Never:  time, a network, a database, a number about fewer than k people.
Leaves: :mod:`firmware.flow.record` values.
Clauses: 6.2(2) (nobody can be singled out by any means), 6.2(3) (a lone walker leaves nothing to follow), 6.1(3).

* A minute tells numbers only when its peak reaches k; below, it is what an empty street gives, byte for byte.
* The peak is the r-th largest slice, r = max(3, ceil(planned / 12)): a flicker of the detector cannot open a minute.
* Attributes are person-time shares over a tile, from slices with at least five people, in tenths. A category whose own
  ranked peak is below ``k_cell`` is folded into ``unknown``; if ``unknown`` itself then is below, the whole attribute
  stays untold. No cross-tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from firmware.flow.record import CATEGORIES, AttributeTile, Dimension, PublishedMinute, SuppressedMinute
from firmware.flow.tally import MinuteTally, TileTally
from firmware.ground.clock import MinuteNumber

K_FLOOR: Final = 3
K_ATTRIBUTES_FLOOR: Final = 5
RANK_FLOOR: Final = 3
COVERAGE_FLOOR_THOUSANDTHS: Final = 800


def lawful_rank(planned: int) -> int:
    """Return the smallest rank the peak of ``planned`` slices may have."""
    return max(RANK_FLOOR, -(-planned // 12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rule's numbers. Raises ValueError below a floor, whatever the settings said: the last line of defence."""

    planned: int
    k_total: int
    k_attr: int
    k_cell: int
    peak_rank: int
    congested_tenths: int
    min_coverage_thousandths: int
    dimensions: tuple[Dimension, ...] = ()
    window_minutes: int = 15

    def __post_init__(self) -> None:
        lawful = (
            self.k_total >= K_FLOOR
            and self.k_cell >= K_FLOOR
            and self.k_attr >= max(K_ATTRIBUTES_FLOOR, self.k_total)
            and self.peak_rank >= lawful_rank(self.planned)
            and self.congested_tenths >= 10 * self.k_total
            and self.min_coverage_thousandths >= COVERAGE_FLOOR_THOUSANDTHS
        )
        if not lawful:
            message = "disclosure rule below its floor (guideline 6.2(2))"
            raise ValueError(message)

    def covered(self, slices: int, minutes: int = 1) -> bool:
        """Return whether ``slices`` are enough to speak of ``minutes`` minutes."""
        return slices * 1000 >= self.planned * minutes * self.min_coverage_thousandths

    @property
    def tile_rank(self) -> int:
        """Rank of the peaks of a tile: the same share of its slices as in a minute."""
        return max(self.peak_rank, lawful_rank(self.planned * self.window_minutes))


def protect(tally: MinuteTally, minute: MinuteNumber, rules: Rules) -> PublishedMinute | SuppressedMinute | None:
    """Return what may be told of ``minute``; None when too little of it was seen to say anything."""
    slices = tally.persons.slices
    if not rules.covered(slices):
        return None
    peak = tally.persons.ranked_peak(rules.peak_rank)
    if peak < rules.k_total:  # 6.2(2), 6.2(3): nobody, one or few are one and the same record
        return SuppressedMinute(minute=minute, slices_planned=rules.planned, k=rules.k_total)
    mean_tenths = _rounded(10 * tally.persons.person_slices, slices)
    return PublishedMinute(
        minute=minute,
        slices=slices,
        slices_planned=rules.planned,
        mean_occupancy_tenths=mean_tenths,
        peak_occupancy=peak,
        occupancy_twentieths=_rounded(20 * tally.persons.occupied, slices),
        congested=mean_tenths >= rules.congested_tenths,
        k=rules.k_total,
    )


def protect_tile(tally: TileTally, first_minute: MinuteNumber, rules: Rules) -> AttributeTile | None:
    """Return the attribute shares that may be told of a tile; None when none may.

    ``AttributeTile.k_total`` is ``k_attr``, the number of people that every slice used had at least.
    """
    if not rules.covered(tally.slices, rules.window_minutes):
        return None
    if tally.persons.ranked_peak(rules.tile_rank) < rules.k_attr:
        return None
    shares: dict[Dimension, dict[str, int]] = {}
    folded: dict[Dimension, tuple[str, ...]] = {}
    for dimension in rules.dimensions:
        small = _too_small(tally, dimension, rules)
        if small is not None:
            shares[dimension] = _shares(tally, dimension, small)
            folded[dimension] = tuple(CATEGORIES[dimension][place] for place in small)
    if not shares:
        return None
    return AttributeTile(
        first_minute=first_minute,
        window_minutes=rules.window_minutes,
        share_tenths=shares,
        folded=folded,
        k_total=rules.k_attr,
        k_cell=rules.k_cell,
    )


def _too_small(tally: TileTally, dimension: Dimension, rules: Rules) -> tuple[int, ...] | None:
    """Return the categories to be folded into ``unknown``; None when the attribute must stay untold."""
    unknown = len(CATEGORIES[dimension]) - 1
    small = tuple(
        place
        for place in range(unknown)
        if tally.together(dimension, (place,)).ranked_peak(rules.tile_rank) < rules.k_cell
    )
    rest = tally.together(dimension, (*small, unknown))
    if len(small) == unknown or rest.ranked_peak(rules.tile_rank) < rules.k_cell:  # 6.2(2): all or nothing
        return None
    return small


def _shares(tally: TileTally, dimension: Dimension, small: tuple[int, ...]) -> dict[str, int]:
    unknown = len(CATEGORIES[dimension]) - 1
    told = [place for place in range(unknown) if place not in small]
    sums = [tally.together(dimension, (place,)).person_slices for place in told]
    sums.append(tally.together(dimension, (*small, unknown)).person_slices)
    names = [CATEGORIES[dimension][place] for place in (*told, unknown)]
    return dict(zip(names, _tenths(sums), strict=True))


def _tenths(sums: Sequence[int]) -> list[int]:
    """Return whole tenths that add up to 10: the largest remainders are rounded up, the first of equals first."""
    total = sum(sums)
    tenths = [10 * part // total for part in sums]
    by_remainder = sorted(range(len(sums)), key=lambda place: -(10 * sums[place] % total))
    for place in by_remainder[: 10 - sum(tenths)]:
        tenths[place] += 1
    return tenths


def _rounded(numerator: int, denominator: int) -> int:
    """Return the nearest whole number, halves up; in integers, so that equal tallies are equal bytes."""
    return (2 * numerator + denominator) // (2 * denominator)
