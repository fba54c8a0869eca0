"""Bytes that survive a power cut, or were never there.

Knows:  one file, its folder, fsync.
Never:  a half-written file under its final name.
Leaves: whole files.
Clauses: 7.3(1)3 (nothing half erased, nothing half written).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make names created, renamed or removed in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, pieces: bytes | Iterable[bytes], *, mode: int = 0o600) -> None:
    """Replace ``path`` by ``pieces``: write beside it, fsync, rename, fsync the folder.

    A crash leaves the old file or the new one; a leftover ``.part`` is never read and is overwritten next time.
    Raises OSError; the old file is then untouched.
    """
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in (pieces,) if isinstance(pieces, bytes) else pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def link_descriptor(descriptor: int, path: Path) -> None:
    """Give an unnamed file (``O_TMPFILE``) its name, durably. The file's data must be fsynced before."""
    # Without a dir_fd Python calls link(2), which does not follow the symbolic link of /proc; linkat(2) does.
    os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove ``path`` durably; a file that is not there is fine."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
