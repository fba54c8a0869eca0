"""What this firmware must never become: a tally that follows people from slice to slice.

It gives a number the shops would love, "how many different people", and it needs the order of slices for it.
"""

from __future__ import annotations

import json
import math

Positions = list[tuple[float, float]]


class NearestNeighbourTracker:
    """Whoever is nearest to where somebody was a slice ago is the same person."""

    def __init__(self, reach: float = 0.2) -> None:
        self.reach = reach
        self.unique = 0
        self._last: Positions = []

    def add(self, positions: Positions) -> None:
        free = list(self._last)
        for here in positions:
            near = min(free, key=lambda there: math.dist(here, there), default=None)
            if near is not None and math.dist(here, near) < self.reach:
                free.remove(near)
            else:
                self.unique += 1
        self._last = positions

    def record(self) -> bytes:
        return json.dumps({"unique": self.unique}).encode()
