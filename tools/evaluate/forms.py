"""The usual output forms of TFLite detectors, each turned into persons.

Knows:  how five families of detectors lay out boxes and scores, and which of them a file's outputs look like.
Never:  a picture; a slot past ``num_detections``, which holds whatever the memory held before.
Leaves: boxes (n, 4) left, top, right, bottom in fractions of the model's input, scores (n).
Clauses: none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from firmware.flow.decode import OVERLAP
from tools.evaluate.score import Floats, no_boxes, overlaps

Form = Literal["ssd", "yolov8", "yolov5", "yolox", "yolofast", "street"]
Answer = tuple[Floats, Floats]

LOWEST_SCORE = 0.02
MOST_BOXES = 300
PERSON = 0
"""Number of the class in COCO order, as all of these families count it."""

STRIDES = (8, 16, 32)
FAST_ANCHORS = {
    20: ((12, 18), (37, 49), (52, 132)),
    10: ((115, 73), (119, 199), (242, 238)),
}
"""YOLO-Fastest 1.1 at 320: anchor sides in pixels of each grid."""


@dataclass(frozen=True, slots=True)
class Family:
    """What goes in, and how what comes out is read.

    ``fit``: the picture is stretched to the input, put into its ``corner`` or its ``middle`` with grey around, or taken
    as the pole's camera gives it (``pole``: 16:9, Y U V). ``unit``: what a full-scale byte becomes in a float input.
    """

    fit: Literal["stretch", "corner", "middle", "pole"]
    order: Literal["rgb", "bgr", "yuv"]
    unit: float
    read: Callable[[Sequence[Floats], tuple[int, int]], Answer]


def suppressed(boxes: Floats, scores: Floats, most: float) -> Answer:
    """Keep the best of boxes that overlap by more than ``most``."""
    order, kept = np.argsort(-scores, kind="stable"), list[int]()
    while len(order) and len(kept) < MOST_BOXES:
        kept.append(int(order[0]))
        shared = overlaps(boxes[order[:1]], boxes[order[1:]])[0][0]
        order = order[1:][shared <= most]
    return boxes[kept].reshape(-1, 4), scores[kept]


def ssd(outputs: Sequence[Floats], _size: tuple[int, int]) -> Answer:
    """``TFLite_Detection_PostProcess``: boxes (1, n, 4) top left bottom right, classes, scores, number of them."""
    boxes, classes, scores, number = (np.asarray(output, np.float32) for output in outputs)
    told = float(number.ravel()[0])
    valid = int(min(max(told, 0.0), scores.size)) if np.isfinite(told) else 0
    boxes, classes, scores = boxes.reshape(-1, 4)[:valid], classes.ravel()[:valid], scores.ravel()[:valid]
    person = (scores >= LOWEST_SCORE) & (np.round(classes) == PERSON)
    return boxes[person][:, [1, 0, 3, 2]], scores[person]


def _centred(middle: Floats, sides: Floats, scores: Floats, size: tuple[int, int], most: float) -> Answer:
    """Boxes from middles and sides in pixels of the input (height, width)."""
    likely = scores >= LOWEST_SCORE
    if not likely.any():
        return no_boxes(), np.zeros(0, np.float32)
    middle, sides, scores = middle[likely], sides[likely], scores[likely]
    scale = np.array([size[1], size[0]] * 2, np.float32)
    boxes = np.concatenate([middle - sides / 2, middle + sides / 2], axis=1) / scale
    return suppressed(boxes.astype(np.float32), scores.astype(np.float32), most)


def _in_pixels(part: Floats, size: tuple[int, int]) -> Floats:
    """Bring fractions to pixels: some exports give one, some the other, and no box of two pixels occurs."""
    return part * np.array([size[1], size[0]], np.float32) if part.max(initial=0.0) <= 2 else part


def yolov8(outputs: Sequence[Floats], size: tuple[int, int]) -> Answer:
    """(1, 4 + classes, n): middle, sides, a score for each class."""
    rows = outputs[0][0].T
    return _centred(_in_pixels(rows[:, :2], size), _in_pixels(rows[:, 2:4], size), rows[:, 4 + PERSON], size, 0.6)


def yolov5(outputs: Sequence[Floats], size: tuple[int, int]) -> Answer:
    """(1, n, 5 + classes): middle, sides, objectness, a score for each class."""
    rows = outputs[0][0]
    score = rows[:, 4] * rows[:, 5 + PERSON]
    return _centred(_in_pixels(rows[:, :2], size), _in_pixels(rows[:, 2:4], size), score, size, 0.6)


def yolox(outputs: Sequence[Floats], size: tuple[int, int]) -> Answer:
    """(1, n, 5 + classes) of the raw heads: offsets from grid cells, logarithms of sides, strides 8, 16, 32."""
    rows, corners, strides = outputs[0][0], [], []
    for stride in STRIDES:
        down, across = np.mgrid[0 : size[0] // stride, 0 : size[1] // stride]
        corners.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full((down.size, 1), stride))
    corner, stride_of = np.concatenate(corners), np.concatenate(strides)
    sides = np.exp(np.clip(rows[:, 2:4], -8, 8)) * stride_of
    return _centred((rows[:, :2] + corner) * stride_of, sides, rows[:, 4] * rows[:, 5 + PERSON], size, 0.5)


def yolofast(outputs: Sequence[Floats], size: tuple[int, int]) -> Answer:
    """YOLO-Fastest 1.1: two grids of (1, g, g, 3 x 85) logits with anchors."""
    middles, sides, scores = [], [], []
    for output in outputs:
        grid = output[0]
        cells = grid.shape[0]
        rows = grid.reshape(cells, cells, 3, -1)
        down, across = np.mgrid[0:cells, 0:cells]
        for k, anchor in enumerate(FAST_ANCHORS[cells]):
            raw = rows[:, :, k].reshape(cells * cells, -1)
            sure = 1 / (1 + np.exp(-raw[:, [0, 1, 4, 5 + PERSON]]))
            corner = np.stack([across.ravel(), down.ravel()], axis=1)
            middles.append((sure[:, :2] + corner) / cells * np.array([size[1], size[0]]))
            sides.append(np.exp(np.clip(raw[:, 2:4], -8, 8)) * np.array(anchor) * size[0] / 320)
            scores.append(sure[:, 2] * sure[:, 3])
    return _centred(np.concatenate(middles), np.concatenate(sides), np.concatenate(scores), size, 0.45)


def street(outputs: Sequence[Floats], size: tuple[int, int]) -> Answer:
    """Ours, from the real numbers of either a float or an int8 file: logits (1, r, c, 1), boxes (1, r, c, 4), thrice.

    The pole itself uses :mod:`firmware.flow.decode`; this one reads files that have no manifest.
    """
    middles, sides, scores = [], [], []
    for stride in STRIDES:
        here = [output for output in outputs if output.shape[1] == size[0] // stride]
        heat, box = sorted(here, key=lambda output: output.shape[-1])
        rows, columns = heat.shape[1:3]
        down, across = np.mgrid[0:rows, 0:columns]
        corner = np.stack([across.ravel(), down.ravel()], axis=1)
        raw = box.reshape(rows * columns, 4)
        middles.append((raw[:, :2] + corner) * stride)
        sides.append(np.exp(np.clip(raw[:, 2:], -6, 6)) * stride)
        scores.append(1 / (1 + np.exp(-heat.ravel())))
    return _centred(np.concatenate(middles), np.concatenate(sides), np.concatenate(scores), size, OVERLAP)


FAMILIES: dict[Form, Family] = {
    "ssd": Family("stretch", "rgb", 1.0, ssd),
    "yolov8": Family("middle", "rgb", 1.0, yolov8),
    "yolov5": Family("middle", "rgb", 1.0, yolov5),
    "yolox": Family("corner", "bgr", 255.0, yolox),
    "yolofast": Family("stretch", "rgb", 1.0, yolofast),
    "street": Family("pole", "yuv", 1.0, street),
}


def form_of(size: tuple[int, int], shapes: Sequence[tuple[int, ...]]) -> Form | None:
    """Return which family these output shapes are of, for an input of (height, width); None for no detector."""
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)
    if len(shapes) == 4 and any(shape[-1] == 4 and len(shape) == 3 for shape in shapes):
        return "ssd"
    if sorted(shapes) == sorted((1, size[0] // s, size[1] // s, last) for s in STRIDES for last in (1, 4)):
        return "street"
    if len(shapes) == 2 and all(len(shape) == 4 for shape in shapes):
        return "yolofast" if all(shape[-1] % 3 == 0 and shape[1] in FAST_ANCHORS for shape in shapes) else None
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return None
    _, rows, columns = shapes[0]
    if rows == cells and columns > 5:
        return "yolox"
    if columns == cells and rows > 4:
        return "yolov8"
    return "yolov5" if rows == 3 * cells and columns > 5 else None
