"""The lamp burns whenever a picture can exist: over any order of starts, stops, crashes, cancels and lamp faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.camera.frames import CaptureStamp, SlotMemory, SmallFrames, StreamEnded
from firmware.camera.lamp import burning_lamp, watch_lamp
from firmware.ground.clock import SimulatedClock
from firmware.ground.errors import CameraError

STAMP = CaptureStamp(utc_ns=0, boot_ns=0, stopwatch_ns=0, sensor_ns=None, pts_90k=0)
STEPS = ("frame", "lease", "leave one waiting", "crash", "pause", "restart")


class WatchedLamp:
    """A lamp that checks, each time it goes dark, that there is no picture, and keeps what happened."""

    name = "watched"

    def __init__(self, all_blank: Callable[[], bool], faults: set[str] | None = None) -> None:
        self.lit = False
        self.dark_with_a_picture = False
        self.history: list[str] = []
        self._all_blank, self._faults = all_blank, faults or set()

    async def set(self, *, burning: bool) -> None:
        await asyncio.sleep(0)
        self.history.append("on" if burning else "off")
        if ("cannot light" if burning else "cannot darken") in self._faults:
            raise CameraError("E-CAMERA-LAMP", "broken", where="lamp", todo="mend")
        if burning and "lies" in self._faults:
            return
        if not burning and not self._all_blank():
            self.dark_with_a_picture = True
        self.lit = burning

    async def burning(self) -> bool:
        await asyncio.sleep(0)
        return self.lit


class CrashError(Exception):
    """A camera driver's fault."""


async def deliver(pool: SmallFrames) -> None:
    filling = pool.claim()
    assert filling is not None
    filling.view[0] = 1
    try:
        await asyncio.sleep(0)
    except BaseException:
        filling.abandon()
        raise
    filling.publish(STAMP)


async def camera(plan: list[str], pool: SmallFrames, lamp: WatchedLamp, in_the_dark: list[str]) -> None:
    """Play the plan up to its end, a crash or a restart."""
    while plan:
        step = plan.pop(0)
        if not lamp.lit:
            in_the_dark.append(step)
        if step == "crash":
            raise CrashError
        if step in {"frame", "leave one waiting"}:
            await deliver(pool)
        if step in {"lease", "frame"} and pool.waiting:
            async with pool.lease():
                await asyncio.sleep(0)
        if step == "restart":
            return
        await asyncio.sleep(0)


async def pole(plan: list[str], pool: SmallFrames, lamp: WatchedLamp, in_the_dark: list[str]) -> None:
    async with burning_lamp(lamp, [pool]):
        while plan:
            with suppress(CrashError):
                await camera(plan, pool, lamp, in_the_dark)


@given(
    steps=st.lists(st.sampled_from(STEPS), max_size=12),
    cancel_after=st.none() | st.integers(0, 40),
    faults=st.sets(st.sampled_from(["cannot light", "cannot darken", "lies"]), max_size=1),
)
@settings(max_examples=150, deadline=None)
def test_no_picture_is_taken_or_left_in_the_dark(steps: list[str], cancel_after: int | None, faults: set[str]) -> None:
    async def play() -> None:
        memory = SlotMemory(4096, 3)
        pool = SmallFrames(memory, SimulatedClock(0))
        lamp = WatchedLamp(lambda: all(memory.is_blank(slot) for slot in range(memory.slots)), faults)
        in_the_dark: list[str] = []
        task = asyncio.create_task(pole(list(steps), pool, lamp, in_the_dark))
        for _ in range(cancel_after or 0):
            await asyncio.sleep(0)
        if cancel_after is not None:
            task.cancel()
        async with asyncio.timeout(30):
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert in_the_dark == []
        assert not lamp.dark_with_a_picture
        if faults & {"cannot light", "lies"}:
            assert isinstance(outcome, CameraError | asyncio.CancelledError)
            assert pool.counters.published == 0, "no stream without a lamp"
        assert all(memory.is_blank(slot) for slot in range(memory.slots))
        memory.close()

    asyncio.run(play())


async def test_the_lamp_waits_for_the_last_lease() -> None:
    memory = SlotMemory(4096, 2)
    pool = SmallFrames(memory, SimulatedClock(0))
    lamp = WatchedLamp(lambda: all(memory.is_blank(slot) for slot in range(memory.slots)))
    done = asyncio.Event()

    async def consumer() -> None:
        with pytest.raises(StreamEnded):
            while True:
                async with pool.lease():
                    await done.wait()

    consuming = asyncio.create_task(consumer())

    async def one_picture() -> None:
        async with burning_lamp(lamp, [pool]):
            await deliver(pool)
            await asyncio.sleep(0.01)

    running = asyncio.create_task(one_picture())
    await asyncio.sleep(0.05)
    assert lamp.lit, "the camera has stopped, its last picture is still on lease"
    done.set()
    await running
    await consuming
    assert lamp.history == ["on", "off"]
    assert not lamp.dark_with_a_picture
    memory.close()


async def test_a_lamp_that_goes_dark_ends_the_stream() -> None:
    clock = SimulatedClock(0)
    lamp = WatchedLamp(lambda: True)
    await lamp.set(burning=True)
    watching = asyncio.create_task(watch_lamp(lamp, clock, period_seconds=1))
    for second in range(1, 4):
        await asyncio.sleep(0)
        await clock.advance_to(second * 10**9)
        for _ in range(4):
            await asyncio.sleep(0)
    assert not watching.done()
    lamp.lit = False
    await clock.advance_to(10 * 10**9)
    with pytest.raises(CameraError, match="E-CAMERA-LAMP"):
        await watching
