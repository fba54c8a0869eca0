"""What remains of a minute: the only values that leave the people-flow house.

Knows:  whole numbers about one minute or one tile of minutes.
Never:  a person, a position, an order of slices, a number about fewer than k people.
Leaves: these values, to whoever the composition root made the sink.
Clauses: 6.1(3) (cross-sections in time only), 6.2(2) (nobody singled out), 6.2(3) (nothing to follow anybody with).

Every number is an integer in a stated unit, so that equal records are equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from firmware.ground.clock import MinuteNumber


class Dimension(StrEnum):
    """An attribute that may be estimated; each is switched on by itself and then named in the notice."""

    SEX = "sex"
    AGE = "age"
    MASK = "mask"


CATEGORIES: dict[Dimension, tuple[str, ...]] = {
    Dimension.SEX: ("female", "male", "unknown"),
    Dimension.AGE: ("0-19", "20-39", "40-64", "65+", "unknown"),
    Dimension.MASK: ("worn", "not_worn", "unknown"),
}
"""Closed category lists; the last of each is ``unknown`` (不明)."""


class GapReason(StrEnum):
    """Why a stretch of time was not observed. A blind minute is a gap, never a zero."""

    STOPPED = "stopped"
    MAINTENANCE = "maintenance"
    NOTICE_MISMATCH = "notice_mismatch"
    MODEL_MISMATCH = "model_mismatch"
    OVERLOAD = "overload"
    CAMERA_FAULT = "camera_fault"
    CLOCK_UNPROVEN = "clock_unproven"
    POWER = "power"
    EGRESS_BLOCKED = "egress_blocked"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class PublishedMinute:
    """A minute in which the ranked peak reached k."""

    minute: MinuteNumber
    slices: int
    slices_planned: int
    mean_occupancy_tenths: int
    peak_occupancy: int
    occupancy_twentieths: int
    congested: bool
    k: int


@dataclass(frozen=True, slots=True)
class SuppressedMinute:
    """A minute below k: nobody, one, or few. The same bytes for all of them; no number about what was seen."""

    minute: MinuteNumber
    slices_planned: int
    k: int


@dataclass(frozen=True, slots=True)
class AttributeTile:
    """Person-time shares over one tile of ``window_minutes`` minutes beginning at ``first_minute``.

    ``share_tenths`` holds a dimension entirely or not at all: category -> 0..10, small categories folded into
    ``unknown`` and named in ``folded``.
    """

    first_minute: MinuteNumber
    window_minutes: int
    share_tenths: dict[Dimension, dict[str, int]]
    folded: dict[Dimension, tuple[str, ...]]
    k_total: int
    k_cell: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Not observed from the start of ``first_minute`` to the end of ``last_minute``."""

    first_minute: MinuteNumber
    last_minute: MinuteNumber
    reason: GapReason


Record = PublishedMinute | SuppressedMinute | AttributeTile | Gap


class RecordSink(Protocol):
    """Where records go; keeps them durably before it returns."""

    async def put(self, record: Record) -> None:
        """Keep ``record`` until the city has acknowledged it.

        A minute or tile not later than the last one kept is dropped and counted (immutable once published).
        """

    async def last_minute(self) -> MinuteNumber | None:
        """Return the newest minute ever kept, so that a restarted pole goes on after it."""
