"""A camera's own buffers: copied row by row, then overwritten where they lie.

Knows:  how libcamera lays out YUV420 and NV12 with padded rows.
Never:  a copy of its own; a buffer given back to the camera with a picture in it.
Leaves: tightly packed I420 in a slot.
Clauses: 5.1(1), 5.2(1) (the camera's buffers are overwritten too, sampled or not).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware.camera.frames import PictureFormat
from firmware.drivers.picamera_library import Library, Request
from firmware.ground.errors import CameraError

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a stream's buffer is laid out: ``stride`` bytes a row of Y, then U and V planes or interleaved UV."""

    picture: PictureFormat
    stride: int
    interleaved: bool

    @classmethod
    def agreed(cls, name: str, picture: PictureFormat, actual: Mapping[str, Any]) -> Layout:
        """Check what the camera made of the request. Raises :class:`CameraError` ``E-CAMERA-FORMAT``."""
        known = actual["format"] in ("YUV420", "NV12")
        if not known or tuple(actual["size"]) != (picture.width, picture.height):
            raise CameraError(
                "E-CAMERA-FORMAT",
                f"the camera gives {name} as {actual['format']} {actual['size'][0]}x{actual['size'][1]}, "
                f"not as YUV420 {picture.width}x{picture.height}",
                where=f"stream {name}",
                todo="choose a size that the sensor offers",
            )
        return cls(picture, int(actual["stride"]), actual["format"] == "NV12")

    def copy(self, buffer: Bytes, slot: memoryview) -> None:
        """Copy the picture out of ``buffer`` (flat uint8) into ``slot`` as I420 without padding."""
        width, height, stride = self.picture.width, self.picture.height, self.stride
        luma_bytes = width * height
        target: Bytes = np.frombuffer(slot, dtype=np.uint8, count=self.picture.frame_bytes)
        rows = buffer[: height * stride].reshape(height, stride)
        target[:luma_bytes].reshape(height, width)[:] = rows[:, :width]
        blue, red = target[luma_bytes:].reshape(2, height // 2, width // 2)
        if self.interleaved:
            pairs = buffer[height * stride :][: height // 2 * stride].reshape(height // 2, stride)
            blue[:], red[:] = pairs[:, 0:width:2], pairs[:, 1:width:2]
        else:
            chroma = buffer[height * stride :][: height // 2 * stride].reshape(2, height // 2, stride // 2)
            blue[:], red[:] = chroma[0, :, : width // 2], chroma[1, :, : width // 2]


class Buffers:
    """Maps the camera's buffers to copy and to overwrite. Used in the camera's and the encoder's threads."""

    def __init__(self, library: Library) -> None:
        self._map = library.map_array
        self._releasing = threading.Lock()

    def take(self, request: Request, stream: str, layout: Layout, slot: memoryview | None) -> None:
        """Copy the stream's picture into ``slot``, if one is given, and overwrite the buffer either way."""
        with self._map(request, stream, reshape=False, write=True) as mapped:
            if slot is not None:
                layout.copy(mapped.array, slot)
            mapped.array[:] = 0  # 5.1(1), 5.2(1): a picture nobody sampled is overwritten too

    def overwrite_at_last_release(self, request: Request, stream: str) -> None:
        """See to it that whoever releases ``request`` last (the encoder) overwrites the stream's buffer before."""
        release = request.release

        def overwrite_and_release() -> None:
            with self._releasing:
                last = request.ref_count == 1
                if last:
                    with self._map(request, stream, reshape=False, write=True) as mapped:
                        mapped.array[:] = 0  # 5.2(1)
                release()
            if last:
                del request.release  # the instance's, so that the request is no ring of references

        request.release = overwrite_and_release  # type: ignore[method-assign] # the only hook on the last release

    @staticmethod
    def overwrite_all(camera: Any) -> None:  # noqa: ANN401 - picamera2 has no types
        """Overwrite every buffer of a stopped camera, those of frames that never completed too."""
        for mapped in camera.allocator.mapped_buffers.values():
            mapped[:] = bytes(len(mapped))
