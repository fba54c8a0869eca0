# ruff: noqa: ARG002, PYI034, PYI036 - the signatures are not ours
"""picamera2 as far as the driver uses it: the real call signatures, threads and ownership of buffers, no hardware.

Signatures are held to ``picamera2_signatures.json``, which is read out of the real package. What the fake checks by
itself, in ``complaints``: a buffer given back to the camera with a picture still in it; a request released too often.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware.drivers.picamera_library import Library


class Behaviour:
    """What this camera does: changed by a test before or while it runs."""

    def __init__(self) -> None:
        self.stride_padding = 32
        self.format = "YUV420"
        self.size_off_by = 0
        self.cameras = 1
        self.frames: int | None = None  # stalls after so many
        self.pause_seconds = 0.002
        self.sensor_timestamps = True
        self.break_mapping_after: int | None = None
        self.stop_blocks = threading.Event()
        self.stop_blocks.set()
        self.paint: Callable[[int], int] = lambda number: 40 + number % 160
        self.packet_bytes = 600
        self.complaints: list[str] = []
        self.configuration: dict[str, Any] = {}
        self.left_over: list[str] = []
        self.opened = self.closed = self.keyframes_asked = self.returned = 0


class DmaAllocator:
    def __init__(self) -> None:
        self.mapped_buffers: dict[Any, Any] = {}


class CompletedRequest:
    def __init__(self, request: Any, picam2: Picamera2) -> None:
        self.request = request
        self.picam2 = picam2
        self.ref_count: int = 1
        self.lock = picam2.request_lock

    def acquire(self) -> None:
        with self.lock:
            if self.ref_count == 0:
                raise RuntimeError("CompletedRequest: acquiring lock with ref_count 0")
            self.ref_count += 1

    def release(self) -> None:
        with self.lock:
            self.ref_count -= 1
            if self.ref_count < 0:
                self.picam2.behaviour.complaints.append("released too often")
                raise RuntimeError("CompletedRequest: lock now has negative ref_count")
            if self.ref_count == 0:
                self.picam2.give_back(self.request)
                self.request = None

    def get_metadata(self) -> dict[str, Any]:
        if not self.picam2.behaviour.sensor_timestamps:
            return {}
        return {"SensorTimestamp": self.request["sensor_ns"], "ExposureTime": 9000}


class MappedArray:
    def __init__(self, request: CompletedRequest, stream: str, reshape: bool = True, write: bool = True) -> None:
        assert not reshape, "the fake knows flat buffers only"
        assert write
        self._buffer = request.request[stream]
        self._behaviour = request.picam2.behaviour
        self._array: npt.NDArray[np.uint8] | None = None

    def __enter__(self) -> MappedArray:
        left = self._behaviour.break_mapping_after
        if left is not None:
            self._behaviour.break_mapping_after = left - 1
            if left <= 0:
                raise RuntimeError("failed to find buffer")
        self._array = np.frombuffer(self._buffer, dtype=np.uint8)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, exc_traceback: Any) -> None:
        self._array = None

    @property
    def array(self) -> npt.NDArray[np.uint8] | None:
        return self._array


class Output:
    def __init__(self, pts: Any = None) -> None:
        self.recording = False

    def start(self) -> None:
        self.recording = True

    def stop(self) -> None:
        self.recording = False

    def outputframe(
        self, frame: bytes, keyframe: bool = True, timestamp: Any = None, packet: Any = None, audio: bool = False
    ) -> None:
        raise NotImplementedError


class H264Encoder:
    """Holds each request until the next one came, as the real ones hold theirs until the hardware is done."""

    def __init__(
        self,
        bitrate: Any = None,
        repeat: bool = True,
        iperiod: Any = None,
        framerate: Any = None,
        enable_sps_framerate: bool = False,
        qp: Any = None,
        profile: Any = None,
    ) -> None:
        assert repeat, "a chunk would not play alone"
        self.iperiod = iperiod
        self.firsttimestamp: int | None = None
        self.output: Any = None
        self.behaviour: Behaviour | None = None
        self._held: list[tuple[str, CompletedRequest]] = []
        self._count = itertools.count()
        self._packets_to_key = 0

    def force_key_frame(self) -> None:
        assert self.behaviour is not None
        self.behaviour.keyframes_asked += 1
        if self._packets_to_key == 0:
            self._packets_to_key = 4  # what is in the hardware already comes out first

    def encode(self, stream: str, request: CompletedRequest) -> None:
        request.acquire()
        self._held.append((stream, request))
        while len(self._held) > 1:
            self._emit(*self._held.pop(0))

    def finish(self) -> None:
        while self._held:
            self._emit(*self._held.pop(0))

    def _emit(self, stream: str, request: CompletedRequest) -> None:
        """Read the picture only now, as hardware does, and let go of it."""
        assert self.behaviour is not None
        number, taken_us = next(self._count), request.request["sensor_ns"] // 1000
        if self.firsttimestamp is None:
            self.firsttimestamp = taken_us
        keyframe = self._packets_to_key == 1 or number % self.iperiod == 0
        self._packets_to_key = max(self._packets_to_key - 1, 0)
        head = b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\0\1\x65" if keyframe else b"\0\0\0\1\x41"
        packet = head + bytes([request.request[stream][0]]) * self.behaviour.packet_bytes
        self.output.outputframe(packet, keyframe, taken_us - self.firsttimestamp, None, False)
        request.release()


class Picamera2:
    behaviour: Behaviour

    def __init__(
        self, camera_num: int = 0, verbose_console: Any = None, tuning: Any = None, allocator: Any = None
    ) -> None:
        if camera_num >= self.behaviour.cameras:
            raise RuntimeError(f"No camera number {camera_num} found")
        self.behaviour.opened += 1
        self.request_lock = threading.Lock()
        self.allocator = DmaAllocator()
        self.pre_callback: Callable[[CompletedRequest], None] | None = None
        self.started = False
        self._configuration: dict[str, Any] = {}
        self._encoders: list[H264Encoder] = []
        self._free: list[dict[str, Any]] = []
        self._thread: threading.Thread | None = None

    def create_video_configuration(
        self,
        main: Any = {},  # noqa: B006 - theirs
        lores: Any = None,
        raw: Any = {},  # noqa: B006
        transform: Any = ...,
        colour_space: Any = None,
        buffer_count: int = 6,
        controls: Any = {},  # noqa: B006
        display: Any = "main",
        encode: Any = "main",
        queue: bool = True,
        sensor: Any = {},  # noqa: B006
        use_case: str = "video",
    ) -> dict[str, Any]:
        streams = {"main": dict(main), "lores": dict(lores), "raw": raw}
        return streams | {
            "colour_space": colour_space,
            "buffer_count": buffer_count,
            "controls": controls,
            "display": display,
            "encode": encode,
            "queue": queue,
        }

    def configure(self, camera_config: Any = None) -> None:
        self._configuration = self.behaviour.configuration = camera_config
        for name in ("main", "lores"):
            stream = camera_config[name]
            width, height = stream["size"]
            stream["size"] = (width + self.behaviour.size_off_by, height)
            stream["format"] = self.behaviour.format
            stream["stride"] = width + self.behaviour.stride_padding
            stream["framesize"] = stream["stride"] * height * 3 // 2
        for number in range(camera_config["buffer_count"]):
            request = {name: bytearray(camera_config[name]["framesize"]) for name in ("main", "lores")}
            for name in ("main", "lores"):
                self.allocator.mapped_buffers[name, number] = memoryview(request[name])
            self._free.append(request)

    def camera_configuration(self) -> dict[str, Any]:
        return self._configuration

    def start_encoder(
        self, encoder: Any = None, output: Any = None, pts: Any = None, quality: Any = None, name: Any = None
    ) -> None:
        assert isinstance(output, Output), "Must pass Output"
        assert name == "main"
        encoder.output, encoder.behaviour = output, self.behaviour
        output.start()
        self._encoders.append(encoder)

    def stop_encoder(self, encoders: Any = None) -> None:
        encoders.finish()
        encoders.output.stop()
        self._encoders.remove(encoders)

    def start(self, config: Any = None, show_preview: bool = False) -> None:
        self.started = True
        self._thread = threading.Thread(target=self._shoot, name="fake camera")
        self._thread.start()

    def stop(self) -> None:
        self.behaviour.stop_blocks.wait()
        self.started = False
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            for request in self._free:  # captures under way that nobody will ever be shown
                request["main"][:100] = request["lores"][:100] = b"\7" * 100

    def close(self) -> None:
        self.stop()
        for key, mapped in self.allocator.mapped_buffers.items():
            if any(mapped):
                self.behaviour.left_over.append(f"{key} holds a picture at close")
            mapped.release()
        self.allocator.mapped_buffers.clear()
        self.behaviour.closed += 1

    def give_back(self, request: dict[str, Any]) -> None:
        for name in ("lores", "main"):
            if any(request[name]):
                self.behaviour.complaints.append(f"{name} went back with a picture in it")
        self.behaviour.returned += 1
        self._free.append(request)

    def _shoot(self) -> None:
        for number in itertools.count():
            if not self.started:
                return
            if number == self.behaviour.frames or not self._free:
                self._dawdle()
                return
            raw = self._free.pop(0)
            for name in ("main", "lores"):
                raw[name][:] = bytes([self.behaviour.paint(number)]) * len(raw[name])
            raw["sensor_ns"] = 5_000_000_000 + number * 66_666_667
            request = CompletedRequest(raw, self)
            if self.pre_callback is not None:
                self.pre_callback(request)
            for encoder in self._encoders:
                encoder.encode("main", request)
            request.release()
            time.sleep(self.behaviour.pause_seconds)

    def _dawdle(self) -> None:
        while self.started:
            time.sleep(0.005)


def fake_library(behaviour: Behaviour, *, board_encodes: bool = True) -> Library:
    """Return a library whose cameras behave as told."""
    return Library(
        camera=type("Picamera2", (Picamera2,), {"behaviour": behaviour}),
        map_array=MappedArray,  # type: ignore[arg-type] # as loosely typed as the real one
        encoder=H264Encoder,
        output=Output,
        full_range="Sycc",
        board_encodes=board_encodes,
    )
