"""Many views of one labelled picture: what differs between one camera and the next.

Knows:  a picture in the camera's colours with its boxes, the size of a model's picture.
Never:  the pole's own 16:9 only: photographs are 4:3, portrait, anything.
Leaves: a picture (h, w, 3) uint8 and its boxes in that picture's pixels.
Clauses: none.

A model's picture is the whole of a 16:9 frame, whatever its own shape: 384 x 192 squeezes it a little.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tools.train.shards import Boxes, Picture

FRAME = (640, 360)
MOST_STRETCH = 1.8
LEFT_OVER = 0.3
"""Share of a person's box that must stay in view to be asked for."""

SMALLEST = 6.0
"""Pixels of the model's picture a person is tall, at least, to be asked for."""

FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BILINEAR, Image.Resampling.HAMMING)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Planes of a picture (Y full size; U and V of any one size) and boxes (n, 6): edges in pixels, kind, sure."""

    planes: tuple[Image.Image, Image.Image, Image.Image]
    boxes: Boxes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.planes[0].size


def view(source: Labelled, size: tuple[int, int], rng: np.random.Generator, *, whole: bool) -> tuple[Picture, Boxes]:
    """Show ``source`` in a model's picture of ``size`` (width, height): all of it, or a part around somebody."""
    width, height = source.size
    across, down = size[0] / FRAME[0], size[1] / FRAME[1]
    fit = min(FRAME[0] / width, FRAME[1] / height)
    if whole:
        scale = fit * (1.0 if rng.random() < 0.6 else float(rng.uniform(0.6, 1.0)))
        wide, tall = scale, scale
        if rng.random() < 0.5:
            stretch = float(rng.uniform(1.0, MOST_STRETCH))
            wide, tall = min(FRAME[0] / width, wide * stretch), min(FRAME[1] / height, tall * stretch)
        free = (FRAME[0] - width * wide, FRAME[1] - height * tall)
        place = rng.choice(3)
        x0, y0 = (0.0, 0.0) if place == 0 else (free[0] / 2, free[1] / 2) if place == 1 else (
            float(rng.uniform(0, max(free[0], 1))), float(rng.uniform(0, max(free[1], 1))))  # fmt: skip
    else:
        wide, tall, x0, y0 = _around(source, fit, rng)
    return _drawn(source, size, (wide * across, tall * down), (x0 * across, y0 * down), rng)


