"""From a small frame to the detector's and the attribute model's input, without a copy that stays.

Knows:  the planes of one picture, where a person's upper body lies in a box.
Never:  a buffer it did not allocate at the start, a colour conversion, a file.
Leaves: bytes in the interpreter's own input tensor; :meth:`wipe` overwrites all it touched in between.
Clauses: 5.2(1) (what was made of a picture goes with it), 6.2(1) (no second copy that outlives the slice).

The small frame is 640x360 I420. The detector sees all of it, squeezed into its own size (``form.py``): Y mixed from
all that a place covers, linearly, U and V by the nearest pixel. The attribute model sees (8, 96, 72, 3):
eight upper bodies, nearest pixel. A byte value v becomes the int8 value v - 128, which is what scale 1/255 and zero
point -128 mean; in two's complement that is one exclusive-or with 0x80.
"""

from __future__ import annotations

import math
import sys
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware.flow.form import Form

PICTURE_WIDTH: Final = 640
PICTURE_HEIGHT: Final = 360
PICTURE_BYTES: Final = PICTURE_WIDTH * PICTURE_HEIGHT * 3 // 2

HALF_WIDTH: Final = PICTURE_WIDTH // 2
HALF_HEIGHT: Final = PICTURE_HEIGHT // 2
CROPS: Final = 8
CROP_HEIGHT: Final = 96
CROP_WIDTH: Final = 72
ATTRIBUTE_SHAPE: Final = (CROPS, CROP_HEIGHT, CROP_WIDTH, 3)
"""Attribute input, NHWC int8, channels Y U V; always eight, so that time does not tell how many were there."""

UPPER_BODY: Final = 0.32
"""Share of a person's box, from its top, that the attribute model sees."""

_FLIP: Final = np.uint8(0x80)
_BITS: Final = 7
_HALF: Final = 1 << (_BITS - 1)
"""Shares are whole numbers of 128; half of one rounds up."""

Bytes = npt.NDArray[np.uint8]
Tensor = npt.NDArray[np.int8]


class Planes:
    """Read-only views of one I420 picture: ``y`` (360, 640), ``u`` and ``v`` (180, 320), all uint8."""

    __slots__ = ("u", "v", "y")

    def __init__(self, picture: Bytes) -> None:
        """``picture`` holds at least ``PICTURE_BYTES`` bytes, rows tightly packed."""
        luma = PICTURE_WIDTH * PICTURE_HEIGHT
        chroma = luma // 4
        self.y = picture[:luma].reshape(PICTURE_HEIGHT, PICTURE_WIDTH)
        self.u = picture[luma : luma + chroma].reshape(HALF_HEIGHT, HALF_WIDTH)
        self.v = picture[luma + chroma : luma + 2 * chroma].reshape(HALF_HEIGHT, HALF_WIDTH)


class DetectorInput:
    """Fills the detector's input; scratch memory is allocated once."""

    def __init__(self, form: Form) -> None:
        self._luma = _Squeeze((PICTURE_HEIGHT, PICTURE_WIDTH), (form.height, form.width))
        self._chroma = _Squeeze((HALF_HEIGHT, HALF_WIDTH), (form.height, form.width))

    def fill(self, planes: Planes, tensor: Tensor) -> None:
        """Write ``planes`` into ``tensor`` (int8, the form's picture)."""
        picture = tensor.view(np.uint8)[0]
        self._luma.squeeze(planes.y, picture[..., 0])
        self._chroma.squeeze(planes.u, picture[..., 1])
        self._chroma.squeeze(planes.v, picture[..., 2])

    def wipe(self) -> None:
        """Overwrite everything a picture passed through (5.2(1))."""
        self._luma.wipe()
        self._chroma.wipe()


class _Squeeze:
    """Brings a plane to another size; scratch memory is allocated once."""

    def __init__(self, there: tuple[int, int], here: tuple[int, int]) -> None:
        self._rows, self._columns = _taps(there[0], here[0]), _taps(there[1], here[1])
        self._line = np.zeros((here[0], there[1]), np.uint8)
        self._lines = np.zeros((2, here[0], there[1]), np.uint16)
        self._part = np.zeros((2, *here), np.uint16)
        self._low_bytes = self._part[0].view(np.uint8)[:, 0 if sys.byteorder == "little" else 1 :: 2]

    def squeeze(self, plane: Bytes, channel: Bytes) -> None:
        """Write ``plane`` into ``channel``, each byte with its highest bit turned."""
        lines, part = self._lines, self._part
        lines[0].fill(_HALF)
        for rows, shares in zip(*self._rows, strict=True):
            np.take(plane, rows, axis=0, out=self._line, mode="clip")
            np.copyto(lines[1], self._line)
            np.multiply(lines[1], shares[:, None], out=lines[1])
            np.add(lines[0], lines[1], out=lines[0])
        np.right_shift(lines[0], _BITS, out=lines[0])
        part[0].fill(_HALF)
        for columns, shares in zip(*self._columns, strict=True):
            np.take(lines[0], columns, axis=1, out=part[1], mode="clip")
            np.multiply(part[1], shares[None, :], out=part[1])
            np.add(part[0], part[1], out=part[0])
        np.right_shift(part[0], _BITS, out=part[0])
        np.bitwise_xor(self._low_bytes, _FLIP, out=channel)

    def wipe(self) -> None:
        """Overwrite everything a plane passed through."""
        for memory in (self._line, self._lines, self._part):
            memory.fill(0)


