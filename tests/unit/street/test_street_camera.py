"""The street behind the camera port: lock-step in a replay, paced in real time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from firmware.camera.frames import MainFrames, PictureFormat, SlotMemory, SmallFrames, StreamEnded
from firmware.ground.clock import NS_PER_SECOND, SimulatedClock
from tools.street import Scene, Street
from tools.street.camera import StreetCamera
from tools.street.truth import Truth

START_NS = 1_764_000_000 * NS_PER_SECOND


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(Scene(people_per_minute=20), 3)


@pytest.fixture
def small_memory() -> Iterator[SlotMemory]:
    memory = SlotMemory(PictureFormat(640, 360).frame_bytes, 4)
    yield memory
    memory.close()


@pytest.fixture
def main_memory() -> Iterator[SlotMemory]:
    memory = SlotMemory(PictureFormat(1280, 720).frame_bytes, 2)
    yield memory
    memory.close()


async def test_lockstep_drops_nothing_and_moves_time(
    street: Street, small_memory: SlotMemory, main_memory: SlotMemory
) -> None:
    clock = SimulatedClock(START_NS)
    small, main = SmallFrames(small_memory, clock), MainFrames(main_memory, clock)
    truths: list[tuple[int, Truth]] = []
    camera = StreetCamera(
        street,
        small=small,
        main=main,
        clock=clock,
        main_fps=5,
        seconds=3,
        on_slice=lambda at, t: truths.append((at, t)),
    )
    slices: list[tuple[int, int]] = []
    pts: list[int] = []

    async def flow() -> None:
        try:
            while True:
                async with small.lease() as frame:
                    await asyncio.sleep(0)
                    slices.append((frame.stamp.utc_ns, clock.utc_ns()))
        except StreamEnded:
            return

    async def footage() -> None:
        try:
            while True:
                async with main.lease() as frame:
                    assert bytes(frame.view[:640]) != bytes(640)
                    pts.append(frame.stamp.pts_90k)
        except StreamEnded:
            return

    async def film() -> None:
        await camera.run()
        small.close()
        main.close()

    await asyncio.gather(film(), flow(), footage())
    seconds = [START_NS + k * NS_PER_SECOND for k in range(3)]
    assert slices == [(at, at) for at in seconds]  # time stood still while each was looked at
    assert [at for at, _ in truths] == seconds
    assert pts == [k * 18_000 for k in range(15)]
    assert small.counters.dropped == main.counters.dropped == 0
    assert clock.utc_ns() == START_NS + 3 * NS_PER_SECOND


class _Real:
    """A clock that is not simulated: time jumps on by itself whenever somebody waits."""

    def __init__(self) -> None:
        self.now = START_NS

    def utc_ns(self) -> int:
        return self.now

    def boot_ns(self) -> int:
        return self.now

    def stopwatch_ns(self) -> int:
        return self.now

    async def sleep_until(self, utc_ns: int) -> None:
        self.now = max(self.now, utc_ns)
        await asyncio.sleep(0)


async def test_in_real_time_a_full_pool_drops(
    street: Street, small_memory: SlotMemory, main_memory: SlotMemory
) -> None:
    clock = _Real()
    small, main = SmallFrames(small_memory, clock), MainFrames(main_memory, clock)
    await StreetCamera(street, small=small, main=main, clock=clock, main_fps=4, seconds=2).run()
    assert main.counters.published == 2  # nobody looked
    assert main.counters.dropped == 6
    assert small.waiting == 1  # the newest only
    small.close(discard=True)
    main.close(discard=True)


async def test_cancelled_while_drawing_gives_the_slots_back(street: Street, small_memory: SlotMemory) -> None:
    clock = _Real()
    small = SmallFrames(small_memory, clock)
    task = asyncio.create_task(StreetCamera(street, small=small, main=None, clock=clock).run())
    for _ in range(4):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    small.close(discard=True)
    await asyncio.wait_for(small.drained(), 5)
