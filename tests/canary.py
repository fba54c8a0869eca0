"""Marks that are found again wherever a picture's bytes lie, whatever was done to the picture.

A mark is a fence of upright bars, each of one grey level drawn from a seed. Grey has no colour, so a bar is the same
byte in grey, in the Y plane and in each channel of RGB; a bar's inside survives cropping and resizing; six levels in
a row, each at least twice and right to within three steps, are not met by accident. What is searched is therefore "six
runs in this order", at any scale, with pixels 1, 3 or 4 bytes apart, as unsigned or as int8 numbers.

Nothing is left out silently: a :class:`Scan` says how much was read and what could not be.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

BARS = 6
BAR_PIXELS = 12
TOLERANCE = 3
_BLOCK = 48 << 10
_CHUNK = 4 << 20
_OVERLAP = 64 << 10


class Pattern(Protocol):
    """Something to search for. ``name`` is all that is ever reported of a hit's content."""

    @property
    def name(self) -> str: ...

    def find(self, data: Bytes) -> int:
        """Return where in ``data`` it begins, or -1."""


@dataclass(frozen=True)
class Fence:
    """Six runs of near equal bytes, ``stride`` bytes apart, at any scale."""

    name: str
    levels: tuple[int, ...]
    stride: int
    expression: re.Pattern[bytes]

    def find(self, data: Bytes) -> int:
        for begin in range(0, max(len(data) - 4 * self.stride, 0), _BLOCK):  # small enough for the processor's cache
            block = data[begin : begin + _BLOCK + 4 * self.stride]
            for start in np.flatnonzero(self._edges(block)):
                if self.expression.match(data.data, begin + int(start)):
                    return begin + int(start)
        return -1

    def _edges(self, block: Bytes) -> npt.NDArray[np.bool_]:
        """Two last pixels of the first bar, at most two blended ones, then the second bar: cheap, and misses none."""
        step, end = self.stride, len(block) - 4 * self.stride
        first = _near(block, self.levels[0])
        edge = first[:end] & first[step : end + step]
        if edge.any():
            second = _near(block, self.levels[1])
            edge &= second[3 * step : end + 3 * step] | second[4 * step : end + 4 * step]
        return edge


@dataclass(frozen=True)
class Literal:
    """Exact bytes: a key, a header, a row of pixels."""

    name: str
    expression: re.Pattern[bytes]

    def find(self, data: Bytes) -> int:
        found = self.expression.search(data.data)
        return found.start() if found else -1


@dataclass(frozen=True)
class Hit:
    where: str
    offset: int
    pattern: str


@dataclass
class Scan:
    """``unread`` names every region or file that was not searched, and why."""

    hits: list[Hit] = field(default_factory=list)
    bytes_read: int = 0
    unread: list[str] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {hit.pattern for hit in self.hits}


