"""A detector in its interpreter, on one thread: any TFLite file of a known form, or ours as the pole runs it.

Knows:  LiteRT, how a picture is brought to a model's input.
Never:  more than one thread; a rule of its own for what a model of ours says, where the firmware has one.
Leaves: :class:`Found` boxes in small-picture pixels; the milliseconds of bare calls.
Clauses: none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from firmware.drivers.model_manifest import read_manifest
from firmware.flow.form import FORMS
from firmware.flow.tensors import DetectorInput, Planes
from tools.evaluate.forms import FAMILIES, Form, form_of
from tools.evaluate.measure import Detector
from tools.evaluate.score import Floats, Found

SMALL = (640, 360)
GREY = 114
MOST_STRETCH = 1.5
ANCHOR_THRESHOLD = 0.4
"""Working threshold of files that state none."""

Bytes = npt.NDArray[np.uint8]


class Contender(Protocol):
    """A detector that can be asked and timed."""

    name: str
    file: Path
    threshold: float
    ours: bool

    def find(self, picture: Image.Image) -> Found:
        """Return the persons of an RGB picture of any size, in the pixels of the picture fitted into 640 x 360."""

    def invoke(self) -> None:
        """Call the bare interpreter once, on whatever its input holds."""


def fitting(size: tuple[int, int], into: tuple[int, int]) -> tuple[float, tuple[int, int]]:
    """Return the factor, and the (width, height) of a picture of ``size`` made as large as ``into`` allows."""
    factor = min(into[0] / size[0], into[1] / size[1])
    return factor, (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))


def fitted(picture: Image.Image, into: tuple[int, int], *, middle: bool) -> tuple[Image.Image, float, int, int]:
    """Return the picture inside a grey one of size ``into``; the factor, and where its corner lies."""
    factor, size = fitting(picture.size, into)
    left, top = ((into[0] - size[0]) // 2, (into[1] - size[1]) // 2) if middle else (0, 0)
    out = Image.new("RGB", into, (GREY,) * 3)
    resized = picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)
    out.paste(resized, (left, top))
    return out, factor, left, top


def as_pole(picture: Image.Image) -> tuple[Image.Image, Floats, int, int]:
    """Return the picture as a pole's 640 x 360, the factors (across, down, across, down), where its corner lies.

    A picture of another shape leaves less of it empty by being stretched, by at most ``MOST_STRETCH``: our detectors
    learn from pictures stretched by more.
    """
    factor = fitting(picture.size, SMALL)[0]
    across, down = (min(side / own, factor * MOST_STRETCH) for side, own in zip(SMALL, picture.size, strict=True))
    size = (max(1, round(picture.width * across)), max(1, round(picture.height * down)))
    left, top = (SMALL[0] - size[0]) // 2, (SMALL[1] - size[1]) // 2
    out = Image.new("RGB", SMALL, (GREY,) * 3)
    out.paste(picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR), (left, top))
    return out, np.array([across, down] * 2, np.float32), left, top


def planar(picture: Image.Image) -> Bytes:
    """Return a 640 x 360 RGB picture as the camera gives it: full-range I420."""
    luma = np.asarray(picture.convert("YCbCr"))[..., 0]
    chroma = np.asarray(picture.reduce(2).convert("YCbCr"))
    return np.concatenate([luma.ravel(), chroma[..., 1].ravel(), chroma[..., 2].ravel()])


def within(boxes: Floats, factor: float | Floats, corner: tuple[int, int], size: tuple[int, int]) -> Floats:
    """Bring boxes of a fitted picture back to small-picture pixels of the picture itself, cut at its edges."""
    to_small = fitting(size, SMALL)[0]
    moved = (boxes - np.array(corner * 2, np.float32)) / factor
    inside: Floats = np.clip(moved, 0, np.array(size * 2)).astype(np.float32)
    return inside * np.float32(to_small)


class OurDetector:
    """A model of ours through the firmware's own loader, tensors and decoder."""

    ours = True

    def __init__(self, directory: Path, number: int = 0) -> None:
        entry = [model for model in read_manifest(directory).model if model.task == "persons"][number]
        self.file = directory / entry.file
        self.name = self.file.stem
        self._detector = Detector(directory, entry)
        self.threshold = self._detector.threshold

    def find(self, picture: Image.Image) -> Found:
        """See :class:`Contender`."""
        whole, factor, left, top = as_pole(picture)
        boxes, scores = self._detector.look(planar(whole))
        return Found(within(boxes, factor, (left, top), picture.size), scores)

    def invoke(self) -> None:
        """See :class:`Contender`."""
        self._detector.run()


