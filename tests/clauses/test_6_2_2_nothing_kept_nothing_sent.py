"""6.2(2), 6.2(1): people flow keeps statistics only. It has no way to write or send, and does not try."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

IMPORTS = """
import importlib, pkgutil, sys
import firmware.flow
for module in pkgutil.iter_modules(firmware.flow.__path__):
    importlib.import_module(f"firmware.flow.{module.name}")
print(*sorted(sys.modules))
"""

FORBIDDEN = (
    "firmware.footage", "firmware.custody", "firmware.city", "firmware.drivers", "firmware.upkeep", "cryptography",
    "pyrage", "sqlite3", "av", "aiomqtt", "paho", "ai_edge_litert", "tflite_runtime", "picamera2", "shelve", "dbm",
)  # fmt: skip

HOUSE = """
import asyncio, io, os, sys
import numpy as np
from firmware.camera.frames import CaptureStamp, SlotMemory, SmallFrames
from firmware.flow.record import Dimension, Record
from firmware.flow.run import run
from firmware.flow.settings import FlowSettings
from firmware.flow.tensors import PICTURE_BYTES
from firmware.ground.clock import NS_PER_SECOND, SimulatedClock
from firmware.ground.log import Log
from tests.parts.in_process_counter import InProcessCounter
from tests.parts.small_models import crowd, draw

HARMLESS = {"array.__new__", "mmap.__new__", "ctypes.addressof", "object.__getattr__", "builtins.id"}
seen: list[str] = []
armed = False

def watch(event: str, arguments: tuple) -> None:
    if armed and event not in HARMLESS and not event.startswith(("cpython.", "sys._getframe", "gc.")):
        seen.append(f"{event} {arguments!r}"[:200])

class Sink:
    records: list[Record] = []
    async def put(self, record: Record) -> None:
        self.records.append(record)
    async def last_minute(self) -> None:
        return None

async def main() -> None:
    global armed
    settings = FlowSettings(attributes=tuple(Dimension), window_minutes=1)
    clock, sink = SimulatedClock(29_923_296 * 60 * NS_PER_SECOND), Sink()
    memory = SlotMemory(PICTURE_BYTES, 4)
    frames = SmallFrames(memory, clock)
    counter = InProcessCounter(settings)
    task = asyncio.create_task(run(frames, counter, sink, clock=clock, settings=settings, log=Log(io.StringIO())))
    pictures = [draw(*crowd(people)) for people in (0, 2, 12, 20)]
    sys.addaudithook(watch)
    armed = True
    for second in range(int(sys.argv[1])):
        filling = await frames.claim_when_free()
        filling.view[:] = pictures[second // 60 % 4].data
        filling.publish(CaptureStamp(clock.utc_ns(), clock.boot_ns(), clock.stopwatch_ns(), None, 0))
        await frames.drained()
        await clock.advance_to(clock.utc_ns() + NS_PER_SECOND)
        if second == 30 and "--write" in sys.argv:
            open(os.devnull, "wb").close()
    armed = False
    frames.close()
    figures = await task
    print(len(sink.records), figures.slices, figures.slices_lost, figures.tiles)
    print(*seen, sep="\\n")
    memory.close()

asyncio.run(main())
"""


def python(code: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_people_flow_alone_brings_nothing_in_that_could_keep_or_send() -> None:
    loaded = python(IMPORTS)[0].split()
    assert "firmware.flow.run" in loaded
    assert [
        name for name in loaded if name.startswith(tuple(f"{bad}." for bad in FORBIDDEN)) or name in FORBIDDEN
    ] == []


def test_a_thousand_slices_open_no_file_and_no_socket() -> None:
    summary, *seen = python(HOUSE, "1000")
    records, slices, lost, tiles = map(int, summary.split())
    assert (slices, lost) == (1000, 0)
    assert records >= 16
    assert tiles > 0
    assert [line for line in seen if line] == []


def test_the_watch_would_have_seen_it() -> None:
    _, *seen = python(HOUSE, "60", "--write")
    assert any("open" in line and "/dev/null" in line for line in seen)
