"""Slices into minutes, minutes into records: a state machine without a clock and without a sink.

Knows:  the open minute's and the open tile's tally, the newest minute ever told, a gap not yet told.
Never:  a slice once it is added, a minute told twice, a minute told after a later one.
Leaves: records, in the order of their minutes.
Clauses: 6.2(2) (what was told stays as it was told), 6.1(3) (UTC minutes; a blind minute is a gap, never a zero).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from firmware.flow.disclosure import Rules, protect, protect_tile
from firmware.flow.record import Gap, GapReason, Record
from firmware.flow.slice import SliceCounts
from firmware.flow.tally import MinuteTally, TileTally
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, minute_of, start_of

STEP_NS: Final = 2 * NS_PER_SECOND
"""UTC that moves this much against the time since boot was stepped; minutes it touches are not trusted."""
GAP_MINUTES_AT_MOST: Final = 15
"""A longer gap is told in pieces, so that the city hears of it while it lasts."""
EARLIEST: Final = MinuteNumber(29_454_240)
"""2026-01-01T00:00Z: a clock that says less has lost its time, and its minutes are not told."""


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment by two clocks: UTC, which may step, and the time since boot, which may not."""

    utc_ns: int
    boot_ns: int


class Minutes:
    """Opens a minute, adds slices, closes it by the rule."""

    def __init__(self, rules: Rules, *, now: Instant, newest: MinuteNumber | None, arrivals: Callable[[], int]) -> None:
        """Open the minute of ``now``; ``newest`` is the newest minute ever told.

        ``arrivals`` returns how many frames the camera ever delivered, whether anybody counted them or not.
        """
        self._rules = rules
        self._arrivals = arrivals
        self._newest = newest
        self._offset_ns = now.utc_ns - now.boot_ns
        self._open = minute_of(now.utc_ns)
        self._partial: GapReason | None = GapReason.STOPPED
        self._spoiled = False
        self._model_refused = False
        self._arrived_before = arrivals()
        self._tally = MinuteTally(rules.planned)
        self._tile = TileTally(rules.dimensions, rules.k_attr)
        self._gap: Gap | None = None
        if newest is not None and newest + 1 < self._open:
            self._newest = MinuteNumber(self._open - 1)
            self._gap = Gap(MinuteNumber(newest + 1), self._newest, GapReason.STOPPED)

    @property
    def closes_at_ns(self) -> int:
        """UTC nanosecond at which the open minute ends."""
        return start_of(MinuteNumber(self._open + 1))

    def wants(self, taken: Instant) -> bool:
        """Return whether a frame taken then is to be counted: not in a told minute, not beyond the planned number."""
        minute = minute_of(taken.utc_ns)
        if minute < self._open or not self._may_be_told(minute):
            return False
        return minute > self._open or not self._tally.full

    def note(self, taken: Instant, counts: SliceCounts | None, *, model_refused: bool = False) -> list[Record]:
        """Add the slice of a frame taken then (None: it was lost); return the records of minutes it closes."""
        self._watch_for_steps(taken)
        minute = minute_of(taken.utc_ns)
        records = self._move_to(minute) if minute > self._open else []
        self._model_refused |= model_refused
        if counts is not None and self.wants(taken):
            self._tally.add(counts)
            if self._rules.dimensions:
                self._tile.add(counts)
        return records

    def close_until(self, now: Instant, grace_ns: int) -> list[Record]:
        """Close every minute that ended ``grace_ns`` or longer ago."""
        self._watch_for_steps(now)
        minute = minute_of(now.utc_ns - grace_ns)
        return self._move_to(minute) if minute > self._open else []

    def end(self, reason: GapReason = GapReason.STOPPED) -> list[Record]:
        """Close the open minute as it is; nothing comes after."""
        self._partial = self._partial or reason
        return [*self._close(), *self._tell_gap()]

    def _watch_for_steps(self, now: Instant) -> None:
        offset_ns = now.utc_ns - now.boot_ns
        if abs(offset_ns - self._offset_ns) > STEP_NS:
            self._spoiled = True
            self._partial = GapReason.CLOCK_UNPROVEN
        self._offset_ns = offset_ns

    def _may_be_told(self, minute: MinuteNumber) -> bool:
        return minute >= EARLIEST and (self._newest is None or minute > self._newest)

    def _move_to(self, minute: MinuteNumber) -> list[Record]:
        reason = GapReason.CLOCK_UNPROVEN if self._spoiled else GapReason.STOPPED
        skipped = minute > self._open + 1
        records = self._close()
        if skipped:
            self._tile.clear()
            first = self._open + 1 if self._newest is None else max(self._open, self._newest) + 1
            if first < minute and (self._open >= EARLIEST or self._newest is not None):
                records += self._miss(MinuteNumber(first), MinuteNumber(minute - 1), reason)
        if skipped or reason is GapReason.CLOCK_UNPROVEN:
            self._partial = reason
        self._open = minute
        return records

    def _close(self) -> list[Record]:
        minute, rules = self._open, self._rules
        told = None if self._spoiled else protect(self._tally, minute, rules)
        if not self._may_be_told(minute):
            records: list[Record] = []
        elif told is None:
            records = self._miss(minute, minute, self._reason())
        else:
            records = [*self._tell_gap(), told]
            self._newest = minute
        records += self._close_tile(minute)
        self._tally.clear()
        self._spoiled = self._model_refused = False
        self._partial = None
        self._arrived_before = self._arrivals()
        return records

    def _close_tile(self, minute: MinuteNumber) -> list[Record]:
        rules = self._rules
        if self._spoiled:
            self._tile.clear()
        if not rules.dimensions or (minute + 1) % rules.window_minutes:
            return []
        tile = protect_tile(self._tile, MinuteNumber(minute + 1 - rules.window_minutes), rules)
        self._tile.clear()
        return [] if tile is None else [tile]

    def _reason(self) -> GapReason:
        if self._partial is not None:
            return self._partial
        if self._model_refused:
            return GapReason.MODEL_MISMATCH
        arrived = self._arrivals() - self._arrived_before
        return GapReason.OVERLOAD if self._rules.covered(arrived) else GapReason.CAMERA_FAULT

    def _miss(self, first: MinuteNumber, last: MinuteNumber, reason: GapReason) -> list[Record]:
        """Add a gap to the one not yet told, where it goes on; tell what does not."""
        records: list[Record] = []
        if self._gap is not None and (self._gap.last_minute + 1, self._gap.reason) == (first, reason):
            first = self._gap.first_minute
        else:
            records = self._tell_gap()
        self._gap = Gap(first, last, reason)
        self._newest = last
        if last - first + 1 >= GAP_MINUTES_AT_MOST:
            records += self._tell_gap()
        return records

    def _tell_gap(self) -> list[Record]:
        gap, self._gap = self._gap, None
        return [] if gap is None else [gap]
