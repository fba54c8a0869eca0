"""The Raspberry Pi's camera, through picamera2.

Knows:  one camera, two streams of it: ``lores`` for people flow, ``main`` for footage; when a picture is wanted.
Never:  a buffer given back to the camera with a picture in it; a small frame near the encoder; a frame kept.
Leaves: small frames; packets of the board's encoder, or main frames where it has none.
Clauses: 2, 5.1, 7.1(1) (one lens, two pools of two types), 5.1(1), 5.2(1) (camera buffers overwritten, sampled or not).

picamera2 runs threads of its own. They end in here: a thread fills a slot that the loop put at its disposal before,
and hands it back with ``call_soon_threadsafe``; it touches no pool.
"""

from __future__ import annotations

import asyncio
from typing import Final

from firmware.camera.frames import MainFrames, Packets, PictureFormat, SmallFrames, StreamEnded
from firmware.drivers.heap import erase_freed_memory
from firmware.drivers.off_loop import in_thread, in_thread_within
from firmware.drivers.picamera_library import Library, load_library
from firmware.drivers.picamera_session import Session, Wanted
from firmware.ground.clock import Clock
from firmware.ground.errors import CameraError
from firmware.ground.log import Log

_SMALL: Final = PictureFormat(640, 360)
_MAIN: Final = PictureFormat(1280, 720)


class PiCamera:
    """Implements :class:`firmware.camera.driver.Camera`.

    ``main`` decides who encodes: ``Packets`` takes H.264 (Annex-B, parameter sets before every keyframe, one keyframe
    a second) from picamera2's encoder; ``MainFrames`` takes raw pictures, for boards without an encoder
    (``load_library().board_encodes`` is False). Slot size of ``Packets`` bounds a packet; a longer one is dropped, and
    after a drop everything up to the next keyframe, which a board's encoder is asked for at once.
    """

    def __init__(
        self,
        *,
        small: SmallFrames,
        main: MainFrames | Packets,
        clock: Clock,
        log: Log,
        library: Library | None = None,
        camera_number: int = 0,
        small_format: PictureFormat = _SMALL,
        main_format: PictureFormat = _MAIN,
        slice_period_seconds: float = 1.0,
        main_fps: int = 15,
        bits_per_second: int = 2_000_000,
        stall_seconds: float = 5.0,
        stop_seconds: float = 10.0,
    ) -> None:
        self._small, self._main, self._clock, self._log = small, main, clock, log
        self._library, self._camera_number = library, camera_number
        self._wanted = Wanted(small_format, main_format, slice_period_seconds, main_fps, bits_per_second)
        self._stall_seconds, self._stop_seconds = stall_seconds, stop_seconds

    async def run(self) -> None:
        """See :class:`firmware.camera.driver.Camera`.

        Raises :class:`CameraError`: ``E-CAMERA-LIBRARY``, ``E-CAMERA-OPEN``, ``E-CAMERA-FORMAT``, ``E-CAMERA-STALL``
        (nothing for ``stall_seconds``), ``E-CAMERA-STUCK`` (did not stop within ``stop_seconds``: only a new process
        helps).
        """
        erase_freed_memory()
        library = self._library if self._library is not None else await in_thread(load_library)
        session = Session(library, self._small, self._main, self._clock, self._wanted)
        try:
            await in_thread(session.open, self._camera_number)
            self._log.event("camera.opened", camera=self._camera_number)
            await self._watch(session)
        except StreamEnded:
            pass  # the owner closed a pool: nobody wants more
        finally:
            await self._stop(session)

    async def _watch(self, session: Session) -> None:
        while True:
            try:
                async with asyncio.timeout(self._stall_seconds):
                    await session.beat.wait()
            except TimeoutError:
                raise CameraError(
                    "E-CAMERA-STALL",
                    f"no picture for {self._stall_seconds:g} s",
                    where=f"camera {self._camera_number}",
                    todo="started again by itself; check the ribbon cable if it returns",
                ) from None
            session.beat.clear()
            session.check()

    async def _stop(self, session: Session) -> None:
        """Stop the camera, wait for its threads, give parked slots back."""
        try:
            stopped = await in_thread_within(self._stop_seconds, session.close)
        except (RuntimeError, OSError):
            stopped = False
        finally:
            session.give_up()
        if not stopped:
            raise CameraError(
                "E-CAMERA-STUCK",
                f"the camera did not stop within {self._stop_seconds:g} s",
                where=f"camera {self._camera_number}",
                clause="6.1(2)",
                todo="the service is started anew",
            )
