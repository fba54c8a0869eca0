"""What a picture's bytes mean, and when it was taken.

Knows:  width, height, clocks.
Never:  a pixel.
Leaves: two frozen values.
Clauses: 6.1(3) (every picture belongs to one moment; nothing links two of them).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """Planar 4:2:0 (I420), 8 bit, full range; rows tightly packed: Y (h, w), U (h/2, w/2), V (h/2, w/2)."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 2 or self.height < 2 or self.width % 2 or self.height % 2:
            message = f"4:2:0 needs even sides of at least 2, not {self.width}x{self.height}"
            raise ValueError(message)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one picture."""
        return self.width * self.height * 3 // 2


@dataclass(frozen=True, slots=True)
class CaptureStamp:
    """When a picture was taken, by every clock we have; ``sensor_ns`` is the sensor's own and is only reported."""

    utc_ns: int
    boot_ns: int
    stopwatch_ns: int
    sensor_ns: int | None
    pts_90k: int
