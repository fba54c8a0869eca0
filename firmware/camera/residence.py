"""How long pictures exist, as a histogram in fixed bands.

Knows:  how many microseconds passed between the first byte written to a slot and its overwriting.
Never:  which picture, when, or what was in it; memory that grows.
Leaves: counts in bands of 250 microseconds.
Clauses: 5.1(1), 5.2(1) (erased at once: this is how "at once" is measured and published).
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final

BAND_US: Final = 250
BANDS: Final = 8000
"""8,000 bands reach 2 s; one more, open, band holds everything longer."""


@dataclass(frozen=True, slots=True)
class ResidenceSummary:
    """Percentiles in microseconds, each the upper edge of its band (never flattering); ``max_us`` is exact."""

    count: int
    p50_us: int
    p99_9_us: int
    max_us: int


class Residence:
    """A histogram that is allocated once."""

    def __init__(self) -> None:
        self._bands = array("Q", bytes(8 * (BANDS + 1)))
        self._count = 0
        self._max_us = 0

    @property
    def count(self) -> int:
        """Number of residences noted since the start or the last :meth:`clear`."""
        return self._count

    def note(self, residence_us: int) -> None:
        """Count one residence (microseconds; less than nothing counts as nothing)."""
        residence_us = max(residence_us, 0)
        self._bands[min(residence_us // BAND_US, BANDS)] += 1
        self._count += 1
        self._max_us = max(self._max_us, residence_us)

    def percentile_us(self, per_mille: int) -> int:
        """Return the upper edge of the band that holds the ``per_mille``-th residence; 0 when there is none."""
        wanted = -(-self._count * per_mille // 1000)
        seen = 0
        for band, in_band in enumerate(self._bands):
            seen += in_band
            if in_band and seen >= wanted:
                return min((band + 1) * BAND_US, self._max_us) if band < BANDS else self._max_us
        return 0

    def bands(self) -> tuple[tuple[int, int], ...]:
        """Return ``(upper edge in microseconds, count)`` of every band that is not empty."""
        return tuple(((band + 1) * BAND_US, in_band) for band, in_band in enumerate(self._bands) if in_band)

    def summary(self) -> ResidenceSummary:
        """Return p50, p99.9 and max."""
        return ResidenceSummary(
            count=self._count,
            p50_us=self.percentile_us(500),
            p99_9_us=self.percentile_us(999),
            max_us=self._max_us,
        )

    def clear(self) -> None:
        """Begin a new period."""
        for band in range(BANDS + 1):
            self._bands[band] = 0
        self._count = 0
        self._max_us = 0
