"""The boxes that ONVIF's Export File Format adds to an MP4, put in front of everything players read.

Knows:  ISO/IEC 14496-12 boxes as far as chunk offsets; the ``suep`` and ``cstb`` boxes of the ONVIF specification.
Never:  a byte of picture data read or changed, more than a film's head in memory.
Leaves: a film's new head; the rest of the file follows it unchanged.
Clauses: 7.2(1) (when and where it was recorded stands in the film itself), 7.3(1)3.

    ftyp  meta: hdlr, suep (who exported what), cstb (UTC of time zero)  moov (chunk offsets moved)  mdat, unchanged
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from firmware.ground.errors import StoreError

SECONDS_1904_TO_1970: Final = 2_082_844_800
"""ISO/IEC 14496-12 counts seconds since 1904-01-01 UTC."""

SECONDS_1601_TO_1970: Final = 11_644_473_600
"""``cstb`` counts 100 ns since 1601-01-01 UTC."""

_CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_MOST_HEAD_BYTES: Final = 256 * 1024 * 1024
_NS_PER_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Export:
    """Who exported (a unit and an account code, no name), when, and which camera a film is of."""

    unit: str
    operator: str
    utc_ns: int
    source: str
    line: str


@dataclass(frozen=True, slots=True)
class Box:
    """One box: where it begins, how long its header and the whole of it are (bytes)."""

    kind: bytes
    at: int
    header: int
    length: int


def box(kind: bytes, *pieces: bytes) -> bytes:
    """Return a box with a 32-bit length."""
    content = b"".join(pieces)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def export_meta(export: Export, begin_utc_ns: int) -> bytes:
    """Return the file-level ``meta`` box of a film with one track (1), whose time zero was at ``begin_utc_ns``."""
    handler = box(b"hdlr", bytes(8), b"null", bytes(12), b"\0")
    head = (_text(export.unit), _text(""), _text(""), struct.pack(">Q", _since_1904(export.utc_ns)))
    track = (struct.pack(">H", 1), _text(export.source), _text(""), _text(""), _text(export.line))
    suep = box(b"suep", b"\1\0\0\0", *head, _text(export.operator), struct.pack(">I", 1), *track)
    cstb = box(b"cstb", struct.pack(">IIQ", 1, 1, begin_utc_ns // 100 + SECONDS_1601_TO_1970 * 10_000_000))
    return box(b"meta", bytes(4), handler, suep, cstb)


def boxes(file: BinaryIO, at: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two places of ``file``. Raises :class:`StoreError` for what is none."""
    while at < end:
        file.seek(at)
        start = file.read(16)
        length, kind, header = int.from_bytes(start[:4], "big"), start[4:8], 8
        if length == 1 and len(start) == 16:
            length, header = int.from_bytes(start[8:], "big"), 16
        elif length == 0:  # to the end of the file
            length = end - at
        if len(start) < 8 or length < header or at + length > end:
            raise _no_film("a box is longer than what it lies in")
        yield Box(kind, at, header, length)
        at += length


def with_export(film: BinaryIO, length: int, meta: bytes) -> tuple[bytes, int]:
    """Return ``(head, rest)``: the head that replaces the first ``rest`` bytes of a film, ``meta`` in it.

    ``film`` is a file of ``length`` bytes that begins with ``ftyp`` and ``moov`` (faststart); its picture data stays
    where it is relative to its end. Raises :class:`StoreError` for any other file.
    """
    found = list(boxes(film, 0, length))
    if [part.kind for part in found[:2]] != [b"ftyp", b"moov"] or found[1].length > _MOST_HEAD_BYTES:
        raise _no_film("it does not begin with its index")
    first, index = (_read(film, part) for part in found[:2])
    inner = index[found[1].header :]
    wide = _highest(inner) + len(meta) + 2 * len(inner) >= 1 << 32  # an upper bound of how far anything can move
    grown = len(_moved(inner, 0, wide=wide)) - len(inner)
    moved = box(b"moov", _moved(inner, len(meta) + grown + 8 - found[1].header, wide=wide))
    return first + meta + moved, found[1].at + found[1].length


def codec_of(head: bytes) -> str:
    """Return the film's codec as RFC 6381 has it, for instance ``avc1.64001f`` (High, level 3.1)."""
    at = head.find(b"avcC")
    if at < 0 or len(head) < at + 8:
        raise _no_film("it has no H.264 settings")
    return "avc1." + head[at + 5 : at + 8].hex()


def _moved(inner: bytes, shift: int, *, wide: bool) -> bytes:
    """Return boxes with every chunk offset in them ``shift`` higher; ``wide``: all as 64-bit offsets."""
    pieces = list[bytes]()
    for kind, content in _split(inner):
        if kind in _CONTAINERS:
            pieces.append(box(kind, _moved(content, shift, wide=wide)))
        elif kind in (b"stco", b"co64"):
            offsets = [offset + shift for offset in _offsets(kind, content)]
            large = wide or kind == b"co64"
            packed = struct.pack(f">{len(offsets)}{'Q' if large else 'I'}", *offsets)
            pieces.append(box(b"co64" if large else b"stco", content[:8], packed))
        else:
            pieces.append(box(kind, content))
    return b"".join(pieces)


def _highest(inner: bytes) -> int:
    """Return the highest chunk offset in ``inner``, 0 where there is none."""
    highest = 0
    for kind, content in _split(inner):
        if kind in _CONTAINERS:
            highest = max(highest, _highest(content))
        elif kind in (b"stco", b"co64"):
            highest = max(highest, *_offsets(kind, content), 0)
    return highest


def _offsets(kind: bytes, content: bytes) -> tuple[int, ...]:
    count = int.from_bytes(content[4:8], "big")
    width = 4 if kind == b"stco" else 8
    if len(content) != 8 + count * width:
        raise _no_film("its table of offsets is cut short")
    return struct.unpack(f">{count}{'I' if width == 4 else 'Q'}", content[8:])


def _split(inner: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(inner):
        length, kind = struct.unpack_from(">I4s", inner, at) if at + 8 <= len(inner) else (0, b"")
        if length < 8 or at + length > len(inner):
            raise _no_film("a box in its index is longer than what it lies in")
        yield kind, inner[at + 8 : at + length]
        at += length


def _read(film: BinaryIO, part: Box) -> bytes:
    film.seek(part.at)
    content = film.read(part.length)
    if len(content) != part.length:
        raise _no_film("it is cut short")
    return content


def _text(words: str) -> bytes:
    return words.replace("\0", "").encode() + b"\0"


def _since_1904(utc_ns: int) -> int:
    return utc_ns // _NS_PER_SECOND + SECONDS_1904_TO_1970


def _no_film(what: str) -> StoreError:
    return StoreError(
        "E-STORE-FILM", f"a film cannot be given its boxes: {what}", where="the film just made",
        todo="keep the bundle and report this; nothing was handed out", clause="7.2(1)",
    )  # fmt: skip
