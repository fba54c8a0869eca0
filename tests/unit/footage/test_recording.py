"""Filming by itself: where chunks are cut, what begins one, what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.footage.manifest import GapReason
from firmware.footage.parts import Parts
from firmware.footage.ports import MintedEpoch
from firmware.footage.recording import Clerk, Filming
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import KeystoreError
from tests.parts.footage_parts import MemoryKeystore, QuickMint, frame_now, make_parts

START_NS = 29_923_200 * NS_PER_MINUTE


@asynccontextmanager
async def filming(parts: Parts, *, needs_keyframe: bool = False) -> AsyncIterator[Filming]:
    eraser = Eraser(parts)
    await boot(parts, eraser)
    clerk = Clerk()
    working = asyncio.create_task(clerk.run())
    film = Filming(parts, clerk, needs_keyframe=needs_keyframe, want_keys=eraser.sweep)
    try:
        yield film
        await film.finish()
        await clerk.settled()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pauses_ms=st.lists(st.integers(10, 25_000), min_size=1, max_size=30))
def test_no_chunk_crosses_ten_seconds_or_a_minute_and_every_frame_is_in_one(
    tmp_path_factory: pytest.TempPathFactory, pauses_ms: list[int]
) -> None:
    async def play() -> None:
        clock = SimulatedClock(START_NS)
        parts = make_parts(tmp_path_factory.mktemp("pole"), clock, MemoryKeystore())
        taken_ns = []
        async with filming(parts) as film:
            for pause_ms in pauses_ms:
                taken_ns.append(clock.utc_ns())
                await film.take(frame_now(clock))
                await clock.advance_to(clock.utc_ns() + pause_ms * 1_000_000)
        wanted: dict[int, int] = {}
        """Frames by the first one's time: a chunk ends with its ten seconds, and where the camera was silent."""
        begun_ns, before_ns = 0, -NS_PER_MINUTE
        for at_ns in taken_ns:
            cut = at_ns // (10 * NS_PER_SECOND) != before_ns // (10 * NS_PER_SECOND)
            if cut or at_ns - before_ns > parts.settings.stall_seconds * NS_PER_SECOND:
                begun_ns = at_ns
            before_ns = at_ns
            wanted[begun_ns] = wanted.get(begun_ns, 0) + 1
        found: dict[int, int] = {}
        for epoch in parts.store.recorded():
            manifest = parts.store.manifest(epoch)
            assert manifest is not None
            for chunk in manifest.chunks:
                assert chunk.first_utc_ns is not None
                assert chunk.last_utc_ns is not None
                assert minute_of(chunk.first_utc_ns) == minute_of(chunk.last_utc_ns) == epoch
                found[chunk.first_utc_ns] = chunk.frames or 0
        assert found == wanted

    asyncio.run(play())


async def test_a_chunk_of_packets_begins_with_one_that_stands_alone(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    async with filming(parts, needs_keyframe=True) as film:
        for second in range(6):
            await film.take(frame_now(clock, keyframe=second == 3))
            await clock.advance_to(clock.utc_ns() + NS_PER_SECOND)
    manifest = parts.store.manifest(minute_of(START_NS))
    assert manifest is not None
    assert [chunk.frames for chunk in manifest.chunks] == [3]
    assert manifest.chunks[0].first_utc_ns == START_NS + 3 * NS_PER_SECOND


async def test_a_frame_older_than_the_minute_in_hand_is_no_footage(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    async with filming(parts) as film:
        old = frame_now(clock)
        await clock.advance_to(START_NS + 61 * NS_PER_SECOND)
        await film.take(frame_now(clock))
        await film.take(old)
    assert parts.store.recorded() == [minute_of(START_NS) + 1]


async def test_a_clock_set_back_does_not_bring_minutes_back(tmp_path: Path) -> None:
    """Frames belong to minutes of the trusted line, so none is recorded under an earlier, longer-lived key."""
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    async with filming(parts) as film:
        await film.take(frame_now(clock))
        clock.step(-86_400 * NS_PER_SECOND)
        parts.trust.observe()
        await clock.advance_to(clock.utc_ns() + NS_PER_MINUTE)
        await film.take(frame_now(clock))
    assert parts.store.recorded() == [minute_of(START_NS), minute_of(START_NS) + 1]
    manifest = parts.store.manifest(MinuteNumber(minute_of(START_NS) + 1))
    assert manifest is not None
    assert manifest.clock.line_ahead_ms == 86_400_000
    assert not manifest.clock.proven


async def test_without_a_key_nothing_is_recorded_and_it_is_loud(tmp_path: Path) -> None:
    class Exhausted(QuickMint):
        async def make(self, first_epoch: MinuteNumber, count: int) -> Sequence[MintedEpoch]:
            if self.calls:
                raise KeystoreError("E-KEY-MINT", "no new epochs", where="mint", todo="none")
            return await super().make(first_epoch, count)

    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore(), mint=Exhausted())
    async with filming(parts) as film:
        await film.take(frame_now(clock))
        await clock.advance_to(START_NS + 5 * 3600 * NS_PER_SECOND)
        with pytest.raises(KeystoreError, match="E-KEY-MINT"):
            await film.take(frame_now(clock))
    assert parts.store.recorded() == [minute_of(START_NS)]


async def test_an_open_gap_is_not_opened_twice(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    async with filming(parts) as film:
        film.open_gap(START_NS - 5 * NS_PER_MINUTE, GapReason.POWER)
        film.open_gap(START_NS, GapReason.CAMERA_FAULT)
        await film.take(frame_now(clock))
    first = minute_of(START_NS)
    assert [dict(line.fields) for line in parts.ledger.lines("recording.gap")] == [
        {"first_epoch": first - 5, "last_epoch": first - 1, "reason": "power"}
    ]


async def test_a_minute_that_was_being_sealed_is_taken_up_where_it_ended(tmp_path: Path) -> None:
    """A stalled camera comes back with a frame of the minute before, while that minute's manifest is being written."""
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    async with filming(parts) as film:
        late = frame_now(clock)
        await film.take(frame_now(clock))
        await clock.advance_to(clock.utc_ns() + NS_PER_MINUTE + 20 * NS_PER_SECOND)
        await film.tick()
        await film.take(late)
    manifest = parts.store.manifest(minute_of(START_NS))
    assert manifest is not None
    assert [chunk.sequence for chunk in manifest.chunks] == [0, 1]


async def test_a_hole_between_two_frames_is_a_gap_although_nobody_looked_at_the_clock_meanwhile(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    async with filming(parts) as film:
        await film.take(frame_now(clock))
        await clock.advance_to(clock.utc_ns() + 8 * NS_PER_SECOND)
        await film.take(frame_now(clock))
    manifest = parts.store.manifest(minute_of(START_NS))
    assert manifest is not None
    first = manifest.gaps[0]
    assert (first.reason, first.until_utc_ns - first.from_utc_ns) == (
        GapReason.CAMERA_FAULT,
        8 * NS_PER_SECOND,
    )
