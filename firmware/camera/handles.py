"""The two handles on a slot, and how they die.

Knows:  one slot's bytes, for as long as the hand holds it.
Never:  a byte after the end: views are released, the reader's mapping is gone; a view that survives is found out.
Leaves: errors when a handle outlives its right.
Clauses: 5.1(1), 5.2(1) (nobody keeps a picture by keeping a handle).
"""

from __future__ import annotations

import mmap
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from firmware.camera.memory import SlotMemory
from firmware.camera.picture import CaptureStamp
from firmware.ground.errors import CameraError


@dataclass(slots=True)
class Contents:
    """What a filled slot holds."""

    slot: int
    length: int
    keyframe: bool
    stamp: CaptureStamp


class Owner(Protocol):
    """The pool, as its handles see it."""

    @property
    def memory(self) -> SlotMemory:
        """Where the slots are."""

    def accept(self, contents: Contents) -> None:
        """Take a filled slot."""

    def take_back(self, slot: int) -> None:
        """Overwrite the slot and make it free."""

    def retire(self, slot: int) -> None:
        """Overwrite the slot and never use it again."""


class Filling:
    """A slot in the producer's hand. Ends with exactly one :meth:`publish` or :meth:`abandon`."""

    def __init__(self, pool: Owner, slot: int, root: npt.NDArray[np.uint8]) -> None:
        self._pool: Owner | None = pool
        self._root = weakref.ref(root)
        self._view = memoryview(root.data)  # from here on only views keep ``root`` alive
        self.slot: Final = slot

    @property
    def view(self) -> memoryview:
        """The slot, writable (uint8, ``frame_bytes``). Raises CameraError after the end."""
        if self._pool is None:
            raise dead_handle()
        return self._view

    def publish(self, stamp: CaptureStamp, length: int | None = None, *, keyframe: bool = False) -> None:
        """Hand the first ``length`` bytes (all when None) to the consumer.

        Raises :class:`CameraError` ``E-CAMERA-LEAK`` when a view of the slot is still held: the slot is then
        overwritten and never used again, so whoever holds it sees zeros for ever.
        """
        pool = self._end()
        whole = pool.memory.frame_bytes
        contents = Contents(self.slot, whole if length is None else length, keyframe, stamp)
        if not 0 <= contents.length <= whole:
            pool.take_back(self.slot)
            message = f"{length} bytes do not fit a slot of {whole}"
            raise ValueError(message)
        pool.accept(contents)

    def abandon(self) -> None:
        """Give the slot back unpublished; it is overwritten. Raises as :meth:`publish` does."""
        self._end().take_back(self.slot)

    def _end(self) -> Owner:
        if self._pool is None:
            raise dead_handle()
        pool, self._pool = self._pool, None
        with suppress(BufferError):  # something still exports it, and so ``_root`` is alive
            self._view.release()
        del self._view
        if self._root() is not None:
            pool.retire(self.slot)
            raise leak()
        return pool


class Frame:
    """A leased slot. Every use raises CameraError ``E-CAMERA-HANDLE`` once the lease has ended.

    An array or a slice made from ``view`` must be gone before the block ends: a survivor, even in a local variable, is
    a leak (``E-CAMERA-LEAK``).
    """

    def __init__(self, contents: Contents, mapped: mmap.mmap) -> None:
        self._contents: Contents | None = contents
        self._view = memoryview(mapped)[: contents.length]

    @property
    def slot(self) -> int:
        """Number of the slot, 0 to slots - 1; what a child is told."""
        return self._alive().slot

    @property
    def length(self) -> int:
        """Bytes of the picture or packet."""
        return self._alive().length

    @property
    def keyframe(self) -> bool:
        """Whether a packet can be decoded without earlier ones."""
        return self._alive().keyframe

    @property
    def stamp(self) -> CaptureStamp:
        """When it was taken."""
        return self._alive().stamp

    @property
    def view(self) -> memoryview:
        """The bytes, read-only (uint8, ``length``); gone from this process's memory map when the lease ends."""
        self._alive()
        return self._view

    def _alive(self) -> Contents:
        if self._contents is None:
            raise dead_handle()
        return self._contents

    def end(self) -> None:
        """Kill the handle. Called by the pool."""
        self._contents = None
        with suppress(BufferError):  # the mapping below it will not close, which the pool reports
            self._view.release()
        del self._view


def dead_handle() -> CameraError:
    """Return the error for a use after the end."""
    return CameraError(
        "E-CAMERA-HANDLE",
        "a slot was used after it was given back",
        where="camera.handles",
        clause="5.2(1)",
        todo="report this: it is a fault of the program",
    )


def leak() -> CameraError:
    """Return the error for a view that survived its handle."""
    return CameraError(
        "E-CAMERA-LEAK",
        "a view of a slot outlived its handle; the slot is overwritten and out of use",
        where="camera.handles",
        clause="5.2(1)",
        todo="report this: it is a fault of the program",
    )
