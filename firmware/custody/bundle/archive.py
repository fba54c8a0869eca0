"""One tar file: written once from front to back, read by name, nothing in it that was not listed.

Knows:  names, bytes, hashes.
Never:  a link, a folder, a path that leaves the archive, an owner's name, a half file under its final name.
Leaves: a tar that any tool lists; refusals that name the member.
Clauses: 7.3(1)3 (carried whole, or noticed).
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from firmware.custody.bundle import index
from firmware.custody.bundle.index import Member
from firmware.ground.durable import sync_folder
from firmware.ground.errors import CaseError, StoreError

_PIECE_BYTES: Final = 1 << 20
_MOST_MEMBERS: Final = 200_000


class Writer:
    """Appends members and remembers their hashes. Made by :func:`writing`."""

    def __init__(self, tar: tarfile.TarFile, mtime_seconds: int) -> None:
        self.members: list[Member] = []
        self._tar = tar
        self._mtime_seconds = mtime_seconds
        self._stopped = False

    def stop(self) -> None:
        """Make the next member the last: it is refused. May be called from another thread."""
        self._stopped = True

    def add(self, name: str, content: bytes) -> Member:
        """Write one member from memory."""
        return self.copy(name, io.BytesIO(content), len(content))

    def copy(self, name: str, source: BinaryIO, length: int) -> Member:
        """Write ``length`` bytes of ``source`` as one member. Raises OSError, also when there are fewer."""
        if self._stopped:
            raise CaseError("E-CASE-STOPPED", "stopped before it was whole", where=name, todo="ask again")
        hashing = _Hashing(source)
        self._tar.addfile(_info(name, length, self._mtime_seconds), hashing)
        member = Member(name=name, length=length, sha256=hashing.digest.hexdigest())
        self.members.append(member)
        return member


@contextmanager
def writing(path: Path, utc_ns: int) -> Iterator[Writer]:
    """Write a tar as ``path.part``; at the block's end make it durable and give it its name. Nothing is overwritten.

    Raises :class:`CaseError` (``E-CASE-OUT``) where it cannot be written; the part is then removed.
    """
    part = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
                yield Writer(tar, utc_ns // 1_000_000_000)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():  # checked again: a file that came meanwhile is not replaced
            raise FileExistsError(17, "there is a file of that name")
        part.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        part.unlink(missing_ok=True)


class Reader:
    """Reads members by name. Made by :func:`reading`, which has judged names and kinds already."""

    def __init__(self, tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], where: str) -> None:
        self.names = frozenset(members)
        self.where = where
        self._tar = tar
        self._members = members

    def length(self, name: str) -> int:
        """Return a member's length in bytes. Raises :class:`CaseError` where it is missing."""
        return self._member(name).size

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return a member's bytes. Raises :class:`CaseError` where it is missing, too long or cut short."""
        member = self._member(name)
        if member.size > most_bytes:
            raise refused("E-CASE-MEMBER", f"{name} is longer than it can be", self.where)
        try:
            file = self._tar.extractfile(member)
            content = file.read() if file else b""
        except (tarfile.TarError, OSError):
            content = b""
        if len(content) != member.size:
            raise refused("E-CASE-HALF", f"{name} is cut short", self.where)
        return content

    def _member(self, name: str) -> tarfile.TarInfo:
        if name not in self._members:
            raise refused("E-CASE-MISSING", f"{name} is missing from it", self.where)
        return self._members[name]


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Open a bundle and judge what kind of things are in it. Raises :class:`CaseError` naming the first wrong one."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            members = _members(tar, file, str(path))
            yield Reader(tar, members, str(path))
    except OSError as error:
        raise refused("E-CASE-BUNDLE", f"cannot read: {error.strerror}", str(path)) from None
    except tarfile.TarError:
        raise refused(
            "E-CASE-HALF", "this is no whole tar file: nothing was copied, or only a part was copied", str(path)
        ) from None


def refused(code: str, what: str, where: str) -> CaseError:
    """Return the error for a bundle that is not as the pole made it."""
    return CaseError(
        code,
        what,
        where=where,
        todo="copy the bundle again from the medium or from the pole, and compare",
        clause="7.3(1)3",
    )


class _Hashing(io.RawIOBase):
    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self.digest = hashlib.sha256()
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            piece = self._source.read(min(size, _PIECE_BYTES) if size >= 0 else _PIECE_BYTES)
        except OSError as error:  # not to be taken for a failure of the medium written to
            raise StoreError(
                "E-STORE-READ", f"{error.strerror}", where=str(getattr(self._source, "name", "memory")),
                todo="check the pole's disk; nothing was handed out",
            ) from None  # fmt: skip
        self.digest.update(piece)
        return piece


def _members(tar: tarfile.TarFile, file: BinaryIO, where: str) -> dict[str, tarfile.TarInfo]:
    """Return the members by name, once the file is byte for byte a tar that :class:`Writer` writes."""
    members, end, total_bytes = dict[str, tarfile.TarInfo](), 0, os.fstat(file.fileno()).st_size
    for member in tar:
        if not index.is_member(member.name):
            raise refused("E-CASE-SMUGGLED", f"a bundle has no member {ascii(member.name)[:120]}", where)
        if not member.isreg() or member.name in members or len(members) == _MOST_MEMBERS:
            raise refused("E-CASE-SMUGGLED", f"{member.name} is no plain file, or stands twice", where)
        padded = -member.size % tarfile.BLOCKSIZE
        header = _read_at(file, end, tarfile.BLOCKSIZE)
        if header != _header(member.name, member.size, int(member.mtime)):  # no owner, link, comment or extra header
            raise refused("E-CASE-SMUGGLED", f"the header of {member.name} is not as the pole writes it", where)
        end += tarfile.BLOCKSIZE + member.size + padded
        if end > total_bytes:
            raise refused("E-CASE-HALF", f"it ends within {member.name}: only a part was copied", where)
        if _read_at(file, end - padded, padded) != bytes(padded):
            raise refused("E-CASE-SMUGGLED", f"something stands behind {member.name}", where)
        members[member.name] = member
    if index.NOTE not in members:  # the last one the pole writes
        raise refused("E-CASE-HALF", f"it ends before {index.NOTE}: only a part was copied", where)
    _nothing_after(file, end, where)
    return members


def _header(name: str, length: int, mtime_seconds: int) -> bytes:
    return _info(name, length, mtime_seconds).tobuf(tarfile.USTAR_FORMAT)


def _info(name: str, length: int, mtime_seconds: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = length, mtime_seconds, 0o444
    return info


def _read_at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _nothing_after(file: BinaryIO, end: int, where: str) -> None:
    """Refuse bytes behind the last member, where a reader by name would never look."""
    file.seek(end)
    while piece := file.read(_PIECE_BYTES):
        if piece.strip(b"\0"):
            raise refused("E-CASE-SMUGGLED", "something stands behind the archive's end", where)


def _unwritable(path: Path, error: OSError) -> CaseError:
    return CaseError(
        "E-CASE-OUT", f"cannot write: {error.strerror or 'the disk is full'}", where=str(path),
        todo="choose a new name on a medium with room; nothing was handed out", clause="7.3(1)3",
    )  # fmt: skip
