"""An MP4 read with the standard library alone: where each picture lies, and when it is shown.

Knows:  the index of an MP4 with one track (ISO/IEC 14496-12); when a chunk was taken.
Never:  a picture decoded.
Leaves: places, lengths, times.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

MINUTE_NS = 60 * 10**9


def chunk_times(epoch: int, chunk: dict[str, Any], of: int) -> tuple[int, int]:
    """Return when a chunk begins and ends (UTC ns); where a crash took its times, its share of the minute."""
    if chunk.get("first_utc_ns") is not None and chunk.get("last_utc_ns") is not None:
        return int(chunk["first_utc_ns"]), int(chunk["last_utc_ns"])
    share = MINUTE_NS // max(of, chunk["sequence"] + 1)
    return epoch * MINUTE_NS + chunk["sequence"] * share, epoch * MINUTE_NS + (chunk["sequence"] + 1) * share


def pictures(file: BinaryIO) -> tuple[list[tuple[int, int]], list[int]]:
    """Return ``(offset, length)`` of each picture of an MP4 with one track, and their times in its time scale."""
    moov = _box(file.read(1 << 28) if file.seek(0) == 0 else b"", b"moov")
    table = _box(_box(_box(_box(moov, b"trak"), b"mdia"), b"minf"), b"stbl")
    sizes, runs, stts = _box(table, b"stsz"), _box(table, b"stsc"), _box(table, b"stts")
    wide = _box(table, b"co64", optional=True)
    offsets = _numbers(wide, "Q") if wide else _numbers(_box(table, b"stco"), "I")
    fixed, count = struct.unpack(">II", sizes[4:12])
    lengths = [fixed] * count if fixed else list(struct.unpack(f">{count}I", sizes[12 : 12 + 4 * count]))
    triples = [struct.unpack_from(">III", runs, 8 + 12 * n) for n in range(int.from_bytes(runs[4:8], "big"))]
    places: list[tuple[int, int]] = []
    for number, place in enumerate(offsets, 1):
        many = [triple[1] for triple in triples if triple[0] <= number][-1]
        for length in lengths[len(places) : len(places) + many]:
            places.append((place, length))
            place += length  # noqa: PLW2901 - the next picture lies behind this one
    times, now = [], 0
    for n in range(int.from_bytes(stts[4:8], "big")):
        many, lasts = struct.unpack_from(">II", stts, 8 + 8 * n)
        times += [now + lasts * step for step in range(min(many, count))]
        now += lasts * many
    if len(places) != count or len(times) != count:
        raise ValueError("tables that do not fit")
    return places, times


def _box(inside: bytes, kind: bytes, *, optional: bool = False) -> bytes:
    at = 0
    while at + 8 <= len(inside):
        length, found = struct.unpack_from(">I4s", inside, at)
        if found == kind:
            return inside[at + 8 : at + length]
        at += length if length >= 8 else len(inside)
    if not optional:
        raise ValueError("a box is missing")
    return b""


def _numbers(box: bytes, width: str) -> list[int]:
    return list(struct.unpack(f">{int.from_bytes(box[4:8], 'big')}{width}", box[8:]))
