"""Whatever counts people keeps this contract: the jailed process, and the same code without a process."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable

import pytest

from firmware.camera.frames import CaptureStamp, SlotMemory, SmallFrames
from firmware.drivers.counter_process import CounterProcess
from firmware.flow.counting import Counter
from firmware.flow.record import Dimension
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.flow.tensors import PICTURE_BYTES
from firmware.ground.clock import SystemClock
from firmware.ground.log import Log
from tests.parts.in_process_counter import InProcessCounter
from tests.parts.small_models import VECTORS, crowd, draw

SETTINGS = FlowSettings(attributes=(Dimension.SEX, Dimension.AGE))
Make = Callable[[SlotMemory], Counter]


def jailed(memory: SlotMemory) -> Counter:
    return CounterProcess(memory, VECTORS, SETTINGS, clock=SystemClock(), log=Log(io.StringIO()))


def in_process(_: SlotMemory) -> Counter:
    return InProcessCounter(SETTINGS)


class Lens:
    def __init__(self, make: Make) -> None:
        self.clock = SystemClock()
        self.memory = SlotMemory(PICTURE_BYTES, 3)
        self.frames = SmallFrames(self.memory, self.clock)
        self.counter = make(self.memory)

    def deliver(self, people: int) -> None:
        filling = self.frames.claim()
        assert filling is not None
        filling.view[:] = draw(*crowd(people)).data
        now = self.clock
        filling.publish(CaptureStamp(now.utc_ns(), now.boot_ns(), now.stopwatch_ns(), None, 0))

    async def count(self, people: int) -> SliceCounts:
        self.deliver(people)
        async with self.frames.lease() as frame:
            return await self.counter.count(frame)


@pytest.fixture(params=[jailed, in_process])
async def lens(request: pytest.FixtureRequest) -> AsyncIterator[Lens]:
    lens = Lens(request.param)
    await lens.counter.ready()
    yield lens
    if isinstance(lens.counter, CounterProcess):
        await lens.counter.close()
    lens.memory.close()


async def test_ready_is_ready_however_often_it_is_asked(lens: Lens) -> None:
    await lens.counter.ready()
    await lens.counter.ready()
    assert (await lens.count(2)).persons == 2


async def test_counts_are_lawful_and_of_this_picture_only(lens: Lens) -> None:
    first = [await lens.count(people) for people in (0, 9, 30)]
    again = [await lens.count(people) for people in (30, 0, 9)]
    assert first == [again[1], again[2], again[0]]
    for counts, people in zip(first, (0, 9, 30), strict=True):
        assert counts.persons == people
        assert sum(counts.sex) == sum(counts.age) == people
        assert counts.mask == (0, 0, 0)


async def test_nobody_reads_the_frame_afterwards(lens: Lens) -> None:
    for _ in range(4):
        await lens.count(5)  # a view still held would raise E-CAMERA-LEAK here
        assert not any(lens.memory._bytes)
    assert lens.frames.counters.retired == 0


async def test_a_cancelled_question_is_not_answered_later(lens: Lens) -> None:
    lens.deliver(5)
    async with lens.frames.lease() as frame:
        question = asyncio.create_task(lens.counter.count(frame))
        await asyncio.sleep(0)
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)
    await lens.counter.ready()
    assert (await lens.count(3)).persons == 3
