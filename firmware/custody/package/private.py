"""Where a plain tree may lie while it is made: in memory, for as long as one run lasts.

Knows:  a folder of this run, folders that killed runs left.
Never:  a plain picture on the desk's disk unless an officer names the folder for it.
Leaves: nothing, whatever happens; what a killed run left goes when the next one begins.
Clauses: 7.2(2), 7.3(1)3 (encrypted wherever it is kept).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from firmware.ground.errors import CaseError

IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - memory, mode 1777 like /tmp; the folder in it is private (0700)
_PREFIX: Final = "smartpole-desk-"
_LOCK: Final = "running"


@contextmanager
def private_folder(needed_bytes: int, folder: Path | None = None) -> Iterator[Path]:
    """Give a new folder that only this user can enter, and remove it with all that is in it.

    It lies in memory; on a disk only where ``folder`` is given. Raises :class:`CaseError` ``E-CASE-ROOM``.
    """
    base = folder or IN_MEMORY
    try:
        _clear_left(base)
        room = os.statvfs(base)
        free_bytes = room.f_bavail * room.f_frsize
    except OSError:
        free_bytes = -1
    if free_bytes < needed_bytes:
        raise CaseError(
            "E-CASE-ROOM",
            f"{needed_bytes // 1_000_000 + 1} MB are needed to make it, there are {max(0, free_bytes) // 1_000_000} MB",
            where=str(base),
            todo="ask for fewer minutes, or give --work: a folder on an encrypted disk, emptied afterwards",
            clause="7.3(1)3",
        )
    made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    try:
        with (made / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _clear_left(base: Path) -> None:
    """Remove the folders of this user's runs that were killed: nobody holds their lock any more."""
    for left in base.glob(f"{_PREFIX}*"):
        try:
            if left.is_symlink() or left.stat().st_uid != os.getuid():
                continue
            with (left / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # in use, or it has no lock yet
            continue
