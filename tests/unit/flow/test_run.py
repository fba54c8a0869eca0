"""The house at work, in simulated time: slots, leases, a counter that may fail, a sink that may refuse."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable

import pytest

from firmware.camera.frames import CaptureStamp, Frame, SlotMemory, SmallFrames
from firmware.flow.record import Gap, GapReason, PublishedMinute, Record, SuppressedMinute
from firmware.flow.run import Figures, run
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, SimulatedClock, start_of
from firmware.ground.errors import CityError, JailError, ModelError, PoleError
from firmware.ground.log import Log

M = 29_923_296


class Sink:
    def __init__(self, newest: int | None = None) -> None:
        self.records: list[Record] = []
        self.newest = None if newest is None else MinuteNumber(newest)
        self.refuses = False

    async def put(self, record: Record) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise CityError("E-CITY-OUTBOX", "refused", where="test", todo="none")
        self.records.append(record)

    async def last_minute(self) -> MinuteNumber | None:
        return self.newest


class ByFirstByte:
    """The first byte of a picture is the number of people; 255 is a failure."""

    def __init__(self) -> None:
        self.asked = 0
        self.trouble: PoleError | None = None
        self.hangs = False
        self.held = False

    async def ready(self) -> None:
        assert not self.held
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.trouble is not None:
            raise self.trouble

    async def count(self, frame: Frame) -> SliceCounts:
        self.asked += 1
        self.held = True
        await asyncio.sleep(0)
        self.held = False
        if frame.view[0] == 255:
            raise JailError("E-JAIL-DEADLINE", "late", where="test", todo="none")
        return SliceCounts(frame.view[0])


class Street:
    """A camera in lock-step with a simulated clock."""

    def __init__(self, *, newest: int | None = M - 1, settings: FlowSettings | None = None) -> None:
        self.clock = SimulatedClock(start_of(MinuteNumber(M)))
        self.memory = SlotMemory(4096, 4)
        self.frames = SmallFrames(self.memory, self.clock)
        self.counter, self.sink, self.figures = ByFirstByte(), Sink(newest), Figures()
        self.lines = io.StringIO()
        self.task = asyncio.create_task(
            run(
                self.frames, self.counter, self.sink, clock=self.clock, settings=settings or FlowSettings(),
                log=Log(self.lines), figures=self.figures,
            )
        )  # fmt: skip

    async def seconds(self, number: int, persons: Callable[[int], int | None] = lambda _: 0) -> None:
        for second in range(number):
            value = persons(second)
            if value is not None:
                filling = await self.frames.claim_when_free()
                filling.view[0] = value
                now = self.clock
                filling.publish(CaptureStamp(now.utc_ns(), now.boot_ns(), now.stopwatch_ns(), None, 0))
                await self.frames.drained()
            await self.clock.advance_to(self.clock.utc_ns() + NS_PER_SECOND)
            for _ in range(10):
                await asyncio.sleep(0)

    async def end(self) -> list[Record]:
        self.frames.close()
        await self.task
        return self.sink.records

    def close(self) -> None:
        self.task.cancel()
        self.memory.close()


@pytest.fixture
async def street() -> AsyncIterator[Street]:
    street = Street()
    yield street
    street.close()
    await asyncio.gather(street.task, return_exceptions=True)


async def test_minutes_become_records(street: Street) -> None:
    await street.seconds(60, lambda _: 2)
    await street.seconds(60, lambda second: 5 if second < 30 else 0)
    await street.seconds(5)
    records = await street.end()
    assert records == [
        SuppressedMinute(MinuteNumber(M), 60, 3),
        PublishedMinute(MinuteNumber(M + 1), 60, 60, 25, 5, 10, congested=False, k=3),
        Gap(MinuteNumber(M + 2), MinuteNumber(M + 2), GapReason.STOPPED),
    ]
    assert street.figures == Figures(125, 0, 1, 1, 1, 0)


async def test_records_come_while_nobody_passes_and_when_frames_stop(street: Street) -> None:
    await street.seconds(60, lambda _: 4)
    await street.seconds(2, lambda _: None)
    assert [type(record) for record in street.sink.records] == [PublishedMinute]


async def test_a_failing_counter_loses_slices_and_nothing_else(street: Street) -> None:
    await street.seconds(60, lambda second: 255 if second % 10 == 0 else 4)
    await street.seconds(60, lambda second: 255 if second % 2 else 4)
    await street.seconds(61, lambda _: 4)
    records = await street.end()
    assert [type(record) for record in records[:3]] == [PublishedMinute, Gap, PublishedMinute]
    assert isinstance(records[0], PublishedMinute)
    assert records[0].slices == 54
    assert isinstance(records[1], Gap)
    assert records[1].reason is GapReason.OVERLOAD
    assert street.figures.slices_lost == 36
    assert '"code":"E-JAIL-DEADLINE"' in street.lines.getvalue()
    assert not any(street.memory._bytes)


async def test_no_frame_is_asked_about_while_the_counter_rests(street: Street) -> None:
    street.counter.trouble = JailError("E-JAIL-RESTING", "rests", where="test", todo="none")
    await street.seconds(60, lambda _: 4)
    assert street.counter.asked == 0
    street.counter.trouble = ModelError("E-MODEL-HASH", "hash", where="test", todo="none")
    await street.seconds(60, lambda _: 4)
    street.counter.trouble = None
    await street.seconds(61, lambda _: 4)
    reasons = [record.reason for record in await street.end() if isinstance(record, Gap)]
    assert reasons[0] in (GapReason.STOPPED, GapReason.OVERLOAD)
    assert reasons[1] is GapReason.MODEL_MISMATCH


async def test_a_counter_that_never_gets_ready_lets_no_picture_grow_old() -> None:
    street = Street(settings=FlowSettings(deadline_ms=20))
    street.counter.hangs = True
    await street.seconds(3, lambda _: 4)
    assert street.counter.asked == 0
    assert street.figures.slices_lost == 3
    assert not any(street.memory._bytes)
    street.close()
    with pytest.raises(asyncio.CancelledError):
        await street.task


async def test_what_the_sink_refuses_stops_the_house(street: Street) -> None:
    street.sink.refuses = True
    await street.seconds(60, lambda _: 4)
    await street.seconds(2, lambda _: None)
    with pytest.raises(CityError):
        await asyncio.wait_for(street.task, 5)


async def test_a_minute_already_told_is_not_counted_again() -> None:
    street = Street(newest=M)
    await street.seconds(60, lambda _: 4)
    assert street.counter.asked == 0
    await street.seconds(61, lambda _: 4)
    assert [r.minute for r in await street.end() if isinstance(r, PublishedMinute)] == [M + 1]
    street.close()


async def test_cancelled_means_cancelled(street: Street) -> None:
    await street.seconds(5, lambda _: 4)
    street.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await street.task
    assert len([task for task in asyncio.all_tasks() if task.get_name().startswith("flow.")]) == 0
