"""What makes ten seconds of H.264 a chunk: it starts by itself, time rises, nothing more.

Knows:  the bytes of Annex-B packets as far as the types of their units, presentation times.
Never:  a picture, a container, a key.
Leaves: a packet's time within its chunk, or the reason why it does not belong there.
Clauses: 7.1(3) (no chunk depends on another, so each is erased by itself), 7.2(2) (a minute can be released alone).
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

TICKS_A_SECOND: Final = 90_000
"""Presentation times (``pts_90k``) count 1/90000 s."""

_START_CODE: Final = re.compile(b"\x00\x00\x01")
_TYPE_BITS: Final = 0x1F


class NalType(IntEnum):
    """The unit types of H.264 (ITU-T H.264 table 7-1) that matter here."""

    SLICE = 1
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    DELIMITER = 9


class Refusal(IntEnum):
    """Why a packet or a chunk was refused; the numbers travel from the recorder to its parent."""

    NOT_ALONE = 1
    """The first packet lacks SPS, PPS or IDR: the chunk could not be played by itself."""
    TIME = 2
    """A presentation time is not after the one before."""
    SPAN = 3
    """The packet lies outside the chunk's seconds."""
    SIZE = 4
    """More bytes than a chunk may have."""
    EMPTY = 5
    """A chunk without a packet."""


class ChunkRefused(ValueError):  # noqa: N818 - a verdict, translated by whoever asked
    """A packet or chunk that would not be a chunk; ``reason`` says why."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.name)
        self.reason = reason


def nal_types(packet: bytes | bytearray | memoryview) -> tuple[int, ...]:
    """Return the types of the units in an Annex-B ``packet``, in order; empty if it holds no start code."""
    return tuple(
        packet[found.end()] & _TYPE_BITS for found in _START_CODE.finditer(packet) if found.end() < len(packet)
    )


def starts_alone(packet: bytes | bytearray | memoryview) -> bool:
    """Return whether decoding can begin at ``packet`` with nothing known: SPS and PPS, then an IDR picture."""
    types = nal_types(packet)
    pictures = [place for place, kind in enumerate(types) if NalType.SLICE <= kind <= NalType.IDR]
    if not pictures or types[pictures[0]] != NalType.IDR:
        return False
    before = types[: pictures[0]]
    return NalType.SPS in before and NalType.PPS in before


class Timeline:
    """One chunk's times: rising, within ``chunk_seconds``, told from the first frame on."""

    def __init__(self, chunk_seconds: int) -> None:
        self.frames = 0
        self.first_pts_90k = 0
        self.last_pts_90k = 0
        self._span_90k: Final = chunk_seconds * TICKS_A_SECOND

    def take(self, pts_90k: int) -> int:
        """Count one frame; return its time since the chunk's first, in 1/90000 s. Raises :class:`ChunkRefused`."""
        if not self.frames:
            self.first_pts_90k = pts_90k
        elif pts_90k <= self.last_pts_90k:
            raise ChunkRefused(Refusal.TIME)
        if pts_90k - self.first_pts_90k >= self._span_90k:
            raise ChunkRefused(Refusal.SPAN)
        self.frames += 1
        self.last_pts_90k = pts_90k
        return pts_90k - self.first_pts_90k


class PlainBuffer:
    """Where a chunk's container grows before it is sealed: bounded from the start, overwritten afterwards."""

    def __init__(self, bytes_at_most: int) -> None:
        self._bytes = bytearray(bytes_at_most)
        self.used = 0

    def write(self, piece: bytes | memoryview) -> int:
        """Append ``piece``; raises :class:`ChunkRefused` with ``SIZE`` when it does not fit."""
        end = self.used + len(piece)
        if end > len(self._bytes):
            raise ChunkRefused(Refusal.SIZE)
        self._bytes[self.used : end] = piece
        self.used = end
        return len(piece)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` of the bytes written, from ``offset`` on."""
        return bytes(memoryview(self._bytes)[offset : min(offset + length, self.used)])

    def wipe(self) -> None:
        """Overwrite what was written (7.1(1): plaintext lives only until it is sealed)."""
        self._bytes[: self.used] = bytes(self.used)
        self.used = 0