def _around(source: Labelled, fit: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Return scales and place of a view around somebody, of a height that is as likely small as large."""
    width, height = source.size
    people = source.boxes[source.boxes[:, 4] == 1]
    scale = fit * float(np.exp(rng.uniform(np.log(0.7), np.log(2.4))))
    at = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
    if len(people) and rng.random() < 0.9:
        left, top, right, bottom = people[int(rng.integers(len(people))), :4]
        wish = float(np.exp(rng.uniform(np.log(22), np.log(330))))
        scale = float(np.clip(wish / max(bottom - top, 1.0), fit * 0.55, max(fit * 2.6, 1.0)))
        at = (float(left + right) / 2, float(top + bottom) / 2)
    uneven = float(np.exp(rng.normal(0, 0.16)))
    wide, tall = scale * uneven, scale / uneven
    x0 = FRAME[0] * float(rng.uniform(0.1, 0.9)) - at[0] * wide
    y0 = FRAME[1] * float(rng.uniform(0.15, 0.85)) - at[1] * tall
    # No more emptiness at a side than is needed, most of the time.
    if rng.random() < 0.8:
        x0 = float(np.clip(x0, *sorted((0.0, FRAME[0] - width * wide))))
        y0 = float(np.clip(y0, *sorted((0.0, FRAME[1] - height * tall))))
    return wide, tall, x0, y0


def _drawn(
    source: Labelled,
    size: tuple[int, int],
    scale: tuple[float, float],
    place: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Picture, Boxes]:
    """Scale ``source`` and lay it at ``place`` (pixels of the model's picture, may be outside)."""
    left, top = max(0, round(place[0])), max(0, round(place[1]))
    right = min(size[0], round(place[0] + source.size[0] * scale[0]))
    bottom = min(size[1], round(place[1] + source.size[1] * scale[1]))
    blank = (16, 114, 114, 128, int(rng.integers(256)))[int(rng.integers(5))]
    out = np.empty((size[1], size[0], 3), np.uint8)
    out[..., 0], out[..., 1:] = blank, 128
    if right > left and bottom > top:
        resample = FILTERS[int(rng.integers(len(FILTERS)))]
        for k, plane in enumerate(source.planes):
            finer = plane.width / source.size[0], plane.height / source.size[1]
            box = (
                max(0.0, (left - place[0]) / scale[0]) * finer[0],
                max(0.0, (top - place[1]) / scale[1]) * finer[1],
                min(float(source.size[0]), (right - place[0]) / scale[0]) * finer[0],
                min(float(source.size[1]), (bottom - place[1]) / scale[1]) * finer[1],
            )
            out[top:bottom, left:right, k] = np.asarray(plane.resize((right - left, bottom - top), resample, box=box))
    boxes = source.boxes.copy()
    boxes[:, [0, 2]] = boxes[:, [0, 2]] * scale[0] + place[0]
    boxes[:, [1, 3]] = boxes[:, [1, 3]] * scale[1] + place[1]
    return out, cut(boxes, size)


def cut(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Cut boxes at the picture's edges; of whom too little is left nobody is asked."""
    whole = np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1e-6)
    boxes[:, [0, 2]] = boxes[:, [0, 2]].clip(0, size[0])
    boxes[:, [1, 3]] = boxes[:, [1, 3]].clip(0, size[1])
    left = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    boxes[(left < LEFT_OVER * whole) & (boxes[:, 4] == 1), 4] = 0
    return without_dots(boxes[left > 3])


def without_dots(boxes: Boxes) -> Boxes:
    """Ask nobody who is too small."""
    dots = (boxes[:, 3] - boxes[:, 1] < SMALLEST) | (boxes[:, 2] - boxes[:, 0] < 2)
    boxes[dots & (boxes[:, 4] == 1), 4] = 0
    return boxes


def mosaic(parts: list[Labelled], size: tuple[int, int], rng: np.random.Generator) -> tuple[Picture, Boxes]:
    """Lay four pictures, or parts of them, side by side."""
    x, y = int(rng.uniform(0.35, 0.65) * size[0]), int(rng.uniform(0.35, 0.65) * size[1])
    out, rows = np.empty((size[1], size[0], 3), np.uint8), []
    tiles = ((0, 0, x, y), (x, 0, size[0], y), (0, y, x, size[1]), (x, y, size[0], size[1]))
    for source, (left, top, right, bottom) in zip(parts, tiles, strict=True):
        part, boxes = view(source, (right - left, bottom - top), rng, whole=bool(rng.random() < 0.5))
        out[top:bottom, left:right] = part
        rows.append(boxes + np.array([left, top, left, top, 0, 0], np.float32))
    return out, np.concatenate(rows)


class Changes:
    """Mirror, relight, blur, add noise, squeeze through JPEG, take colour away."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 31])
        self._noise = self._rng.normal(0, 32, (420, 720)).astype(np.int16)

    def __call__(self, picture: Picture, boxes: Boxes) -> tuple[Picture, Boxes]:
        """Return a changed copy of a picture (h, w, 3) and its boxes."""
        rng = self._rng
        height, width = picture.shape[:2]
        if rng.random() < 0.5:
            picture, boxes = picture[:, ::-1], boxes.copy()
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        if rng.random() < 0.08:
            picture = _squeezed(picture, int(rng.integers(15, 60)))
        y = self._light()[picture[..., 0]] if rng.random() < 0.8 else picture[..., 0].astype(np.int16)
        if rng.random() < 0.15:
            y = blurred(y, horizontal=bool(rng.random() < 0.5))
        if rng.random() < 0.3:
            down, over = int(rng.integers(420 - height)), int(rng.integers(720 - width))
            y = y + ((self._noise[down : down + height, over : over + width] * int(rng.integers(8, 80))) >> 8)
        out = np.empty(picture.shape, np.uint8)
        out[..., 0] = np.clip(y, 0, 255)
        strength = 0.0 if rng.random() < 0.1 else float(rng.uniform(0.5, 1.4))
        for channel in (1, 2):
            cast = float(rng.uniform(-7, 7)) if strength and rng.random() < 0.4 else 0.0
            table = np.clip(128 + (np.arange(256) - 128) * strength + cast, 0, 255).astype(np.uint8)
            out[..., channel] = table[picture[..., channel]]
        return out, boxes

    def _light(self) -> npt.NDArray[np.int16]:
        rng = self._rng
        table = (np.arange(256) - 128) * float(rng.uniform(0.65, 1.3)) + 128 + float(rng.uniform(-32, 32))
        if rng.random() < 0.25:
            table = 255 * np.clip(table / 255, 0, 1) ** float(rng.uniform(0.6, 1.7))
        return np.clip(table, 0, 255).astype(np.int16)


def _squeezed(picture: Picture, quality: int) -> Picture:
    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture), "YCbCr").save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held).convert("YCbCr")).copy()


def blurred(y: npt.NDArray[np.int16], *, horizontal: bool) -> npt.NDArray[np.int16]:
    """Smear a plane over three pixels across, or across and down."""
    out = y.copy()
    out[:, 1:-1] = (y[:, :-2] + y[:, 1:-1] * 2 + y[:, 2:]) >> 2
    if not horizontal:
        out[1:-1] = (out[:-2] + out[1:-1] * 2 + out[2:]) >> 2
    return out
