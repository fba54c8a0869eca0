"""One opening of the camera: what its threads do, and how they hand over to the loop.

Knows:  picamera2's callbacks, the loop, slots put at a thread's disposal.
Never:  a pool touched from a foreign thread; an exception let loose in picamera2's thread.
Leaves: published slots; a beat for each picture; the first failure.
Clauses: 2, 5.1, 7.1(1) (two streams, two pools), 5.1(1), 5.2(1) (buffers overwritten before they go back).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from firmware.camera.frames import CaptureStamp, Filling, MainFrames, Packets, PictureFormat, SlotPool, StreamEnded
from firmware.camera.grid import Grid
from firmware.drivers.picamera_buffers import Buffers, Layout
from firmware.drivers.picamera_library import Library, Request
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import CameraError

_LONGEST_BACKLOG: Final = 32
"""Packets on their way from the encoder's thread to the loop; beyond it they are dropped, not collected."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the camera. Units: seconds between slices, main frames a second, bits a second."""

    small: PictureFormat
    main: PictureFormat
    slice_period_seconds: float
    main_fps: int
    bits_per_second: int


class Tray:
    """Empty slots that the loop claimed ahead, for a thread to fill."""

    def __init__(self, pool: SlotPool, slots: int) -> None:
        self.pool = pool
        self._slots = slots
        self._parked: deque[Filling] = deque(maxlen=slots)

    def refill(self) -> None:
        """Claim what is free. On the loop. Raises StreamEnded when the pool is closed."""
        while len(self._parked) < self._slots and (self.pool.free or self.pool.closed):
            filling = self.pool.claim()
            if filling is not None:
                self._parked.append(filling)

    def take(self) -> Filling | None:
        """Take a parked slot, if there is one. In any thread."""
        try:
            return self._parked.popleft()
        except IndexError:
            return None

    def give_up(self) -> None:
        """Give the parked slots back. On the loop."""
        while (filling := self.take()) is not None:
            filling.abandon()


