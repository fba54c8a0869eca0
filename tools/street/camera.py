"""The synthetic street as a camera: the same port as the real ones.

Knows:  a street, two pools, a clock.
Never:  a frame kept; a slot claimed and neither published nor abandoned.
Leaves: small and main frames; to who asks, the truth of every slice.
Clauses: 2, 5.1, 7.1(1) (one lens, two pools of two types).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from firmware.camera.frames import CaptureStamp, Filling, MainFrames, SmallFrames
from firmware.ground.clock import NS_PER_SECOND, Clock, SimulatedClock
from tools.street.street import Street
from tools.street.truth import Truth

PTS_PER_SECOND = 90_000


class StreetCamera:
    """Implements :class:`firmware.camera.driver.Camera`.

    With a :class:`SimulatedClock` the camera owns time: it moves the clock from frame to frame, waits for free
    slots and, before time moves on, until every frame so far has been consumed; nothing is dropped and the same
    seed gives the same minutes on any machine. With any other clock it is paced by it and drops what finds no slot.

    ``main`` None draws no main stream. ``seconds`` None never ends. ``on_slice`` is told UTC nanoseconds and the
    truth of each small frame published. The street's second 0 is the clock's time at the first run.
    """

    def __init__(
        self,
        street: Street,
        *,
        small: SmallFrames,
        main: MainFrames | None,
        clock: Clock,
        slice_period_seconds: float = 1.0,
        main_fps: int = 15,
        seconds: float | None = None,
        on_slice: Callable[[int, Truth], None] | None = None,
    ) -> None:
        self._street = street
        self._small, self._main, self._clock = small, main, clock
        self._fps = main_fps
        self._ticks_per_slice = max(1, round(slice_period_seconds * main_fps))
        self._ticks = None if seconds is None else round(seconds * main_fps)
        self._on_slice = on_slice
        self._origin_ns: int | None = None
        self._tick = 0

    async def run(self) -> None:
        """See :class:`firmware.camera.driver.Camera`; a further run goes on where the clock is."""
        if self._origin_ns is None:
            self._origin_ns = self._clock.utc_ns()
        simulated = self._clock if isinstance(self._clock, SimulatedClock) else None
        while self._ticks is None or self._tick < self._ticks:
            due_ns = self._origin_ns + self._tick * NS_PER_SECOND // self._fps
            if simulated is not None:
                await simulated.advance_to(due_ns)
            else:
                await self._clock.sleep_until(due_ns)
            await self._deliver(wait=simulated is not None)
            self._tick += 1
            if simulated is not None:
                await self._consumed()
            else:
                late_ns = self._clock.utc_ns() - self._origin_ns
                self._tick = max(self._tick, late_ns * self._fps // NS_PER_SECOND)
        if simulated is not None:
            await simulated.advance_to(self._origin_ns + self._tick * NS_PER_SECOND // self._fps)

    async def _deliver(self, *, wait: bool) -> None:
        """Draw what is due at this tick into slots and publish it."""
        wants_slice = self._tick % self._ticks_per_slice == 0
        if not wants_slice and self._main is None:
            return
        small = await self._claim(self._small, wait=wait) if wants_slice else None
        main = await self._claim(self._main, wait=wait) if self._main is not None else None
        open_slots = [slot for slot in (small, main) if slot is not None]
        if not open_slots:
            return
        stamp = self._stamp()
        drawing = asyncio.ensure_future(asyncio.to_thread(self._draw, self._tick / self._fps, main, small))
        try:
            truth = await asyncio.shield(drawing)
        except BaseException:
            await asyncio.wait([drawing])  # the thread still writes; a slot may only go back when it is done
            for slot in open_slots:
                slot.abandon()
            raise
        for slot in open_slots:
            slot.publish(stamp)
        if small is not None and self._on_slice is not None:
            self._on_slice(stamp.utc_ns, truth)

    def _draw(self, seconds: float, main: Filling | None, small: Filling | None) -> Truth:
        views = [None if slot is None else np.frombuffer(slot.view, np.uint8) for slot in (main, small)]
        return self._street.render(seconds, views[0], views[1])

    @staticmethod
    async def _claim(pool: SmallFrames | MainFrames, *, wait: bool) -> Filling | None:
        return await pool.claim_when_free() if wait else pool.claim()

    async def _consumed(self) -> None:
        await self._small.drained()
        if self._main is not None:
            await self._main.drained()

    def _stamp(self) -> CaptureStamp:
        return CaptureStamp(
            utc_ns=self._clock.utc_ns(),
            boot_ns=self._clock.boot_ns(),
            stopwatch_ns=self._clock.stopwatch_ns(),
            sensor_ns=None,
            pts_90k=self._tick * PTS_PER_SECOND // self._fps,
        )
