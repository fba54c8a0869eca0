"""What a minute and a tile are remembered by: how many slices had how many people.

Knows:  histograms of per-slice counts, of a fixed size.
Never:  an order of slices, a slice, anything that grows with time or with people.
Leaves: sums and ranked peaks, to :mod:`firmware.flow.disclosure`.
Clauses: 6.1(3) (the order is not kept, so no record can depend on it), 6.2(3) (nothing to follow anybody with).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from firmware.flow.record import CATEGORIES, Dimension
from firmware.flow.slice import MOST_PERSONS, SliceCounts


class Histogram:
    """How many slices had 0, 1, ... 64 people."""

    __slots__ = ("_slices",)

    def __init__(self) -> None:
        self._slices = array("I", bytes(4 * (MOST_PERSONS + 1)))

    def add(self, persons: int) -> None:
        """Count one slice with ``persons`` people (0..64)."""
        self._slices[persons] += 1

    def clear(self) -> None:
        """Forget everything."""
        for persons in range(MOST_PERSONS + 1):
            self._slices[persons] = 0

    @property
    def slices(self) -> int:
        """Slices counted."""
        return sum(self._slices)

    @property
    def occupied(self) -> int:
        """Slices with at least one person."""
        return self.slices - self._slices[0]

    @property
    def person_slices(self) -> int:
        """Sum of people over slices."""
        return sum(persons * slices for persons, slices in enumerate(self._slices))

    def ranked_peak(self, rank: int) -> int:
        """Return the ``rank``-th largest count; 0 when there were fewer slices. ``rank`` >= 1."""
        left = rank
        for persons in range(MOST_PERSONS, 0, -1):
            left -= self._slices[persons]
            if left <= 0:
                return persons
        return 0


class MinuteTally:
    """One minute's people."""

    __slots__ = ("_planned", "persons")

    def __init__(self, planned: int) -> None:
        self._planned = planned
        self.persons = Histogram()

    @property
    def full(self) -> bool:
        """All planned slices are there: a jittering timer's extra one is not counted."""
        return self.persons.slices >= self._planned

    def add(self, counts: SliceCounts) -> None:
        """Add one slice."""
        self.persons.add(counts.persons)

    def clear(self) -> None:
        """Forget everything."""
        self.persons.clear()


class TileTally:
    """One tile's attributes, from slices with at least ``k_attr`` people only.

    For each attribute one histogram for each category, and one for each set of categories that could be folded
    together with ``unknown`` (the sum over a set cannot be known from its parts' histograms): 4 + 2, 16 + 4, 4 + 2.
    """

    __slots__ = ("_k_attr", "_of", "persons", "slices")

    def __init__(self, dimensions: Iterable[Dimension], k_attr: int) -> None:
        self._k_attr = k_attr
        self.slices = 0
        self.persons = Histogram()
        self._of = {
            dimension: {members: Histogram() for members in _sets(len(CATEGORIES[dimension]))}
            for dimension in dimensions
        }

    def add(self, counts: SliceCounts) -> None:
        """Add one slice; with fewer than ``k_attr`` people only the fact that it was observed."""
        self.slices += 1
        if counts.persons < self._k_attr:  # 6.2(2)
            return
        self.persons.add(counts.persons)
        for dimension, histograms in self._of.items():
            by_category = counts.of(dimension)
            for members, histogram in histograms.items():
                histogram.add(sum(count for place, count in enumerate(by_category) if members >> place & 1))

    def together(self, dimension: Dimension, categories: Iterable[int]) -> Histogram:
        """Return the histogram of ``categories`` (places in CATEGORIES) taken together.

        Kept are: each category alone, and ``unknown`` with any others. KeyError for another set.
        """
        return self._of[dimension][sum(1 << place for place in categories)]

    def clear(self) -> None:
        """Forget everything."""
        self.slices = 0
        self.persons.clear()
        for histograms in self._of.values():
            for histogram in histograms.values():
                histogram.clear()


def _sets(categories: int) -> tuple[int, ...]:
    unknown = 1 << (categories - 1)
    alone = tuple(1 << place for place in range(categories - 1))
    return (*alone, *(unknown | others for others in range(unknown)))
