"""Filming: frames into chunks, chunks into minutes; every stretch without footage has a reason.

Knows:  when each frame was taken on the trusted line, the chunk in hand, the minute's entries.
Never:  a pixel, a chunk that crosses a minute, a gap that is not said.
Leaves: jobs for the clerk: name a chunk, seal a minute, tell a gap.
Clauses: 7.1(1) (recorded here only), 7.1(3) (a chunk belongs to the minute of its first frame, by the trusted line),
         7.3(1)3 (what was lost is said).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from firmware.footage.manifest import ChunkEntry, ClockEntry, GapEntry, GapReason, Manifest
from firmware.footage.parts import Parts
from firmware.footage.ports import ChunkFacts, LentFrame
from firmware.footage.store import LentChunk
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, minute_of, start_of
from firmware.ground.errors import JailError, KeystoreError, StoreError
from firmware.ground.lock import uncut

Job = Callable[[], Awaitable[None]]
Undo = Callable[[], None]

_JOBS_AT_MOST: Final = 8
_REST_NS: Final = NS_PER_SECOND


class Clerk:
    """Does the slow, durable work in order, off the frames' path; bounded, so a slow disk slows filming."""

    def __init__(self) -> None:
        self._jobs: asyncio.Queue[tuple[Job, Undo]] = asyncio.Queue(_JOBS_AT_MOST)
        self._fallen = False

    async def give(self, job: Job, undo: Undo = lambda: None) -> None:
        """Queue ``job``. ``undo`` is called instead of it once the clerk has fallen: the house is being taken down."""
        await self._jobs.put((job, undo))
        if self._fallen:
            self._drop_all()

    async def run(self) -> None:
        """Do jobs for ever. The first failure ends it and is raised; no job is cut in half by a cancellation."""
        try:
            while True:
                job, _ = await self._jobs.get()
                try:
                    await uncut(_as_coroutine(job))
                finally:
                    self._jobs.task_done()
        finally:
            self._fallen = True
            self._drop_all()

    async def settled(self) -> None:
        """Return when every queued job is done, or dropped because the clerk has fallen."""
        await self._jobs.join()

    def _drop_all(self) -> None:
        while not self._jobs.empty():
            self._jobs.get_nowait()[1]()
            self._jobs.task_done()


async def _as_coroutine(job: Job) -> None:
    await job()


@dataclass(slots=True)
class Minute:
    """The minute in hand: what its manifest will say."""

    epoch: MinuteNumber
    next_sequence: int = 0
    recovered: bool = False
    chunks: list[ChunkEntry] = field(default_factory=list)
    gaps: list[GapEntry] = field(default_factory=list)


@dataclass(slots=True)
class OpenChunk:
    """The chunk in hand. ``line_ns`` are instants on the trusted line, ``utc_ns`` by the machine's UTC."""

    lent: LentChunk
    minute: Minute
    index: int
    sequence: int
    first_line_ns: int
    first_utc_ns: int
    last_line_ns: int
    last_utc_ns: int


@dataclass(slots=True)
class OpenGap:
    """Nothing is recorded since ``from_line_ns``."""

    from_line_ns: int
    reason: GapReason


