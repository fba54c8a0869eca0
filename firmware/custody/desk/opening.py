"""The desk: a bundle, a key of each group of officers, and out of them one film a camera. Never on a pole.

Knows:  for as long as a bundle is opened, the identities of its minutes; one chunk's plaintext at a time.
Never:  a film from a bundle that is not entirely proven, a frame encoded again, a half-made folder under its name.
Leaves: films, gap list, report and hashes in a folder of their own.
Clauses: 7.2(1) (what the document asks for, as recorded), 7.2(2) (nothing else is made of it), 7.3(1)1 (both groups).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyrage
from pyrage import x25519

from firmware.custody.bundle import archive, index
from firmware.custody.bundle.check import CheckedBundle, chunk_name
from firmware.custody.desk.approvals import Approvals
from firmware.custody.desk.film import Added, Film, FilmPart
from firmware.custody.desk.gaps import ChunkKey, chunk_times
from firmware.custody.keys.pole_key import PoleKey
from firmware.footage.manifest import ChunkEntry
from firmware.footage.nesting import WHOLE
from firmware.footage.seal import HEADER_BYTES_AT_MOST, is_sealed
from firmware.ground.durable import sync_folder
from firmware.ground.errors import CaseError, KeystoreError, StoreError

MakeFilm = Callable[[Path, str], Film]
"""Begins a film in a folder, under a stem such as ``sp03_cam0``."""

Prove = Callable[[CheckedBundle], Approvals]
"""Judges who approved a bundle (``desk.approvals.prove_approvals``); raises where nobody did."""

MOST_CHUNK_BYTES: Final = 512 * 1024 * 1024
_LAYER: Final = b"age-encryption.org/v1\n"


@dataclass(frozen=True, slots=True)
class OfficerKeys:
    """The unlocked identities of one officer of each group; ``b`` is empty only for a bench with one group."""

    a: Sequence[x25519.Identity]
    b: Sequence[x25519.Identity]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a chunk's pictures are: first taken at ``begin_utc_ns``; the SHA-256 of its plaintext and of the frames."""

    begin_utc_ns: int
    plain_sha256: str
    added: Added


@dataclass(slots=True)
class Opened:
    """What became of a bundle: its proven facts, who approved it, the finished films, chunks that do not open.

    ``placed`` has every chunk that is in a film.
    """

    checked: CheckedBundle
    approvals: Approvals
    parts: list[FilmPart] = field(default_factory=list)
    placed: dict[ChunkKey, Placed] = field(default_factory=dict)
    unreadable: dict[ChunkKey, str] = field(default_factory=dict)
    moved: dict[ChunkKey, int] = field(default_factory=dict)
    chunks: int = 0


def open_bundle(
    bundle: Path,
    keys: OfficerKeys,
    out: Path,
    make_film: MakeFilm,
    write_report: Callable[[Opened, Path], None],
    prove: Prove,
    expected_key: PoleKey | None = None,
) -> Opened:
    """Open ``bundle`` into the new folder ``out``: all of it, or nothing but an error. ``prove`` judges its approvals.

    Raises :class:`CaseError`, :class:`LedgerError` for a bundle that is not as the pole made it, :class:`KeystoreError`
    for keys that do not fit. A single chunk that was sealed wrongly on the pole becomes a gap and is reported.
    """
    with _new_folder(out) as folder, archive.reading(bundle) as reader:
        checked = CheckedBundle(reader, expected_key)
        opened = Opened(checked, prove(checked))
        if opened.approvals.dossier != checked.index.dossier:  # 7.2(1): of this bundle, not of another
            raise archive.refused("E-CASE-CHANGED", "another dossier was approved", checked.where)
        identities = {epoch: _identity(opened.checked, epoch, keys) for epoch in opened.checked.index.epochs}
        _make_films(opened, identities, folder, make_film)
        if opened.unreadable and not opened.chunks:
            what = f"none of its {len(opened.unreadable)} chunks opens with its minute's identity"
            raise archive.refused("E-CASE-SEAL", what, opened.checked.where)
        write_report(opened, folder)
    opened.parts = [
        FilmPart(out / part.path.name, part.begin_utc_ns, part.frames, part.duration_90k) for part in opened.parts
    ]
    return opened


def _make_films(opened: Opened, identities: dict[int, x25519.Identity], folder: Path, make_film: MakeFilm) -> None:
    films = dict[str, Film]()
    try:
        for epoch, chunk in _chunks(opened.checked):
            origin = opened.checked.manifests[epoch].origin
            if origin.camera not in films:
                films[origin.camera] = make_film(folder, f"{origin.pole}_{origin.camera}")
            _add_chunk(opened, films[origin.camera], identities[epoch], epoch, chunk)
        for film in films.values():
            opened.parts += film.close()
    finally:
        for film in films.values():
            film.abandon()


def _chunks(checked: CheckedBundle) -> Iterator[tuple[int, ChunkEntry]]:
    damaged = {(chunk.epoch, chunk.sequence) for chunk in checked.index.damaged}
    for epoch in sorted(checked.manifests):
        for chunk in sorted(checked.manifests[epoch].chunks, key=lambda chunk: chunk.sequence):
            if (epoch, chunk.sequence) not in damaged:
                yield epoch, chunk


