"""H.264 and MP4 through PyAV: planar pictures to Annex-B packets, packets to one fragmented MP4.

Knows:  libx264, FFmpeg's MP4 muxer.
Never:  a thread (the jail allows none), a B picture, a file, a key; a picture longer than one encoder lives.
Leaves: packets that start alone where asked; a container written into the buffer it is given.
Clauses: 7.1(1) (main-stream pictures only), 7.1(3) (an encoder lives for one chunk, and takes its pictures with it).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType

from firmware.footage.chunk import TICKS_A_SECOND

_TICK: Final = Fraction(1, TICKS_A_SECOND)
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG: the slots hold full-range pictures
_MATRIX_BT601: Final = 6
_PRIMARIES_BT709: Final = 1
_TRANSFER_SRGB: Final = 13


class EncoderRefused(RuntimeError):  # noqa: N818 - a verdict, translated by whoever asked
    """FFmpeg refused a picture or a packet."""


@dataclass(frozen=True, slots=True)
class H264Settings:
    """How to encode. ``gop_seconds``: at least one picture that starts alone in that time."""

    width: int
    height: int
    fps: int
    bitrate_kbps: int
    preset: str = "ultrafast"
    gop_seconds: int = 2


class X264Encoder:
    """One chunk's encoder: every picture in gives one packet out at once, none is kept for later."""

    def __init__(self, settings: H264Settings) -> None:
        self._settings = settings
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = settings.width, settings.height, "yuv420p"
        context.time_base, context.framerate = _TICK, Fraction(settings.fps)
        context.bit_rate = settings.bitrate_kbps * 1000
        context.gop_size = settings.fps * settings.gop_seconds
        context.max_b_frames = 0
        context.thread_count = 1
        context.color_range, context.colorspace = _FULL_RANGE, _MATRIX_BT601
        context.color_primaries, context.color_trc = _PRIMARIES_BT709, _TRANSFER_SRGB
        context.options = {
            "preset": settings.preset,
            "tune": "zerolatency",  # no look-ahead: x264 holds the last pictures only as references
            "forced-idr": "1",
            "maxrate": f"{settings.bitrate_kbps}k",  # a chunk's size is bounded by its bit rate
            "bufsize": f"{settings.bitrate_kbps}k",
            "x264-params": "threads=1:sliced-threads=0:sync-lookahead=0:cabac=1",  # CABAC: Main profile, 1.25 x
        }
        try:
            context.open()
        except av.FFmpegError as error:
            raise EncoderRefused from error
        self._context: av.VideoCodecContext | None = context

    def encode(self, picture: npt.NDArray[np.uint8], pts_90k: int, *, start: bool) -> bytes:
        """Return the packet of one I420 ``picture`` (uint8, height*3/2 x width); ``start``: it must start alone."""
        frame = av.VideoFrame.from_numpy_buffer(picture, format="yuv420p")
        frame.pts, frame.time_base = pts_90k, _TICK
        if start:
            frame.pict_type = PictureType.I
        if self._context is None:
            raise EncoderRefused
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as error:
            raise EncoderRefused from error
        return b"".join(bytes(packet) for packet in packets)

    def close(self) -> None:
        """Let the encoder go, and with it the pictures it still refers to. Idempotent."""
        self._context = None


class Sink(Protocol):
    """Where the container grows."""

    def write(self, piece: bytes, /) -> int:
        """Take a piece."""


class Mp4Muxer:
    """One self-contained fragmented MP4 from Annex-B packets; header and parameter sets come from the first."""

    def __init__(self, sink: Sink, *, width: int, height: int, fps: int) -> None:
        self._duration_90k = TICKS_A_SECOND // fps
        self._container = av.open(
            sink, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        )
        self._stream = self._container.add_mux_stream("h264", rate=fps, width=width, height=height, time_base=_TICK)

    def add(self, packet: bytes, pts_90k: int, *, keyframe: bool) -> None:
        """Append a packet; ``pts_90k`` counts from the chunk's first."""
        piece = av.Packet(packet)
        piece.pts = piece.dts = pts_90k
        piece.time_base = _TICK
        piece.duration = self._duration_90k
        piece.is_keyframe = keyframe
        piece.stream = self._stream
        try:
            self._container.mux(piece)
        except av.FFmpegError as error:
            raise EncoderRefused from error

    def close(self) -> None:
        """Write the last fragment and let FFmpeg's copies go. Idempotent."""
        try:
            self._container.close()
        except av.FFmpegError as error:
            raise EncoderRefused from error
