"""``flow.toml``: what people flow may be told by its own administrators.

Knows:  the rule's numbers, where people are counted, which model, how long an answer may take.
Never:  a value that weakens the rule: floors are the firmware's, not the file's; nothing is clamped in silence.
Leaves: one frozen struct; :meth:`FlowSettings.rules` for the pure part.
Clauses: 2 and 6.1(3) (attributes are off until switched on), 6.2(2) (k and the ranked peak), 6.2(1) (the deadline).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from firmware.flow.disclosure import K_ATTRIBUTES_FLOOR, K_FLOOR, Rules, lawful_rank
from firmware.flow.record import Dimension
from firmware.flow.region import Polygon
from firmware.ground.config import OutOfLaw

LONGEST_DEADLINE_MS: Final = 1000
LEAST_COVERAGE: Final = 0.8
UNCHANGED_PERCENT: Final = 100
FARTHEST_PERCENT: Final = (50, 200)
SECONDS_PER_MINUTE: Final = 60
MOST: Final = 64


class FlowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of people flow. Raises :class:`OutOfLaw` inside for values that may not be."""

    slice_period_seconds: float = 1.0
    """0.5 to 2 seconds, a whole number of slices a minute. A timer's period: it never follows the street."""
    k_total: int = K_FLOOR
    """A minute tells numbers only when its ranked peak reaches this many people."""
    k_attr: int = K_ATTRIBUTES_FLOOR
    """Attribute shares use only slices with at least this many people."""
    k_cell: int = K_FLOOR
    """Each category's own ranked peak, ``unknown`` included, must reach this."""
    peak_rank: int | None = None
    """The peak is this many-th largest slice; None: as many as the rule asks. May be raised, never lowered."""
    attributes: tuple[Dimension, ...] = ()
    """None at the start: each one is a decision of the city and a line in the notice."""
    window_minutes: Literal[1, 5, 15] = 15
    """One tiling of attribute shares, never two: two would allow differences."""
    region_of_interest: Polygon = ()
    """Corners in fractions of the picture; empty: the whole picture."""
    ignore: tuple[Polygon, ...] = ()
    """Posters, statues, reflections found at commissioning."""
    congested_at_occupancy: float = 10.0
    """Mean people present from which the place is called congested; at least ``k_total``."""
    mean_day_percent: int = UNCHANGED_PERCENT
    """What a minute's mean has to be multiplied by to lie right by day (the sun above the horizon), in hundredths.

    Told in ``$meta`` for whoever reads the records, never applied here: a record says what was counted."""
    mean_night_percent: int = UNCHANGED_PERCENT
    """The same by night. Both come from counting by hand at commissioning, or from the models' page."""
    min_coverage: float = LEAST_COVERAGE
    """Below this share of the planned slices a minute is a gap. May be raised."""
    model_directory: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_/-]+\Z")] = "models"
    """Where MANIFEST.toml and the models stand, as the program that reads this resolves it."""
    detector: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\Z")] | None = None
    """Which of the directory's models for persons, by its file's name without ending; None: the first listed."""
    deadline_ms: int = LONGEST_DEADLINE_MS
    """From capture to answer; then the counter is killed and the slot overwritten."""
    score_threshold: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] | None = None
    """Raises the model's own threshold where a street gives false alarms; lowering it is refused."""

    def __post_init__(self) -> None:
        self._check_period()
        self._check_rule()
        self._check_constants()
        self._check_polygons()
        if not 1 <= self.deadline_ms <= LONGEST_DEADLINE_MS:
            raise OutOfLaw(
                "deadline_ms",
                f"a picture may exist for at most {LONGEST_DEADLINE_MS} ms",
                clause="6.2(1)",
                todo=f"choose 1 to {LONGEST_DEADLINE_MS}",
            )

    @property
    def slices_planned(self) -> int:
        """Slices a minute."""
        return round(SECONDS_PER_MINUTE / self.slice_period_seconds)

    def rules(self) -> Rules:
        """Return the disclosure rule these settings ask for."""
        return Rules(
            planned=self.slices_planned,
            k_total=self.k_total,
            k_attr=self.k_attr,
            k_cell=self.k_cell,
            peak_rank=self.peak_rank or lawful_rank(self.slices_planned),
            congested_tenths=round(self.congested_at_occupancy * 10),
            min_coverage_thousandths=round(self.min_coverage * 1000),
            dimensions=tuple(dimension for dimension in Dimension if dimension in self.attributes),
            window_minutes=self.window_minutes,
        )

    def _check_period(self) -> None:
        exact = SECONDS_PER_MINUTE / self.slice_period_seconds if self.slice_period_seconds > 0 else 0.0
        if not 0.5 <= self.slice_period_seconds <= 2 or abs(exact - round(exact)) > 1e-6:
            raise OutOfLaw(
                "slice_period_seconds",
                "slices come every 0.5 to 2 s, a whole number of them a minute",
                clause="6.1(3)",
                todo="choose 0.5, 1 or 2",
            )

    def _check_rule(self) -> None:
        floors = (
            ("k_total", self.k_total, K_FLOOR),
            ("k_attr", self.k_attr, max(K_ATTRIBUTES_FLOOR, self.k_total)),
            ("k_cell", self.k_cell, K_FLOOR),
            ("congested_at_occupancy", self.congested_at_occupancy, self.k_total),
            ("min_coverage", self.min_coverage, LEAST_COVERAGE),
        )
        for key, value, floor in floors:
            if not floor <= value <= MOST:  # so that nan is refused too
                raise OutOfLaw(
                    key,
                    f"{value} is not {floor} to {MOST}: below that floor a record could tell of a single person",
                    clause="6.2(2)",
                    todo=f"choose {floor} or more",
                )
        if self.min_coverage > 1:
            raise OutOfLaw("min_coverage", "is a share", clause="6.2(1)", todo="choose 0.8 to 1")
        if self.peak_rank is not None and self.peak_rank < lawful_rank(self.slices_planned):
            raise OutOfLaw(
                "peak_rank",
                "a lower rank would let a flicker of the detector open a minute of one or two people",
                clause="6.2(2)",
                todo=f"leave it out, or choose {lawful_rank(self.slices_planned)} or more",
            )

    def _check_constants(self) -> None:
        least, most = FARTHEST_PERCENT
        for key, value in (
            ("mean_day_percent", self.mean_day_percent),
            ("mean_night_percent", self.mean_night_percent),
        ):
            if not least <= value <= most:
                raise OutOfLaw(
                    key,
                    f"{value} is not {least} to {most}: a detector that far off is not to be corrected but replaced",
                    clause="1",
                    todo=f"choose {least} to {most}; {UNCHANGED_PERCENT} changes nothing",
                )

    def _check_polygons(self) -> None:
        polygons = [("region_of_interest", self.region_of_interest)] if self.region_of_interest else []
        polygons += [("ignore", polygon) for polygon in self.ignore]
        for key, polygon in polygons:
            if len(polygon) < 3 or not all(0 <= part <= 1 for corner in polygon for part in corner):
                raise OutOfLaw(key, "needs three corners or more, each 0 to 1", clause="6.1(3)", todo="draw it again")