def _add_chunk(opened: Opened, film: Film, identity: x25519.Identity, epoch: int, chunk: ChunkEntry) -> None:
    name, key = chunk_name(epoch, chunk), (epoch, chunk.sequence)
    sealed = opened.checked.read(name, MOST_CHUNK_BYTES)
    if not is_sealed(sealed[:HEADER_BYTES_AT_MOST]):
        raise archive.refused("E-CASE-PLAIN", f"{name} is not a sealed chunk", opened.checked.where)
    begin_ns, _ = chunk_times(epoch, chunk, len(opened.checked.manifests[epoch].chunks))
    try:
        plain = pyrage.decrypt(sealed, [identity])
        added = film.add(plain, begin_ns)
    except pyrage.DecryptError:
        opened.unreadable[key] = "E-CASE-SEAL"
    except StoreError as error:
        opened.unreadable[key] = error.code
    else:
        opened.chunks += 1
        opened.placed[key] = Placed(begin_ns, hashlib.sha256(plain).hexdigest(), added)
        if chunk.frames is not None and added.frames != chunk.frames:
            opened.unreadable[key] = "E-CASE-FRAMES"
        if added.moved_90k:
            opened.moved[key] = added.moved_90k


def _identity(checked: CheckedBundle, epoch: int, keys: OfficerKeys) -> x25519.Identity:
    """Return a minute's identity, both layers taken off. One officer alone gets no further than one."""
    pairs = checked.pairs(epoch)
    name = index.of_minute(epoch, index.identity_name(pairs[0]))
    if pairs == (WHOLE,):
        inner = _by_groups(checked, name, keys)
    else:
        inner = _by_a_pair([checked.read(index.of_minute(epoch, index.identity_name(pair))) for pair in pairs], keys)
        if not inner:
            raise _no_two(f"{checked.where}: minute {epoch}")
    try:
        return x25519.Identity.from_str(inner.decode("ascii").strip())
    except (pyrage.IdentityError, UnicodeDecodeError):
        raise archive.refused("E-CASE-MEMBER", f"{name} holds no identity", checked.where) from None


def _by_groups(checked: CheckedBundle, name: str, keys: OfficerKeys) -> bytes:
    """Take group A's layer off, then group B's."""
    where = f"{checked.where}: {name}"
    inner = _layer_off(checked.read(name), keys.a, keys.b, "a", where)
    return _layer_off(inner, keys.b, keys.a, "b", where) if inner.startswith(_LAYER) else inner


def _by_a_pair(files: Sequence[bytes], keys: OfficerKeys) -> bytes:
    """Open whichever of the three files is for these two officers, in either order; nothing where none is."""
    for sealed in files:
        for first, second in ((keys.a, keys.b), (keys.b, keys.a)):
            with suppress(pyrage.DecryptError):
                if first and second:
                    opened: bytes = pyrage.decrypt(pyrage.decrypt(sealed, list(first)), list(second))
                    return opened
    return b""


def _no_two(where: str) -> KeystoreError:
    return KeystoreError(
        "E-KEY-TWO-OF-THREE",
        "the keys given are not those of two of the three officers",
        where=where,
        todo="give --identity-a of one officer and --identity-b of another of that minute's three, either way round",
        clause="7.3(1)1",
    )


def _layer_off(
    sealed: bytes, keys: Sequence[x25519.Identity], others: Sequence[x25519.Identity], group: str, where: str
) -> bytes:
    if keys:
        try:
            opened: bytes = pyrage.decrypt(sealed, list(keys))
            return opened
        except pyrage.DecryptError:
            pass
    raise KeystoreError(
        f"E-KEY-GROUP-{group.upper()}",
        f"no key of officers' group {group.upper()} was given that opens this minute{_hint(sealed, others)}",
        where=where,
        todo=f"give --identity-{group} of an officer who was in that group when the minute was recorded",
        clause="7.3(1)1",
    )


def _hint(sealed: bytes, others: Sequence[x25519.Identity]) -> str:
    try:
        if others:
            pyrage.decrypt(sealed, list(others))
            return "; the two keys are the wrong way round"
    except pyrage.DecryptError:
        pass
    return ""


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out`` that takes its name when the block ends well, and is removed when it does not."""
    part = out.with_name(f".{out.name}.part")
    try:
        if out.exists():
            raise FileExistsError(17, "there is something of that name")
        shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
        part.mkdir(mode=0o700)
    except OSError as error:
        raise _unwritable(out, error) from None
    try:
        yield part
        for path in [*part.rglob("*"), part]:
            sync_folder(path) if path.is_dir() else _sync(path)
        part.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        raise _unwritable(out, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)  # 7.2(2): no opened picture is left of an attempt that failed


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _unwritable(out: Path, error: OSError) -> CaseError:
    return CaseError(
        "E-CASE-OUT", f"cannot write: {error.strerror}", where=str(out),
        todo="choose a new folder with room; nothing was written", clause="7.2(2)",
    )  # fmt: skip
