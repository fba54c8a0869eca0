"""When a picture is wanted: at most one for each of a row of moments.

Knows:  a period.
Never:  a picture, a clock.
Leaves: yes or no.
Clauses: 6.1(3) (slices at moments fixed beforehand, whatever is in view).
"""

from __future__ import annotations


class Grid:
    """Moments a fixed period apart, counted from 1970: at most one picture for each."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._last = -1

    def due(self, utc_ns: int) -> bool:
        """Return whether a moment was reached for which there was no picture yet."""
        return utc_ns // self._period_ns > self._last

    def done(self, utc_ns: int) -> None:
        """Note that there was a picture at ``utc_ns``."""
        self._last = utc_ns // self._period_ns
