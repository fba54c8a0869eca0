"""The two messages between ``pole`` and ``counter``: 64 bytes there, 64 bytes back.

Knows:  a slot's number, a nonce, a status, whole numbers with a range and a sum that can be checked.
Never:  a field in which anything else could stand: spare bytes must be zero and are checked.
Leaves: bytes, or :class:`Refused` for a message that is not exactly right.
Clauses: 6.1(3), 6.1(4) (only counts cross the line), 2, 5.1 (the two systems exchange nothing else).

``pole`` believes nothing a child says: the nonce ties the answer to one lease, so an answer can be neither kept for
later nor given twice; ranges and sums are checked here; time is measured by ``pole`` itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from firmware.flow.record import Dimension
from firmware.flow.slice import SliceCounts

MESSAGE_BYTES: Final = 64
NONCE_BYTES: Final = 16

_REQUEST: Final = struct.Struct("<4sHH16s40s")  # magic, slot, spare, nonce, spare
_ABOUT: Final = struct.Struct("<4sHH16sII32s")  # magic, spare, spare, nonce, bare_us, load_us, spare
_REPLY: Final = struct.Struct("<4sHH16s12H16s")  # magic, status, spare, nonce, persons + sex + age + mask, spare
_COUNT_MAGIC: Final = b"SPq1"
_ASK_ABOUT_MAGIC: Final = b"SPa1"
_ABOUT_MAGIC: Final = b"SPb1"
_REPLY_MAGIC: Final = b"SPr1"
_SEX: Final = slice(1, 4)
_AGE: Final = slice(4, 9)
_MASK: Final = slice(9, 12)


class Status(IntEnum):
    """What became of a request."""

    COUNTED = 0
    REFUSED = 1
    """No such slot, or not a request at all; every count is zero."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question. ``slot`` is None when the child is asked about itself, which happens before its first frame."""

    slot: int | None
    nonce: bytes


@dataclass(frozen=True, slots=True)
class About:
    """What a child measured of itself on a blank picture, in microseconds."""

    bare_us: int
    """One run of the interpreter alone (both models where attributes are on), median."""
    load_us: int
    """From its first line to ready."""


class Refused(ValueError):  # noqa: N818 - reads as what it is: a message that was refused
    """A message that is not exactly right. Its text names the field, never a value from the child."""


def encode_request(slot: int, nonce: bytes) -> bytes:
    """Return the 64 bytes that ask for slot ``slot`` (0..65535); ``nonce`` is 16 fresh random bytes."""
    if len(nonce) != NONCE_BYTES:
        message = "nonce must be 16 bytes"
        raise ValueError(message)
    return _REQUEST.pack(_COUNT_MAGIC, slot, 0, nonce, bytes(40))


def encode_about_request(nonce: bytes) -> bytes:
    """Return the 64 bytes that ask a child about itself."""
    if len(nonce) != NONCE_BYTES:
        message = "nonce must be 16 bytes"
        raise ValueError(message)
    return _REQUEST.pack(_ASK_ABOUT_MAGIC, 0, 0, nonce, bytes(40))


def decode_request(message: bytes) -> Request:
    """Return the question in ``message``. Raises :class:`Refused`."""
    if len(message) != MESSAGE_BYTES:
        raise Refused("length")
    magic, slot, spare, nonce, rest = _REQUEST.unpack(message)
    if magic not in (_COUNT_MAGIC, _ASK_ABOUT_MAGIC):
        raise Refused("magic")
    about = magic == _ASK_ABOUT_MAGIC
    if spare or any(rest) or (about and slot):
        raise Refused("spare")
    return Request(None if about else slot, nonce)


def encode_about(nonce: bytes, about: About) -> bytes:
    """Return the 64 bytes with which a child speaks about itself."""
    return _ABOUT.pack(_ABOUT_MAGIC, 0, 0, nonce, about.bare_us, about.load_us, bytes(32))


def decode_about(message: bytes, nonce: bytes) -> About:
    """Return what a child said about itself. Raises :class:`Refused`."""
    if len(message) != MESSAGE_BYTES:
        raise Refused("length")
    magic, spare, more, echoed, bare_us, load_us, rest = _ABOUT.unpack(message)
    if magic != _ABOUT_MAGIC:
        raise Refused("magic")
    if echoed != nonce:
        raise Refused("nonce")
    if spare or more or any(rest):
        raise Refused("spare")
    return About(bare_us, load_us)


def encode_reply(nonce: bytes, counts: SliceCounts) -> bytes:
    """Return the 64 bytes that answer the request with ``nonce``."""
    values = (counts.persons, *counts.sex, *counts.age, *counts.mask)
    return _REPLY.pack(_REPLY_MAGIC, Status.COUNTED, 0, nonce, *values, bytes(16))


def encode_refusal(nonce: bytes = bytes(NONCE_BYTES)) -> bytes:
    """Return the 64 bytes that say: this request was refused."""
    return _REPLY.pack(_REPLY_MAGIC, Status.REFUSED, 0, nonce, *([0] * 12), bytes(16))


def decode_reply(message: bytes, nonce: bytes, switched_on: frozenset[Dimension]) -> SliceCounts:
    """Return the counts in ``message``, the answer to the request with ``nonce``.

    An attribute in ``switched_on`` must sum to the persons; any other must be all zero. Raises :class:`Refused`.
    """
    if len(message) != MESSAGE_BYTES:
        raise Refused("length")
    magic, status, spare, echoed, *values, rest = _REPLY.unpack(message)
    if magic != _REPLY_MAGIC:
        raise Refused("magic")
    if echoed != nonce:
        raise Refused("nonce")
    if status != Status.COUNTED:
        raise Refused("status")
    if spare or any(rest):
        raise Refused("spare")
    try:
        counts = SliceCounts(values[0], tuple(values[_SEX]), tuple(values[_AGE]), tuple(values[_MASK]))
    except ValueError:
        raise Refused("sums") from None
    for dimension in Dimension:
        if sum(counts.of(dimension)) != (counts.persons if dimension in switched_on else 0):
            raise Refused("sums")
    return counts
