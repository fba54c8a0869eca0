"""Records wait here until the city has them.

Knows:  the gate, the file, the clock.
Never:  a record that did not pass the gate; a minute told twice, or told later than a later one; a silent loss.
Leaves: messages in order of arrival; gaps for minutes that could not be told; counters.
Clauses: 4.1 (gate), 6.2(2) (only statistics, at most seven days; what was told is never told otherwise).

A minute that may not leave, that no disk could keep, or that nobody fetched for seven days becomes a gap. So ``put``
never fails for a reason that people flow could do anything about; it counts, logs and shows in the status instead.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from firmware.city.payload import Outbound, Place, encode
from firmware.city.rescue import isolate, salvage
from firmware.city.session import Message
from firmware.city.spool import Damaged, Row, Spool, Swept, joined
from firmware.city.topics import RECORDS, Kind
from firmware.flow.record import Gap, GapReason, PublishedMinute, Record, SuppressedMinute
from firmware.ground.clock import NS_PER_SECOND, Clock, MinuteNumber, minute_of, start_of
from firmware.ground.errors import CityError
from firmware.ground.lock import uncut
from firmware.ground.log import Log

KEPT_SECONDS: Final = 7 * 24 * 3600
"""How long a record is worth delivering, counted from the end of its last minute."""
KEPT_BYTES: Final = 16 * 1024 * 1024

_Outcome = TypeVar("_Outcome")


@dataclass(slots=True)
class OutboxCounters:
    """Since the start of the process."""

    published: int = 0
    suppressed: int = 0
    gaps: int = 0
    tiles: int = 0
    egress_blocked: int = 0
    late: int = 0
    expired: int = 0
    crowded_out: int = 0
    damaged: int = 0
    unkept: int = 0
    files_isolated: int = 0
    delivered: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits, and its place in the file."""

    position: int
    message: Message