@dataclass(frozen=True)
class Mark:
    seed: int
    levels: tuple[int, ...]

    def grey(self, height: int, width: int, *, bar_pixels: int = BAR_PIXELS) -> npt.NDArray[np.uint8]:
        """Return the fence as (height, width) uint8."""
        bars = np.repeat(np.array(self.levels, dtype=np.uint8), bar_pixels)
        row = np.tile(bars, -(-width // len(bars)))[:width]
        return np.ascontiguousarray(np.broadcast_to(row, (height, width)))

    def rgb(self, height: int, width: int, *, bar_pixels: int = BAR_PIXELS) -> npt.NDArray[np.uint8]:
        """Return the fence as (height, width, 3) uint8."""
        return np.repeat(self.grey(height, width, bar_pixels=bar_pixels)[:, :, None], 3, axis=2)

    def i420(self, height: int, width: int, *, bar_pixels: int = BAR_PIXELS) -> npt.NDArray[np.uint8]:
        """Return the fence as one flat I420 picture (full range)."""
        luma = self.grey(height, width, bar_pixels=bar_pixels).reshape(-1)
        return np.concatenate([luma, np.full(height * width // 2, 128, dtype=np.uint8)])

    def patterns(self, *, limited_range: bool = False) -> tuple[Pattern, ...]:
        """Return what to search for; ``limited_range`` adds the levels as video range (16-235) writes them."""
        ranges = {"full": self.levels}
        if limited_range:
            ranges["limited"] = tuple(round(16 + level * 219 / 255) for level in self.levels)
        return tuple(
            _fence(f"mark-{self.seed}-{range_name}-{sign}-{stride}", levels, stride, flip)
            for range_name, levels in ranges.items()
            for sign, flip in (("uint8", 0), ("int8", 0x80))
            for stride in (1, 3, 4)
        )


def make_mark(seed: int) -> Mark:
    """Return the mark of ``seed``; marks of different seeds do not match each other's patterns."""
    dice = random.Random(seed)  # noqa: S311 - a picture, not a secret
    levels: list[int] = []
    while len(levels) < BARS or abs(levels[-1] - levels[0]) < 24:
        levels = levels[: BARS - 1]
        level = dice.randrange(24, 233)
        if not levels or abs(level - levels[-1]) >= 24:
            levels.append(level)
    return Mark(seed, tuple(levels))


def literal(name: str, content: bytes) -> Literal:
    """Return a pattern for exact bytes."""
    return Literal(name, re.compile(re.escape(content), re.DOTALL))


def scan_bytes(data: bytes | bytearray | memoryview, patterns: Iterable[Pattern]) -> set[str]:
    """Return the names of the patterns found in ``data``."""
    array = np.frombuffer(data, dtype=np.uint8)
    return {pattern.name for pattern in patterns if pattern.find(array) >= 0}


def scan_process(pid: int, patterns: Iterable[Pattern]) -> Scan:
    """Search all readable memory of process ``pid``, read-only maps included; needs the right to trace it.

    When ``pid`` is this process, the buffer the search itself reads into is left out, and named in ``unread``.
    """
    wanted, scan = tuple(patterns), Scan()
    with mmap.mmap(-1, _CHUNK + _OVERLAP) as buffer, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        own = ctypes.addressof(ctypes.c_char.from_buffer(buffer)) if pid == os.getpid() else -1
        for first, last, name in list(_regions(pid, scan)):
            for begin, end in _without(first, last, own, own + len(buffer), scan):
                _scan_stream(memory, begin, end, f"{name}@{begin:x}", wanted, scan, buffer)
    return scan


def scan_files(folder: Path, patterns: Iterable[Pattern]) -> Scan:
    """Search every file below ``folder``, hidden ones too; links are named, not followed."""
    wanted, scan = tuple(patterns), Scan()
    with mmap.mmap(-1, _CHUNK + _OVERLAP) as buffer:
        for parent, _, names in os.walk(folder, onerror=lambda error: scan.unread.append(repr(error))):
            for path in (Path(parent, name) for name in sorted(names)):
                if not path.is_file() or path.is_symlink():
                    scan.unread.append(f"{path}: not a plain file")
                    continue
                with path.open("rb", buffering=0) as file:
                    size = path.stat().st_size
                    _scan_stream(file, 0, size, str(path.relative_to(folder)), wanted, scan, buffer)
    return scan


def _fence(name: str, levels: tuple[int, ...], stride: int, flip: int) -> Fence:
    between = b".{%d}" % (stride - 1) if stride > 1 else b""
    blended = b"(?:.{%d}){0,2}?" % stride
    runs = []
    for level in levels:
        near = bytes(value ^ flip for value in range(level - TOLERANCE, level + TOLERANCE + 1))
        pixel = b"[" + b"".join(b"\\x%02x" % value for value in near) + b"]" + between
        runs.append(b"(?:%s){2,%d}+" % (pixel, 4096 // stride))  # possessive: neighbours are never near each other
    flipped = tuple(level ^ flip for level in levels)
    return Fence(name, flipped, stride, re.compile(blended.join(runs), re.DOTALL))


def _near(data: Bytes, level: int) -> npt.NDArray[np.bool_]:
    # uint8 wraps round, so one comparison asks for both sides (int8 bytes are no different: +-3 of the same bits).
    return (data - np.uint8((level - TOLERANCE) & 0xFF)) <= 2 * TOLERANCE


def _regions(pid: int, scan: Scan) -> Iterator[tuple[int, int, str]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, permissions, *rest = line.split(maxsplit=5)
        first, last = (int(edge, 16) for edge in span.split("-"))
        name = rest[3] if len(rest) > 3 else "anonymous"
        if "r" in permissions:
            yield first, last, name
        else:
            scan.unread.append(f"{name}@{first:x}: {last - first} bytes mapped without the right to read")


def _without(first: int, last: int, own_first: int, own_last: int, scan: Scan) -> Iterator[tuple[int, int]]:
    if own_first < 0 or own_last <= first or last <= own_first:
        yield first, last
        return
    scan.unread.append(f"the search's own buffer@{own_first:x}")
    if first < own_first:
        yield first, own_first
    if own_last < last:
        yield own_last, last


def _scan_stream(
    file: FileIO, begin: int, end: int, where: str, patterns: tuple[Pattern, ...], scan: Scan, buffer: mmap.mmap
) -> None:
    position = begin
    while position < end:
        try:
            file.seek(position)
            count = file.readinto(memoryview(buffer)[: min(len(buffer), end - position)])
        except (OSError, OverflowError) as error:
            scan.unread.append(f"{where}: {end - position} bytes from {position:x}: {error}")
            return
        if not count:
            scan.unread.append(f"{where}: {end - position} bytes missing from {position:x}")
            return
        data = np.frombuffer(buffer, dtype=np.uint8, count=count)
        for pattern in patterns:
            if (found := pattern.find(data)) >= 0:
                scan.hits.append(Hit(where, position - begin + found, pattern.name))
        del data
        if position + count >= end:
            scan.bytes_read += end - begin
            return
        position += max(count - _OVERLAP, 1)