def _taps(there: int, here: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint16]]:
    """Return, for each of ``here`` places, which of ``there`` it is mixed from (taps, here) and their shares of 128.

    Shares fall off linearly over as much as a place covers, so that nothing between two places is lost: with the two
    nearest alone small persons were missed (one to two points of AP50).
    """
    step = there / here
    reach = max(step, 1.0)
    middle = (np.arange(here) + 0.5) * step
    first = np.maximum(middle - reach + 0.5, 0).astype(np.intp)
    places = first[None] + np.arange(math.ceil(2 * reach) + 1)[:, None]
    share = np.maximum(1 - np.abs(places + 0.5 - middle) / reach, 0) * (places < there)
    whole = np.floor(share / share.sum(axis=0) * (1 << _BITS)).astype(np.int64)
    whole[np.argmax(share, axis=0), np.arange(here)] += (1 << _BITS) - whole.sum(axis=0)
    used = whole.any(axis=1)
    return np.minimum(places, there - 1)[used], whole[used].astype(np.uint16)


class AttributeInput:
    """Fills the attribute model's input with eight upper bodies; scratch memory is allocated once."""

    def __init__(self) -> None:
        self._sides = np.zeros((4, CROPS), np.float32)
        self._down = np.zeros((CROPS, CROP_HEIGHT), np.float32)
        self._across = np.zeros((CROPS, CROP_WIDTH), np.float32)
        self._rows = np.zeros((CROPS, CROP_HEIGHT), np.intp)
        self._columns = np.zeros((CROPS, CROP_WIDTH), np.intp)
        self._at = np.zeros((CROPS, CROP_HEIGHT, CROP_WIDTH), np.intp)
        self._crop = np.zeros((CROPS, CROP_HEIGHT, CROP_WIDTH), np.uint8)
        self._row_steps = (np.arange(CROP_HEIGHT, dtype=np.float32) + np.float32(0.5)) / np.float32(CROP_HEIGHT)
        self._column_steps = (np.arange(CROP_WIDTH, dtype=np.float32) + np.float32(0.5)) / np.float32(CROP_WIDTH)

    def fill(self, planes: Planes, boxes: npt.NDArray[np.float32], tensor: Tensor) -> None:
        """Write the upper body of each of ``boxes`` into ``tensor`` (int8, ``ATTRIBUTE_SHAPE``).

        ``boxes`` (8, 4) float32 are left, top, right, bottom in half-picture pixels (320x180). The crop is the top
        32 % of the box, as wide as 3/4 of its own height, about the box's middle; outside the picture the edge is
        repeated.
        """
        first, top, height, width = self._sides
        np.subtract(boxes[:, 3], boxes[:, 1], out=height)
        np.multiply(height, np.float32(2 * UPPER_BODY), out=height)  # 2: from half-picture pixels to picture pixels
        np.maximum(height, np.float32(1), out=height)
        np.multiply(height, np.float32(CROP_WIDTH / CROP_HEIGHT), out=width)
        np.multiply(boxes[:, 1], np.float32(2), out=top)
        np.add(
            boxes[:, 0], boxes[:, 2], out=first
        )  # twice the middle in half-picture pixels: the middle in picture pixels
        np.multiply(width, np.float32(-0.5), out=self._across[:, 0])
        np.add(first, self._across[:, 0], out=first)
        _spread(top, height, self._row_steps, PICTURE_HEIGHT, self._down, self._rows)
        _spread(first, width, self._column_steps, PICTURE_WIDTH, self._across, self._columns)
        picture = tensor.view(np.uint8)
        self._aim(PICTURE_WIDTH)
        self._sample(planes.y, picture[..., 0])
        np.right_shift(self._rows, 1, out=self._rows)
        np.right_shift(self._columns, 1, out=self._columns)
        self._aim(HALF_WIDTH)
        self._sample(planes.u, picture[..., 1])
        self._sample(planes.v, picture[..., 2])

    def _aim(self, width: int) -> None:
        np.multiply(self._rows, width, out=self._rows)
        np.add(self._rows[:, :, None], self._columns[:, None, :], out=self._at)
        np.floor_divide(self._rows, width, out=self._rows)

    def _sample(self, plane: Bytes, channel: Bytes) -> None:
        np.take(plane.reshape(-1), self._at, out=self._crop, mode="clip")
        np.bitwise_xor(self._crop, _FLIP, out=channel)

    def wipe(self) -> None:
        """Overwrite everything a picture or a place in it passed through (5.2(1), 6.1(4))."""
        for memory in (self._sides, self._down, self._across, self._rows, self._columns, self._at, self._crop):
            memory.fill(0)


def _spread(
    first: npt.NDArray[np.float32],
    length: npt.NDArray[np.float32],
    steps: npt.NDArray[np.float32],
    limit: int,
    real: npt.NDArray[np.float32],
    whole: npt.NDArray[np.intp],
) -> None:
    """Write the pixel numbers ``first + steps * length``, held inside 0..limit - 1, into ``whole`` (8, steps)."""
    np.multiply(length[:, None], steps[None, :], out=real)
    np.add(real, first[:, None], out=real)
    np.clip(real, np.float32(0), np.float32(limit - 1), out=real)
    np.copyto(whole, real, casting="unsafe")