class Session:
    """Open, run, close once."""

    def __init__(
        self, library: Library, small: SlotPool, main: MainFrames | Packets, clock: Clock, wanted: Wanted
    ) -> None:
        self.beat: Final = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._library, self._clock, self._wanted = library, clock, wanted
        self._buffers = Buffers(library)
        self._small = Tray(small, 1)
        self._main = Tray(main, 2) if isinstance(main, MainFrames) else None
        self._packets = main if isinstance(main, Packets) else None
        self._small_grid = Grid(round(wanted.slice_period_seconds * NS_PER_SECOND))
        self._camera: Any = None
        self._encoder: Any = None
        self._layouts: dict[str, Layout] = {}
        self._first_sensor_ns: int | None = None
        self._failure: Exception | None = None
        self._needs_keyframe = True
        self._sent = self._taken = 0  # each written by one thread only
        self._refill()

    # ---- in a thread of ours

    def open(self, camera_number: int) -> None:
        """Open, configure and start the camera. Raises :class:`CameraError`."""
        try:
            self._camera = self._library.camera(camera_number)
            self._configure()
            if self._packets is not None:
                self._start_encoder()
            self._camera.pre_callback = self._on_request
            self._camera.start()
        except (RuntimeError, IndexError, ValueError, OSError) as error:
            raise CameraError(
                "E-CAMERA-OPEN",
                f"the camera did not open: {type(error).__name__}",
                where=f"camera {camera_number}",
                todo="check that `rpicam-hello --list-cameras` shows it and that no other program uses it",
            ) from None

    def close(self) -> None:
        """Stop the camera, then its encoder; overwrite every buffer; let go. Blocks as long as the library does."""
        if self._camera is None:
            return
        try:
            self._camera.stop()  # first: no picture enters the encoder any more
            if self._encoder is not None:
                self._camera.stop_encoder(self._encoder)
                self._encoder = None
            self._buffers.overwrite_all(self._camera)  # 5.2(1)
        finally:
            self._camera.close()

    def _configure(self) -> None:
        wanted, frame_us = self._wanted, 1_000_000 // self._wanted.main_fps
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": (wanted.main.width, wanted.main.height), "format": "YUV420"},
                lores={"size": (wanted.small.width, wanted.small.height), "format": "YUV420"},
                raw=None,
                colour_space=self._library.full_range,
                buffer_count=6,
                controls={"FrameDurationLimits": (frame_us, frame_us)},
                display=None,
                encode="main",
                queue=False,  # else the library keeps the last picture for whoever may ask
            )
        )
        actual = self._camera.camera_configuration()
        for name, picture in (("lores", wanted.small), ("main", wanted.main)):
            self._layouts[name] = Layout.agreed(name, picture, actual[name])

    def _start_encoder(self) -> None:
        encoder = self._library.encoder(
            bitrate=self._wanted.bits_per_second,
            repeat=True,  # SPS and PPS before every keyframe: each chunk plays alone
            iperiod=self._wanted.main_fps,
            framerate=self._wanted.main_fps,
        )
        output = type("PacketOutput", (self._library.output,), {"outputframe": self._output_method()})()
        self._camera.start_encoder(encoder, output, name="main")
        self._encoder = encoder

    # ---- in picamera2's threads

    def _on_request(self, request: Request) -> None:
        """Look at one capture: called for every one, before the encoder sees it."""
        try:
            stamp = self._stamp(request)
            if self._packets is not None:
                self._buffers.overwrite_at_last_release(request, "main")
        except (RuntimeError, ValueError, KeyError) as error:
            self._tell(self._fail, type(error).__name__)
            return
        missed = list[SlotPool]()
        self._hand_over(request, "lores", self._small, stamp, missed, due=self._small_grid.due(stamp.utc_ns))
        self._small_grid.done(stamp.utc_ns)
        if self._main is not None:
            self._hand_over(request, "main", self._main, stamp, missed, due=True)
        self._tell(self._on_beat, missed)

    def _hand_over(
        self, request: Request, stream: str, tray: Tray, stamp: CaptureStamp, missed: list[SlotPool], *, due: bool
    ) -> None:
        filling = tray.take() if due else None
        failure = None
        try:
            self._buffers.take(request, stream, self._layouts[stream], filling.view if filling is not None else None)
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            failure = type(error).__name__
        # Told only now: while an error is being handled, its traceback still holds views of the slot.
        if failure is not None:
            self._tell(self._fail, failure, filling)
        elif filling is not None:
            self._tell(self._publish, filling, stamp)
        elif due:
            missed.append(tray.pool)

    def _stamp(self, request: Request) -> CaptureStamp:
        sensor = request.get_metadata().get("SensorTimestamp")
        stopwatch_ns = self._clock.stopwatch_ns()
        reference_ns = int(sensor) if sensor is not None else stopwatch_ns
        if self._first_sensor_ns is None:
            self._first_sensor_ns = reference_ns
        return CaptureStamp(
            utc_ns=self._clock.utc_ns(),
            boot_ns=self._clock.boot_ns(),
            stopwatch_ns=stopwatch_ns,
            sensor_ns=None if sensor is None else int(sensor),
            pts_90k=(reference_ns - self._first_sensor_ns) * 9 // 100_000,
        )

    def _output_method(self) -> Callable[..., None]:
        session = self

        def outputframe(
            _output: object,
            frame: bytes,
            keyframe: bool = True,  # noqa: FBT001, FBT002 - picamera2 passes it by position
            timestamp: int | None = None,
            packet: object = None,  # noqa: ARG001 - for outputs that write files
            audio: bool = False,  # noqa: FBT001, FBT002, ARG001 - never asked for
        ) -> None:
            session.on_packet(frame, timestamp or 0, keyframe=bool(keyframe))

        return outputframe

    def on_packet(self, packet: bytes, timestamp_us: int, *, keyframe: bool) -> None:
        """Take one packet of the encoder."""
        self._sent += 1
        if self._sent - self._taken > _LONGEST_BACKLOG:
            packet, keyframe = b"", False  # dropped; an empty one tells the loop so
        first_us = getattr(self._encoder, "firsttimestamp", None)
        stamp = CaptureStamp(
            utc_ns=self._clock.utc_ns(),
            boot_ns=self._clock.boot_ns(),
            stopwatch_ns=self._clock.stopwatch_ns(),
            sensor_ns=None if first_us is None else (first_us + timestamp_us) * 1000,
            pts_90k=timestamp_us * 9 // 100,
        )
        self._tell(partial(self._take_packet, packet, stamp, keyframe=keyframe))

    def _tell(self, what: Callable[..., object], *arguments: object) -> None:
        self._loop.call_soon_threadsafe(what, *arguments)

    # ---- on the loop

    def check(self) -> None:
        """Raise the first failure, if there was one: CameraError, or StreamEnded when a pool was closed."""
        if self._failure is not None:
            raise self._failure

    def give_up(self) -> None:
        """Give parked slots back."""
        for tray in (self._small, self._main):
            if tray is not None:
                tray.give_up()

    def _on_beat(self, missed: list[SlotPool]) -> None:
        for pool in missed:
            pool.count_dropped()
        self._refill()
        self.beat.set()

    def _refill(self) -> None:
        try:
            self._small.refill()
            if self._main is not None:
                self._main.refill()
        except StreamEnded as end:
            self._failure = self._failure or end

    def _publish(self, filling: Filling, stamp: CaptureStamp) -> None:
        try:
            filling.publish(stamp)
        except CameraError as error:
            self._note(error)

    def _take_packet(self, packet: bytes, stamp: CaptureStamp, *, keyframe: bool) -> None:
        self._taken += 1
        assert self._packets is not None  # noqa: S101 - only a session with packets has an encoder
        try:
            if self._needs_keyframe and not keyframe:
                self._packets.count_dropped()
                return
            filling = None
            if 0 < len(packet) <= self._packets.memory.frame_bytes:
                filling = self._packets.claim()
            else:
                self._packets.count_dropped()
            self._needs_keyframe = filling is None  # what follows a lost packet cannot be decoded
            if filling is None:
                # An encoder that is a program dies of this request (picamera2 0.3.38 with PyAV 19), and picamera2's own
                # thread with it; its next keyframe is at most a second away.
                if self._encoder is not None and self._library.board_encodes:
                    self._encoder.force_key_frame()
                return
            filling.view[: len(packet)] = packet
            filling.publish(stamp, len(packet), keyframe=keyframe)
        except (CameraError, StreamEnded) as error:
            self._note(error)

    def _fail(self, kind: str, filling: Filling | None = None) -> None:
        if filling is not None:
            filling.abandon()
        self._note(
            CameraError(
                "E-CAMERA-BUFFER",
                f"a camera buffer could not be read or overwritten: {kind}",
                where="picamera2",
                clause="5.2(1)",
                todo="started again by itself; report it if it returns",
            )
        )

    def _note(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        self.beat.set()
