"""A whole pole in real time in a process of its own; prints one JSON line of figures at its end.

``python -m tools.benchmark.live STATE SECONDS BROKER_PORT``. The pictures were drawn into a file
before and are read into the slots, so that the pole is measured and not the street.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyrage

from firmware.assembly import FOR_EVER, SMALL, Pole, build
from firmware.camera.frames import CaptureStamp, PictureFormat
from firmware.city.settings import BrokerSettings
from firmware.drivers.mqtt import connector
from firmware.flow.settings import FlowSettings
from firmware.footage.settings import FootageSettings, Officers
from firmware.ground.clock import NS_PER_SECOND, SystemClock
from firmware.ground.log import Log
from firmware.upkeep.settings import Location, PoleSettings
from firmware.upkeep.whole import Settings
from tools.street.scene import busy
from tools.street.street import Street

MODELS = Path(__file__).parents[2] / "models"
FPS = 15
DRAWN = 30
STALL_TICK_SECONDS = 0.002

MAIN = PictureFormat(1280, 720)


def settings_for(state: Path, port: int) -> Settings:
    """Return a pole's settings as the design numbers assume them: 720p15, one slice a second."""
    groups = [str(pyrage.x25519.Identity.generate().to_public()) for _ in "ab"]
    return Settings(
        folder=state,
        pole=PoleSettings(
            pole="sp90",
            profile="bench",
            site="smartpole.example",
            location=Location(longitude=139.0, latitude=35.0),
            notice_sha256="0" * 64,
            state_directory=str(state),
            models_directory=str(MODELS),
            broker=BrokerSettings(host="127.0.0.1", port=port, plain=True),
        ),
        flow=FlowSettings(),
        footage=FootageSettings(officers=Officers(a=(groups[0],), b=(groups[1],)), keystore="software", fps=FPS),
    )


@dataclass
class Copier:
    """A camera that copies pictures drawn before, 15 a second, a small one each second."""

    pole: Pole
    clock: SystemClock
    drawn: int
    seconds: float

    async def run(self) -> None:
        """See ``firmware.camera.driver.Camera``."""
        origin_ns = self.clock.utc_ns()
        for tick in range(round(self.seconds * FPS)):
            await self.clock.sleep_until(origin_ns + tick * NS_PER_SECOND // FPS)
            offset = tick % DRAWN * (MAIN.frame_bytes + SMALL.frame_bytes)
            places = [(self.pole.main, offset)] + [(self.pole.small, offset + MAIN.frame_bytes)] * (tick % FPS == 0)
            for pool, at in places:
                filling = pool.claim()
                if filling is None:
                    continue
                os.preadv(self.drawn, [filling.view[: pool.memory.frame_bytes]], at)
                stamp = CaptureStamp(
                    utc_ns=self.clock.utc_ns(),
                    boot_ns=self.clock.boot_ns(),
                    stopwatch_ns=self.clock.stopwatch_ns(),
                    sensor_ns=None,
                    pts_90k=tick * 90_000 // FPS,
                )
                filling.publish(stamp)


@dataclass
class Stalls:
    """How late the event loop wakes a sleeper, microseconds."""

    late_us: list[int] = field(default_factory=list)

    async def watch(self, clock: SystemClock) -> None:
        """Measure until cancelled."""
        while True:
            before_ns = clock.stopwatch_ns()
            await asyncio.sleep(STALL_TICK_SECONDS)
            self.late_us.append((clock.stopwatch_ns() - before_ns - int(STALL_TICK_SECONDS * NS_PER_SECOND)) // 1000)

    def p99_9_ms(self) -> float:
        """Return the 99.9th percentile in milliseconds."""
        return float(np.percentile(self.late_us, 99.9)) / 1000


def draw(path: Path) -> None:
    """Draw the pictures that are copied later, main and small in turn, into ``path``."""
    street = Street(busy(), 1)
    main, small = np.empty(MAIN.frame_bytes, np.uint8), np.empty(SMALL.frame_bytes, np.uint8)
    with path.open("wb") as file:
        for number in range(DRAWN):
            street.render(number / FPS, main, small)
            file.write(main.tobytes() + small.tobytes())


async def first_slice(pole: Pole, clock: SystemClock) -> int:
    """Return when the first slice had been counted, by the stopwatch."""
    while pole.report.figures.slices == 0:
        await asyncio.sleep(0.005)
    return clock.stopwatch_ns()


async def main() -> None:
    """Measure."""
    state, seconds, port = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    drawn = os.open(state.parent / "drawn", os.O_RDONLY)
    clock, log, stalls = SystemClock(), Log((state.parent / "live.log").open("w")), Stalls()
    settings = settings_for(state, port)
    broker = settings.pole.broker
    connect = connector(broker, state, "sp90") if broker else None
    async with AsyncExitStack() as stack:
        began_ns = clock.stopwatch_ns()
        pole = await build(stack, settings, clock=clock, log=log, connect=connect, budget=FOR_EVER)
        watching = asyncio.create_task(first_slice(pole, clock))
        own = resource.getrusage(resource.RUSAGE_SELF)
        stalling = asyncio.create_task(stalls.watch(clock))
        await pole.work(Copier(pole, clock, drawn, seconds))
        stalling.cancel()
        used = resource.getrusage(resource.RUSAGE_SELF)
        about = pole.counter.about
        figures = {
            "seconds": seconds,
            "totals": pole.report.totals(),
            "round_trip_us": pole.counter.round_trip.summary().p50_us,
            "round_trip_p99_9_us": pole.counter.round_trip.summary().p99_9_us,
            "bare_us": about.bare_us if about else 0,
            "stall_p99_9_ms": stalls.p99_9_ms(),
            "first_slice_seconds": (watching.result() - began_ns) / NS_PER_SECOND if watching.done() else None,
            "pole_cpu_seconds": used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime,
            "children_cpu_seconds": children_cpu_seconds(pole),
            "rss_mib": {name: kib / 1024 for name, kib in pole.peak_rss_kib().items()},
        }
    print(json.dumps(figures))


def children_cpu_seconds(pole: Pole) -> dict[str, float]:
    """Return the processor seconds that each child has used."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for name, pid in (("counter", pole.counter.pid), ("recorder", pole.recorder.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / ticks
    return found


if __name__ == "__main__":
    asyncio.run(main())
