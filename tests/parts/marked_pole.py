"""A whole pole in a process of its own whose two streams carry different marks; it stops at each phase to be searched.

``python -m tests.parts.marked_pole STATE BROKER_PORT``; prints a phase's name and waits for a line.
The marks stand in this process only as pictures in slots: what the camera keeps is masked.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyrage

from firmware.assembly import ONCE, SMALL, Pole, build
from firmware.camera.frames import CaptureStamp, SlotPool
from firmware.city.settings import BrokerSettings
from firmware.drivers.mqtt import connector
from firmware.footage.settings import Officers
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock
from firmware.ground.log import Log
from firmware.upkeep.whole import Settings
from tests.canary import make_mark
from tests.parts.victim import settings_of

SMALL_SEED, MAIN_SEED = 7, 8
FPS = 2
SECONDS = 75
MASK = 0xA5


def masked(seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return a picture whose luma XOR ``MASK`` is the mark; drawn masked, so that no draft of it lies on the heap."""
    mark = make_mark(seed)
    return replace(mark, levels=tuple(level ^ MASK for level in mark.levels)).i420(height, width, bar_pixels=24)


@dataclass
class MarkedCamera:
    """Marks both streams; after ``SECONDS`` it lets itself be searched, phase by phase."""

    pole: Pole
    clock: SimulatedClock
    small: npt.NDArray[np.uint8]
    main: npt.NDArray[np.uint8]

    async def run(self) -> None:
        begin_ns = self.clock.utc_ns()
        for tick in range(SECONDS * FPS):
            await self.clock.advance_to(begin_ns + tick * NS_PER_SECOND // FPS)
            await self.show(self.pole.main, self.main, tick)
            if tick % FPS == 0:
                await self.show(self.pole.small, self.small, tick)
            await self.pole.small.drained()
            await self.pole.main.drained()
        await phase("released")
        filling = await self.pole.small.claim_when_free()
        np.bitwise_xor(self.small, MASK, out=np.frombuffer(filling.view, np.uint8)[: self.small.size])
        await phase("held")
        filling.abandon()
        await phase("abandoned")

    async def show(self, pool: SlotPool, picture: npt.NDArray[np.uint8], tick: int) -> None:
        filling = await pool.claim_when_free()
        np.bitwise_xor(picture, MASK, out=np.frombuffer(filling.view, np.uint8)[: picture.size])
        filling.publish(
            CaptureStamp(
                utc_ns=self.clock.utc_ns(),
                boot_ns=self.clock.boot_ns(),
                stopwatch_ns=self.clock.stopwatch_ns(),
                sensor_ns=None,
                pts_90k=tick * 90_000 // FPS,
            )
        )


async def phase(name: str) -> None:
    """Say where we are, and wait to be told to go on."""
    print(name, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def main() -> None:
    state, port = Path(sys.argv[1]), int(sys.argv[2])
    groups = [str(pyrage.x25519.Identity.generate().to_public()) for _ in "ab"]
    settings = settings_of(state, "software", "device:/dev/null", Officers(a=(groups[0],), b=(groups[1],)))
    broker = BrokerSettings(host="127.0.0.1", port=port, plain=True)
    settings = Settings(
        folder=state,
        pole=msgspec.structs.replace(settings.pole, broker=broker),
        flow=settings.flow,
        footage=settings.footage,
    )
    pictures = masked(SMALL_SEED, SMALL.height, SMALL.width), masked(MAIN_SEED, 180, 320)
    clock = SimulatedClock(29_923_200 * NS_PER_MINUTE)
    async with AsyncExitStack() as stack:
        connect = connector(broker, state, "sp09")
        pole = await build(stack, settings, clock=clock, log=Log(), connect=connect, budget=ONCE)
        print(*(await pids(pole)), flush=True)
        await pole.work(MarkedCamera(pole, clock, *pictures))


async def pids(pole: Pole) -> tuple[int | None, int | None]:
    """Start both children; return their process ids."""
    await pole.counter.ready()
    await pole.recorder.ready()
    return pole.counter.pid, pole.recorder.pid


if __name__ == "__main__":
    asyncio.run(main())
