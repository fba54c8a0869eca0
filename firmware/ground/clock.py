"""Time, as a parameter.

Knows:  UTC, the time since boot that also counts sleep, and a stopwatch.
Never:  a time zone, a local date, a wait that a test cannot shorten.
Leaves: nanoseconds and minute numbers.
Clauses: 7.1(3) (ages follow ``boot_ns``), 6.1(3) (minutes are UTC minutes).

``utc_ns`` and ``boot_ns`` are the world's time: in a replay they follow the video. ``stopwatch_ns`` is always this
machine's own time: deadlines of children and residence of frames are measured with it, in a replay too.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NewType, Protocol

NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
_SETTLING_ROUNDS = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

MinuteNumber = NewType("MinuteNumber", int)
"""Whole UTC minutes since 1970-01-01T00:00Z; also the number of the footage epoch that begins then."""


def minute_of(utc_ns: int) -> MinuteNumber:
    """Return the UTC minute in which ``utc_ns`` lies."""
    return MinuteNumber(utc_ns // NS_PER_MINUTE)


def start_of(minute: MinuteNumber) -> int:
    """Return the first nanosecond (UTC) of ``minute``."""
    return minute * NS_PER_MINUTE


def iso_utc(utc_ns: int) -> str:
    """Return ``utc_ns`` as ``2026-11-23T09:00:00Z``, whole seconds, rounded down."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(utc_ns // NS_PER_SECOND))


def utc_ns_of(iso: str) -> int:
    """Return the instant of :func:`iso_utc`'s text (``...Z``) in ns. Raises ValueError for a text without offset."""
    moment = datetime.fromisoformat(iso)
    if moment.tzinfo is None:
        message = "an instant without an offset could be anywhere"
        raise ValueError(message)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


class Clock(Protocol):
    """What a house may know of time."""

    def utc_ns(self) -> int:
        """Nanoseconds since 1970 (UTC, no leap seconds), as the machine believes."""

    def boot_ns(self) -> int:
        """Nanoseconds since boot, sleep included (CLOCK_BOOTTIME); never steps."""

    def boot_id(self) -> str:
        """Name of this boot of the machine; ``boot_ns`` of two processes may be compared only under the same one."""

    def stopwatch_ns(self) -> int:
        """Nanoseconds of this machine's own monotonic clock, whatever the world's time does."""

    async def sleep_until(self, utc_ns: int) -> None:
        """Return as soon as ``utc_ns() >= utc_ns``."""

    async def sleep_until_boot(self, boot_ns: int) -> None:
        """Return as soon as ``boot_ns() >= boot_ns``: a wait that no step of UTC makes longer or shorter."""


class SystemClock:
    """The machine's own clocks."""

    def utc_ns(self) -> int:
        """See :class:`Clock`."""
        return time.time_ns()

    def boot_ns(self) -> int:
        """See :class:`Clock`."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """See :class:`Clock`; the kernel's random number of this boot."""
        return _BOOT_ID.read_text("ascii").strip()

    def stopwatch_ns(self) -> int:
        """See :class:`Clock`."""
        return time.monotonic_ns()

    async def sleep_until(self, utc_ns: int) -> None:
        """See :class:`Clock`; looks again at least once a second, so that a stepped clock is noticed."""
        while (left_ns := utc_ns - time.time_ns()) > 0:
            await asyncio.sleep(min(left_ns / NS_PER_SECOND, 1.0))

    async def sleep_until_boot(self, boot_ns: int) -> None:
        """See :class:`Clock`; looks again at least once a second, because a sleeping machine's loop stands still."""
        while (left_ns := boot_ns - self.boot_ns()) > 0:
            await asyncio.sleep(min(left_ns / NS_PER_SECOND, 1.0))


class SimulatedClock:
    """A world whose time is moved by its owner: a replay follows its video, a test jumps a fortnight."""

    def __init__(self, utc_ns: int, boot_ns: int = NS_PER_MINUTE, boot_id: str | None = None) -> None:
        self._utc_ns = utc_ns
        self._boot_ns = boot_ns
        self._boot_id = boot_id or str(uuid.uuid4())
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._boot_sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def utc_ns(self) -> int:
        """See :class:`Clock`."""
        return self._utc_ns

    def boot_ns(self) -> int:
        """See :class:`Clock`."""
        return self._boot_ns

    def boot_id(self) -> str:
        """See :class:`Clock`; each simulated world has its own."""
        return self._boot_id

    def stopwatch_ns(self) -> int:
        """See :class:`Clock`; the real machine's."""
        return time.monotonic_ns()

    async def sleep_until(self, utc_ns: int) -> None:
        """See :class:`Clock`."""
        await self._sleep(self._sleepers, utc_ns, self._utc_ns)

    async def sleep_until_boot(self, boot_ns: int) -> None:
        """See :class:`Clock`."""
        await self._sleep(self._boot_sleepers, boot_ns, self._boot_ns)

    def step(self, delta_ns: int) -> None:
        """Set UTC forward or back without time passing: NTP, a spoofed clock, a lost RTC."""
        self._utc_ns += delta_ns

    async def advance_to(self, utc_ns: int) -> None:
        """Let time pass until ``utc_ns``, waking each sleeper in its turn at exactly its time."""
        await self._settle()
        while (left_ns := self._next_ns()) is not None and left_ns <= utc_ns - self._utc_ns:
            self._pass(left_ns)
            for sleepers, now_ns in ((self._sleepers, self._utc_ns), (self._boot_sleepers, self._boot_ns)):
                while sleepers and sleepers[0][0] <= now_ns:
                    future = heapq.heappop(sleepers)[2]
                    if not future.done():
                        future.set_result(None)
            await self._settle()
        self._pass(utc_ns - self._utc_ns)
        await self._settle()

    async def _settle(self) -> None:
        """Let the woken tasks run until they wait again, unless what they wait for is another process or thread."""
        for _ in range(_SETTLING_ROUNDS):
            await asyncio.sleep(0)

    async def _sleep(self, sleepers: list[tuple[int, int, asyncio.Future[None]]], until_ns: int, now_ns: int) -> None:
        if until_ns <= now_ns:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(sleepers, (until_ns, next(self._order), future))
        await future

    def _next_ns(self) -> int | None:
        """Return how long until the next sleeper is due, ns (0 or less: overdue); None without sleepers."""
        waits = [
            sleepers[0][0] - now_ns
            for sleepers, now_ns in ((self._sleepers, self._utc_ns), (self._boot_sleepers, self._boot_ns))
            if sleepers
        ]
        return min(waits, default=None)

    def _pass(self, delta_ns: int) -> None:
        if delta_ns > 0:
            self._utc_ns += delta_ns
            self._boot_ns += delta_ns
