"""The real recorder child: what comes out opens with a stock age, plays by itself, and is lost only chunk by chunk."""

from __future__ import annotations

import asyncio
import io
import os
import random
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyrage
import pytest

from firmware.camera.frames import SlotMemory
from firmware.drivers.encoder import H264Settings, X264Encoder
from firmware.drivers.recorder_process import RecorderProcess, RecorderSettings
from firmware.footage.ports import ChunkFacts
from firmware.ground.clock import NS_PER_SECOND, SystemClock
from firmware.ground.errors import JailError, PoleError, StoreError
from firmware.ground.log import Log
from tests.attacks.hostile_start import INTERPRETER
from tests.canary import make_mark, scan_bytes, scan_process

H264 = H264Settings(width=320, height=180, fps=15, bitrate_kbps=500)
FRAME_BYTES = H264.width * H264.height * 3 // 2
STEP = 6000
MARK = make_mark(11)
PLANAR = [pattern for pattern in MARK.patterns() if pattern.name.endswith("uint8-1")]
"""A recorder meets its pictures as planes of bytes only."""
PLAIN_TRACES = (b"ftyp", b"moov", b"mdat", b"moof", b"avcC", b"\x00\x00\x00\x01g", b"\x00\x00\x00\x01h", b"x264 - core")


@dataclass(frozen=True)
class Stamp:
    utc_ns: int
    boot_ns: int
    pts_90k: int


@dataclass(frozen=True)
class Lent:
    slot: int
    length: int
    keyframe: bool
    stamp: Stamp


class Leaping(SystemClock):
    """A stopwatch that leaps on demand, so that pauses need not be waited for."""

    leapt_ns = 0

    def stopwatch_ns(self) -> int:
        return super().stopwatch_ns() + self.leapt_ns


