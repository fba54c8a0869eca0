"""One instant of the street, as whole numbers.

Knows:  how many people stand in the region of interest, and how many of them fall into each category.
Never:  a box, a score, a crop, a duration, an identifier, what the slice before held.
Leaves: :class:`SliceCounts`, to be added to a tally and dropped.
Clauses: 6.1(3) (a cross-section in time), 6.1(4) (no identifier in any case).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from firmware.flow.record import CATEGORIES, Dimension

MOST_PERSONS: Final = 64
"""The detector's decode keeps at most this many people a slice; no count is ever larger."""


def _nothing(dimension: Dimension) -> tuple[int, ...]:
    return (0,) * len(CATEGORIES[dimension])


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """Counts of one slice; each attribute is in the order of ``CATEGORIES`` and sums to ``persons``, or is all zero.

    All zero means that the attribute is switched off (or that nobody is there). Raises ValueError otherwise.
    """

    persons: int
    sex: tuple[int, ...] = field(default=_nothing(Dimension.SEX))
    age: tuple[int, ...] = field(default=_nothing(Dimension.AGE))
    mask: tuple[int, ...] = field(default=_nothing(Dimension.MASK))

    def __post_init__(self) -> None:
        if not 0 <= self.persons <= MOST_PERSONS:
            message = f"persons must lie in 0..{MOST_PERSONS}"
            raise ValueError(message)
        for dimension in Dimension:
            counts = self.of(dimension)
            if len(counts) != len(CATEGORIES[dimension]) or min(counts) < 0:
                message = f"{dimension.value} needs one count >= 0 for each of its categories"
                raise ValueError(message)
            if sum(counts) not in (0, self.persons):
                message = f"{dimension.value} must sum to the persons, or be all zero"
                raise ValueError(message)

    def of(self, dimension: Dimension) -> tuple[int, ...]:
        """Return the counts of one attribute, in the order of ``CATEGORIES``."""
        if dimension is Dimension.SEX:
            return self.sex
        return self.age if dimension is Dimension.AGE else self.mask
