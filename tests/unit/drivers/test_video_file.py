"""Video files, whole, halved, damaged and no video at all: what is delivered, counted and named."""

from __future__ import annotations

import asyncio
import io
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from firmware.camera.frames import (
    CaptureStamp,
    MainFrames,
    PictureFormat,
    SlotMemory,
    SlotPool,
    SmallFrames,
    StreamEnded,
)
from firmware.drivers.video_file import VideoFile
from firmware.ground.clock import NS_PER_SECOND, Clock, SimulatedClock, SystemClock
from firmware.ground.errors import CameraError
from firmware.ground.log import Log
from tests.canary import make_mark, scan_process

START = 1_763_888_400 * NS_PER_SECOND
SMALL = PictureFormat(64, 36)
MAIN = PictureFormat(128, 72)


@pytest.fixture(autouse=True)
def _ordinary_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own process keeps its allocator; the canary test plays in a process of its own."""
    monkeypatch.setattr("firmware.drivers.video_file.erase_freed_memory", lambda: True)


def film(
    path: Path,
    paint: Callable[[int], npt.NDArray[np.uint8]],
    *,
    frames: int,
    fps: int = 10,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    file_options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(path), "w", options=file_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=fps, options=options or {})
        first = paint(0)
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], pix_fmt
        stream.time_base = Fraction(1, fps)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(paint(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Return each frame's place and length in the file."""
    with av.open(str(path)) as container:
        return [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]


def grey(number: int, *, width: int = 160, height: int = 90) -> npt.NDArray[np.uint8]:
    """A flat picture whose level says which one it is."""
    return np.full((height, width, 3), 20 + number, dtype=np.uint8)


@dataclass
class Delivered:
    stamps: list[CaptureStamp] = field(default_factory=list)
    pictures: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    clock_ns: list[int] = field(default_factory=list)


async def eat(pool: SlotPool, clock: Clock, delivered: Delivered) -> None:
    while True:
        try:
            async with pool.lease() as frame:
                delivered.stamps.append(frame.stamp)
                delivered.pictures.append(np.frombuffer(bytes(frame.view), dtype=np.uint8))
                await asyncio.sleep(0.01 if pool.keeps_only_newest else 0)  # a counter takes its time
                delivered.clock_ns.append(clock.utc_ns())
        except StreamEnded:
            return


class Stage:
    """Two pools, two eaters and one camera."""

    def __init__(self, path: Path, *, clock: Clock | None = None, slots: int = 3, **options: float) -> None:
        self.clock = clock or SimulatedClock(START)
        self.memories = [SlotMemory(SMALL.frame_bytes, slots), SlotMemory(MAIN.frame_bytes, slots)]
        self.small, self.main = SmallFrames(self.memories[0], self.clock), MainFrames(self.memories[1], self.clock)
        self.log = io.StringIO()
        self.camera = VideoFile(
            path,
            small=self.small,
            main=self.main,
            clock=self.clock,
            log=Log(self.log),
            small_format=SMALL,
            main_format=MAIN,
            **options,
        )

    async def play(self) -> tuple[Delivered, Delivered, CameraError | None]:
        small, main, fault = Delivered(), Delivered(), None
        async with asyncio.TaskGroup() as eaters:
            eaters.create_task(eat(self.small, self.clock, small))
            eaters.create_task(eat(self.main, self.clock, main))
            try:
                await self.camera.run()
            except CameraError as error:
                fault = error
            finally:
                self.small.close()
                self.main.close()
        for memory in self.memories:
            memory.close()
        return small, main, fault


async def test_a_replay_delivers_every_due_frame_at_its_own_time(tmp_path: Path) -> None:
    stage = Stage(film(tmp_path / "a.mp4", grey, frames=35), main_fps=5.0)
    small, main, fault = await stage.play()
    assert fault is None
    assert [stamp.pts_90k for stamp in small.stamps] == [0, 90_000, 180_000, 270_000]
    assert [stamp.utc_ns - START for stamp in main.stamps] == [number * 200_000_000 for number in range(18)]
    # Lock-step: when a slice is looked at, the world's time is that slice's.
    assert small.clock_ns == [stamp.utc_ns for stamp in small.stamps]
    levels = [int(picture[: SMALL.width * SMALL.height].mean()) for picture in small.pictures]
    assert levels == pytest.approx([20, 30, 40, 50], abs=2), "full range: a level stays what it was"
    assert (stage.small.counters.dropped, stage.main.counters.dropped) == (0, 0)
    assert stage.camera.report.frames == 35
    assert stage.clock.utc_ns() - START == 3_400_000_000


