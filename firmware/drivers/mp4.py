"""Opened chunks become one film a camera: remuxed, never encoded again.

Knows:  plaintext H.264 in MP4, one chunk at a time; only at the office's desk.
Never:  a decoder or encoder, a frame altered, dropped or added; more than one chunk in memory.
Leaves: ``<stem>_<begin>.mp4`` that plays from its first byte on (index in front), times counted from its first frame.
Clauses: 7.2(1) (what is handed out is what was recorded), 7.2(2) (nothing is made of it).
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from firmware.custody.desk.film import Added, FilmPart
from firmware.ground.clock import NS_PER_SECOND, iso_utc
from firmware.ground.errors import StoreError

TICKS_A_SECOND: Final = 90_000
NEW_PART_AFTER_90K: Final = 3_600 * TICKS_A_SECOND
"""A gap in a film is one frame's long duration, which MP4 counts in 32 bits; players give up earlier than that."""

_TICK: Final = Fraction(1, TICKS_A_SECOND)
_NO_GUESSING: Final = {"fpsprobesize": "0"}
"""Times stand in the chunk; without this the library decodes its first pictures to guess a frame rate."""


class Mp4Film:
    """A film in ``folder`` (``firmware.custody.desk.film.Film``); no part lasts longer than ``longest_90k``."""

    def __init__(self, folder: Path, stem: str, longest_90k: int | None = None) -> None:
        self._folder = folder
        self._stem = stem
        self._longest_90k = longest_90k
        self._part: _Part | None = None
        self._done: list[FilmPart] = []

    def add(self, chunk: bytes, begin_utc_ns: int) -> Added:
        """See :class:`firmware.custody.desk.film.Film`."""
        try:
            with av.open(io.BytesIO(chunk), "r", format="mp4", options=_NO_GUESSING) as source:
                stream, packets = _read(source)
                if self._part and not self._part.takes(stream, packets, begin_utc_ns, self._longest_90k):
                    self._finish()
                if self._part is None:
                    self._part = _Part(self._folder, self._stem, stream, begin_utc_ns)
                return self._part.add(packets, begin_utc_ns)
        except av.FFmpegError as error:
            raise _no_chunk(error.strerror or "unreadable") from None

    def close(self) -> Sequence[FilmPart]:
        """See :class:`firmware.custody.desk.film.Film`."""
        self._finish()
        return self._done

    def abandon(self) -> None:
        """See :class:`firmware.custody.desk.film.Film`."""
        if self._part:
            self._part.container.close()
            self._part = None

    def _finish(self) -> None:
        if self._part:
            self._done.append(self._part.close())
            self._part = None


class _Part:
    def __init__(self, folder: Path, stem: str, template: VideoStream, begin_utc_ns: int) -> None:
        begin = iso_utc(begin_utc_ns)
        self.path = folder / f"{stem}_{begin.replace('-', '').replace(':', '')}.mp4"
        self.begin_utc_ns = begin_utc_ns
        # bitexact: no version of a library in the file, so that opening twice gives the same bytes and hash
        options = {
            "movflags": "faststart",
            "fflags": "bitexact",
            "use_editlist": "0",  # times begin at 0 and nothing is cut: there is nothing a list could say
            "video_track_timescale": str(TICKS_A_SECOND),
        }
        self.container: OutputContainer = av.open(str(self.path), "w", format="mp4", options=options)
        self.container.metadata["creation_time"] = begin
        self.stream = self.container.add_stream_from_template(template)
        self.stream.time_base = _TICK
        self._format = _format_of(template)
        self._frames = 0
        self._last_90k = 0
        self._end_90k = 0

    def takes(
        self, stream: VideoStream, packets: list[Packet[VideoStream]], begin_utc_ns: int, longest_90k: int | None
    ) -> bool:
        """Tell whether a chunk with this picture format, time and length belongs in this part."""
        if _format_of(stream) != self._format or self._at(begin_utc_ns) - self._last_90k >= NEW_PART_AFTER_90K:
            return False
        last = packets[-1]
        lasts = _ticks(last.pts, last.time_base) + _lasts(last) - _ticks(packets[0].pts, packets[0].time_base)
        return longest_90k is None or self._place(begin_utc_ns) + lasts <= longest_90k

    def add(self, packets: list[Packet[VideoStream]], begin_utc_ns: int) -> Added:
        """Write ``packets``, their first at its own time or right after what is there."""
        placed, first_frame, digest = self._place(begin_utc_ns), self._frames, hashlib.sha256()
        first = _ticks(packets[0].pts, packets[0].time_base)
        for packet in packets:
            digest.update(packet)
            at = placed + _ticks(packet.pts, packet.time_base) - first
            lasts = _lasts(packet)
            packet.stream, packet.time_base = self.stream, _TICK
            packet.pts = packet.dts = at
            packet.duration = lasts
            self.container.mux_one(packet)
            self._frames, self._last_90k, self._end_90k = self._frames + 1, at, at + lasts
        moved = placed - self._at(begin_utc_ns)
        return Added(len(packets), moved, self.path.name, first_frame, self._end_90k, digest.hexdigest())

    def close(self) -> FilmPart:
        """Write the index, then move it to the front."""
        self.container.close()
        return FilmPart(self.path, self.begin_utc_ns, self._frames, self._end_90k)

    def _place(self, begin_utc_ns: int) -> int:
        wanted = self._at(begin_utc_ns)
        return wanted if not self._frames or wanted > self._last_90k else self._end_90k

    def _at(self, utc_ns: int) -> int:
        return round((utc_ns - self.begin_utc_ns) * TICKS_A_SECOND / NS_PER_SECOND)


def _read(source: InputContainer) -> tuple[VideoStream, list[Packet[VideoStream]]]:
    """Return the chunk's stream and packets: one H.264 stream, beginning with a key frame, times rising."""
    streams = source.streams.video
    if len(source.streams) != 1 or len(streams) != 1 or streams[0].codec_context.name != "h264":
        raise _no_chunk("not exactly one H.264 stream")
    packets = [packet for packet in source.demux(streams[0]) if packet.size]
    times = [packet.pts for packet in packets if packet.pts is not None and packet.pts == packet.dts]
    if not packets or not packets[0].is_keyframe:
        raise _no_chunk("it does not begin with a key frame")
    if len(times) != len(packets) or any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise _no_chunk("its times do not rise")
    return streams[0], packets


def _format_of(stream: VideoStream) -> tuple[int, int, bytes]:
    context = stream.codec_context
    return context.width, context.height, bytes(context.extradata or b"")


def _ticks(value: int | None, time_base: Fraction | None) -> int:
    base = time_base or _TICK
    twice = (value or 0) * base.numerator * TICKS_A_SECOND * 2
    return (twice + base.denominator) // (2 * base.denominator)  # rounded; whole numbers, for there are many frames


def _lasts(packet: Packet[VideoStream]) -> int:
    return max(1, _ticks(packet.duration or 0, packet.time_base))


def _no_chunk(what: str) -> StoreError:
    return StoreError(
        "E-STORE-CHUNK",
        f"an opened chunk is no film: {what}",
        where="the chunk's plaintext",
        todo="keep the bundle; the chunk was sealed like this on the pole",
        clause="7.2(1)",
    )
