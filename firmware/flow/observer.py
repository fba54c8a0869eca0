"""From one picture to one slice's counts, with the same work for an empty street and a full one.

Knows:  one picture, for as long as the call lasts; the port to a network that somebody else loaded.
Never:  a file, an interpreter's library, the slice before.
Leaves: :class:`SliceCounts`; everything else it overwrites before it returns.
Clauses: 5.2(1), 6.2(1) (nothing of the picture outlives the slice), 6.1(3), 6.1(4) (counts, and nothing by person).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from firmware.flow.decode import Decoder, Quantised
from firmware.flow.form import Form
from firmware.flow.record import CATEGORIES, Dimension
from firmware.flow.slice import MOST_PERSONS, SliceCounts
from firmware.flow.tensors import CROPS, PICTURE_BYTES, AttributeInput, DetectorInput, Planes

_BLANK: Final = -128
_INDEX_BITS: Final = 6  # MOST_PERSONS is 64


class Network(Protocol):
    """A loaded model. Tensors are the interpreter's own memory: never keep one past the next :meth:`run`."""

    def input(self) -> npt.NDArray[np.int8]:
        """Return the one input tensor, writable."""

    def output(self, meaning: str) -> npt.NDArray[np.int8]:
        """Return the output tensor with that meaning (``heat_8``, ``box_8`` ..., ``sex``, ``age``, ``mask``)."""

    def run(self) -> None:
        """Compute the outputs from the input."""


@dataclass(frozen=True, slots=True)
class Head:
    """How to read one attribute's logits: below ``confidence`` the answer is ``unknown``."""

    dimension: Dimension
    quantised: Quantised
    confidence: float


class Observer:
    """One detector, and one attribute model where an attribute is switched on."""

    def __init__(
        self,
        form: Form,
        detector: Network,
        decoder: Decoder,
        attributes: Network | None = None,
        heads: tuple[Head, ...] = (),
        minimum_height_pixels: int = 1,
    ) -> None:
        """Allocate everything. ``minimum_height_pixels`` (of 360): smaller people's attributes are unknown by rule."""
        self._detector = detector
        self._decoder = decoder
        self._input = DetectorInput(form)
        self._meanings = tuple(form.outputs)
        self._attributes = attributes if heads else None
        self._crops = AttributeInput()
        self._heads = tuple(_HeadReader(head) for head in heads)
        self._lowest_key = minimum_height_pixels << _INDEX_BITS
        self._height = np.zeros(MOST_PERSONS, np.float32)
        self._keys = np.zeros(MOST_PERSONS, np.int32)
        self._numbers = np.arange(MOST_PERSONS, dtype=np.int32)
        self._tallest = np.zeros(CROPS, np.int32)
        self._boxes = np.zeros((CROPS, 4), np.float32)

    def count(self, picture: npt.NDArray[np.uint8]) -> SliceCounts:
        """Return the counts of ``picture`` (uint8, ``PICTURE_BYTES``, I420 640x360).

        When it returns, or raises, no memory of its own and no input tensor holds anything of the picture.
        """
        try:
            planes = Planes(picture[:PICTURE_BYTES])
            self._input.fill(planes, self._detector.input())
            self._detector.run()
            persons = self._decoder.decode([self._detector.output(meaning) for meaning in self._meanings])
            by_dimension = self._estimate(planes, persons)
        finally:
            self._wipe()
        return SliceCounts(persons, **by_dimension)

    def blank(self) -> None:
        """Run every network on an empty picture: its activations now describe nothing (5.2(1))."""
        for network in (self._detector, self._attributes):
            if network is not None:
                network.input().fill(_BLANK)
                network.run()

    def _estimate(self, planes: Planes, persons: int) -> dict[str, tuple[int, ...]]:
        """Estimate the attributes of the eight tallest; all others are ``unknown``. Always one batch of eight."""
        if self._attributes is None:
            return {}
        self._choose_tallest()
        self._crops.fill(planes, self._boxes, self._attributes.input())
        self._attributes.run()
        counts = {}
        for reader in self._heads:
            dimension = reader.head.dimension
            reader.read(self._attributes.output(dimension.value))
            known = [0] * len(CATEGORIES[dimension])
            for place in range(CROPS):
                category = int(reader.choice[place])
                known[category] += int(self._tallest[place]) * (category < len(known) - 1)
            known[-1] = persons - sum(known[:-1])
            counts[dimension.value] = tuple(known)
        return counts

    def _choose_tallest(self) -> None:
        """Put the eight tallest people's boxes into ``_boxes``; ``_tallest`` is 1 where there is one tall enough."""
        boxes, keys = self._decoder.boxes, self._keys
        np.subtract(boxes[:, 3], boxes[:, 1], out=self._height)
        np.multiply(self._height, self._decoder.kept, out=self._height)
        np.multiply(self._height, np.float32(2), out=self._height)  # from half-picture pixels to picture pixels
        np.copyto(keys, self._height, casting="unsafe")
        np.left_shift(keys, _INDEX_BITS, out=keys)
        np.add(keys, self._numbers, out=keys)
        keys.sort()
        best = keys[: -CROPS - 1 : -1]
        np.greater_equal(best, self._lowest_key, out=self._tallest, casting="unsafe")
        np.bitwise_and(best, MOST_PERSONS - 1, out=best)
        np.take(boxes, best, axis=0, out=self._boxes, mode="clip")

    def _wipe(self) -> None:
        """Overwrite every trace, before any answer is sent (5.2(1), 6.1(4))."""
        self._input.wipe()
        self._decoder.wipe()
        self._detector.input().fill(_BLANK)
        if self._attributes is not None:
            self._attributes.input().fill(_BLANK)
        self._crops.wipe()
        for reader in self._heads:
            reader.wipe()
        for memory in (self._height, self._keys, self._tallest, self._boxes):
            memory.fill(0)


class _HeadReader:
    """Softmax over one head's eight rows, in memory allocated once."""

    def __init__(self, head: Head) -> None:
        self.head = head
        classes = len(CATEGORIES[head.dimension]) - 1
        self.choice = np.zeros(CROPS, np.intp)
        self._real = np.zeros((CROPS, classes), np.float32)
        self._row = np.zeros((CROPS, 1), np.float32)
        self._unsure = np.zeros((CROPS, 1), np.bool_)

    def read(self, logits: npt.NDArray[np.int8]) -> None:
        """Set :attr:`choice` (8): the number of each row's category; the last one, ``unknown``, where unsure."""
        real, row = self._real, self._row
        np.copyto(real, logits)
        np.multiply(real, np.float32(self.head.quantised.scale), out=real)  # the zero point cancels out
        np.max(real, axis=1, keepdims=True, out=row)
        np.subtract(real, row, out=real)
        np.exp(real, out=real)
        np.sum(real, axis=1, keepdims=True, out=row)
        np.multiply(row, np.float32(self.head.confidence), out=row)
        np.greater(row, np.float32(1), out=self._unsure)  # the best class has exp(0) = 1: its share is 1 / sum
        np.argmax(real, axis=1, out=self.choice)
        np.copyto(self.choice, real.shape[1], where=self._unsure[:, 0])

    def wipe(self) -> None:
        """Overwrite what was read of each person."""
        for memory in (self.choice, self._real, self._row, self._unsure):
            memory.fill(0)
