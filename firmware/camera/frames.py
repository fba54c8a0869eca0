"""Slots and leases: how a picture passes from the camera to one house, and is gone.

Knows:  which slot is free, being filled, waiting or leased; when its first byte was written.
Never:  a slot in two hands, a queue of small frames, a handle that works after its lease.
Leaves: leased slots, counters, a histogram of residence.
Clauses: 5.1(1), 5.2(1) (overwritten the moment the lease ends, before the slot is used again),
         2, 5.1, 7.1(1) (three types, so that no house can be handed another's stream).

All methods belong to the event loop's thread; only the bytes behind a view may be written by another thread.
"""

from __future__ import annotations

import asyncio
import mmap
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

from firmware.camera.handles import Contents, Filling, Frame, leak
from firmware.camera.memory import MemoryWalls, SlotMemory, map_readable
from firmware.camera.picture import CaptureStamp, PictureFormat
from firmware.camera.residence import Residence, ResidenceSummary
from firmware.ground.clock import Clock
from firmware.ground.errors import CameraError

__all__ = [
    "CaptureStamp",
    "Filling",
    "Frame",
    "MainFrames",
    "MemoryWalls",
    "Packets",
    "PictureFormat",
    "PoolCounters",
    "Residence",
    "ResidenceSummary",
    "SlotMemory",
    "SlotPool",
    "SmallFrames",
    "StreamEnded",
    "map_readable",
]

VERIFY_EVERY: Final = 10
"""Every tenth overwriting of a slot is read back (5.2(1)); per slot, so that one bad slot cannot hide."""


class StreamEnded(Exception):  # noqa: N818 - an end, not an error; like StopAsyncIteration
    """The pool is closed, and to a consumer: empty too."""


@dataclass(slots=True)
class PoolCounters:
    """What happened since the start. ``overwritten`` counts wipes of slots, leased or not."""

    published: int = 0
    dropped: int = 0
    overwritten: int = 0
    wipe_failures: int = 0
    retired: int = 0


