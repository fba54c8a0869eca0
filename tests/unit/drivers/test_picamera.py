"""The picamera2 driver against a fake with the real signatures: buffers overwritten, faults named, threads ended."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.camera.frames import MainFrames, Packets, PictureFormat, SlotMemory, SlotPool, SmallFrames
from firmware.drivers.picamera import PiCamera
from firmware.drivers.picamera_buffers import Layout
from firmware.ground.clock import SystemClock
from firmware.ground.errors import CameraError
from firmware.ground.log import Log
from tests.contracts.fake_picamera2 import Behaviour, fake_library

SMALL, MAIN = PictureFormat(64, 36), PictureFormat(128, 72)


@pytest.fixture(autouse=True)
def _ordinary_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware.drivers.picamera.erase_freed_memory", lambda: True)


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("fake")]
    assert left == []


@dataclass
class Rig:
    behaviour: Behaviour
    small: SmallFrames
    main: MainFrames | Packets
    camera: PiCamera


@asynccontextmanager
async def rig(
    kind: type[MainFrames | Packets] = Packets, *, packet_bytes: int = 4096, board_encodes: bool = True, **options: Any
) -> AsyncIterator[Rig]:
    clock, behaviour = SystemClock(), Behaviour()
    main_bytes = MAIN.frame_bytes if kind is MainFrames else packet_bytes
    memories = [SlotMemory(SMALL.frame_bytes, 3), SlotMemory(main_bytes, 4)]
    small, main = SmallFrames(memories[0], clock), kind(memories[1], clock)
    camera = PiCamera(
        small=small,
        main=main,
        clock=clock,
        log=Log(io.StringIO()),
        library=fake_library(behaviour, board_encodes=board_encodes),
        small_format=SMALL,
        main_format=MAIN,
        **({"slice_period_seconds": 0.02, "stall_seconds": 3.0} | options),
    )
    yield Rig(behaviour, small, main, camera)
    for pool in (small, main):
        pool.close(discard=True)
        await pool.drained()
        assert all(pool.memory.is_blank(slot) for slot in range(pool.memory.slots))
        pool.memory.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def eat(pool: SlotPool, seen: list[tuple[int, int]]) -> None:
    while True:
        async with pool.lease() as frame:
            seen.append((frame.length, frame.view[-1]))


@asynccontextmanager
async def running(rig: Rig, *eaten: SlotPool) -> AsyncIterator[dict[SlotPool, list[tuple[int, int]]]]:
    seen: dict[SlotPool, list[tuple[int, int]]] = {pool: [] for pool in eaten}
    tasks = [asyncio.create_task(eat(pool, seen[pool])) for pool in eaten]
    tasks.append(asyncio.create_task(rig.camera.run()))
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("kind", [Packets, MainFrames])
async def test_every_buffer_is_overwritten_before_the_camera_has_it_back(kind: type[MainFrames | Packets]) -> None:
    async with rig(kind) as set_up:
        async with running(set_up, set_up.small, set_up.main):
            await until(lambda: set_up.small.counters.published > 3 and set_up.behaviour.returned > 20)
        assert set_up.behaviour.complaints == []
        assert set_up.behaviour.left_over == []
        assert set_up.behaviour.opened == set_up.behaviour.closed == 1


async def test_a_driver_that_forgets_unsampled_frames_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from firmware.drivers.picamera_buffers import Buffers

    def only_sampled(self: Buffers, request: Any, stream: str, layout: Layout, slot: memoryview | None) -> None:
        if slot is not None:
            take(self, request, stream, layout, slot)

    take = Buffers.take
    monkeypatch.setattr(Buffers, "take", only_sampled)
    async with rig() as set_up:
        async with running(set_up, set_up.small, set_up.main):
            await until(lambda: set_up.behaviour.returned > 20)
        assert "lores went back with a picture in it" in set_up.behaviour.complaints


async def test_both_streams_come_from_one_configuration_without_raw_pictures_or_a_kept_last_one() -> None:
    async with rig() as set_up:
        async with running(set_up, set_up.small, set_up.main):
            await until(lambda: set_up.small.counters.published > 0)
        asked = set_up.behaviour.configuration
        assert asked["raw"] is None
        assert asked["queue"] is False
        assert asked["display"] is None
        assert asked["colour_space"] == "Sycc"
        assert asked["controls"] == {"FrameDurationLimits": (66_666, 66_666)}


async def test_pictures_are_unpadded_and_packets_whole() -> None:
    async with rig() as set_up, running(set_up, set_up.small, set_up.main) as seen:
        await until(lambda: len(seen[set_up.small]) > 3 and len(seen[set_up.main]) > 30)
    assert {length for length, _ in seen[set_up.small]} == {SMALL.frame_bytes}
    levels = [level for _, level in seen[set_up.main]]
    assert levels[:30] == list(range(levels[0], levels[0] + 30)), "in order, none missing"


async def test_a_stalled_camera_is_named_and_closed() -> None:
    async with rig(stall_seconds=0.15) as set_up:
        set_up.behaviour.frames = 5
        with pytest.raises(CameraError, match="E-CAMERA-STALL"):
            await set_up.camera.run()
        assert set_up.behaviour.closed == 1
        set_up.behaviour.frames = None
        async with running(set_up, set_up.small, set_up.main):
            before = set_up.small.counters.published
            await until(lambda: set_up.small.counters.published > before)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cameras": 0}, "E-CAMERA-OPEN"),
        ({"format": "RGB888"}, "E-CAMERA-FORMAT"),
        ({"size_off_by": 16}, "E-CAMERA-FORMAT"),
        ({"break_mapping_after": 7}, "E-CAMERA-BUFFER"),
    ],
)
async def test_what_is_wrong_with_a_camera_is_named(change: dict[str, Any], code: str) -> None:
    async with rig(MainFrames) as set_up:
        for name, value in change.items():
            setattr(set_up.behaviour, name, value)
        with pytest.raises(CameraError, match=code):
            await set_up.camera.run()
        assert set_up.behaviour.opened == set_up.behaviour.closed


async def test_a_camera_that_does_not_stop_is_given_up_loudly() -> None:
    async with rig(stop_seconds=0.1) as set_up:
        set_up.behaviour.stop_blocks.clear()
        running_task = asyncio.create_task(set_up.camera.run())
        await until(lambda: set_up.small.counters.published > 0)
        set_up.small.close()
        with pytest.raises(CameraError, match="E-CAMERA-STUCK"):
            await running_task
        set_up.behaviour.stop_blocks.set()
        await until(lambda: set_up.behaviour.closed == 1)


async def test_after_a_lost_packet_everything_up_to_the_next_keyframe_is_dropped() -> None:
    async with rig(main_fps=1000) as set_up:  # a keyframe by itself only every thousandth
        task = asyncio.create_task(set_up.camera.run())
        keys, numbers = list[bool](), list[int]()
        while len(keys) < 40:
            if len(keys) % 10 == 4:  # stand still until a packet is lost
                lost = set_up.main.counters.dropped
                await until(partial(more_dropped, set_up, lost))
            async with set_up.main.lease() as frame:
                keys.append(frame.keyframe)
                numbers.append(frame.view[-1])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    gaps = [place for place in range(1, 40) if (numbers[place] - numbers[place - 1]) % 160 != 1]
    assert gaps, "packets were lost"
    assert keys[0]
    assert all(keys[place] for place in gaps), "what follows a lost packet is a keyframe"
    assert set_up.behaviour.keyframes_asked >= 1


async def test_an_encoder_that_is_a_program_is_never_asked_for_a_keyframe_and_comes_to_one_by_itself() -> None:
    async with rig(board_encodes=False, main_fps=20) as set_up:
        task = asyncio.create_task(set_up.camera.run())
        await until(lambda: set_up.main.counters.dropped > 2)
        keys = list[bool]()
        while len(keys) < 6:
            async with set_up.main.lease() as frame:
                keys.append(frame.keyframe)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert keys[4] is True
        assert set_up.behaviour.keyframes_asked == 0


def more_dropped(set_up: Rig, than: int) -> bool:
    return set_up.main.counters.dropped > than


async def test_a_packet_longer_than_a_slot_is_dropped_and_a_keyframe_asked_for() -> None:
    async with rig(packet_bytes=500) as set_up, running(set_up, set_up.small, set_up.main) as seen:
        await until(lambda: set_up.main.counters.dropped > 3)
        assert seen[set_up.main] == []
        assert set_up.behaviour.keyframes_asked > 0


async def test_with_nobody_consuming_the_camera_goes_on_and_nothing_piles_up() -> None:
    async with rig(MainFrames) as set_up:
        async with running(set_up):
            await until(lambda: set_up.main.counters.dropped > 5 and set_up.behaviour.returned > 30)
            assert set_up.small.waiting <= 1
        assert set_up.behaviour.complaints == []


async def test_a_camera_without_its_own_time_is_stamped_with_ours() -> None:
    async with rig(MainFrames) as set_up:
        set_up.behaviour.sensor_timestamps = False
        async with running(set_up):
            async with set_up.main.lease() as frame:
                assert frame.stamp.sensor_ns is None
                assert frame.stamp.pts_90k == 0
            async with set_up.main.lease() as frame:
                assert frame.stamp.pts_90k > 0


async def test_cancelling_at_any_moment_ends_the_threads() -> None:
    for pause in (0.0, 0.001, 0.004, 0.02):
        async with rig() as set_up:
            task = asyncio.create_task(set_up.camera.run())
            await asyncio.sleep(pause)
            task.cancel()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert set_up.behaviour.opened == set_up.behaviour.closed
            assert set_up.behaviour.left_over == []


def test_without_the_library_the_error_says_what_to_install() -> None:
    from firmware.drivers.picamera_library import load_library

    with pytest.raises(CameraError, match=r"E-CAMERA-LIBRARY.*python3-picamera2"):
        load_library()


@given(
    width=st.integers(1, 20).map(lambda half: 2 * half),
    height=st.integers(1, 12).map(lambda half: 2 * half),
    padding=st.integers(0, 16).map(lambda half: 2 * half),
    interleaved=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=80)
def test_any_layout_is_copied_to_the_pixel(width: int, height: int, padding: int, interleaved: bool, seed: int) -> None:
    dice = np.random.default_rng(seed)
    stride = width + padding
    luma = dice.integers(0, 256, (height, width), dtype=np.uint8)
    blue, red = dice.integers(0, 256, (2, height // 2, width // 2), dtype=np.uint8)
    pad = dice.integers(0, 256, stride * height * 3 // 2, dtype=np.uint8)
    pad[: stride * height].reshape(height, stride)[:, :width] = luma
    chroma = pad[stride * height :]
    if interleaved:
        pairs = chroma.reshape(height // 2, stride)
        pairs[:, 0:width:2], pairs[:, 1:width:2] = blue, red
    else:
        planes = chroma.reshape(2, height // 2, stride // 2)
        planes[0, :, : width // 2], planes[1, :, : width // 2] = blue, red
    slot = bytearray(width * height * 3 // 2)
    Layout(PictureFormat(width, height), stride, interleaved).copy(pad, memoryview(slot))
    assert bytes(slot) == luma.tobytes() + blue.tobytes() + red.tobytes()
