"""A whole pole in a process of its own, to be killed: small pictures, fast time, everything else as in production.

``python -m tests.parts.victim STATE DELIVERED START_UTC_NS KEYSTORE TCTI RECIPIENT_A RECIPIENT_B``
"""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware.assembly import ONCE, Pole, build
from firmware.camera.frames import CaptureStamp
from firmware.flow.settings import FlowSettings
from firmware.footage.settings import FootageSettings, Officers
from firmware.ground.clock import NS_PER_SECOND, SimulatedClock
from firmware.ground.log import Log
from firmware.upkeep.settings import Location, PoleSettings
from firmware.upkeep.whole import Settings

MODELS = Path(__file__).parents[1] / "vectors" / "models"
FPS = 2


def settings_of(state: Path, keystore: str, tcti: str, officers: Officers) -> Settings:
    return Settings(
        folder=state,
        pole=PoleSettings(
            pole="sp09",
            profile="bench",
            site="smartpole.example",
            location=Location(longitude=139.0, latitude=35.0),
            notice_sha256="0" * 64,
            state_directory=str(state),
            models_directory=str(MODELS),
        ),
        flow=FlowSettings(),
        footage=FootageSettings(
            officers=officers,
            keystore=keystore,
            tcti=tcti,
            width=320,
            height=180,
            fps=FPS,
            retention_hours=2,
            min_free_bytes=0,
            min_free_percent=0,
        ),
    )


@dataclass
class Noise:
    """A camera that leads a simulated clock; the time of the newest frame survives in ``delivered``."""

    pole: Pole
    clock: SimulatedClock
    delivered: int

    async def run(self) -> None:
        random = np.random.default_rng(0)
        tick = 0
        begin_ns = self.clock.utc_ns()
        while True:
            await self.clock.advance_to(begin_ns + tick * NS_PER_SECOND // FPS)
            stamp = CaptureStamp(
                utc_ns=self.clock.utc_ns(),
                boot_ns=self.clock.boot_ns(),
                stopwatch_ns=self.clock.stopwatch_ns(),
                sensor_ns=None,
                pts_90k=tick * 90_000 // FPS,
            )
            for pool in (self.pole.main, *([self.pole.small] if tick % FPS == 0 else [])):
                filling = await pool.claim_when_free()
                filling.view[:4096] = random.bytes(4096)
                filling.publish(stamp)
            os.pwrite(self.delivered, struct.pack("<Q", stamp.utc_ns), 0)
            await self.pole.small.drained()
            await self.pole.main.drained()
            tick += 1


async def main() -> None:
    state, delivered, start_ns, keystore, tcti, group_a, group_b = sys.argv[1:]
    clock = SimulatedClock(int(start_ns))
    settings = settings_of(Path(state), keystore, tcti, Officers(a=(group_a,), b=(group_b,)))
    async with AsyncExitStack() as stack:
        pole = await build(stack, settings, clock=clock, log=Log(), connect=None, budget=ONCE)
        await pole.work(Noise(pole, clock, os.open(delivered, os.O_WRONLY | os.O_CREAT, 0o600)))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
    asyncio.run(main())
