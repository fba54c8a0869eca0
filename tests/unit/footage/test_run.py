"""The footage house as a whole, with a quick recorder: minutes sealed, gaps said, failures loud."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from firmware.camera.frames import CaptureStamp, MainFrames, SlotMemory
from firmware.footage.parts import Parts
from firmware.footage.ports import LentFrame
from firmware.footage.run import run
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import StoreError
from tests.parts.footage_parts import MemoryKeystore, QuickRecorder, make_parts

START_NS = 29_923_200 * NS_PER_MINUTE
FIRST = minute_of(START_NS)
SECOND = NS_PER_SECOND


class Street:
    """A camera of one frame a second, in lock-step with the house."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.memory = SlotMemory(64, 3)
        self.frames = MainFrames(self.memory, clock)

    async def film(self, seconds: int) -> None:
        for _ in range(seconds):
            filling = await self.frames.claim_when_free()
            stamp = CaptureStamp(
                utc_ns=self.clock.utc_ns(),
                boot_ns=self.clock.boot_ns(),
                stopwatch_ns=self.clock.stopwatch_ns(),
                sensor_ns=None,
                pts_90k=self.clock.boot_ns() * 9 // 100_000,
            )
            filling.publish(stamp)
            await self.frames.drained()
            await self.clock.advance_to(self.clock.utc_ns() + SECOND)

    def close(self) -> None:
        self.memory.close()


async def begun(house: asyncio.Task[None], parts: Parts) -> None:
    """Wait until the house has booted (its first generation is told) or fallen."""
    while not house.done() and not any(parts.ledger.lines("store.checked")):
        await asyncio.sleep(0.001)


