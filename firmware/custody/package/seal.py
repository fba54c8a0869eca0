"""A folder becomes one age file, without ever lying on a disk as a tar.

Knows:  the plain tree for as long as it is read, one recipient's public key or nine words.
Never:  a second reader, a half file under its final name, an owner's name or time of the desk in the tar.
Leaves: one file that stock ``age -d`` and ``tar x`` open.
Clauses: 7.3(1)3 (carried encrypted), 7.3(1)2 (to the registered key and no other).
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn, Self

import pyrage
from pyrage import x25519

from firmware.custody.keys import words
from firmware.ground.durable import sync_folder
from firmware.ground.errors import CaseError

PIECE_BYTES: Final = 1 << 20
MOST_WORDS_BYTES: Final = 2 * 1024 * 1024 * 1024
"""A package under nine words is sealed in memory, because the library seals so; larger ones need a key."""


def seal_to_key(folder: Path, recipient: str, out: Path, mtime_seconds: int) -> str:
    """Write ``folder`` as one age file to ``recipient`` (``age1...``); return its SHA-256. Raises CaseError."""
    public = parse_recipient(recipient)
    with _Part(out) as part:
        try:
            pyrage.encrypt_io(_Reader(tar_pieces(folder, mtime_seconds)), part, [public])
        except pyrage.EncryptError:  # the library's word for whatever a read or a write raised
            part.refuse()
        return part.finish()


def seal_to_words(folder: Path, out: Path, mtime_seconds: int) -> tuple[str, str]:
    """Write ``folder`` as one age file under nine fresh words, its only stanza; return ``(SHA-256, words)``."""
    if sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > MOST_WORDS_BYTES:
        raise CaseError(
            "E-CASE-ROOM", "this is too much to be sealed under words alone", where=str(out),
            todo="hand it out in several cases, or register the recipient's age key", clause="7.3(1)3",
        )  # fmt: skip
    fresh = words.new_passphrase()
    with _Part(out) as part:
        part.write(pyrage.passphrase.encrypt(b"".join(tar_pieces(folder, mtime_seconds)), fresh))
        return part.finish(), fresh


def parse_recipient(text: str) -> x25519.Recipient:
    """Return the public key that a case names. Raises :class:`CaseError` (``E-CASE-RECIPIENT``)."""
    try:
        return x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise CaseError(
            "E-CASE-RECIPIENT", "the case's key is no age X25519 key", where=text[:16],
            todo="register the key that age-keygen printed, and have the case approved again", clause="7.3(1)2",
        ) from None  # fmt: skip


def tar_pieces(folder: Path, mtime_seconds: int) -> Iterator[bytes]:
    """Yield the bytes of a tar of ``folder`` and what is in it, in order of names; plain files and folders only."""
    for path in [folder, *sorted(folder.rglob("*"))]:
        info = tarfile.TarInfo(str(path.relative_to(folder.parent)))
        info.mtime = mtime_seconds
        if path.is_dir():
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            yield info.tobuf(tarfile.PAX_FORMAT)
            continue
        info.size, info.mode = path.stat().st_size, 0o644
        yield info.tobuf(tarfile.PAX_FORMAT)
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
        yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


class _Reader(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = memoryview(piece)
        length = len(self._left) if size < 0 else size
        taken, self._left = self._left[:length], self._left[length:]
        return bytes(taken)


class _Part:
    """``out`` in the making, beside it; it takes its name when finished and is removed when it is not."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out.with_name(out.name + ".part")
        self._digest = hashlib.sha256()
        self._failure: OSError | None = None
        self._writing = False

    def __enter__(self) -> Self:
        try:
            if self._out.exists():
                raise FileExistsError(17, "there is a file of that name")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        except OSError as error:
            raise _unwritable(self._out, error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, piece: bytes) -> int:
        self._writing = True
        try:
            self._file.write(piece)
        except OSError as error:
            self._failure = error
            raise
        self._digest.update(piece)
        self._writing = False
        return len(piece)

    def refuse(self) -> NoReturn:
        """Raise :class:`CaseError`: what the medium said, or that it was stopped."""
        if self._failure is not None:
            raise _unwritable(self._out, self._failure)
        raise CaseError(
            "E-CASE-STOPPED", "stopped before it was whole", where=str(self._out), todo="run it again; nothing is left"
        )

    def flush(self) -> None:
        """Do nothing: it is made durable at the end."""

    def finish(self) -> str:
        """Make it durable under its name, replacing nothing; return its SHA-256."""
        if self._writing:  # the library says nothing of a write that fails at the very end
            self.refuse()
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._out.exists():  # checked again; a medium's file system may know no hard links
                raise FileExistsError(17, "there is a file of that name")
            self._path.rename(self._out)
            sync_folder(self._out.parent)
        except OSError as error:
            raise _unwritable(self._out, error) from None
        return self._digest.hexdigest()


def _unwritable(out: Path, error: OSError) -> CaseError:
    return CaseError(
        "E-CASE-OUT", f"cannot write: {error.strerror or 'the disk is full'}", where=str(out),
        todo="choose a new name on a medium with room; nothing was handed out", clause="7.3(1)3",
    )  # fmt: skip
