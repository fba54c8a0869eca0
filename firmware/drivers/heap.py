"""Memory that a library freed: overwritten, or gone from the process.

Knows:  two switches of the C library's allocator.
Never:  which library, or what it held.
Leaves: whether the allocator has the switches (glibc has; musl has not).
Clauses: 5.1(1), 5.2(1) (a decoder's or encoder's own copies of a picture do not lie about after it let go of them).
"""

from __future__ import annotations

import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # malloc.h
_M_PERTURB: Final = -6
_LARGE_BYTES: Final = 32 << 10
_OVERWRITE_WITH: Final = 0xFF
"""Of all values this one lets new memory begin as zeros (the allocator fills it with the complement)."""


def erase_freed_memory() -> bool:
    """Let freed memory be overwritten, and large blocks (32 KiB: any plane of a picture) be unmapped when freed.

    Holds for the whole process from now on; calling again changes nothing. Returns False where the C library cannot.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    perturbed = libc.mallopt(_M_PERTURB, _OVERWRITE_WITH) == 1
    # A fixed threshold also ends glibc's habit of raising it after the first large block is freed.
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) == 1 and perturbed)
