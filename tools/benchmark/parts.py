"""Single parts measured by themselves: sealing beside the library alone, the encoder alone, memory over many slices.

Knows:  production functions, the same input for both sides of a ratio.
Never:  a figure of another run.
Leaves: numbers.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyrage
from ai_edge_litert.interpreter import Interpreter

from firmware.assembly import SMALL
from firmware.camera.frames import CaptureStamp, SlotMemory, SmallFrames
from firmware.drivers.counter_process import CounterProcess
from firmware.drivers.encoder import H264Settings, X264Encoder
from firmware.drivers.model_manifest import read_manifest
from firmware.flow.settings import FlowSettings
from firmware.footage.chunk import PlainBuffer
from firmware.footage.seal import seal
from firmware.ground.clock import SystemClock
from firmware.ground.log import Log
from tools.benchmark.live import DRAWN, FPS, MAIN, MODELS

CHUNK_BYTES = 2_500_000
ROUNDS = 30
BARE_EVERY = 10
AFTERWARDS_SECONDS = 0.01
"""After its answer the counter runs a blank picture; on a street a second passes before the next question."""


def sealing_ratio() -> float:
    """Return our sealing speed over the library's alone (medians of alternating rounds on a 10 s chunk's bytes)."""
    recipient = pyrage.x25519.Identity.generate().to_public()
    plain = os.urandom(CHUNK_BYTES)
    ours, alone = [], []
    for _ in range(ROUNDS):
        buffer = PlainBuffer(CHUNK_BYTES)
        buffer.write(plain)
        began = time.perf_counter()
        seal(buffer, str(recipient), len)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        pyrage.encrypt(plain, [recipient])
        alone.append(time.perf_counter() - began)
    return float(np.median(alone) / np.median(ours))


def encoder_cpu_seconds_a_frame(drawn: Path) -> float:
    """Return the processor time of x264 alone for one 720p frame of the drawn pictures."""
    pictures = np.ascontiguousarray(np.fromfile(drawn, np.uint8).reshape(DRAWN, -1)[:, : MAIN.frame_bytes])
    encoder = X264Encoder(H264Settings(MAIN.width, MAIN.height, FPS, 2000))
    before = resource.getrusage(resource.RUSAGE_SELF)
    frames = 10 * FPS
    for number in range(frames):
        picture = pictures[number % DRAWN].reshape(MAIN.height * 3 // 2, MAIN.width)
        encoder.encode(picture, number * 90_000 // FPS, start=number == 0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    encoder.close()
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / frames


async def slices(log: Path, count: int) -> dict[str, float]:
    """Count ``count`` slices as fast as they go; return growth of both processes after the first tenth, KiB."""
    clock = SystemClock()
    with closing(SlotMemory(SMALL.frame_bytes, 4)) as memory, log.open("w") as lines:
        pool = SmallFrames(memory, clock)
        counter = CounterProcess(memory, MODELS, FlowSettings(), clock=clock, log=Log(lines))
        await counter.ready()
        bare, bare_ms = _bare_interpreter(), list[float]()
        picture = np.random.default_rng(0).integers(0, 255, SMALL.frame_bytes, np.uint8)
        first: dict[str, int] = {}
        for number in range(count):
            filling = await pool.claim_when_free()
            np.frombuffer(filling.view, np.uint8)[: SMALL.frame_bytes] = picture
            filling.publish(CaptureStamp(0, 0, clock.stopwatch_ns(), None, 0))
            async with pool.lease() as frame:
                await counter.count(frame)
            await asyncio.sleep(AFTERWARDS_SECONDS)
            if number % BARE_EVERY == 0:
                began = time.perf_counter()
                bare.invoke()
                bare_ms.append(1000 * (time.perf_counter() - began))
            if number == count // 10:
                first = _resident_kib(counter.pid)
        last = _resident_kib(counter.pid)
        round_trip = counter.round_trip.summary()
        await counter.close()
    await asyncio.sleep(0)
    return {
        "growth_pole_kib": last["pole"] - first["pole"],
        "growth_counter_kib": last["counter"] - first["counter"],
        "round_trip_p50_ms": round_trip.p50_us / 1000,
        "bare_p50_ms": float(np.median(bare_ms)),
    }


def _bare_interpreter() -> Interpreter:
    """Return the detector alone, as any program would load it, on one thread."""
    detector = read_manifest(MODELS).for_task("persons")
    if detector is None:
        raise SystemExit(f"no model for persons in {MODELS}")
    interpreter = Interpreter(str(MODELS / detector.file), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return interpreter


def _resident_kib(counter: int | None) -> dict[str, int]:
    page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
    pids = {"pole": os.getpid(), "counter": counter}
    return {name: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page_kib for name, pid in pids.items()}
