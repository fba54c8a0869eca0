"""The recorder as ``pole`` sees it: the footage house's port over a jailed child.

Knows:  slot numbers, times, the descriptor of one chunk, what the child says of it.
Never:  a pixel, plaintext, a chunk that the child's own words and the file do not agree on.
Leaves: facts of a sealed chunk, or a chunk lost and said.
Clauses: 7.1(1) (pixels in, ciphertext out), 2 (the footage side is a process of its own).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, Protocol

from firmware.drivers.encoder import H264Settings
from firmware.drivers.jail import INTERPRETER, Jailed, Keeper, Limits, Profile, spawn
from firmware.footage.ports import ChunkFacts, LentFrame
from firmware.footage.recorder_wire import (
    Add,
    Begin,
    End,
    Reply,
    Request,
    Status,
    decode_reply,
    encode_request,
)
from firmware.footage.seal import HEADER_BYTES_AT_MOST, is_sealed
from firmware.ground.clock import Clock
from firmware.ground.errors import JailError, StoreError
from firmware.ground.log import Log

ADD_DEADLINE_SECONDS: Final = 2.0
END_DEADLINE_SECONDS: Final = 10.0
_BURST: Final = 3
"""A board's encoder may overshoot its bit rate this many times before a chunk is refused."""
_CONTAINER_BYTES: Final = 256 * 1024
_SEAL_BYTES: Final = 4 * 1024
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LentMemory(Protocol):
    """The pool's memory as far as it is lent (``firmware.camera.frames.SlotMemory`` is one)."""

    @property
    def descriptor(self) -> int:
        """Descriptor of the sealed memfd, read-only to others."""

    @property
    def slot_bytes(self) -> int:
        """Bytes from one slot to the next."""

    @property
    def slots(self) -> int:
        """How many."""


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """What the child is told. ``mode``: ``frames`` (I420 pictures) or ``packets`` (H.264 from the board's encoder)."""

    mode: Literal["frames", "packets"]
    h264: H264Settings
    chunk_seconds: int

    @property
    def chunk_bytes_at_most(self) -> int:
        """Bytes of a chunk's container in the child's memory."""
        return self.h264.bitrate_kbps * 125 * self.chunk_seconds * _BURST + _CONTAINER_BYTES


@dataclass(slots=True)
class _InHand:
    """The chunk being filled, as this side counts it."""

    child: Jailed
    descriptor: int
    frames: int = 0
    first_pts_90k: int = 0
    last_pts_90k: int = 0