class SlotPool:
    """Slots of one stream: one producer, one consumer (or more), no slot ever in two hands.

    ``memory`` is lent to this pool alone and stays its owner's to close. Counters and residence cost no memory
    however long the pool lives.
    """

    keeps_only_newest: ClassVar[bool] = False

    def __init__(self, memory: SlotMemory, clock: Clock) -> None:
        self.memory: Final = memory
        self.counters: Final = PoolCounters()
        self.residence: Final = Residence()
        self._clock = clock
        self._free: deque[int] = deque(range(memory.slots), maxlen=memory.slots)
        self._waiting: deque[Contents] = deque(maxlen=memory.slots)
        self._began_ns = [0] * memory.slots
        self._wipes = [0] * memory.slots
        self._closed = False
        self._watchers: set[asyncio.Future[None]] = set()

    # ---- producer

    def claim(self) -> Filling | None:
        """Take a free slot to fill; None, counted as dropped, when there is none. Raises StreamEnded when closed."""
        if self._closed:
            raise StreamEnded
        if not self._free:
            self.counters.dropped += 1
            return None
        return self._fill()

    async def claim_when_free(self) -> Filling:
        """Wait for room, then take a slot (replay: nothing is dropped). Raises StreamEnded when closed."""
        while not self._closed and not self._has_room():
            await self._change()
        if self._closed:
            raise StreamEnded
        return self._fill()

    def close(self, *, discard: bool = False) -> None:
        """No more frames. Those waiting can still be leased, unless ``discard`` overwrites them now."""
        self._closed = True
        while discard and self._waiting:
            self.take_back(self._waiting.popleft().slot)
        self._tell()

    @property
    def free(self) -> int:
        """Slots that could be claimed now."""
        return len(self._free)

    def count_dropped(self) -> None:
        """Count a picture for which the producer had no slot at hand."""
        self.counters.dropped += 1

    # ---- consumer

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Frame]:
        """Wait for a frame and hold it for the block; then it is overwritten and the handle dead.

        Raises StreamEnded when closed and empty; on leaving the block :class:`CameraError` ``E-CAMERA-LEAK`` when a
        view of it is still held (the slot is overwritten and never used again) and ``E-CAMERA-WIPE`` when a sampled
        slot was not blank after overwriting. After either the consumer must stop (5.2(1)).
        """
        while not self._waiting:
            if self._closed:
                raise StreamEnded
            await self._change()
        contents = self._waiting.popleft()
        mapped = self.memory.map_readable(contents.slot)
        frame = Frame(contents, mapped)
        try:
            yield frame
        finally:
            self._end_lease(contents.slot, frame, mapped)

    async def drained(self) -> None:
        """Return when every slot is free (or retired): everything published so far is gone."""
        while len(self._free) + self.counters.retired < self.memory.slots:
            await self._change()

    @property
    def waiting(self) -> int:
        """Frames published and not yet leased."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    # ---- handles only

    def accept(self, contents: Contents) -> None:
        """Take a filled slot from its :class:`Filling`. After close it is overwritten instead."""
        if self._closed:
            self.take_back(contents.slot)
            return
        while self.keeps_only_newest and self._waiting:
            self.take_back(self._waiting.popleft().slot)  # 5.1(1): never a queue of pictures
        # A driver may claim a slot before there is anything to write: the picture's own time counts then.
        self._began_ns[contents.slot] = max(self._began_ns[contents.slot], contents.stamp.stopwatch_ns)
        self._waiting.append(contents)
        self.counters.published += 1
        self._tell()

    def take_back(self, slot: int) -> None:
        """Overwrite the slot and make it free. Raises ``E-CAMERA-WIPE`` when a sampled one is not blank."""
        self.memory.overwrite(slot)  # 5.1(1), 5.2(1)
        self._wipes[slot] += 1
        if self._wipes[slot] % VERIFY_EVERY == 0 and not self.memory.is_blank(slot):
            self.counters.wipe_failures += 1
            self._put_aside()
            raise CameraError(
                "E-CAMERA-WIPE",
                "a slot was not blank after it was overwritten",
                where=f"slot {slot}",
                clause="5.2(1)",
                todo="people flow stays stopped; replace the computer's memory or report a fault of the program",
            )
        self._note_gone(slot)
        self._free.append(slot)
        self._tell()

    def retire(self, slot: int) -> None:
        """Overwrite the slot and never use it again: somebody still holds a view of it."""
        self.memory.overwrite(slot)  # 5.2(1)
        self._note_gone(slot)
        self._put_aside()

    # ---- inside

    def _end_lease(self, slot: int, frame: Frame, mapped: mmap.mmap) -> None:
        frame.end()
        try:
            mapped.close()
        except BufferError:
            self.retire(slot)
            raise leak() from None
        self.take_back(slot)

    def _fill(self) -> Filling:
        slot = self._free.popleft()
        self._began_ns[slot] = self._clock.stopwatch_ns()
        return Filling(self, slot, self.memory.writable(slot))

    def _has_room(self) -> bool:
        return bool(self._free) and not (self.keeps_only_newest and self._waiting)

    def _note_gone(self, slot: int) -> None:
        self.counters.overwritten += 1
        self.residence.note((self._clock.stopwatch_ns() - self._began_ns[slot]) // 1000)

    def _put_aside(self) -> None:
        self.counters.retired += 1
        self._tell()

    async def _change(self) -> None:
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.add(watcher)
        try:
            await watcher
        finally:
            self._watchers.discard(watcher)

    def _tell(self) -> None:
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)


class SmallFrames(SlotPool):
    """Small raw frames, for people flow only. At most one waits: a newer one takes its place."""

    keeps_only_newest: ClassVar[bool] = True


class MainFrames(SlotPool):
    """Main raw frames, for footage only, in order. Where the board has no encoder."""


class Packets(SlotPool):
    """Encoded packets (Annex-B), for footage only, in order. Where the board has an encoder."""