class Outbox:
    """Implements :class:`firmware.flow.record.RecordSink`. Made by :meth:`opened`."""

    def __init__(self, path: Path, place: Place, clock: Clock, log: Log, *, max_bytes: int = KEPT_BYTES) -> None:
        self.counters = OutboxCounters()
        self.reason = "ok"
        self._path = path
        self._place = place
        self._clock = clock
        self._log = log
        self._max_bytes = max_bytes
        self._names = {kind: place.topics.name(kind) for kind in RECORDS}
        self._arrivals = {kind: asyncio.Event() for kind in RECORDS}
        self._lock = asyncio.Lock()
        self._owed = list[tuple[int, int]]()
        self._newest: int | None = None
        self._spool: Spool

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, path: Path, place: Place, clock: Clock, log: Log, *, max_bytes: int = KEPT_BYTES
    ) -> AsyncIterator[Outbox]:
        """Open the file at ``path`` (made if missing; a damaged one is moved aside). Raises :class:`CityError`."""
        outbox = cls(path, place, clock, log, max_bytes=max_bytes)
        await uncut(asyncio.to_thread(outbox._open))
        try:
            yield outbox
        finally:
            await uncut(asyncio.to_thread(outbox._spool.close))

    async def put(self, record: Record) -> None:
        """See :class:`firmware.flow.record.RecordSink`; durable when it returns."""
        outbound = self._passed(self._clipped(record))
        if outbound is None:
            return
        await self._pay()
        try:
            kept = await self._keep(outbound)
        except CityError as error:
            self._owe(outbound, error)
            return
        if kept:
            self._count(record)
            self._arrivals[outbound.kind].set()

    async def last_minute(self) -> MinuteNumber | None:
        """See :class:`firmware.flow.record.RecordSink`; delivered and dropped minutes count too."""
        return None if self._newest is None else MinuteNumber(self._newest)

    async def waiting(self, kind: Kind, limit: int) -> list[Waiting]:
        """Return up to ``limit`` messages of ``kind``, oldest first; wait until there is one. Raises CityError."""
        name, arrival = self._names[kind], self._arrivals[kind]
        while True:
            arrival.clear()
            sound, damaged = await self._off_loop(lambda spool: spool.oldest(name, limit))
            if damaged:
                self._note(await self._off_loop(functools.partial(Spool.drop, rows=damaged, lost=self._lost)))
            elif sound:
                return [self._as_waiting(row) for row in sound]
            else:
                await arrival.wait()

    async def delivered(self, positions: list[int]) -> None:
        """Forget what the broker has acknowledged. Raises CityError."""
        await self._off_loop(lambda spool: spool.remove(positions))
        self.counters.delivered += len(positions)

    async def sweep(self) -> None:
        """Drop what is older than seven days, and say so; pay gaps that are owed. Call it every minute."""
        await self._pay()
        try:
            self._note(await self._off_loop(lambda spool: spool.sweep(self._clock.utc_ns(), self._lost)))
        except CityError as error:
            self._complain(error)

    async def backlog(self) -> int:
        """Return how many messages wait. Raises CityError."""
        return await self._off_loop(Spool.waiting)

    def _clipped(self, record: Record) -> Record:
        """Return a gap without the minutes that were told already; anything else unchanged."""
        if isinstance(record, Gap) and self._newest is not None and record.first_minute <= self._newest:
            first = MinuteNumber(min(self._newest + 1, record.last_minute))
            return replace(record, first_minute=first)
        return record

    def _passed(self, record: Record) -> Outbound | None:
        try:
            return encode(record, self._place)
        except CityError as error:
            self.counters.egress_blocked += 1
            self._complain(error)
        if isinstance(record, PublishedMinute | SuppressedMinute):  # 4.1: never repaired, told as a gap
            return self._passed(Gap(record.minute, record.minute, GapReason.EGRESS_BLOCKED))
        return None

    async def _keep(self, outbound: Outbound) -> bool:
        series = self._names[Kind.ATTR if outbound.kind is Kind.ATTR else Kind.MINUTE]
        row = self._row(outbound, start_of(MinuteNumber(outbound.last_minute + 1)))
        now_utc_ns = self._clock.utc_ns()
        swept = await self._off_loop(
            lambda spool: spool.put(row, series=series, now_utc_ns=now_utc_ns, lost=self._lost)
        )
        if swept is None:
            self.counters.late += 1
            return False
        if outbound.kind is not Kind.ATTR:
            self._newest = max(outbound.last_minute, self._newest or 0)
        self._note(swept)
        self.reason = "ok"
        return True

    def _owe(self, outbound: Outbound, error: CityError) -> None:
        self.counters.unkept += 1
        self._complain(error)
        if outbound.kind is not Kind.ATTR:
            self._owed = joined([*self._owed, (outbound.first_minute, outbound.last_minute)])

    async def _pay(self) -> None:
        """Tell of minutes that no disk could keep, once one can again."""
        while self._owed:
            first, last = self._owed[0]
            try:
                await self._keep(
                    encode(Gap(MinuteNumber(first), MinuteNumber(last), GapReason.UNDELIVERED), self._place)
                )
            except CityError as error:
                self._complain(error)
                return
            del self._owed[0]
            self.counters.gaps += 1
            self._arrivals[Kind.GAP].set()

    def _count(self, record: Record) -> None:
        counters = self.counters
        match record:
            case PublishedMinute():
                counters.published += 1
            case SuppressedMinute():
                counters.suppressed += 1
            case Gap():
                counters.gaps += 1
            case _:
                counters.tiles += 1

    def _note(self, swept: Swept) -> None:
        self.counters.expired += swept.expired
        self.counters.crowded_out += swept.crowded_out
        self.counters.damaged += swept.damaged
        if swept.spans:
            self._log.event(
                "city.records_lost", expired=swept.expired, crowded=swept.crowded_out, damaged=swept.damaged
            )
            self._arrivals[Kind.GAP].set()

    def _complain(self, error: CityError) -> None:
        self.reason = error.code
        self._log.event("city.outbox", code=error.code)

    def _lost(self, first: int, last: int) -> Row:
        gap = Gap(MinuteNumber(first), MinuteNumber(last), GapReason.UNDELIVERED)
        return self._row(encode(gap, self._place), self._clock.utc_ns())

    def _row(self, outbound: Outbound, from_utc_ns: int) -> Row:
        return Row(
            topic=self._names[outbound.kind],
            sequence=outbound.sequence,
            first_minute=outbound.first_minute,
            last_minute=outbound.last_minute,
            expires_utc_ns=from_utc_ns + KEPT_SECONDS * NS_PER_SECOND,
            payload=outbound.payload,
        )

    def _as_waiting(self, row: Row) -> Waiting:
        left_seconds = (row.expires_utc_ns - self._clock.utc_ns()) // NS_PER_SECOND
        expiry_seconds = left_seconds if left_seconds > 0 else KEPT_SECONDS  # only news of a loss outlives itself
        return Waiting(row.position, Message(row.topic, row.payload, expiry_seconds=expiry_seconds))

    async def _off_loop(self, work: Callable[[Spool], _Outcome]) -> _Outcome:
        """Run ``work`` in a thread, one at a time, to its end even when the caller is cancelled. Raises CityError."""
        async with self._lock:
            return await uncut(asyncio.to_thread(self._guarded, work))

    def _guarded(self, work: Callable[[Spool], _Outcome]) -> _Outcome:
        try:
            if self._spool.closed:  # an earlier rescue failed half way
                self._open()
            try:
                return work(self._spool)
            except Damaged:
                self._spool.close()
                self._rescue()
                return work(self._spool)
        except (sqlite3.Error, OSError, Damaged) as error:
            raise _translated(error, self._path) from None

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._spool = self._new_spool()
            except Damaged:
                self._rescue()
            self._spool.keep_only(self._names.values())
            self._newest = self._spool.newest(self._names[Kind.MINUTE])
        except (sqlite3.Error, OSError, Damaged) as error:
            raise _translated(error, self._path) from None

    def _new_spool(self) -> Spool:
        minute, gap = self._names[Kind.MINUTE], self._names[Kind.GAP]
        return Spool(self._path, minute_topic=minute, lost_topic=gap, max_bytes=self._max_bytes)

    def _rescue(self) -> None:
        """Move the damaged file aside, take over what is sound, and never tell a minute twice.

        Where even the newest minute is unreadable, the running one may have been told: it is told as lost.
        """
        now = minute_of(self._clock.utc_ns())
        aside = isolate(self._path, now)
        rows, newest = salvage(aside)
        minute, attr = self._names[Kind.MINUTE], self._names[Kind.ATTR]
        if self._newest is None and minute not in newest:
            self._owed.append((now, now))
        self._spool = self._new_spool()
        self._spool.restore(rows, {minute: self._newest or now - 1, attr: now} | newest)
        self.counters.files_isolated += 1
        self.reason = "E-CITY-OUTBOX-DAMAGED"
        self._log.event("city.outbox_isolated", code=self.reason, file=aside.name, saved=len(rows))


def _translated(error: Exception, path: Path) -> CityError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, Damaged):
        name, what, todo = "E-CITY-OUTBOX-DAMAGED", "the outbox is damaged, again", "replace the disk"
    elif code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) == 28:  # ENOSPC
        name, what, todo = "E-CITY-OUTBOX-FULL", "no room for records", "make room on the disk"
    else:
        name, what, todo = "E-CITY-OUTBOX-IO", f"the outbox cannot be used (SQLite {code})", "check the disk"
    return CityError(name, what, where=str(path), todo=todo, clause="6.2(2)")
