"""One suite for every camera: the video file, picamera2 against its fake, and (marker ``hardware``) the board's own."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from firmware.camera.driver import Camera
from firmware.camera.frames import (
    CaptureStamp,
    MainFrames,
    Packets,
    PictureFormat,
    SlotMemory,
    SlotPool,
    SmallFrames,
    StreamEnded,
)
from firmware.drivers.picamera import PiCamera
from firmware.drivers.picamera_library import load_library
from firmware.drivers.video_file import VideoFile
from firmware.ground.clock import SystemClock
from firmware.ground.log import Log
from tests.contracts.fake_picamera2 import Behaviour, fake_library

SMALL, MAIN = PictureFormat(640, 360), PictureFormat(1280, 720)
PACKET_BYTES = 1 << 20
PERIOD_SECONDS = 0.1


@pytest.fixture(autouse=True)
def _ordinary_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    for driver in ("picamera", "video_file"):
        monkeypatch.setattr(f"firmware.drivers.{driver}.erase_freed_memory", lambda: True)


@dataclass
class Stage:
    camera: Camera
    small: SmallFrames
    main: MainFrames | Packets
    kind: str

    @property
    def pools(self) -> tuple[SlotPool, SlotPool]:
        return (self.small, self.main)


Build = Callable[..., Camera]


def video_file(tmp_path: Path, **pools: Any) -> Camera:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=20, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 320, 180, "yuv420p", Fraction(1, 20)
        for number in range(400):
            frame = av.VideoFrame.from_ndarray(
                np.full((180, 320, 3), 40 + number % 160, dtype=np.uint8), format="rgb24"
            )
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return VideoFile(path, slice_period_seconds=PERIOD_SECONDS, **pools)


def picamera_fake(_tmp_path: Path, **pools: Any) -> Camera:
    behaviour = Behaviour()
    behaviour.pause_seconds = 0.01
    return PiCamera(slice_period_seconds=PERIOD_SECONDS, library=fake_library(behaviour), **pools)


def picamera_board(_tmp_path: Path, **pools: Any) -> Camera:
    return PiCamera(slice_period_seconds=PERIOD_SECONDS, library=load_library(), **pools)


CAMERAS = [
    pytest.param((video_file, MainFrames), id="video file"),
    pytest.param((picamera_fake, Packets), id="picamera2 fake, packets"),
    pytest.param((picamera_fake, MainFrames), id="picamera2 fake, frames"),
]
if importlib.util.find_spec("libcamera") is not None:  # a board; elsewhere there is nothing these could test
    CAMERAS += [
        pytest.param((picamera_board, Packets), id="board, packets", marks=pytest.mark.hardware),
        pytest.param((picamera_board, MainFrames), id="board, frames", marks=pytest.mark.hardware),
    ]


@pytest.fixture(params=CAMERAS)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    build, kind = request.param
    clock = SystemClock()
    main_bytes = MAIN.frame_bytes if kind is MainFrames else PACKET_BYTES
    memories = [SlotMemory(SMALL.frame_bytes, 4), SlotMemory(main_bytes, 4)]
    small, main = SmallFrames(memories[0], clock), kind(memories[1], clock)
    camera = build(tmp_path, small=small, main=main, clock=clock, log=Log(io.StringIO()))
    yield Stage(camera, small, main, build.__name__)
    for pool in (small, main):
        pool.close(discard=True)
        await pool.drained()
        assert all(pool.memory.is_blank(slot) for slot in range(pool.memory.slots))
        assert pool.counters.retired == pool.counters.wipe_failures == 0
        pool.memory.close()


@dataclass
class Seen:
    stamps: list[CaptureStamp] = field(default_factory=list)
    lengths: set[int] = field(default_factory=set)
    heads: list[bytes] = field(default_factory=list)
    keyframes: list[bool] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)


async def eat(pool: SlotPool, seen: Seen) -> None:
    while True:
        try:
            async with pool.lease() as frame:
                seen.stamps.append(frame.stamp)
                seen.lengths.add(frame.length)
                seen.heads.append(bytes(frame.view[:4]))
                seen.keyframes.append(frame.keyframe)
                seen.levels.append(frame.view[frame.length // 3])
        except StreamEnded:
            return


@asynccontextmanager
async def running(stage: Stage, *pools: SlotPool) -> AsyncIterator[list[Seen]]:
    seen = [Seen() for _ in pools]
    tasks = [asyncio.create_task(eat(pool, into)) for pool, into in zip(pools, seen, strict=True)]
    camera = asyncio.create_task(stage.camera.run())
    try:
        yield seen
    finally:
        for task in (camera, *tasks):
            task.cancel()
        ended, *_ = await asyncio.gather(camera, *tasks, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            raise AssertionError(f"the camera ended by itself: {ended!r}")


def both_came(small: Seen, main: Seen) -> bool:
    return len(small.stamps) > 1 and len(main.stamps) > 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_small_frames_are_whole_timed_and_at_most_one_for_each_moment(stage: Stage) -> None:
    async with running(stage, *stage.pools) as (small, _):
        await until(lambda: len(small.stamps) >= 6)
    assert small.lengths == {SMALL.frame_bytes}
    moments = [stamp.utc_ns // round(PERIOD_SECONDS * 1e9) for stamp in small.stamps]
    assert len(set(moments)) == len(moments)
    for name in ("utc_ns", "boot_ns", "stopwatch_ns", "pts_90k"):
        values = [getattr(stamp, name) for stamp in small.stamps]
        assert values == sorted(values)
    assert len({stamp.pts_90k for stamp in small.stamps}) == len(small.stamps)


async def test_the_main_stream_is_whole_and_in_order(stage: Stage) -> None:
    async with running(stage, *stage.pools) as (_, main):
        await until(lambda: len(main.stamps) >= 20)
    times = [stamp.pts_90k for stamp in main.stamps]
    assert times == sorted(set(times))
    if isinstance(stage.main, MainFrames):
        assert main.lengths == {MAIN.frame_bytes}
    else:
        assert main.keyframes[0], "nothing can be decoded before a keyframe"
        assert main.keyframes.count(True) >= 2, "a keyframe a second"
        assert {head[:3] for head in main.heads} <= {b"\0\0\0", b"\0\0\1"}, "Annex-B"


async def test_both_streams_show_the_same_scene(stage: Stage) -> None:
    if stage.kind == "picamera_board" or isinstance(stage.main, Packets):
        return  # what a real scene shows is not known; packets are not pictures
    async with running(stage, *stage.pools) as (small, main):
        await until(lambda: len(small.levels) >= 5 and len(main.levels) >= 20)
    by_time = dict(zip((stamp.pts_90k for stamp in main.stamps), main.levels, strict=True))
    shared = [
        (level, by_time[at.pts_90k])
        for at, level in zip(small.stamps, small.levels, strict=True)
        if at.pts_90k in by_time
    ]
    assert len(shared) >= 2
    assert all(abs(one - other) <= 3 for one, other in shared)


async def test_a_consumer_that_does_nothing_neither_stops_the_camera_nor_lets_pictures_pile_up(stage: Stage) -> None:
    async with running(stage):
        await until(lambda: stage.main.counters.dropped > 3 and stage.small.counters.published > 3)
        assert stage.small.waiting <= 1


async def test_a_cancelled_camera_gives_every_slot_back_and_can_run_again(stage: Stage) -> None:
    before = threading.active_count()
    for _ in range(2):
        async with running(stage, *stage.pools) as (small, main):
            await until(partial(both_came, small, main))
        while stage.main.waiting or stage.small.waiting:
            for pool in stage.pools:
                if pool.waiting:
                    async with pool.lease():
                        pass
        async with asyncio.timeout(10):
            await stage.small.drained()
            await stage.main.drained()
    if stage.kind != "picamera_board":
        assert threading.active_count() <= before + 8, "at most the loop's own pool of threads"


async def test_a_camera_ends_when_its_owner_closes_the_pools(stage: Stage) -> None:
    task = asyncio.create_task(stage.camera.run())
    await until(lambda: stage.small.counters.published > 0)
    for pool in stage.pools:
        pool.close(discard=True)
    async with asyncio.timeout(20):
        await task
