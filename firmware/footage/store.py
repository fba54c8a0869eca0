"""The store: sealed chunks and manifests as plain files that say when they are from.

Knows:  ciphertext files, manifests, free space.
Never:  a plaintext byte, a key, a file under its final name before it is whole and durable.
Leaves: ``<hour>/<epoch>-<sequence>.age``, ``<hour>/<epoch>.manifest.json``; damaged ones under ``damaged/``.
Clauses: 7.1(1) (stored here only, and sealed), 7.3(1)1, 7.3(1)3 (nothing half written, nothing removed unsaid).

``<hour>`` is the epoch number divided by 60. All methods block; call them off the loop. A chunk in the making has no
name (``O_TMPFILE``), so a crash leaves nothing of it; where the file system cannot do that it is called ``.part`` and
the check at boot removes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from firmware.footage import manifest as manifests
from firmware.footage.epochs import MINUTES_AN_HOUR
from firmware.footage.manifest import ChunkEntry, Manifest
from firmware.footage.ports import ChunkFacts
from firmware.footage.seal import HEADER_BYTES_AT_MOST, is_sealed
from firmware.ground.clock import MinuteNumber
from firmware.ground.durable import link_descriptor, sync_folder, write_file
from firmware.ground.errors import StoreError

CHUNK_NAME: Final = re.compile(r"(?P<epoch>[1-9][0-9]{0,9})-(?P<sequence>0|[1-9][0-9]{0,3})\.age")
MANIFEST_NAME: Final = re.compile(r"(?P<epoch>[1-9][0-9]{0,9})\.manifest\.json")
_EPOCH_OF_NAME: Final = re.compile(r"(?P<epoch>[1-9][0-9]{0,9})(?:-[0-9]+\.age|\.manifest\.json)")
HOUR_NAME: Final = re.compile(r"[1-9][0-9]{0,8}")
DAMAGED: Final = "damaged"

_HASH_PIECE_BYTES: Final = 1 << 20
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(slots=True)
class LentChunk:
    """A file in the making. ``descriptor`` is lent to the recorder: write-only, empty, no name.

    ``_own`` reads and names it; both are closed by :meth:`Store.keep` or :meth:`Store.abandon`.
    """

    descriptor: int
    own: int
    part: Path | None


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes on the store's file system."""

    free_bytes: int
    total_bytes: int