class Filming:
    """Takes frames and the passing of time, one call at a time (the caller holds a gate)."""

    def __init__(
        self, parts: Parts, clerk: Clerk, *, needs_keyframe: bool, want_keys: Callable[[], Awaitable[None]]
    ) -> None:
        self._parts = parts
        self._clerk = clerk
        self._needs_keyframe = needs_keyframe
        self._want_keys = want_keys
        self._stall_ns = parts.settings.stall_seconds * NS_PER_SECOND
        self._chunk_ns = parts.settings.chunk_seconds * NS_PER_SECOND
        self._chunk: OpenChunk | None = None
        self._minute: Minute | None = None
        self._gap: OpenGap | None = None
        self._last_line_ns = parts.trust.now_ns()
        self._rest_until_ns = 0
        self._sealed_last: MinuteNumber | None = None
        self.taken = 0
        """Frames that :meth:`take` was given."""

    def open_gap(self, from_line_ns: int, reason: GapReason) -> None:
        """Say that nothing is recorded since then; the first chunk that begins ends it. An open gap stays as it is."""
        if self._gap is None:
            self._gap = OpenGap(from_line_ns, reason)
            self._parts.counters.gaps += 1
            self._parts.counters.recording = False
            self._parts.log.event("footage.gap", reason=str(reason))

    async def take(self, frame: LentFrame) -> None:
        """Record one frame, while its lease is held. Raises KeystoreError, StoreError: recording stops, loudly."""
        self.taken += 1
        line_ns = self._parts.trust.at_ns(frame.stamp.boot_ns)
        epoch = minute_of(line_ns)
        index = (line_ns - start_of(epoch)) // self._chunk_ns
        if self._quiet(line_ns):
            await self._end_at_the_last_frame()
        if self._minute is not None and epoch < self._minute.epoch:
            return  # older than the minute in hand: cameras deliver in order, so this is a fault, not footage
        if self._chunk and (self._chunk.minute.epoch, self._chunk.index) != (epoch, index):
            await self._end_chunk()
        minute = await self._turn_to(epoch)
        self._last_line_ns = max(self._last_line_ns, line_ns)
        if self._chunk is None and not await self._begin_chunk(frame, minute, index, line_ns):
            return
        await self._add(frame, line_ns)

    async def tick(self) -> None:
        """Notice that frames have stopped coming, or that a minute is over without another frame."""
        line_ns = self._parts.trust.now_ns()
        if not self._quiet(line_ns):
            return
        await self._end_at_the_last_frame()
        if self._minute and line_ns >= start_of(self._minute.epoch) + NS_PER_MINUTE + self._stall_ns:
            await self._seal_minute()

    async def finish(self) -> None:
        """End the chunk and the minute in hand: the stream has ended or the house is being taken down."""
        if self._chunk:
            await self._end_chunk()
        self.open_gap(self._last_line_ns, GapReason.STOPPED)
        await self._seal_minute()

    async def give_up(self) -> None:
        """Throw the chunk in hand away; nothing more can be stored."""
        chunk, self._chunk = self._chunk, None
        if chunk:
            self._parts.store.abandon(chunk.lent)

    def _quiet(self, line_ns: int) -> bool:
        return line_ns - self._last_line_ns > self._stall_ns

    async def _end_at_the_last_frame(self) -> None:
        if self._chunk:
            await self._end_chunk()
        self.open_gap(self._last_line_ns, GapReason.CAMERA_FAULT)

    # ---- chunks

    async def _begin_chunk(self, frame: LentFrame, minute: Minute, index: int, line_ns: int) -> bool:
        if line_ns < self._rest_until_ns or (self._needs_keyframe and not frame.keyframe):
            return False
        recipient = await self._recipient(minute.epoch)
        lent = await asyncio.to_thread(self._parts.store.lend)
        try:
            await self._parts.recorder.begin(lent.descriptor, recipient)
        except (JailError, StoreError) as error:
            self._lose(lent, line_ns, error)
            return False
        utc_ns = frame.stamp.utc_ns
        self._chunk = OpenChunk(lent, minute, index, minute.next_sequence, line_ns, utc_ns, line_ns, utc_ns)
        minute.next_sequence += 1
        await self._close_gap(line_ns)
        return True

    async def _recipient(self, epoch: MinuteNumber) -> str:
        recipient = self._parts.table.recipient_of(epoch)
        if recipient is None:
            await self._want_keys()
            recipient = self._parts.table.recipient_of(epoch)
        if recipient is None:
            raise KeystoreError(
                "E-KEY-NONE",
                "there is no key for this minute, so nothing can be recorded",
                where=f"epoch {epoch}",
                todo="see why the mint or the keystore fails",
                clause="7.3(1)1",
            )
        return recipient

    async def _add(self, frame: LentFrame, line_ns: int) -> None:
        chunk = self._chunk
        if chunk is None:
            return
        try:
            await self._parts.recorder.add(frame)
        except (JailError, StoreError) as error:
            self._chunk = None
            self._lose(chunk.lent, chunk.first_line_ns, error)
            return
        chunk.last_line_ns = line_ns
        chunk.last_utc_ns = frame.stamp.utc_ns

    async def _end_chunk(self) -> None:
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        try:
            facts = await self._parts.recorder.end()
        except (JailError, StoreError) as error:
            self._lose(chunk.lent, chunk.first_line_ns, error)
            return
        await self._clerk.give(lambda: self._keep(chunk, facts), lambda: self._parts.store.abandon(chunk.lent))

    def _lose(self, lent: LentChunk, from_line_ns: int, error: JailError | StoreError) -> None:
        """Give a chunk up with its recorder; only a disk that refuses is more than a gap."""
        self._parts.store.abandon(lent)
        self._parts.counters.lost_chunks += 1
        self._parts.log.event("footage.chunk_lost", code=error.code)
        if error.code in ("E-STORE-FULL", "E-STORE-WRITE"):
            raise error
        self.open_gap(from_line_ns, GapReason.RECORDER_FAULT)
        self._rest_until_ns = self._last_line_ns + _REST_NS

    async def _keep(self, chunk: OpenChunk, facts: ChunkFacts) -> None:
        parts = self._parts
        utc_ns = (chunk.first_utc_ns, chunk.last_utc_ns)
        entry = await asyncio.to_thread(parts.store.keep, chunk.lent, chunk.minute.epoch, chunk.sequence, facts, utc_ns)
        chunk.minute.chunks.append(entry)
        parts.counters.chunks += 1
        parts.counters.ciphertext_bytes += entry.ciphertext_bytes

    # ---- minutes and gaps

    async def _turn_to(self, epoch: MinuteNumber) -> Minute:
        if self._minute is None or self._minute.epoch != epoch:
            await self._seal_minute()
            if epoch == self._sealed_last:
                await self._clerk.settled()  # its manifest is still being written, and says what is taken already
            self._minute = await asyncio.to_thread(self._open_minute, epoch)
        return self._minute

    def _open_minute(self, epoch: MinuteNumber) -> Minute:
        """Begin a minute, or go on with one that an earlier run of the pole left on the disk."""
        before = self._parts.store.manifest(epoch)
        if before is None:
            return Minute(epoch)
        taken = [chunk.sequence for chunk in before.chunks]
        minute = Minute(epoch, max(taken, default=-1) + 1, before.recovered, list(before.chunks), list(before.gaps))
        if minute.gaps and minute.gaps[-1].until_utc_ns == start_of(epoch) + NS_PER_MINUTE:
            last = minute.gaps.pop()  # it said "until the end of the minute", and now the minute goes on
            self._gap = OpenGap(last.from_utc_ns, last.reason)
        return minute

    async def _close_gap(self, line_ns: int) -> None:
        gap, self._gap = self._gap, None
        self._parts.counters.recording = True
        if gap is None or gap.from_line_ns >= line_ns:
            return
        if self._minute:
            self._enter_gap(self._minute, gap, line_ns)
        first, last = minute_of(gap.from_line_ns), minute_of(line_ns - 1)
        await self._clerk.give(lambda: self._tell_gap(first, last, gap.reason))

    def _enter_gap(self, minute: Minute, gap: OpenGap, until_line_ns: int) -> None:
        begin_ns = max(gap.from_line_ns, start_of(minute.epoch))
        end_ns = min(until_line_ns, start_of(minute.epoch) + NS_PER_MINUTE)
        if begin_ns < end_ns:
            minute.gaps.append(GapEntry(from_utc_ns=begin_ns, until_utc_ns=end_ns, reason=gap.reason))

    async def _tell_gap(self, first: MinuteNumber, last: MinuteNumber, reason: GapReason) -> None:
        parts = self._parts
        note = parts.note("recording.gap", first_epoch=first, last_epoch=last, reason=str(reason))
        await parts.lock.during(note)

    async def _seal_minute(self) -> None:
        minute, self._minute = self._minute, None
        if minute is None:
            return
        self._sealed_last = minute.epoch
        if self._gap:
            self._enter_gap(minute, self._gap, start_of(minute.epoch) + NS_PER_MINUTE)
        trust, clock = self._parts.trust, self._parts.clock
        state = trust.state
        entry = ClockEntry(
            source=state.source,
            proven=state.proven,
            uncertainty_ms=state.uncertainty_ms,
            line_ahead_ms=(trust.now_ns() - clock.utc_ns()) // 1_000_000,
        )
        await self._clerk.give(lambda: self._write_manifest(minute, entry))

    async def _write_manifest(self, minute: Minute, clock: ClockEntry) -> None:
        """Write what the minute came to; the clerk has named its chunks before, so every entry is there."""
        if not minute.chunks:
            return  # nothing to open, nothing to erase: the gap's own line says it all
        manifest = Manifest(
            origin=self._parts.origin,
            epoch=minute.epoch,
            recovered=minute.recovered,
            chunks=tuple(minute.chunks),
            gaps=tuple(minute.gaps),
            clock=clock,
        )
        await self._parts.lock.during(self._seal_under_lock(manifest))
        self._parts.counters.minutes += 1

    async def _seal_under_lock(self, manifest: Manifest) -> None:
        digest = await asyncio.to_thread(self._parts.store.write_manifest, manifest)
        await self._parts.note("minute.sealed", epoch=manifest.epoch, manifest=digest)
