"""A counter process over a pool of small frames, as ``pole`` has it, for tests."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware.camera.frames import CaptureStamp, Frame, SlotMemory, SmallFrames
from firmware.drivers.counter_process import CounterProcess
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.flow.tensors import PICTURE_BYTES
from firmware.ground.clock import SystemClock
from firmware.ground.log import Log
from tests.parts.small_models import VECTORS


@dataclass
class Counting:
    """The parts; :meth:`count` sends one picture through slot, lease and child."""

    memory: SlotMemory
    frames: SmallFrames
    counter: CounterProcess
    clock: SystemClock
    lines: io.StringIO

    def deliver(self, picture: npt.NDArray[np.uint8], *, age_ns: int = 0) -> None:
        filling = self.frames.claim()
        assert filling is not None
        filling.view[:] = picture.data
        now = self.clock
        filling.publish(CaptureStamp(now.utc_ns(), now.boot_ns(), now.stopwatch_ns() - age_ns, None, 0))

    async def count(self, picture: npt.NDArray[np.uint8], *, age_ns: int = 0) -> SliceCounts:
        self.deliver(picture, age_ns=age_ns)
        async with self.frames.lease() as frame:
            return await self.counter.count(frame)

    @asynccontextmanager
    async def leased(self, picture: npt.NDArray[np.uint8]) -> AsyncIterator[Frame]:
        self.deliver(picture)
        async with self.frames.lease() as frame:
            yield frame


@asynccontextmanager
async def counting(
    settings: FlowSettings | None = None, *, models: Path = VECTORS, **spawning: Any
) -> AsyncIterator[Counting]:
    """Build the parts, make the child ready, close everything."""
    clock, lines = SystemClock(), io.StringIO()
    memory = SlotMemory(PICTURE_BYTES, 4)
    frames = SmallFrames(memory, clock)
    counter = CounterProcess(memory, models, settings or FlowSettings(), clock=clock, log=Log(lines), **spawning)
    try:
        await counter.ready()
        yield Counting(memory, frames, counter, clock, lines)
    finally:
        await counter.close()
        memory.close()