class TfliteDetector:
    """Any file whose outputs have a form that :mod:`tools.evaluate.forms` knows. Raises ValueError for another."""

    ours = False

    def __init__(self, file: Path, form: Form | None = None, threshold: float = ANCHOR_THRESHOLD) -> None:
        self.file, self.threshold = file, threshold
        self.name = file.stem.replace("full_integer_quant", "int8")
        self._interpreter = Interpreter(str(file), num_threads=1)
        self._interpreter.allocate_tensors()
        self._in = self._interpreter.get_input_details()[0]
        self._out = self._interpreter.get_output_details()
        self._size = (int(self._in["shape"][1]), int(self._in["shape"][2]))
        shapes = [tuple(int(side) for side in out["shape"]) for out in self._out]
        chosen = form or form_of(self._size, shapes)
        if chosen is None:
            message = f"{file.name}: outputs {shapes} are of no detector known here"
            raise ValueError(message)
        self.form = chosen
        self._family = FAMILIES[chosen]

    def find(self, picture: Image.Image) -> Found:
        """See :class:`Contender`."""
        height, width = self._size
        factor: float | Floats = 1.0
        corner = (0, 0)
        if self._family.fit == "stretch":
            seen = picture.resize((width, height), Image.Resampling.BILINEAR)
        elif self._family.fit == "pole":
            seen, factor, *place = as_pole(picture)
            corner = (place[0], place[1])
        else:
            seen, factor, *place = fitted(picture, (width, height), middle=self._family.fit == "middle")
            corner = (place[0], place[1])
        self._put(self._pixels(seen))
        self.invoke()
        boxes, scores = self._family.read(self._answers(), self._size)
        if self._family.fit == "stretch":
            return Found(within(boxes * np.array(picture.size * 2, np.float32), 1.0, (0, 0), picture.size), scores)
        if self._family.fit == "pole":  # the input is the small picture, squeezed
            width, height = SMALL
        return Found(within(boxes * np.array([width, height] * 2, np.float32), factor, corner, picture.size), scores)

    def invoke(self) -> None:
        """See :class:`Contender`."""
        self._interpreter.invoke()

    def _pixels(self, seen: Image.Image) -> Bytes:
        if self._family.order == "rgb":
            return np.asarray(seen)
        if self._family.order == "bgr":
            return np.asarray(seen)[..., ::-1]
        tensor = np.zeros((1, *self._size, 3), np.int8)
        DetectorInput(FORMS[tensor.shape]).fill(Planes(planar(seen)), tensor)  # as a pole fills it
        return tensor.view(np.uint8)[0] ^ 0x80

    def _put(self, pixels: Bytes) -> None:
        kind, (scale, zero) = self._in["dtype"], self._in["quantization"]
        real = pixels.astype(np.float32) * np.float32(self._family.unit / 255)
        value: npt.NDArray[Any] = real
        if kind is np.uint8:
            value = pixels
        elif kind is not np.float32:
            value = np.clip(np.round(real / scale + zero), -128, 127).astype(kind)
        self._interpreter.set_tensor(self._in["index"], np.ascontiguousarray(value)[None])

    def _answers(self) -> list[Floats]:
        out = []
        for details in self._out:
            value = self._interpreter.get_tensor(details["index"])
            if value.dtype != np.float32:
                scale, zero = details["quantization"]
                value = (value.astype(np.float32) - zero) * np.float32(scale)
            out.append(value)
        return out


def contenders(models: Sequence[Path], anchors: Path | None) -> tuple[list[Contender], list[str]]:
    """Open every detector of our model directories and of a folder (or one file) of others.

    Also returns a line for each file left out.
    """
    out: list[Contender] = []
    for directory in models:
        persons = [model for model in read_manifest(directory).model if model.task == "persons"]
        out += [OurDetector(directory, number) for number in range(len(persons))]
    left = []
    files = [] if anchors is None else [anchors] if anchors.is_file() else sorted(anchors.glob("*.tflite"))
    for file in files:
        try:
            out.append(TfliteDetector(file))
        except ValueError as refused:
            left.append(str(refused))
    names = [runner.name for runner in out]
    for runner in out:
        if names.count(runner.name) > 1:
            runner.name = f"{runner.file.parent.name}/{runner.name}"
    return out, left


def race(runners: Sequence[Contender], rounds: int) -> dict[str, tuple[float, float]]:
    """Call the bare interpreters in turn, ``rounds`` times; returns (wall, processor) milliseconds, medians, by name.

    Each is called twice in a row and the second call is taken, so that what another left in the cache costs nobody.
    """
    spent: dict[str, list[tuple[float, float]]] = {runner.name: [] for runner in runners}
    for _ in range(rounds):
        for runner in runners:
            runner.invoke()
            wall, processor = time.perf_counter(), time.thread_time()
            runner.invoke()
            spent[runner.name].append((time.perf_counter() - wall, time.thread_time() - processor))
    return {
        name: (float(wall), float(processor))
        for name, times in spent.items()
        for wall, processor in [np.median(np.array(times), axis=0) * 1e3]
    }
