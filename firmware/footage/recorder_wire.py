"""What passes between ``pole`` and its recorder: slot numbers and times in, times and sizes out.

Knows:  the layout of four requests and one reply.
Never:  a pixel, a packet's bytes, ciphertext; those stay in the memory and the file that are lent.
Leaves: fixed little-endian structures; anything else is refused.
Clauses: 2, 5.1, 7.1(1) (the two sides share nothing but this).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from firmware.footage.chunk import Refusal

_BEGIN: Final = struct.Struct("<BI62s")
_ADD: Final = struct.Struct("<BIIIq?")
_END: Final = struct.Struct("<BI")
_REPLY: Final = struct.Struct("<BHIIqqQ")

REPLY_BYTES: Final = _REPLY.size


class Kind(IntEnum):
    """The first byte of a request."""

    BEGIN = 1
    ADD = 2
    END = 3


class Status(IntEnum):
    """What became of a request. 1 to 31 are :class:`firmware.footage.chunk.Refusal`."""

    DONE = 0
    NOT_ALONE = Refusal.NOT_ALONE
    TIME = Refusal.TIME
    SPAN = Refusal.SPAN
    SIZE = Refusal.SIZE
    EMPTY = Refusal.EMPTY
    ORDER = 32
    """No chunk was begun, or one still is."""
    RECIPIENT = 33
    SLOT = 34
    """Outside the lent memory."""
    ENCODER = 35
    """The encoder or the muxer refused."""
    WRITE = 36
    """The lent file could not be written; ``system_error`` says why."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a chunk sealed to ``recipient``; its file comes along as a descriptor."""

    sequence: int
    recipient: str


@dataclass(frozen=True, slots=True)
class Add:
    """Take ``length`` bytes in ``slot`` of the lent memory."""

    sequence: int
    slot: int
    length: int
    pts_90k: int
    keyframe: bool


@dataclass(frozen=True, slots=True)
class End:
    """Finish the chunk."""

    sequence: int


Request = Begin | Add | End


@dataclass(frozen=True, slots=True)
class Reply:
    """The one answer; ``sequence`` echoes the request's, the rest counts only after :class:`End`."""

    status: Status
    sequence: int
    system_error: int = 0
    frames: int = 0
    first_pts_90k: int = 0
    last_pts_90k: int = 0
    ciphertext_bytes: int = 0


def encode_request(request: Request) -> bytes:
    """Return the request's bytes."""
    match request:
        case Begin():
            return _BEGIN.pack(Kind.BEGIN, request.sequence, request.recipient.encode("ascii"))
        case Add():
            return _ADD.pack(
                Kind.ADD, request.sequence, request.slot, request.length, request.pts_90k, request.keyframe
            )
        case End():
            return _END.pack(Kind.END, request.sequence)


def decode_request(message: bytes) -> Request:
    """Return the request in ``message``; raises ValueError for anything else."""
    try:
        match message[:1]:
            case b"\x01":
                _, sequence, recipient = _BEGIN.unpack(message)
                return Begin(sequence, recipient.decode("ascii"))
            case b"\x02":
                return Add(*_ADD.unpack(message)[1:])
            case b"\x03":
                return End(*_END.unpack(message)[1:])
    except struct.error:
        pass
    text = "not a request to a recorder"
    raise ValueError(text)


def encode_reply(reply: Reply) -> bytes:
    """Return the reply's ``REPLY_BYTES`` bytes."""
    return _REPLY.pack(
        reply.status,
        reply.system_error,
        reply.sequence,
        reply.frames,
        reply.first_pts_90k,
        reply.last_pts_90k,
        reply.ciphertext_bytes,
    )


def decode_reply(message: bytes) -> Reply:
    """Return the reply in ``message``; raises ValueError for anything else."""
    try:
        status, system_error, sequence, frames, first, last, size = _REPLY.unpack(message)
    except struct.error:
        text = "not a reply of a recorder"
        raise ValueError(text) from None
    return Reply(Status(status), sequence, system_error, frames, first, last, size)
