"""What is used of picamera2, in one value, so that a test can put another in its place.

Knows:  the names picamera2 0.3.38 gives things.
Never:  a picture.
Leaves: a :class:`Library`.
Clauses: 2, 5.1, 7.1(1) (both streams come from one configuration of one camera).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from firmware.ground.errors import CameraError


class Mapped(Protocol):
    """A camera buffer mapped into this process."""

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """The bytes, one-dimensional (uint8, the stream's ``framesize``), padding and all."""


class Request(Protocol):
    """One completed capture: a buffer for each stream, given back to the camera by the last ``release``."""

    ref_count: int

    def release(self) -> None:
        """Give one hold back."""

    def get_metadata(self) -> dict[str, Any]:
        """Return the capture's facts; ``SensorTimestamp`` in nanoseconds."""


class MapArray(Protocol):
    """picamera2's ``MappedArray``."""

    def __call__(self, request: Request, stream: str, *, reshape: bool, write: bool) -> AbstractContextManager[Mapped]:
        """Map ``stream``'s buffer for the block."""


@dataclass(frozen=True)
class Library:
    """``camera`` (Picamera2), ``map_array``, ``encoder`` (H264Encoder), ``output`` (Output), ``full_range`` (colours).

    ``board_encodes``: the encoder is the board's own, not a program's.
    """

    camera: Any
    map_array: MapArray
    encoder: Any
    output: Any
    full_range: Any
    board_encodes: bool


def load_library() -> Library:
    """Import picamera2 and libcamera. Raises :class:`CameraError` ``E-CAMERA-LIBRARY``."""
    try:
        import libcamera  # noqa: PLC0415 - only boards have it
        from picamera2 import MappedArray, Picamera2  # noqa: PLC0415 - only boards have it
        from picamera2.encoders import H264Encoder, LibavH264Encoder  # noqa: PLC0415 - only boards have it
        from picamera2.outputs import Output  # noqa: PLC0415 - only boards have it
    except (ImportError, OSError) as error:
        raise CameraError(
            "E-CAMERA-LIBRARY",
            f"picamera2 cannot be loaded: {type(error).__name__}",
            where="picamera2",
            todo="install python3-picamera2 and python3-libcamera of the board's own system",
        ) from None
    return Library(
        camera=Picamera2,
        map_array=MappedArray,
        encoder=H264Encoder,
        output=Output,
        full_range=libcamera.ColorSpace.Sycc(),
        board_encodes=H264Encoder is not LibavH264Encoder,
    )