class RecorderProcess:
    """Implements ``firmware.footage.ports.Recorder``. One chunk at a time; a failure loses that chunk only.

    Besides JailError, ``add`` and ``end`` raise :class:`StoreError` ``E-STORE-CHUNK`` for a packet that cannot stand
    in a chunk, and ``end`` ``E-STORE-FULL`` or ``E-STORE-WRITE`` when the lent file could not be written; the child
    lives on.
    """

    def __init__(
        self,
        memory: LentMemory,
        settings: RecorderSettings,
        *,
        profile: Profile,
        clock: Clock,
        log: Log,
        module: str = "firmware.recorder",
        interpreter: Sequence[str] = INTERPRETER,
    ) -> None:
        """Lend ``memory`` to read. ``module`` and ``interpreter`` are others only in tests, for children that lie."""
        self._memory = memory
        self._settings = settings
        self._profile: Profile = profile
        self._clock = clock
        self._log = log
        self._module = module
        self._interpreter = interpreter
        self._keeper = Keeper(self._start, clock=clock, log=log)
        self._chunk: _InHand | None = None
        self._child: Jailed | None = None
        self._sequence = 0

    @property
    def restarts(self) -> int:
        """Children started after the first one."""
        return self._keeper.restarts

    @property
    def pid(self) -> int | None:
        """The living child's process id."""
        return self._child.pid if self._child is not None and self._child.alive else None

    @property
    def missing_walls(self) -> tuple[str, ...]:
        """Walls around the child that this machine could not build."""
        return self._child.report.missing if self._child is not None else ()

    async def ready(self) -> Jailed:
        """Return a living child, started if need be; call it before frames arrive. Raises JailError."""
        self._child = await self._keeper.child()
        return self._child

    async def begin(self, descriptor: int, recipient: str) -> None:
        """See the port. A chunk still in hand is lost, with the child that held it."""
        if self._chunk is not None:
            await self._chunk.child.kill()
        try:
            await self._begin(descriptor, recipient)
        except JailError as error:
            if error.code != "E-JAIL-DEATH":
                raise
            await self._begin(descriptor, recipient)  # it died between two chunks: nothing is lost yet

    async def add(self, frame: LentFrame) -> None:
        """See the port."""
        chunk = self._in_hand()
        pts_90k = frame.stamp.pts_90k
        request = Add(self._next(), frame.slot, frame.length, pts_90k, frame.keyframe)
        await self._ask(chunk, request, ADD_DEADLINE_SECONDS)
        if not chunk.frames:
            chunk.first_pts_90k = pts_90k
        chunk.frames += 1
        chunk.last_pts_90k = pts_90k

    async def end(self) -> ChunkFacts:
        """See the port. The child's facts must agree with what was sent to it and with the file it wrote."""
        chunk = self._in_hand()
        reply = await self._ask(chunk, End(self._next()), END_DEADLINE_SECONDS)
        self._chunk = None
        facts = ChunkFacts(reply.frames, reply.first_pts_90k, reply.last_pts_90k, reply.ciphertext_bytes)
        counted = ChunkFacts(chunk.frames, chunk.first_pts_90k, chunk.last_pts_90k, os.fstat(chunk.descriptor).st_size)
        if facts != counted or not is_sealed(_beginning(chunk.descriptor)):
            await chunk.child.kill()
            raise _nonsense(chunk.child, "its facts and its file do not agree with what it was given")
        return facts

    async def close(self) -> None:
        """Let the child leave; a chunk in hand is lost."""
        self._chunk = None
        await self._keeper.close()

    async def _begin(self, descriptor: int, recipient: str) -> None:
        chunk = self._chunk = _InHand(await self.ready(), descriptor)
        await self._ask(chunk, Begin(self._next(), recipient), ADD_DEADLINE_SECONDS, (descriptor,))

    async def _ask(
        self, chunk: _InHand, request: Request, deadline_seconds: float, descriptors: Sequence[int] = ()
    ) -> Reply:
        answered = False
        try:
            message = await chunk.child.ask(encode_request(request), deadline_seconds, descriptors)
            try:
                reply = decode_reply(message)
            except ValueError:
                reply = Reply(Status.DONE, request.sequence ^ 1)
            if reply.sequence != request.sequence:
                await chunk.child.kill()
                raise _nonsense(chunk.child, "not an answer to what was asked")
            answered = reply.status is Status.DONE
        finally:
            if not answered:
                self._chunk = None  # whatever went wrong, this chunk is lost
        if reply.status is Status.ENCODER:
            await chunk.child.kill()  # what state it is in nobody knows
        if reply.status is not Status.DONE:
            raise _refusal(chunk.child, reply)
        return reply

    async def _start(self) -> Jailed:
        settings = self._settings
        return await spawn(
            self._module,
            argument={
                "mode": settings.mode,
                "h264": asdict(settings.h264),
                "chunk_seconds": settings.chunk_seconds,
                "chunk_bytes_at_most": settings.chunk_bytes_at_most,
                "slot_bytes": self._memory.slot_bytes,
                "slots": self._memory.slots,
            },
            lend={"main": self._memory.descriptor},
            limits=Limits(file_bytes=settings.chunk_bytes_at_most + _SEAL_BYTES, incoming_descriptors=1),
            profile=self._profile,
            clock=self._clock,
            log=self._log,
            interpreter=self._interpreter,
        )

    def _in_hand(self) -> _InHand:
        if self._chunk is None:
            raise JailError(
                "E-JAIL-CHUNK", "no chunk in hand", where="recorder", clause="7.1(1)", todo="begin the next chunk"
            )
        return self._chunk

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) % 2**32
        return self._sequence


def _beginning(descriptor: int) -> bytes:
    """Read the start of the lent file, which is open for writing only, through a second descriptor."""
    reader = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(reader, HEADER_BYTES_AT_MOST, 0)
    finally:
        os.close(reader)


def _nonsense(child: Jailed, what: str) -> JailError:
    return JailError(
        "E-JAIL-ANSWER",
        f"{what}; killed",
        where=f"{child.module} pid {child.pid}",
        clause="7.1(1)",
        todo="it is replaced",
    )


def _refusal(child: Jailed, reply: Reply) -> JailError | StoreError:
    where = f"{child.module} pid {child.pid}"
    match reply.status:
        case Status.WRITE:
            reason = errno.errorcode.get(reply.system_error, str(reply.system_error))
            full = reply.system_error in _FULL
            return StoreError(
                "E-STORE-FULL" if full else "E-STORE-WRITE",
                f"a chunk could not be written: {reason}",
                where=where,
                clause="7.1(3)",
                todo="make room" if full else "look at the disk",
            )
        case Status.NOT_ALONE | Status.TIME | Status.SPAN | Status.SIZE | Status.EMPTY:
            return StoreError(
                "E-STORE-CHUNK",
                f"this cannot stand in a chunk: {reply.status.name}",
                where=where,
                clause="7.1(3)",
                todo="begin the next chunk with a picture that starts alone; times must rise",
            )
    return JailError(
        "E-JAIL-CHUNK", f"refused: {reply.status.name}", where=where, clause="7.1(1)", todo="it is replaced"
    )
