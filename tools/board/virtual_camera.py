# ruff: noqa: ANN401, FBT001, FBT002, PLC0415 - picamera2 has no types, and exists only inside that root
"""Lets the camera contract suite run over the real picamera2 on libcamera's virtual camera.

A pytest plugin (``-p tools.board.virtual_camera``) for use inside the root that ``picamera2_virtual`` builds. It puts
in place only what the virtual camera lacks: raw sensor modes, buffers of two planes for NV12, a frame rate.
"""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import replace
from typing import Any

import firmware.drivers.picamera_library as real
from firmware.drivers.picamera_library import Library

FRAME_SECONDS = 1 / 15


def virtual_library() -> Library:
    """Return the real library, its camera fitted for the virtual one."""
    import libcamera
    from picamera2 import Picamera2
    from picamera2.allocators.dmaallocator import DmaAllocator
    from picamera2.encoders import LibavH264Encoder

    class TwoPlanes(DmaAllocator):
        """NV12 in one descriptor but two planes: libcamera's virtual camera insists."""

        def allocate(self, libcamera_config: Any, _: Any) -> None:
            self.libcamera_fds = []
            self.cleanup()
            for descriptor in self.open_fds:
                os.close(descriptor)
            self.frame_buffers, self.open_fds = {}, []
            for stream in libcamera_config:
                luma_bytes = stream.stride * stream.size.height
                self.frame_buffers[stream.stream] = [
                    self._buffer(f"virtual-{number}", stream.frame_size, luma_bytes)
                    for number in range(stream.buffer_count)
                ]

        def _buffer(self, name: str, size: int, luma_bytes: int) -> Any:
            memory = self.dmaHeap.alloc(name, size)
            descriptor = memory.get()
            self.open_fds.append(descriptor)
            planes: list[Any] = []
            for offset, length in ((0, luma_bytes), (luma_bytes, size - luma_bytes)):
                plane = libcamera.FrameBuffer.Plane()
                plane.fd, plane.offset, plane.length = descriptor, offset, length
                planes.append(plane)
            self.libcamera_fds.append(planes[0].fd)  # libcamera's own number for the same memory
            self.mapped_buffers_used[planes[0].fd] = False
            buffer = libcamera.FrameBuffer(planes)
            self.mapped_buffers[buffer] = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            return buffer

    class VirtualCamera(Picamera2):
        """Opens the camera that has the sizes wanted, at a rate a person would call video."""

        def __init__(self, camera_num: int = 0) -> None:
            sizes = [info["Model"] for info in Picamera2.global_camera_info()]
            super().__init__(sizes.index("PoleVirtual") + camera_num, allocator=TwoPlanes())
            self._last = 0.0

        def _get_raw_modes(self) -> list[dict[str, Any]]:
            return [{"size": (1280, 720), "format": "SBGGR10"}]

        def start(self, config: Any = None, show_preview: bool = False) -> None:
            self.post_callback = self._wait
            super().start(config, show_preview)

        def _wait(self, _request: Any) -> None:
            time.sleep(max(self._last + FRAME_SECONDS - time.monotonic(), 0.0))
            self._last = time.monotonic()

    # Without video devices picamera2 takes every machine for a Pi 4 and wants its encoder.
    return replace(_load(), camera=VirtualCamera, encoder=LibavH264Encoder, board_encodes=False)


_load = real.load_library
real.load_library = virtual_library
