"""Memory in which pictures live: a fixed number of slots that can neither grow, nor be kept, nor be dumped.

Knows:  one memfd, its slots, which walls around it the kernel granted.
Never:  a slot more than at the start; a page in swap or in a core dump; a writable mapping in anybody else's hands.
Leaves: a descriptor that whoever it is lent to can only read.
Clauses: 5.1(1), 5.2(1) (a picture is erased at once and kept nowhere), 5.2(2) (the child that reads cannot write).
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from firmware.ground.errors import CameraError

_F_SEAL_FUTURE_WRITE: Final = 0x0010  # linux/fcntl.h, since 5.1; Python names it from 3.13 on
_SEALS: Final = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | _F_SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True)
class MemoryWalls:
    """What the kernel granted. ``locked``: never in swap. ``sealed`` and ``undumped`` are always true: refused else."""

    locked: bool
    sealed: bool
    undumped: bool

    def missing(self) -> tuple[str, ...]:
        """Return the names of the walls that could not be built."""
        return tuple(name for name in ("locked", "sealed", "undumped") if not getattr(self, name))


class SlotMemory:
    """``slots`` slots of ``frame_bytes`` bytes each, rounded up to pages (``slot_bytes``), in one sealed memfd.

    ``descriptor`` may be lent: through it the memory can be mapped to read, and neither written, nor mapped to
    write, nor resized, by anybody, this process included. ``profile="pole"`` refuses memory that cannot be locked
    (RLIMIT_MEMLOCK); ``"bench"`` reports it in ``walls``. Raises :class:`CameraError` ``E-CAMERA-MEMORY``.
    """

    def __init__(
        self,
        frame_bytes: int,
        slots: int,
        *,
        profile: Literal["bench", "pole"] = "bench",
        name: str = "slots",
    ) -> None:
        if frame_bytes < 1 or slots < 1:
            message = "a slot holds at least one byte, and there is at least one slot"
            raise ValueError(message)
        self.frame_bytes: Final = frame_bytes
        self.slots: Final = slots
        self.slot_bytes: Final = -(-frame_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self.total_bytes: Final = self.slot_bytes * slots
        self.descriptor: Final = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._closed = False
        try:
            self._whole = self._map_and_seal()
            self._bytes: npt.NDArray[np.uint8] = np.frombuffer(self._whole, dtype=np.uint8)
            self.walls: Final = MemoryWalls(locked=self._lock(), sealed=True, undumped=True)
        except OSError as error:
            os.close(self.descriptor)
            raise CameraError(
                "E-CAMERA-MEMORY",
                f"the kernel refused sealed memory for pictures: {error.strerror}",
                where=name,
                clause="5.2(1)",
                todo="needs Linux 5.1 or newer with memfd",
            ) from None
        if profile == "pole" and self.walls.missing():
            self.close()
            raise CameraError(
                "E-CAMERA-MEMORY",
                f"{self.total_bytes} bytes for pictures cannot be locked, so they could reach a swap device",
                where=name,
                clause="5.2(1)",
                todo="raise LimitMEMLOCK= of the service above the sum of its slots",
            )

    def _map_and_seal(self) -> mmap.mmap:
        os.ftruncate(self.descriptor, self.total_bytes)
        # The only writable mapping there will ever be: after FUTURE_WRITE no other can be made (5.2(2)).
        whole = mmap.mmap(
            self.descriptor,
            self.total_bytes,
            flags=mmap.MAP_SHARED | mmap.MAP_POPULATE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
        )
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        whole.madvise(mmap.MADV_DONTDUMP)  # 5.2(1): a core dump would be a kept picture
        whole.madvise(mmap.MADV_DONTFORK)
        return whole

    def _lock(self) -> bool:
        libc = ctypes.CDLL(None, use_errno=True)
        address = ctypes.c_void_p(self._bytes.ctypes.data)
        return int(libc.mlock(address, ctypes.c_size_t(self.total_bytes))) == 0

    def writable(self, slot: int) -> npt.NDArray[np.uint8]:
        """Return a fresh array (uint8, ``frame_bytes``) on the slot; whatever is derived from it keeps it alive."""
        return np.frombuffer(self._whole, dtype=np.uint8, count=self.frame_bytes, offset=slot * self.slot_bytes)

    def map_readable(self, slot: int) -> mmap.mmap:
        """Return a new read-only mapping of the slot (``slot_bytes`` long)."""
        return map_readable(self.descriptor, self.slot_bytes, offset=slot * self.slot_bytes)

    def overwrite(self, slot: int) -> None:
        """Write zero over every byte of the slot, padding too (5.1(1), 5.2(1))."""
        self._bytes[slot * self.slot_bytes : (slot + 1) * self.slot_bytes] = 0

    def is_blank(self, slot: int) -> bool:
        """Return whether every byte of the slot, padding too, is zero."""
        return not self._bytes[slot * self.slot_bytes : (slot + 1) * self.slot_bytes].max()

    def close(self) -> None:
        """Overwrite everything and give the memory back. Twice is once.

        Raises :class:`CameraError` ``E-CAMERA-LEAK`` when a view of a slot is still held somewhere; the bytes are
        overwritten even then.
        """
        if self._closed:
            return
        self._closed = True
        self._bytes[:] = 0
        del self._bytes
        os.close(self.descriptor)
        try:
            self._whole.close()
        except BufferError:
            raise CameraError(
                "E-CAMERA-LEAK",
                "a view of a slot is still held while its memory is given back",
                where="camera.memory",
                clause="5.2(1)",
                todo="report this: it is a fault of the program",
            ) from None


def map_readable(descriptor: int, length: int, *, offset: int = 0) -> mmap.mmap:
    """Map ``length`` bytes of lent slot memory to read, kept out of core dumps and of forks.

    For a child: ``map_readable(descriptor, slot_bytes * slots)`` sees every slot. Raises OSError.
    """
    mapped = mmap.mmap(
        descriptor,
        length,
        flags=mmap.MAP_SHARED | mmap.MAP_POPULATE,
        prot=mmap.PROT_READ,
        offset=offset,
    )
    mapped.madvise(mmap.MADV_DONTDUMP)
    mapped.madvise(mmap.MADV_DONTFORK)
    return mapped
