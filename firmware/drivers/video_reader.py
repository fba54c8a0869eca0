"""FFmpeg's side of a video file: opens, decodes, scales; always called from one thread at a time.

Knows:  one file, PyAV.
Never:  the event loop, a pool, a clock.
Leaves: decoded pictures, drawn into memory it is given; a count of what could not be decoded.
Clauses: 5.1(1), 5.2(1) (scaled copies are overwritten before they are let go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from firmware.camera.frames import PictureFormat
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import CameraError

_LONGEST_JUMP_NS: Final = 60 * NS_PER_SECOND
"""A gap between two pictures beyond this is a damaged time, not a pause: it must not carry a replay's clock away."""


@dataclass(slots=True)
class VideoReport:
    """What one pass over a file found.

    ``frames``: decoded whole. ``skipped``: damaged, not delivered. ``declared``: the file's own count, 0 unknown.
    ``last_frame``: number (from 1) of the last one the file held, whole or damaged.
    """

    frames: int = 0
    skipped: int = 0
    declared: int = 0
    last_frame: int = 0
    ended_early: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, ``offset_ns`` after the first one."""

    decoded: VideoFrame
    offset_ns: int


class VideoReader:
    """One pass over one file."""

    def __init__(self, path: Path, report: VideoReport) -> None:
        self._path, self.report = path, report
        self._container: InputContainer | None = None
        self._pixel_shape = Fraction(1)
        self._pictures: Iterator[Picture] = iter(())
        self._scalers: dict[PictureFormat, VideoReformatter] = {}

    def open(self) -> None:
        """Open the file. Raises :class:`CameraError` ``E-CAMERA-VIDEO``."""
        fresh = VideoReport()
        for name in fresh.__slots__:
            setattr(self.report, name, getattr(fresh, name))
        try:
            # Plain files only: a playlist must not make the pole open a connection.
            self._container = av.open(f"file:{self._path}", options={"protocol_whitelist": "file"})
            stream = self._container.streams.video[0]
        except (av.FFmpegError, IndexError) as error:
            self.close()
            raise CameraError(
                "E-CAMERA-VIDEO",
                "cannot be read as a video, not even frame 1: "
                + (f"{error.strerror}" if isinstance(error, av.FFmpegError) else "it holds no pictures"),
                where=str(self._path),
                todo="give a file that FFmpeg reads",
            ) from None
        self.report.declared = stream.frames
        self._pixel_shape = stream.sample_aspect_ratio or Fraction(1)
        self._pictures = self._decode(self._container, stream)

    def close(self) -> None:
        """Let go of the file and of every decoded picture. Twice is once."""
        self._pictures = iter(())
        self._scalers.clear()
        if self._container is not None:
            self._container.close()
            self._container = None

    def next_due(self, wanted: Callable[[int], bool | None]) -> Picture | None:
        """Return the next picture that ``wanted`` (asked with its offset) wants.

        None at the end, and when ``wanted`` says None.
        """
        for picture in self._pictures:
            answer = wanted(picture.offset_ns)
            if answer is None:
                return None
            if answer:
                return picture
        return None

    def draw(self, picture: Picture, slot: memoryview, picture_format: PictureFormat) -> bool:
        """Scale ``picture`` to cover ``picture_format`` and write its middle into ``slot``; False when FFmpeg cannot.

        I420, full range, BT.601. Raises nothing: an exception would keep views of the slot alive.
        """
        try:
            scaled = self._scale(picture.decoded, picture_format)
        except (av.FFmpegError, ValueError):
            return False
        at = 0
        for plane, half in zip(scaled.planes, (1, 2, 2), strict=True):
            height, width = picture_format.height // half, picture_format.width // half
            pixels: npt.NDArray[np.uint8] = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(
                -1, plane.line_size
            )
            top, left = (plane.height - height) // 2, (plane.width - width) // 2
            target = np.frombuffer(slot, dtype=np.uint8, count=height * width, offset=at).reshape(height, width)
            target[:] = pixels[top : top + height, left : left + width]
            if scaled is not picture.decoded:  # the decoder still predicts from its own pictures
                pixels[:] = 0  # 5.1(1), 5.2(1)
            at += height * width
        return True

    def _scale(self, decoded: VideoFrame, picture_format: PictureFormat) -> VideoFrame:
        width, height = _cover(decoded.width * self._pixel_shape, decoded.height, picture_format)
        full = decoded.format.name.startswith(("yuvj", "rgb", "bgr", "gbr", "gray", "pal"))
        scaler = self._scalers.setdefault(picture_format, VideoReformatter())
        return scaler.reformat(
            decoded,
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            interpolation=Interpolation.BILINEAR,
            src_color_range=ColorRange.JPEG if full or decoded.color_range == ColorRange.JPEG else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[Picture]:
        clock = _PictureTimes(stream)
        for packet in container.demux(stream):
            self.report.last_frame += packet.size > 0
            clock.note_packet(packet.pts)
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.report.skipped += 1
                continue
            for frame in frames:
                offset_ns = clock.offset_of(frame.pts)
                if frame.is_corrupt:
                    self.report.skipped += 1
                else:
                    self.report.frames += 1
                    yield Picture(frame, offset_ns)
        # A decoder also drops damaged pictures without a word.
        self.report.skipped = max(self.report.last_frame - self.report.frames, self.report.skipped)
        self.report.ended_early = (
            not self.report.frames or self.report.last_frame < self.report.declared or clock.ended_early(container)
        )


class _PictureTimes:
    """Distances from the first picture, in order whatever the file says."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._step_ns = int(NS_PER_SECOND / (stream.average_rate or stream.base_rate or Fraction(25)))
        self._time_base = stream.time_base or Fraction(0)
        self._first: int | None = None
        self._first_packet: int | None = None
        self._packet_ns = 0
        self._offset_ns = -self._step_ns

    def note_packet(self, pts: int | None) -> None:
        """Note how far the file itself reaches, decodable or not."""
        if pts is not None:
            self._first_packet = pts if self._first_packet is None else min(pts, self._first_packet)
            self._packet_ns = max(self._packet_ns, int((pts - self._first_packet) * self._time_base * NS_PER_SECOND))

    def offset_of(self, pts: int | None) -> int:
        """Return the next picture's distance (ns): what the file says, or one step on where it says nonsense."""
        expected_ns = self._offset_ns + self._step_ns
        if pts is not None and self._time_base:
            self._first = pts if self._first is None else self._first
            read_ns = int((pts - self._first) * self._time_base * NS_PER_SECOND)
            if self._offset_ns < read_ns <= expected_ns + _LONGEST_JUMP_NS:
                expected_ns = read_ns
        self._offset_ns = expected_ns
        return expected_ns

    def ended_early(self, container: InputContainer) -> bool:
        """Return whether pictures end more than a second before the file's packets, or its declared length, do."""
        reaches_ns = self._packet_ns
        if self._stream.duration is not None and self._time_base:
            reaches_ns = max(reaches_ns, int(self._stream.duration * self._time_base * NS_PER_SECOND))
        elif container.duration is not None and len(container.streams) == 1:
            reaches_ns = max(reaches_ns, container.duration * (NS_PER_SECOND // av.time_base))
        return self._offset_ns + self._step_ns + NS_PER_SECOND < reaches_ns


def _cover(shown_width: Fraction, height: int, picture_format: PictureFormat) -> tuple[int, int]:
    """Return the even size that keeps a picture's shape and covers ``picture_format``."""
    scale = max(picture_format.width / shown_width, Fraction(picture_format.height, height))
    return _even(shown_width * scale), _even(height * scale)


def _even(length: Fraction) -> int:
    return -(-length.numerator // (2 * length.denominator)) * 2