async def test_two_minutes_become_twelve_chunks_two_manifests_and_their_lines(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts, street = make_parts(tmp_path, clock, MemoryKeystore()), Street(clock)
    house = asyncio.create_task(run(street.frames, parts))
    await begun(house, parts)
    await street.film(120)
    street.frames.close()
    await house
    assert parts.store.recorded() == [FIRST, FIRST + 1]
    for epoch in parts.store.recorded():
        manifest = parts.store.manifest(epoch)
        assert manifest is not None
        assert [chunk.sequence for chunk in manifest.chunks] == [0, 1, 2, 3, 4, 5]
        assert [chunk.frames for chunk in manifest.chunks] == [10] * 6
        assert all(parts.store.hash_chunk(epoch, chunk.sequence) == chunk.sha256 for chunk in manifest.chunks)
        assert not manifest.recovered
    assert [line.fields["epoch"] for line in parts.ledger.lines("minute.sealed")] == [FIRST, FIRST + 1]
    assert parts.counters.chunks == 12
    assert not list(parts.ledger.lines("recording.gap"))
    street.close()


async def test_a_stalled_camera_is_a_gap_with_its_reason_and_filming_goes_on(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts, street = make_parts(tmp_path, clock, MemoryKeystore()), Street(clock)
    house = asyncio.create_task(run(street.frames, parts))
    await begun(house, parts)
    await street.film(15)
    for _ in range(100):
        await clock.advance_to(clock.utc_ns() + SECOND)
        await asyncio.sleep(0.002)
    assert not parts.counters.recording
    await street.film(10)
    street.frames.close()
    await house
    gaps = [line.fields for line in parts.ledger.lines("recording.gap")]
    assert gaps == [{"first_epoch": FIRST, "last_epoch": FIRST + 1, "reason": "camera_fault"}]
    first, second = parts.store.manifest(FIRST), parts.store.manifest(MinuteNumber(FIRST + 1))
    assert first is not None
    assert second is not None
    assert [(gap.from_utc_ns, gap.until_utc_ns) for gap in first.gaps] == [
        (START_NS + 14 * SECOND, START_NS + NS_PER_MINUTE)
    ]
    assert second.gaps[0].until_utc_ns == START_NS + 115 * SECOND
    street.close()


@pytest.mark.parametrize("moment", ["begin", "add", "end"])
async def test_a_dead_recorder_costs_one_chunk_and_the_loss_is_said(tmp_path: Path, moment: str) -> None:
    clock = SimulatedClock(START_NS)
    recorder = QuickRecorder()
    parts, street = make_parts(tmp_path, clock, MemoryKeystore(), recorder=recorder), Street(clock)
    house = asyncio.create_task(run(street.frames, parts))
    await begun(house, parts)
    await street.film(25)
    recorder.die_at = moment
    await street.film(35)
    street.frames.close()
    await house
    manifest = parts.store.manifest(FIRST)
    assert manifest is not None
    assert sum(chunk.frames or 0 for chunk in manifest.chunks) >= 60 - 11
    assert [gap.reason for gap in manifest.gaps[:1]] == ["recorder_fault"]
    assert [line.fields["reason"] for line in parts.ledger.lines("recording.gap")] == ["recorder_fault"]
    assert parts.counters.lost_chunks == 1
    street.close()


async def test_a_cancelled_house_still_seals_what_is_in_hand(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts, street = make_parts(tmp_path, clock, MemoryKeystore()), Street(clock)
    house = asyncio.create_task(run(street.frames, parts))
    await begun(house, parts)
    await street.film(14)
    house.cancel()
    with pytest.raises(asyncio.CancelledError):
        await house
    manifest = parts.store.manifest(FIRST)
    assert manifest is not None
    assert [chunk.frames for chunk in manifest.chunks] == [10, 4]
    assert [gap.reason for gap in manifest.gaps] == ["stopped"]
    street.close()


async def test_a_restart_in_the_same_minute_goes_on_with_it(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    for seconds in (20, 40):
        parts, street = make_parts(tmp_path, clock, keystore), Street(clock)
        house = asyncio.create_task(run(street.frames, parts))
        while not house.done() and len(list(parts.ledger.lines("store.checked"))) < (1 if seconds == 20 else 2):
            await asyncio.sleep(0.001)
        await street.film(seconds)
        street.frames.close()
        await house
        street.close()
    manifest = parts.store.manifest(FIRST)
    assert manifest is not None
    assert [chunk.sequence for chunk in manifest.chunks] == [0, 1, 2, 3, 4, 5]
    assert sum(chunk.frames or 0 for chunk in manifest.chunks) == 60


async def test_a_disk_that_refuses_stops_recording_loudly_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimulatedClock(START_NS)
    parts, street = make_parts(tmp_path, clock, MemoryKeystore()), Street(clock)
    house = asyncio.create_task(run(street.frames, parts))
    await begun(house, parts)
    await street.film(61)
    while not any(parts.ledger.lines("minute.sealed")):
        await asyncio.sleep(0.001)
    before = {path: path.read_bytes() for path in parts.store.chunks(FIRST)}

    def refuse(*_: object) -> None:
        raise StoreError("E-STORE-FULL", "No space left on device", where="disk", todo="none")

    monkeypatch.setattr(type(parts.store), "keep", refuse)
    filming = asyncio.create_task(street.film(60))
    with pytest.raises(StoreError, match="E-STORE-FULL"):
        await house
    filming.cancel()
    await asyncio.gather(filming, return_exceptions=True)
    assert len(before) == 6
    assert {path: path.read_bytes() for path in parts.store.chunks(FIRST)} == before
    assert [line.fields for line in parts.ledger.lines("recording.stopped")] == [{"reason": "disk_full"}]
    street.close()


async def test_an_hour_later_the_table_is_rewritten_while_filming(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts, street = make_parts(tmp_path, clock, MemoryKeystore()), Street(clock)
    house = asyncio.create_task(run(street.frames, parts))
    await begun(house, parts)
    generation = parts.table.generation
    await street.film(5)
    await clock.advance_to(clock.utc_ns() + 3301 * SECOND)
    while parts.counters.rewrites < 2 and not house.done():
        await asyncio.sleep(0.001)
    await street.film(5)
    street.frames.close()
    await house
    assert parts.table.generation == generation + 1
    street.close()


class HeldUpRecorder(QuickRecorder):
    """Takes frames only while ``go`` is set: a card that hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.go.set()

    async def add(self, frame: LentFrame) -> None:
        await self.go.wait()
        await super().add(frame)


async def test_a_card_that_hangs_is_not_called_a_camera_that_hangs(tmp_path: Path) -> None:
    """Frames wait while their minute ends and the stall's time goes by: they are recorded late, none is lost."""
    clock, recorder = SimulatedClock(START_NS), HeldUpRecorder()
    parts = dataclasses.replace(make_parts(tmp_path, clock, MemoryKeystore()), recorder=recorder)
    street = Street(clock)
    house = asyncio.create_task(run(street.frames, parts))
    await begun(house, parts)
    await street.film(58)
    recorder.go.clear()
    for _ in range(2):
        filling = await street.frames.claim_when_free()
        filling.publish(CaptureStamp(clock.utc_ns(), clock.boot_ns(), clock.stopwatch_ns(), None, 58 * 90_000))
        await clock.advance_to(clock.utc_ns() + SECOND)
    await clock.advance_to(clock.utc_ns() + 20 * SECOND)
    recorder.go.set()
    await street.frames.drained()
    street.frames.close()
    await house
    street.close()
    manifest = parts.store.manifest(FIRST)
    assert manifest is not None
    assert sum(chunk.frames for chunk in manifest.chunks) == 60
    assert "camera_fault" not in [line.fields["reason"] for line in parts.ledger.lines("recording.gap")]
