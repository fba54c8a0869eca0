"""Pools and leases: what the state machine does not reach: waiting, lock-step, a wipe that fails, formats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import numpy as np
import pytest

from firmware.camera.frames import (
    CaptureStamp,
    Frame,
    MainFrames,
    Packets,
    PictureFormat,
    SlotMemory,
    SlotPool,
    SmallFrames,
    StreamEnded,
)
from firmware.ground.clock import SimulatedClock
from firmware.ground.errors import CameraError

Make = Callable[..., SlotPool]


@pytest.fixture
def make() -> Iterator[Make]:
    memories: list[SlotMemory] = []

    def build(kind: type[SlotPool] = MainFrames, *, frame_bytes: int = 6000, slots: int = 2) -> SlotPool:
        memories.append(SlotMemory(frame_bytes, slots))
        return kind(memories[-1], SimulatedClock(0))

    yield build
    for memory in memories:
        memory.close()


def stamp(number: int = 0) -> CaptureStamp:
    return CaptureStamp(utc_ns=number, boot_ns=0, stopwatch_ns=0, sensor_ns=None, pts_90k=number)


def put(pool: SlotPool, number: int) -> bool:
    filling = pool.claim()
    if filling is None:
        return False
    filling.view[0] = number
    filling.publish(stamp(number))
    return True


async def take(pool: SlotPool) -> int:
    async with pool.lease() as frame:
        return frame.view[0]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_main_frames_keep_their_order_and_a_full_pool_drops(make: Make) -> None:
    pool = make(slots=2)
    assert [put(pool, number) for number in (1, 2, 3)] == [True, True, False]
    assert [await take(pool), await take(pool)] == [1, 2]
    assert (pool.counters.published, pool.counters.dropped) == (2, 1)


async def test_of_small_frames_only_the_newest_waits(make: Make) -> None:
    pool = make(SmallFrames, slots=3)
    for number in (1, 2, 3, 4, 5):
        assert put(pool, number)
    assert pool.waiting == 1
    assert await take(pool) == 5
    assert pool.counters.overwritten == 5


async def test_a_waiting_consumer_wakes_for_a_frame_and_for_the_end(make: Make) -> None:
    pool = make()
    taking = asyncio.create_task(take(pool))
    await settle()
    assert not taking.done()
    put(pool, 9)
    assert await taking == 9
    ending = asyncio.create_task(take(pool))
    await settle()
    pool.close()
    with pytest.raises(StreamEnded):
        await ending


async def test_in_a_replay_nothing_is_dropped_or_replaced(make: Make) -> None:
    pool = make(SmallFrames, slots=2)
    seen: list[int] = []

    async def produce() -> None:
        for number in range(1, 21):
            filling = await pool.claim_when_free()
            filling.view[0] = number
            filling.publish(stamp(number))
        pool.close()

    async def consume() -> None:
        while True:
            try:
                seen.append(await take(pool))
            except StreamEnded:
                return
            await asyncio.sleep(0)

    await asyncio.gather(produce(), consume())
    assert seen == list(range(1, 21))
    assert pool.counters.dropped == 0


async def test_waiting_for_room_ends_with_the_pool(make: Make) -> None:
    pool = make(slots=1)
    put(pool, 1)
    waiting = asyncio.create_task(pool.claim_when_free())
    await settle()
    assert not waiting.done()
    pool.close()
    with pytest.raises(StreamEnded):
        await waiting
    assert await take(pool) == 1


async def test_drained_waits_for_the_consumer_and_discard_needs_none(make: Make) -> None:
    pool = make(slots=2)
    put(pool, 1)
    put(pool, 2)
    drained = asyncio.create_task(pool.drained())
    await settle()
    assert not drained.done()
    async with pool.lease():
        pool.close(discard=True)
        await settle()
        assert not drained.done(), "a leased slot is not drained"
    await drained
    assert pool.counters.overwritten == 2


async def test_a_cancelled_consumer_leaves_a_blank_slot(make: Make) -> None:
    pool = make(slots=1)
    put(pool, 7)

    async def hold() -> None:
        async with pool.lease():
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await settle()
    assert not pool.memory.is_blank(0)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert pool.memory.is_blank(0)
    assert put(pool, 8)


async def test_a_packet_has_its_own_length_and_says_whether_it_is_a_keyframe(make: Make) -> None:
    pool = make(Packets, frame_bytes=100)
    filling = pool.claim()
    assert filling is not None
    filling.view[:3] = b"abc"
    filling.publish(stamp(), length=3, keyframe=True)
    async with pool.lease() as frame:
        assert (bytes(frame.view), frame.length, frame.keyframe) == (b"abc", 3, True)
    too_long = pool.claim()
    assert too_long is not None
    with pytest.raises(ValueError, match="do not fit"):
        too_long.publish(stamp(), length=101)
    await pool.drained()


async def test_an_array_that_outlives_the_lease_is_found_out_and_sees_zeros_for_ever(make: Make) -> None:
    pool = make(slots=1)
    put(pool, 5)
    kept: list[np.ndarray] = []
    with pytest.raises(CameraError, match="E-CAMERA-LEAK"):
        async with pool.lease() as frame:
            kept.append(np.frombuffer(frame.view, dtype=np.uint8).reshape(2, -1)[:, ::2])
            assert kept[0][0, 0] == 5
    assert not kept[0].any()
    assert pool.claim() is None, "the slot is out of use"
    assert pool.counters.retired == 1
    await pool.drained()
    kept.clear()


async def test_an_array_that_outlives_the_filling_is_found_out(make: Make) -> None:
    pool = make(slots=1)
    filling = pool.claim()
    assert filling is not None
    kept = np.frombuffer(filling.view, dtype=np.uint8)
    kept[:] = 200
    with pytest.raises(CameraError, match="E-CAMERA-LEAK"):
        filling.publish(stamp())
    assert not kept.any()
    assert pool.claim() is None
    del kept


class ForgetsARow(SlotMemory):
    """A memory whose overwriting skips a stretch of one slot: the fault that 5.2(1) sampling has to find."""

    bad_slot = 1

    def overwrite(self, slot: int) -> None:
        kept = self.writable(slot)[3000:3100].copy() if slot == self.bad_slot else None
        super().overwrite(slot)
        if kept is not None:
            self.writable(slot)[3000:3100] = kept


async def test_a_wipe_that_skips_a_row_is_found_within_a_hundred_frames() -> None:
    memory = ForgetsARow(6000, 4)
    pool = MainFrames(memory, SimulatedClock(0))

    async def work() -> None:
        for _ in range(100):
            filling = pool.claim()
            assert filling is not None
            filling.view[:] = b"\7" * 6000
            filling.publish(stamp())
            async with pool.lease():
                pass

    with pytest.raises(CameraError, match="E-CAMERA-WIPE"):
        await work()
    assert pool.counters.wipe_failures == 1
    assert pool.counters.retired == 1
    memory.close()


async def test_leasing_ten_thousand_times_grows_nothing(make: Make) -> None:
    import tracemalloc

    pool = make(SmallFrames, frame_bytes=4096, slots=2)

    async def turn(times: int) -> None:
        for number in range(times):
            put(pool, number % 256)
            await take(pool)

    await turn(200)
    tracemalloc.start()
    try:
        await turn(100)
        before = tracemalloc.get_traced_memory()[0]
        await turn(10_000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 4096, f"{grown} bytes"


async def test_residence_is_measured_from_the_claim_to_the_overwriting() -> None:
    class Ticking(SimulatedClock):
        now = 0

        def stopwatch_ns(self) -> int:
            return self.now

    clock = Ticking(0)
    memory = SlotMemory(4096, 1)
    pool = SmallFrames(memory, clock)
    filling = pool.claim()
    assert filling is not None
    clock.now = 40_000_000
    filling.publish(stamp())
    async with pool.lease():
        clock.now = 90_000_000
    assert pool.residence.summary().max_us == 90_000
    memory.close()


def test_a_lease_is_a_context_manager_of_a_frame(make: Make) -> None:
    lease: AbstractAsyncContextManager[Frame] = make().lease()
    assert hasattr(lease, "__aexit__")


@pytest.mark.parametrize(("width", "height"), [(641, 360), (640, 361), (0, 2), (2, -2)])
def test_odd_pictures_are_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="even"):
        PictureFormat(width, height)


def test_a_picture_has_one_and_a_half_bytes_a_pixel() -> None:
    assert PictureFormat(640, 360).frame_bytes == 345_600
