"""Acts on the disk: ``000012.act`` and ``000012.<account>.sig``, whole or not there.

Knows:  one folder, numbers, bytes.
Never:  an act without the signatures that were given with it, a file of an act that took effect removed.
Leaves: files; ``aside/`` for acts that never took effect.
Clauses: 7.3(1)2 (provable years later), 7.3(1)3.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from firmware.custody.office.acts import MOST_BYTES
from firmware.custody.office.signatures import MOST_SIGNATURE_BYTES
from firmware.ground.durable import sync_folder, write_file
from firmware.ground.errors import CaseError, StoreError

_DIGITS: Final = 6


class ActFiles:
    """The folder of one pole's acts."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder

    def act_path(self, number: int) -> Path:
        """Return where act ``number`` lies."""
        return self.folder / f"{number:0{_DIGITS}}.act"

    def signature_path(self, number: int, account: str) -> Path:
        """Return where the signature of ``account`` under act ``number`` lies."""
        return self.folder / f"{number:0{_DIGITS}}.{account}.sig"

    def write(self, number: int, act: bytes, signatures: Mapping[str, bytes]) -> None:
        """Write act ``number`` durably, its signatures first. Raises :class:`StoreError`: it is not whole then."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self.folder.parent)
            for account, signature in signatures.items():
                write_file(self.signature_path(number, account), signature)
            write_file(self.act_path(number), act)
        except OSError as error:
            raise StoreError(
                "E-STORE-WRITE", f"cannot keep the act: {error.strerror}", where=str(self.folder),
                todo="free or replace the disk; the act was not done", clause="7.3(1)2",
            ) from None  # fmt: skip

    def act(self, number: int) -> bytes | None:
        """Return the bytes of act ``number``; None where it is not there, is no file of ours, or cannot be read."""
        return _read(self.act_path(number), MOST_BYTES)

    def signature(self, number: int, account: str) -> bytes | None:
        """Return a signature's bytes; None as for :meth:`act`."""
        return _read(self.signature_path(number, account), MOST_SIGNATURE_BYTES)

    def beyond(self, number: int) -> tuple[int, ...]:
        """Return the numbers after ``number`` of which there is anything."""
        return tuple(sorted({found for found in map(_number, self._names()) if found is not None and found > number}))

    def set_aside(self, number: int) -> tuple[Path, ...]:
        """Move what there is of act ``number`` to ``aside/``, durably; return the new places. Raises CaseError."""
        aside, moved = self.folder / "aside", []
        try:
            aside.mkdir(mode=0o700, exist_ok=True)
            for path in self._of(number):
                mark = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
                target = aside / f"{mark}.{path.name}"
                path.rename(target)
                moved.append(target)
            sync_folder(aside)
            sync_folder(self.folder)
        except OSError as error:
            raise CaseError(
                "E-CASE-DISK", f"cannot set an undone act aside: {error.strerror}", where=str(self.folder),
                todo="check the disk; the act never took effect",
            ) from None  # fmt: skip
        return tuple(moved)

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.folder)  # noqa: PTH208  # names only: this is read before every act
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _of(self, number: int) -> list[Path]:
        return [self.folder / name for name in sorted(self._names()) if _number(name) == number]


def _number(name: str) -> int | None:
    head, dot, _ = name.partition(".")
    if not dot:
        return None
    return int(head) if len(head) == _DIGITS and head.isascii() and head.isdigit() else None


def _read(path: Path, most: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError:
        return None
    return content if len(content) <= most else None