class Bench:
    """A recorder with memory to lend and a folder for its chunks."""

    def __init__(self, folder: Path, mode: Any = "frames", h264: H264Settings = H264, **more: Any) -> None:
        self.memory = SlotMemory(FRAME_BYTES, 3)
        self.clock = Leaping()
        self.folder = folder
        self.identity = pyrage.x25519.Identity.generate()
        self.recipient = str(self.identity.to_public())
        self.recorder = RecorderProcess(
            self.memory,
            RecorderSettings(mode, h264, chunk_seconds=10),
            profile="bench",
            clock=self.clock,
            log=Log(io.StringIO()),
            **more,
        )
        self.pts_90k = 1_000_000
        self.place = 0

    def lend(self) -> int:
        return os.open(self.folder, os.O_TMPFILE | os.O_WRONLY, 0o600)

    async def add(self, content: bytes | None = None, *, keyframe: bool = True, step: int = STEP) -> None:
        """Put a picture (marked, moving) or a packet into a slot, have it taken, overwrite the slot."""
        slot = self.place % self.memory.slots
        picture = content if content is not None else self.picture()
        self.memory.writable(slot)[: len(picture)] = np.frombuffer(picture, dtype=np.uint8)
        try:
            await self.recorder.add(Lent(slot, len(picture), keyframe, Stamp(0, 0, self.pts_90k)))
        finally:
            self.memory.overwrite(slot)
            self.place += 1
            self.pts_90k += step

    def picture(self) -> bytes:
        picture = MARK.i420(H264.height, H264.width)
        picture[: H264.height * H264.width].reshape(H264.height, H264.width)[100:140, 5 * self.place % 280 :][
            :, :40
        ] = 240
        return picture.tobytes()

    async def chunk(self, frames: int = 8) -> tuple[ChunkFacts, bytes]:
        """Record one whole chunk; return its facts and the file."""
        descriptor = self.lend()
        try:
            await self.recorder.begin(descriptor, self.recipient)
            for _ in range(frames):
                await self.add()
            facts = await self.recorder.end()
            return facts, self.written(descriptor)
        finally:
            os.close(descriptor)

    def play(self, ciphertext: bytes) -> list[av.VideoFrame]:
        with av.open(io.BytesIO(pyrage.decrypt(ciphertext, [self.identity]))) as film:
            return list(film.decode(video=0))

    def written(self, descriptor: int) -> bytes:
        return Path(f"/proc/self/fd/{descriptor}").read_bytes()

    async def close(self) -> None:
        await self.recorder.close()
        self.memory.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    ready = Bench(tmp_path)
    yield ready
    await ready.close()


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Bench]:
    ready = Bench(tmp_path, "packets")
    yield ready
    await ready.close()


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    """Twenty packets as a board's encoder gives them."""
    encoder = X264Encoder(H264)
    blank = np.zeros((H264.height * 3 // 2, H264.width), dtype=np.uint8)
    made = [encoder.encode(blank + np.uint8(i), i * STEP, start=i == 0) for i in range(20)]
    encoder.close()
    return made


async def test_a_chunk_opens_with_a_stock_age_and_plays_by_itself(bench: Bench, tmp_path: Path) -> None:
    facts, ciphertext = await bench.chunk(30)
    assert facts == ChunkFacts(30, 1_000_000, 1_000_000 + 29 * STEP, len(ciphertext))
    (tmp_path / "key").write_text(f"{bench.identity}\n")
    age = shutil.which("age")
    assert age is not None, "Debian's age is part of the check"
    opened = await asyncio.create_subprocess_exec(
        age, "-d", "-i", str(tmp_path / "key"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    content, _ = await opened.communicate(ciphertext)
    assert opened.returncode == 0
    with av.open(io.BytesIO(content)) as film:
        frames = list(film.decode(video=0))
    assert [frame.pts for frame in frames] == [i * STEP for i in range(30)]
    luma = frames[-1].to_ndarray(format="yuvj420p")[: H264.height]
    assert scan_bytes(np.ascontiguousarray(luma[:90]), MARK.patterns()), "what was recorded is what was seen"


async def test_one_child_makes_chunk_after_chunk_each_for_its_own_reader(bench: Bench) -> None:
    first_child = await bench.recorder.ready()
    for _ in range(3):
        bench.identity = pyrage.x25519.Identity.generate()
        bench.recipient = str(bench.identity.to_public())
        facts, ciphertext = await bench.chunk()
        assert len(bench.play(ciphertext)) == facts.frames == 8
    assert (await bench.recorder.ready()).pid == first_child.pid
    assert bench.recorder.restarts == 0


async def test_only_ciphertext_reaches_the_file(bench: Bench) -> None:
    _, ciphertext = await bench.chunk(20)
    content = pyrage.decrypt(ciphertext, [bench.identity])
    assert content[4:8] == b"ftyp", "else the next lines would prove nothing"
    assert [trace for trace in PLAIN_TRACES if trace in ciphertext] == []
    assert sum(trace in content for trace in PLAIN_TRACES) >= 5


async def test_a_board_encoders_packets_are_only_packed(board: Bench, packets: list[bytes]) -> None:
    descriptor = board.lend()
    await board.recorder.begin(descriptor, board.recipient)
    for place, packet in enumerate(packets):
        await board.add(packet, keyframe=place == 0)
    facts = await board.recorder.end()
    frames = board.play(board.written(descriptor))
    os.close(descriptor)
    assert facts.frames == len(frames) == 20
    assert [frame.pts for frame in frames] == [i * STEP for i in range(20)]


async def test_what_cannot_stand_in_a_chunk_costs_that_chunk_only(board: Bench, packets: list[bytes]) -> None:
    child = await board.recorder.ready()
    cases: list[tuple[str, list[tuple[bytes, int]]]] = [
        ("NOT_ALONE", [(packets[1], STEP)]),
        ("NOT_ALONE", [(b"this is no video at all", STEP)]),
        ("TIME", [(packets[0], 0), (packets[1], STEP)]),
        ("SPAN", [(packets[0], 10 * 90_000), (packets[1], STEP)]),
        ("SIZE", [(packets[0] + bytes(FRAME_BYTES - len(packets[0])), STEP)] * 60),
    ]
    for reason, contents in cases:
        descriptor = board.lend()
        await board.recorder.begin(descriptor, board.recipient)
        with pytest.raises(StoreError, match=f"E-STORE-CHUNK.*{reason}"):
            for content, step in contents:
                await board.add(content, step=step)
        assert os.fstat(descriptor).st_size == 0
        os.close(descriptor)
        with pytest.raises(JailError, match="E-JAIL-CHUNK"):
            await board.recorder.end()
        descriptor = board.lend()
        await board.recorder.begin(descriptor, board.recipient)
        await board.add(packets[0])
        assert (await board.recorder.end()).frames == 1
        assert len(board.play(board.written(descriptor))) == 1
        os.close(descriptor)
    assert (await board.recorder.ready()).pid == child.pid


async def test_a_chunk_needs_a_frame_a_beginning_and_a_reader(bench: Bench) -> None:
    with pytest.raises(JailError, match="E-JAIL-CHUNK"):
        await bench.add()
    descriptor = bench.lend()
    await bench.recorder.begin(descriptor, bench.recipient)
    with pytest.raises(StoreError, match=r"E-STORE-CHUNK.*EMPTY"):
        await bench.recorder.end()
    with pytest.raises(JailError, match=r"E-JAIL-CHUNK.*RECIPIENT"):
        await bench.recorder.begin(descriptor, "age1" + "q" * 58)
    os.close(descriptor)
    assert len(bench.play((await bench.chunk())[1])) == 8


@pytest.mark.parametrize(
    ("path", "flags", "code"), [("/dev/full", os.O_WRONLY, "E-STORE-FULL"), ("/dev/null", os.O_RDONLY, "E-STORE-WRITE")]
)
async def test_a_disk_that_refuses_is_told_as_such(bench: Bench, path: str, flags: int, code: str) -> None:
    child = await bench.recorder.ready()
    descriptor = os.open(path, flags)
    await bench.recorder.begin(descriptor, bench.recipient)
    await bench.add()
    with pytest.raises(StoreError, match=code):
        await bench.recorder.end()
    os.close(descriptor)
    assert len(bench.play((await bench.chunk())[1])) == 8
    assert (await bench.recorder.ready()).pid == child.pid


async def test_a_slot_outside_the_lent_memory_is_refused(bench: Bench) -> None:
    wrong = [Lent(3, FRAME_BYTES, True, Stamp(0, 0, 5)), Lent(2**31, FRAME_BYTES, True, Stamp(0, 0, 5))]
    wrong += [Lent(0, FRAME_BYTES - 2, True, Stamp(0, 0, 5)), Lent(0, 2**30, True, Stamp(0, 0, 5))]
    for frame in wrong:
        descriptor = bench.lend()
        await bench.recorder.begin(descriptor, bench.recipient)
        with pytest.raises(JailError, match=r"E-JAIL-CHUNK.*SLOT"):
            await bench.recorder.add(frame)
        os.close(descriptor)


async def test_a_child_that_dies_between_two_chunks_costs_none(bench: Bench) -> None:
    for restarts in (1, 2):
        await bench.chunk(2)
        child = await bench.recorder.ready()
        os.kill(child.pid, signal.SIGKILL)  # and at once, before anybody can know, the next chunk
        assert len(bench.play((await bench.chunk(2))[1])) == 2
        assert bench.recorder.restarts == restarts
        bench.clock.leapt_ns += 120 * NS_PER_SECOND


async def struck(bench: Bench, moment: int, delay_seconds: float) -> tuple[PoleError | None, bytes]:
    """Record a chunk; kill the child before frame ``moment``, or later, a delay after the end was asked for."""
    child = await bench.recorder.ready()
    descriptor = bench.lend()
    try:
        await bench.recorder.begin(descriptor, bench.recipient)
        for place in range(8):
            if place == moment:
                os.kill(child.pid, signal.SIGKILL)
            await bench.add()
        ending = asyncio.create_task(bench.recorder.end())
        await asyncio.sleep(delay_seconds)
        os.kill(child.pid, signal.SIGKILL)
        await ending
    except PoleError as error:
        return error, b""
    else:
        return None, bench.written(descriptor)
    finally:
        os.close(descriptor)


async def test_kill_at_any_moment_costs_one_chunk_and_is_said(bench: Bench) -> None:
    dice = random.Random(20261123)  # noqa: S311 - moments, not secrets
    for cycle in range(6):
        error, ciphertext = await struck(bench, dice.randrange(12), dice.random() * 0.004)
        if error is None:
            assert len(bench.play(ciphertext)) == 8, "what was reported as done is whole"
        else:
            assert error.code == "E-JAIL-DEATH"
        bench.clock.leapt_ns += 120 * NS_PER_SECOND  # past any pause
        facts, ciphertext = await bench.chunk()
        assert len(bench.play(ciphertext)) == facts.frames == 8
        assert bench.recorder.restarts == cycle + 1


@pytest.mark.parametrize("lie", ["plaintext", "size", "frames", "time", "nonsense", "stale"])
async def test_a_recorder_that_lies_is_not_believed(tmp_path: Path, lie: str) -> None:
    bench = Bench(
        tmp_path, h264=replace(H264, preset=lie), module="tests.attacks.hostile_recorder", interpreter=INTERPRETER
    )
    with pytest.raises(JailError, match="E-JAIL-ANSWER"):
        await bench.chunk()
    await bench.close()


async def test_the_same_child_telling_the_truth_is_believed(tmp_path: Path) -> None:
    h264 = replace(H264, preset="no lie")
    bench = Bench(tmp_path, h264=h264, module="tests.attacks.hostile_recorder", interpreter=INTERPRETER)
    assert (await bench.chunk())[0].frames == 8
    await bench.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look into a child that is not dumpable")
async def test_the_picture_is_nowhere_but_in_the_running_encoder(bench: Bench) -> None:
    child = await bench.recorder.ready()
    assert not scan_process(child.pid, PLANAR).hits
    descriptor = bench.lend()
    await bench.recorder.begin(descriptor, bench.recipient)
    for _ in range(6):
        await bench.add()
    running = scan_process(child.pid, PLANAR)
    assert running.hits, "x264 keeps its last pictures, so the scan does find them"
    await bench.recorder.end()
    os.close(descriptor)
    after = scan_process(child.pid, PLANAR)
    assert after.hits == []
    assert after.bytes_read > 20_000_000


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look into a child that is not dumpable")
async def test_the_plain_film_is_gone_from_the_child_after_its_chunk(bench: Bench) -> None:
    from tests.canary import literal

    child = await bench.recorder.ready()
    _, ciphertext = await bench.chunk(20)
    content = pyrage.decrypt(ciphertext, [bench.identity])
    pieces = [literal(f"at {at}", content[at : at + 48]) for at in range(1200, len(content) - 48, 900)]
    assert len(pieces) >= 5
    assert scan_process(child.pid, pieces).hits == []


async def test_the_child_stays_small_and_does_not_grow(bench: Bench) -> None:
    child = await bench.recorder.ready()
    sizes = []
    for _ in range(150):
        await bench.chunk(1)
        sizes.append(resident_bytes(child.pid, "VmRSS"))
    assert sizes[-1] < sizes[75] + 48 * FRAME_BYTES, "75 chunks later: not one picture a chunk stayed"
    assert resident_bytes(child.pid, "VmHWM") < 150 * 1024 * 1024


def resident_bytes(pid: int, kind: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) * 1024
    raise AssertionError


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4, "descriptors leak"