async def test_a_sleeper_wakes_between_the_frames_around_it(tmp_path: Path) -> None:
    stage = Stage(film(tmp_path / "a.mp4", grey, frames=30))
    seen: list[int] = []

    async def sleeper() -> None:
        await stage.clock.sleep_until(START + 1_500_000_000)
        seen.append(stage.small.counters.overwritten)

    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0)
    await stage.play()
    await task
    assert seen == [2], "the slices of seconds 0 and 1 were counted, that of second 2 was not yet"


def coloured(_number: int) -> npt.NDArray[np.uint8]:
    picture = np.zeros((90, 240, 3), dtype=np.uint8)  # wider than 16:9: the sides are cut off
    picture[:, :40], picture[:, 200:] = (255, 255, 255), (255, 255, 255)
    picture[:, 40:120], picture[:, 120:200] = (200, 30, 30), (30, 30, 200)
    return picture


async def test_a_picture_is_cut_to_shape_and_keeps_its_colours_as_full_range_bt601(tmp_path: Path) -> None:
    stage = Stage(film(tmp_path / "a.mkv", coloured, frames=3, codec="ffv1", pix_fmt="bgr0"))
    small, main, fault = await stage.play()
    assert fault is None
    for picture, size in ((small.pictures[0], SMALL), (main.pictures[0], MAIN)):
        luma = picture[: size.width * size.height].reshape(size.height, size.width)
        blue, red = picture[size.width * size.height :].reshape(2, size.height // 2, size.width // 2)
        left, right = size.width // 4, 3 * size.width // 4
        for at, (r, g, b) in ((left, (200, 30, 30)), (right, (30, 30, 200))):
            y = 0.299 * r + 0.587 * g + 0.114 * b
            assert luma[5:-5, at - 2 : at + 2].mean() == pytest.approx(y, abs=3)
            assert blue[5:-5, at // 2].mean() == pytest.approx(128 + 0.564 * (b - y), abs=3)
            assert red[5:-5, at // 2].mean() == pytest.approx(128 + 0.713 * (r - y), abs=3)
        assert luma[:, 2].mean() < 120, "the white sides are outside, the picture is not squeezed"


async def test_limited_range_video_is_widened_to_full_range(tmp_path: Path) -> None:
    def black_and_white(_number: int) -> npt.NDArray[np.uint8]:
        picture = np.zeros((90, 160, 3), dtype=np.uint8)
        picture[:, 80:] = 255
        return picture

    small, _, _ = await Stage(film(tmp_path / "a.mp4", black_and_white, frames=3)).play()
    luma = small.pictures[0][: SMALL.width * SMALL.height].reshape(SMALL.height, SMALL.width)
    assert luma[:, 10].max() <= 2
    assert luma[:, -10].min() >= 253


@pytest.mark.parametrize("cut_in", [25, 38])
async def test_a_cut_file_delivers_what_it_has_and_names_the_frame_where_it_ended(tmp_path: Path, cut_in: int) -> None:
    noise = np.random.default_rng(1)

    def noisy(_number: int) -> npt.NDArray[np.uint8]:
        return noise.integers(0, 256, (90, 160, 3), dtype=np.uint8)

    whole = film(tmp_path / "a.mp4", noisy, frames=40, file_options={"movflags": "faststart"})
    position, size = packets_of(whole)[cut_in]
    half = tmp_path / "half.mp4"
    half.write_bytes(whole.read_bytes()[: position + size // 2])
    stage = Stage(half)
    small, main, fault = await stage.play()
    assert fault is not None
    assert fault.code == "E-CAMERA-VIDEO"
    assert f"frame {stage.camera.report.last_frame} of 40" in fault.what
    assert 10 <= stage.camera.report.last_frame < 40
    assert len(main.stamps) == stage.camera.report.frames >= stage.camera.report.last_frame - 1
    assert len(small.stamps) == -(-len(main.stamps) // 10)


async def test_damaged_frames_are_skipped_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", coloured, frames=60, options={"g": "10", "bf": "0"})
    content = bytearray(whole.read_bytes())
    packets = packets_of(whole)
    dice = random.Random(5)  # noqa: S311 - damage, not a secret
    for position, size in packets[21:24]:
        content[position : position + size] = bytes(dice.randrange(256) for _ in range(size))
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    stage = Stage(damaged)
    _, main, fault = await stage.play()
    assert fault is None
    report = stage.camera.report
    assert report.skipped >= 3
    assert report.frames + report.skipped == report.last_frame == 60
    assert len(main.stamps) == report.frames
    assert main.stamps[-1].pts_90k == 59 * 9000
    assert f'"skipped":{report.skipped}' in stage.log.getvalue()


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 100, None])
async def test_what_is_no_video_is_named_and_nothing_is_delivered(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    small, main, fault = await Stage(path).play()
    assert fault is not None
    assert (fault.code, fault.where) == ("E-CAMERA-VIDEO", str(path))
    assert not small.stamps
    assert not main.stamps


async def test_a_playlist_opens_no_address(tmp_path: Path) -> None:
    playlist = tmp_path / "a.m3u8"
    knocks: list[int] = []

    def knocked(_read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        knocks.append(1)
        write.close()

    async with await asyncio.start_server(knocked, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        playlist.write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"
        )
        _, _, fault = await Stage(playlist).play()
        assert fault is not None
        assert knocks == []


async def test_ending_early_on_request_is_not_a_fault(tmp_path: Path) -> None:
    stage = Stage(film(tmp_path / "a.mp4", grey, frames=40), end_after_seconds=2.0)
    small, main, fault = await stage.play()
    assert fault is None
    assert (len(small.stamps), len(main.stamps)) == (2, 20)


async def test_pictures_without_times_follow_the_files_rate(tmp_path: Path) -> None:
    stage = Stage(film(tmp_path / "a.h264", grey, frames=30), main_fps=25.0)
    _, main, fault = await stage.play()
    assert fault is None
    assert len(main.stamps) == 30 == len({stamp.utc_ns for stamp in main.stamps})


async def test_a_full_pool_waits_in_a_replay_and_drops_in_real_time(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", grey, frames=12, fps=100)
    stage = Stage(path, clock=SystemClock(), slots=2, main_fps=100.0, slice_period_seconds=0.02)
    await stage.camera.run()  # nobody eats
    assert stage.main.counters.published == 2
    assert stage.main.counters.dropped > 0
    assert stage.small.waiting == 1
    for memory, pool in zip(stage.memories, (stage.small, stage.main), strict=True):
        pool.close(discard=True)
        await pool.drained()
        memory.close()


async def test_cancelling_at_any_moment_leaves_every_slot_blank(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", grey, frames=30)
    for turns in (0, 1, 2, 5, 11, 23, 47, 95):
        stage = Stage(path, slots=1)
        eating = asyncio.create_task(eat(stage.main, stage.clock, Delivered()))
        running = asyncio.create_task(stage.camera.run())
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        eating.cancel()
        await asyncio.gather(eating, return_exceptions=True)
        for memory, pool in zip(stage.memories, (stage.small, stage.main), strict=True):
            pool.close(discard=True)
            await pool.drained()
            assert all(memory.is_blank(slot) for slot in range(memory.slots))
            memory.close()


async def test_a_closed_pool_ends_the_camera_without_a_fault(tmp_path: Path) -> None:
    stage = Stage(film(tmp_path / "a.mp4", grey, frames=30))
    stage.small.close()
    stage.main.close()
    await stage.camera.run()
    for memory in stage.memories:
        memory.close()


PLAYER = """
import asyncio, io, sys
from pathlib import Path
from typing import Any
from firmware.camera.frames import MainFrames, PictureFormat, SlotMemory, SmallFrames, StreamEnded
from firmware.drivers.video_file import VideoFile
from firmware.ground.clock import SimulatedClock
from firmware.ground.log import Log

async def main():
    clock = SimulatedClock(0)
    small_format, main_format = PictureFormat(640, 360), PictureFormat(1280, 720)
    small = SmallFrames(SlotMemory(small_format.frame_bytes, 2), clock)
    big = MainFrames(SlotMemory(main_format.frame_bytes, 2), clock)
    camera = VideoFile(Path(sys.argv[1]), small=small, main=big, clock=clock, log=Log(io.StringIO()))
    held = 0
    async def eat(pool):
        nonlocal held
        while True:
            try:
                async with pool.lease():
                    held += 1
                    if held == 8:
                        print("held", flush=True)
                        sys.stdin.readline()
            except StreamEnded:
                return
    eaters = [asyncio.create_task(eat(small)), asyncio.create_task(eat(big))]
    await camera.run()
    small.close(); big.close()
    await asyncio.gather(*eaters)
asyncio.run(main())
print("gone", flush=True)
sys.stdin.readline()
"""


def test_a_marked_video_leaves_no_mark_in_memory_when_it_has_ended(tmp_path: Path) -> None:
    mark = make_mark(21)
    path = film(
        tmp_path / "a.mp4", lambda _number: mark.rgb(720, 1280, bar_pixels=24), frames=15, options={"crf": "10"}
    )
    patterns = mark.patterns(limited_range=True)
    with subprocess.Popen(
        [sys.executable, "-c", PLAYER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as player:
        assert player.stdin is not None
        assert player.stdout is not None
        assert player.stdout.readline() == b"held\n"
        assert scan_process(player.pid, patterns).hits, "a scan that finds nothing while leased proves nothing after"
        player.stdin.write(b"go\n")
        player.stdin.flush()
        assert player.stdout.readline() == b"gone\n"
        after = scan_process(player.pid, patterns)
    assert after.hits == []
