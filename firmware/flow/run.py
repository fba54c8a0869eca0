"""The people-flow house at work: lease, count, tally, close the minute, hand the record on.

Knows:  a pool of small frames, a counter, a sink, a clock.
Never:  a pixel: it holds the lease and passes it on; a queue; a second attempt at a frame.
Leaves: records in the sink; :class:`Figures`.
Clauses: 5.1(1), 5.2(1), 6.2(1) (in real time, erased at once), 6.1(3), 6.2(2).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from firmware.camera.frames import Frame, SmallFrames, StreamEnded
from firmware.flow.counting import Counter
from firmware.flow.minutes import Instant, Minutes
from firmware.flow.record import AttributeTile, Gap, PublishedMinute, Record, RecordSink
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import JailError, ModelError, PoleError
from firmware.ground.log import Log

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Figures:
    """What happened since the start; whole numbers for status and privacy meter."""

    slices: int = 0
    slices_lost: int = 0
    minutes_published: int = 0
    minutes_suppressed: int = 0
    gap_minutes: int = 0
    tiles: int = 0


async def run(
    frames: SmallFrames,
    counter: Counter,
    sink: RecordSink,
    *,
    clock: Clock,
    settings: FlowSettings,
    log: Log,
    figures: Figures | None = None,
) -> Figures:
    """Count until the stream has ended (then the last minute is closed) or the task is cancelled.

    To stop in good order, close ``frames``: what was not observed is then said. After a cancellation the next run says
    it. Raises what the sink raises, and ``E-CAMERA-WIPE`` or ``E-CAMERA-LEAK`` when a slot could not be erased.
    """
    house = _House(frames, counter, sink, clock, settings, log, figures or Figures())
    await house.work()
    return house.figures


class _House:
    def __init__(
        self,
        frames: SmallFrames,
        counter: Counter,
        sink: RecordSink,
        clock: Clock,
        settings: FlowSettings,
        log: Log,
        figures: Figures,
    ) -> None:
        self.figures = figures
        self._frames = frames
        self._counter = counter
        self._sink = sink
        self._clock = clock
        self._rules = settings.rules()
        self._grace_ns = settings.deadline_ms * NS_PER_MS
        self._log = log
        self._due: deque[Record] = deque()
        self._telling = asyncio.Lock()
        self._preparing: asyncio.Task[None] | None = None

    async def work(self) -> None:
        minutes = Minutes(self._rules, now=self._now(), newest=await self._sink.last_minute(), arrivals=self._arrivals)
        closing = asyncio.create_task(self._close_by_the_clock(minutes), name="flow.close")
        counting = asyncio.create_task(self._count_frames(minutes), name="flow.count")
        try:
            await asyncio.wait((closing, counting), return_when=asyncio.FIRST_COMPLETED)
            for task in (closing, counting):
                if task.done():
                    task.result()  # the stream has ended, or one of them failed: say what
        finally:
            tasks = [task for task in (closing, counting, self._preparing) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._tell(minutes.end())

    async def _close_by_the_clock(self, minutes: Minutes) -> None:
        """Close each minute when its last frame's deadline is over, whether frames still come or not."""
        while True:
            await self._clock.sleep_until(minutes.closes_at_ns + self._grace_ns)
            await self._tell(minutes.close_until(self._now(), self._grace_ns))

    async def _count_frames(self, minutes: Minutes) -> None:
        while True:
            refused = await self._make_ready()
            try:
                async with self._frames.lease() as frame:
                    taken = Instant(frame.stamp.utc_ns, frame.stamp.boot_ns)
                    wanted = minutes.wants(taken)
                    counts = await self._count(frame) if wanted and refused is None else None
            except StreamEnded:
                return
            self.figures.slices += counts is not None
            self.figures.slices_lost += wanted and counts is None
            await self._tell(minutes.note(taken, counts, model_refused=isinstance(refused, ModelError)))

    async def _make_ready(self) -> PoleError | None:
        """Wait for the counter, but never so long that a waiting picture grows old (6.2(1)).

        What cannot be counted meanwhile is lost, and counted as lost.
        """
        if self._preparing is None:
            self._preparing = asyncio.create_task(self._counter.ready(), name="flow.ready")
        await asyncio.wait((self._preparing,), timeout=self._grace_ns / NS_PER_SECOND)
        if not self._preparing.done():
            return JailError("E-JAIL-STARTING", "not ready yet", where="flow", todo="it is awaited")
        preparing, self._preparing = self._preparing, None
        try:
            preparing.result()
        except (JailError, ModelError) as error:
            return error
        return None

    async def _count(self, frame: Frame) -> SliceCounts | None:
        try:
            return await self._counter.count(frame)
        except JailError as error:
            self._log.event("flow.slice_lost", code=error.code)
            return None

    async def _tell(self, records: list[Record]) -> None:
        """Hand records on in their order, although two tasks have some to tell."""
        self._due.extend(records)
        async with self._telling:
            while self._due:
                record = self._due[0]
                await self._sink.put(record)
                self._due.popleft()
                self._note(record)

    def _note(self, record: Record) -> None:
        if isinstance(record, Gap):
            self.figures.gap_minutes += record.last_minute - record.first_minute + 1
            self._log.event("flow.gap", first=record.first_minute, last=record.last_minute, reason=record.reason.value)
        elif isinstance(record, AttributeTile):
            self.figures.tiles += 1
        elif isinstance(record, PublishedMinute):
            self.figures.minutes_published += 1
        else:
            self.figures.minutes_suppressed += 1

    def _now(self) -> Instant:
        return Instant(self._clock.utc_ns(), self._clock.boot_ns())

    def _arrivals(self) -> int:
        return self._frames.counters.published + self._frames.counters.dropped
