"""A video file as a camera: any file that FFmpeg reads.

Knows:  a file, two pools, a clock.
Never:  a network address (FFmpeg may open plain files only), a frame kept, a zero where nothing was seen.
Leaves: small and main frames in slots; how many frames were read and skipped; where a broken file ended.
Clauses: 2, 5.1, 7.1(1) (one lens, two pools of two types), 5.1(1), 5.2(1) (buffers overwritten before they are let go).

On a :class:`SimulatedClock` the video leads time: the clock is moved to each frame, a small frame is taken only when
the one before is gone, and time moves on only when it is counted; nothing is dropped. On any other clock the video is
paced by it, and what finds no free slot is dropped and counted.

Pictures are scaled to cover the wanted size, without distortion, and what stands over at two sides is cut off evenly:
no black bars, in which a detector might see an edge of a street.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from firmware.camera.frames import CaptureStamp, Filling, MainFrames, PictureFormat, SlotPool, SmallFrames, StreamEnded
from firmware.camera.grid import Grid
from firmware.drivers.heap import erase_freed_memory
from firmware.drivers.off_loop import in_thread
from firmware.drivers.video_reader import Picture, VideoReader, VideoReport
from firmware.ground.clock import NS_PER_SECOND, Clock, SimulatedClock
from firmware.ground.errors import CameraError
from firmware.ground.log import Log

__all__ = ["VideoFile", "VideoReport"]

_SMALL: Final = PictureFormat(640, 360)
_MAIN: Final = PictureFormat(1280, 720)
_PTS_PER_SECOND: Final = 90_000


class VideoFile:
    """Implements :class:`firmware.camera.driver.Camera`. Either stream may be None; ``report`` counts what was read.

    The first picture's time is the clock's when :meth:`run` begins; every further one's is that plus its distance in
    the video. ``end_after_seconds`` ends as if the video were that long.
    """

    def __init__(
        self,
        path: Path,
        *,
        small: SmallFrames | None,
        main: MainFrames | None,
        clock: Clock,
        log: Log,
        small_format: PictureFormat = _SMALL,
        main_format: PictureFormat = _MAIN,
        slice_period_seconds: float = 1.0,
        main_fps: float = 15.0,
        end_after_seconds: float | None = None,
    ) -> None:
        self._path, self._clock, self._log = path, clock, log
        self._leads = clock if isinstance(clock, SimulatedClock) else None
        # Main first: a slice's counting may move the clock's sleepers, and footage should have the picture by then.
        streams: list[tuple[SlotPool | None, PictureFormat, float]] = [
            (main, main_format, 1.0 / main_fps),
            (small, small_format, slice_period_seconds),
        ]
        self._streams = [
            (pool, picture, Grid(round(period_seconds * NS_PER_SECOND)))
            for pool, picture, period_seconds in streams
            if pool is not None
        ]
        self._end_ns = None if end_after_seconds is None else round(end_after_seconds * NS_PER_SECOND)
        self.report = VideoReport()

    async def run(self) -> None:
        """See :class:`firmware.camera.driver.Camera`. Each run plays the file from its beginning."""
        erase_freed_memory()
        reader = VideoReader(self._path, self.report)
        try:
            await in_thread(reader.open)
            await self._play(reader)
        except StreamEnded:
            pass  # the owner closed a pool: nobody wants more
        finally:
            await in_thread(reader.close)
            self._log.event("camera.video", frames=self.report.frames, skipped=self.report.skipped)
        if self.report.ended_early:
            raise CameraError(
                "E-CAMERA-VIDEO",
                f"the video ended at frame {self.report.last_frame}"
                + (f" of {self.report.declared}" if self.report.declared else ", before its declared length"),
                where=str(self._path),
                todo="everything before was counted; the rest is a gap. Get the whole file",
            )

    async def _play(self, reader: VideoReader) -> None:
        utc_ns = self._clock.utc_ns()
        while (picture := await in_thread(reader.next_due, self._wanted(utc_ns))) is not None:
            at_ns = utc_ns + picture.offset_ns
            await (self._leads.advance_to(at_ns) if self._leads else self._clock.sleep_until(at_ns))
            stamp = CaptureStamp(
                utc_ns=at_ns,
                boot_ns=self._clock.boot_ns(),
                stopwatch_ns=self._clock.stopwatch_ns(),
                sensor_ns=None,
                pts_90k=picture.offset_ns * _PTS_PER_SECOND // NS_PER_SECOND,
            )
            for pool, picture_format, grid in self._streams:
                if grid.due(at_ns):
                    grid.done(at_ns)
                    await self._deliver(reader, picture, pool, picture_format, stamp)

    def _wanted(self, utc_ns: int) -> Callable[[int], bool | None]:
        """Return what the reader asks of each picture: is it wanted (True), not (False), or is this the end (None)."""

        def wanted(offset_ns: int) -> bool | None:
            if self._end_ns is not None and offset_ns >= self._end_ns:
                return None
            return any(grid.due(utc_ns + offset_ns) for _, _, grid in self._streams)

        return wanted

    async def _deliver(
        self, reader: VideoReader, picture: Picture, pool: SlotPool, picture_format: PictureFormat, stamp: CaptureStamp
    ) -> None:
        filling = await pool.claim_when_free() if self._leads else pool.claim()
        if filling is None:
            return
        if await self._drawn(reader, picture, filling, picture_format):
            filling.publish(stamp)
            if self._leads and pool.keeps_only_newest:
                await pool.drained()
        else:
            filling.abandon()
            self.report.skipped += 1

    async def _drawn(
        self, reader: VideoReader, picture: Picture, filling: Filling, picture_format: PictureFormat
    ) -> bool:
        try:
            return await in_thread(reader.draw, picture, filling.view, picture_format)
        except BaseException:
            filling.abandon()
            raise