class Store:
    """The footage folder of one pole (made if missing)."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self._parts = 0
        with store_errors("E-STORE-FOLDER", folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    # ---- writing

    def lend(self) -> LentChunk:
        """Open a nameless file for one chunk. Raises StoreError: E-STORE-FULL, E-STORE-WRITE."""
        part: Path | None = None
        with store_errors("E-STORE-WRITE", self.folder):
            flags = os.O_RDWR | os.O_CLOEXEC
            try:
                own = os.open(self.folder, flags | os.O_TMPFILE, 0o600)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                    raise
                self._parts += 1
                part = self.folder / f"{os.getpid()}-{self._parts}.part"
                own = os.open(part, flags | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                lent = os.open(f"/proc/self/fd/{own}", os.O_WRONLY | os.O_CLOEXEC)
            except OSError:
                os.close(own)
                raise
        return LentChunk(lent, own, part)

    def abandon(self, lent: LentChunk) -> None:
        """Close both descriptors; an unnamed file is gone with them."""
        os.close(lent.descriptor)
        os.close(lent.own)
        if lent.part:
            lent.part.unlink(missing_ok=True)

    def keep(
        self,
        lent: LentChunk,
        epoch: MinuteNumber,
        sequence: int,
        facts: ChunkFacts,
        utc_ns: tuple[int, int],
    ) -> ChunkEntry:
        """Judge, fsync, hash and name a finished chunk; return its manifest entry. Closes ``lent`` in any case.

        ``utc_ns``: when the first and the last picture were taken, by the machine's UTC.

        Raises StoreError: E-STORE-PLAIN (not an age file: never named), E-STORE-SIZE, E-STORE-FULL, E-STORE-WRITE.
        """
        path = self.chunk_path(epoch, sequence)
        try:
            _refuse_unsealed(lent.own, facts, path)
            with store_errors("E-STORE-WRITE", path):
                os.fsync(lent.own)  # before the name: a name means whole
                digest = _hash(lent.own)
                self._make_hour(path.parent)
                os.fchmod(lent.own, 0o400)
                if lent.part:
                    os.link(lent.part, path)
                    sync_folder(path.parent)
                else:
                    link_descriptor(lent.own, path)
        finally:
            self.abandon(lent)
        return ChunkEntry(
            sequence=sequence,
            ciphertext_bytes=facts.ciphertext_bytes,
            sha256=digest,
            frames=facts.frames,
            first_pts_90k=facts.first_pts_90k,
            last_pts_90k=facts.last_pts_90k,
            first_utc_ns=utc_ns[0],
            last_utc_ns=utc_ns[1],
        )

    def write_manifest(self, manifest: Manifest) -> str:
        """Write the manifest durably over an earlier one; return its SHA-256 (hex). Raises StoreError."""
        path = self.manifest_path(MinuteNumber(manifest.epoch))
        data = manifest.encoded()
        with store_errors("E-STORE-WRITE", path):
            self._make_hour(path.parent)
            write_file(path, data)
        return manifests.sha256_of(data)

    def remove(self, epochs: Iterable[MinuteNumber]) -> int:
        """Unlink all chunks and manifests of ``epochs``; return how many files. Their keys must be gone before."""
        removed = 0
        by_hour: dict[int, set[int]] = {}
        for epoch in epochs:
            by_hour.setdefault(epoch // MINUTES_AN_HOUR, set()).add(epoch)
        for hour, wanted in by_hour.items():
            folder = self.folder / str(hour)
            with store_errors("E-STORE-WRITE", folder):
                removed += _remove_from(folder, wanted)
        with store_errors("E-STORE-WRITE", self.folder / DAMAGED):
            removed += _remove_from(self.folder / DAMAGED, {epoch for wanted in by_hour.values() for epoch in wanted})
        return removed

    # ---- reading

    def chunk_path(self, epoch: MinuteNumber, sequence: int) -> Path:
        """Return where a chunk stands or would stand."""
        return self.folder / str(epoch // MINUTES_AN_HOUR) / f"{epoch}-{sequence}.age"

    def manifest_path(self, epoch: MinuteNumber) -> Path:
        """Return where a manifest stands or would stand."""
        return self.folder / str(epoch // MINUTES_AN_HOUR) / f"{epoch}.manifest.json"

    def hours(self) -> list[int]:
        """Return the hours that have a folder, in order."""
        return sorted(int(path.name) for path in self.folder.iterdir() if HOUR_NAME.fullmatch(path.name))

    def sequences(self, epoch: MinuteNumber) -> list[int]:
        """Return the chunk numbers of ``epoch`` on the disk, in order."""
        found = [CHUNK_NAME.fullmatch(name) for name in self._names(epoch // MINUTES_AN_HOUR)]
        return sorted(int(match["sequence"]) for match in found if match and int(match["epoch"]) == epoch)

    def chunks(self, epoch: MinuteNumber) -> list[Path]:
        """Return the paths of the epoch's chunks, in order."""
        return [self.chunk_path(epoch, sequence) for sequence in self.sequences(epoch)]

    def recorded(self) -> list[MinuteNumber]:
        """Return every epoch that has a chunk or manifest on the disk, in order."""
        found: set[MinuteNumber] = set()
        for hour in self.hours():
            for name in self._names(hour):
                match = CHUNK_NAME.fullmatch(name) or MANIFEST_NAME.fullmatch(name)
                if match:
                    found.add(MinuteNumber(int(match["epoch"])))
        return sorted(found)

    def manifest_bytes(self, epoch: MinuteNumber) -> bytes | None:
        """Return the manifest's bytes; None where there is none. Raises StoreError when it cannot be read."""
        path = self.manifest_path(epoch)
        try:
            with path.open("rb") as file:
                return file.read(manifests.MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _store_error("E-STORE-READ", path, error) from None

    def manifest(self, epoch: MinuteNumber) -> Manifest | None:
        """Return the manifest; None where there is none. Raises StoreError E-STORE-MANIFEST when it is damaged."""
        data = self.manifest_bytes(epoch)
        if data is None:
            return None
        try:
            found = manifests.decode(data)
        except (msgspec.DecodeError, RecursionError):
            found = None
        if found is None or found.epoch != epoch:
            raise StoreError(
                "E-STORE-MANIFEST",
                "the manifest is damaged",
                where=str(self.manifest_path(epoch)),
                todo="the next start of the pole sets it aside and writes what can still be known",
                clause="7.3(1)3",
            )
        return found

    def hash_chunk(self, epoch: MinuteNumber, sequence: int) -> str:
        """Return the SHA-256 (hex) of a chunk as it lies on the disk. Raises StoreError."""
        path = self.chunk_path(epoch, sequence)
        with store_errors("E-STORE-READ", path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                return _hash(descriptor)
            finally:
                os.close(descriptor)

    def space(self) -> Space:
        """Return free and total bytes of the file system. Raises StoreError."""
        with store_errors("E-STORE-READ", self.folder):
            facts = os.statvfs(self.folder)
        return Space(facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize)

    def set_aside(self, path: Path) -> None:
        """Move a damaged file to ``damaged/``, out of every reader's way; it is erased with its epoch all the same."""
        with store_errors("E-STORE-WRITE", path):
            folder = self.folder / DAMAGED
            folder.mkdir(mode=0o700, exist_ok=True)
            target = folder / path.name
            for number in range(1, 1000):
                if not target.exists():
                    break
                target = folder / f"{path.name}.{number}"
            path.rename(target)
            sync_folder(folder)
            sync_folder(path.parent)

    def _names(self, hour: int) -> list[str]:
        try:
            return os.listdir(self.folder / str(hour))  # noqa: PTH208  # names only; 120,000 Path objects are not needed
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _make_hour(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.folder)


def is_age_file(path: Path) -> bool:
    """Tell whether ``path`` begins like a sealed chunk. Raises OSError."""
    with path.open("rb") as file:
        return is_sealed(file.read(HEADER_BYTES_AT_MOST))


def _refuse_unsealed(descriptor: int, facts: ChunkFacts, path: Path) -> None:
    size = os.fstat(descriptor).st_size
    if not is_sealed(os.pread(descriptor, HEADER_BYTES_AT_MOST, 0)):
        raise StoreError(
            "E-STORE-PLAIN",
            "the recorder gave something that is not sealed; it was thrown away",
            where=str(path),
            todo="report this: it is a fault of the program",
            clause="7.3(1)1",
        )
    if size != facts.ciphertext_bytes:
        raise StoreError(
            "E-STORE-SIZE",
            "the chunk has another size than its recorder says; it was thrown away",
            where=str(path),
            todo="report this: it is a fault of the program",
            clause="7.3(1)3",
        )


def _hash(descriptor: int) -> str:
    digest, place = hashlib.sha256(), 0
    while piece := os.pread(descriptor, _HASH_PIECE_BYTES, place):
        digest.update(piece)
        place += len(piece)
    return digest.hexdigest()


def _remove_from(folder: Path, wanted: set[int]) -> int:
    """Unlink the wanted epochs' files in one hour's folder, and the folder when it is empty then."""
    removed = 0
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names only
    except (FileNotFoundError, NotADirectoryError):
        return 0
    for name in names:
        match = _EPOCH_OF_NAME.match(name)
        if match and int(match["epoch"]) in wanted:
            (folder / name).unlink(missing_ok=True)
            removed += 1
    sync_folder(folder)
    if removed == len(names):
        with contextlib.suppress(OSError):  # somebody else's file may lie there
            folder.rmdir()
        sync_folder(folder.parent)
    return removed


@contextlib.contextmanager
def store_errors(code: str, path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError: E-STORE-FULL for a full disk, else ``code``."""
    try:
        yield
    except OSError as error:
        raise _store_error(code, path, error) from None


def _store_error(code: str, path: Path, error: OSError) -> StoreError:
    return StoreError(
        "E-STORE-FULL" if error.errno in _FULL else code,
        f"{error.strerror or type(error).__name__}",
        where=str(path),
        todo="free or replace the disk; what is stored already is untouched",
        clause="7.3(1)3",
    )
