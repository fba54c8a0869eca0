"""The epoch table's file: every minute's private half, sealed once more under the keystore's secret.

Knows:  one generation's file, the secret that opens it, ciphertexts of private halves.
Never:  a private half itself: what it holds is already encrypted to two groups of officers.
Leaves: one file a generation, written once, never changed.
Clauses: 7.1(3) (without the secret no copy of the file opens), 7.3(1)1 (a stolen disk is dead).

    header   magic "POLETBL1", slot u8, runs u16, hours u32, generation u64, table id 16 bytes
             runs:  kind u8, first epoch u32, last epoch u32      what this rewrite did, for the ledger
             hours: hour u32, minutes u64 (bit m set: epoch hour*60+m has a key here)
             HMAC-SHA256 over all of it
    blocks   one an hour, in the header's order: length u32, ChaCha20-Poly1305 ciphertext
             nonce = the hour, associated data = the header's HMAC and the hour
             within: minute u8, length u16, recipient 62 bytes, age(A, age(B, identity))

All integers are big-endian. Keys are HKDF-SHA256(secret, salt = table id); secret and table id are new in every
generation, so a nonce is used once. ChaCha20, because a Raspberry Pi 4 has no AES instructions. Blocks are read and
written one by one: memory does not grow with the table.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware.footage.ports import MintedEpoch, SecretSlot
from firmware.ground.clock import MinuteNumber
from firmware.ground.durable import write_file
from firmware.ground.errors import KeystoreError

MINUTES_AN_HOUR: Final = 60

_MAGIC: Final = b"POLETBL1"
_FIXED: Final = struct.Struct(">8sBHIQ16s")
_RUN: Final = struct.Struct(">BII")
_HOUR: Final = struct.Struct(">IQ")
_LENGTH: Final = struct.Struct(">I")
_ENTRY: Final = struct.Struct(">BH62s")
_MAC_BYTES: Final = 32
_MOST_HOURS: Final = 5_000
_MOST_BLOCK_BYTES: Final = 4 * 1024 * 1024
_INFO: Final = b"smart-pole epoch table v1"


class RunKind(IntEnum):
    """What a rewrite did to a run of consecutive epochs."""

    CREATED = 0
    ERASED = 1
    ERASED_EARLY = 2
    LOST = 3
    """Their block is damaged."""
    SECRET_MISSING = 4
    """No keystore secret opens their table any more; an officer accepted that."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive epochs ``first`` to ``last``, both included."""

    kind: RunKind
    first: MinuteNumber
    last: MinuteNumber

    @property
    def epochs(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in clear, authenticated under the secret. ``minutes`` maps an hour to its 60-bit map."""

    generation: int
    slot: SecretSlot
    table_id: bytes
    runs: tuple[Run, ...]
    minutes: Mapping[int, int]

    def epochs(self) -> list[MinuteNumber]:
        """Return every epoch that has a key here, in order."""
        return [
            MinuteNumber(hour * MINUTES_AN_HOUR + minute)
            for hour, bits in self.minutes.items()
            for minute in range(MINUTES_AN_HOUR)
            if bits >> minute & 1
        ]

    def packed(self) -> bytes:
        """Return the header's bytes without its HMAC."""
        pieces = [
            _FIXED.pack(_MAGIC, self.slot, len(self.runs), len(self.minutes), self.generation, self.table_id),
            *(_RUN.pack(run.kind, run.first, run.last) for run in self.runs),
            *(_HOUR.pack(hour, bits) for hour, bits in self.minutes.items()),
        ]
        return b"".join(pieces)


def minutes_map(epochs: Iterable[MinuteNumber]) -> dict[int, int]:
    """Return ``{hour: bits}`` for ``epochs``, hours in order."""
    found: dict[int, int] = {}
    for epoch in sorted(epochs):
        hour, minute = divmod(epoch, MINUTES_AN_HOUR)
        found[hour] = found.get(hour, 0) | 1 << minute
    return found


def runs_of(kind: RunKind, epochs: Iterable[MinuteNumber]) -> tuple[Run, ...]:
    """Return ``epochs`` as runs of consecutive ones, in order."""
    runs: list[Run] = []
    for epoch in sorted(set(epochs)):
        if runs and runs[-1].last == epoch - 1:
            runs[-1] = Run(kind, runs[-1].first, epoch)
        else:
            runs.append(Run(kind, epoch, epoch))
    return tuple(runs)


class TableKeys:
    """The two keys of one generation, from its secret (32 bytes) and table id (16 bytes)."""

    def __init__(self, secret: bytes, table_id: bytes) -> None:
        derived = HKDF(algorithm=hashes.SHA256(), length=64, salt=table_id, info=_INFO).derive(secret)
        self._aead = ChaCha20Poly1305(derived[:32])
        self._mac_key = derived[32:]

    def mac(self, packed: bytes) -> bytes:
        """Return the HMAC-SHA256 over the header's bytes."""
        return hmac.digest(self._mac_key, packed, "sha256")

    def seal(self, hour: int, plain: bytes, mac: bytes) -> bytes:
        """Encrypt one hour's block under the table whose header has ``mac``."""
        return self._aead.encrypt(_nonce(hour), plain, mac + _LENGTH.pack(hour))

    def unseal(self, hour: int, sealed: bytes, mac: bytes) -> bytes:
        """Decrypt it. Raises cryptography's InvalidTag."""
        return self._aead.decrypt(_nonce(hour), sealed, mac + _LENGTH.pack(hour))


def write_table(path: Path, header: Header, secret: bytes, block_of: Callable[[int], Sequence[MintedEpoch]]) -> None:
    """Write ``path`` durably; ``block_of(hour)`` gives an hour's entries when its turn comes. Raises OSError.

    Every hour's entries must be exactly the minutes the header names; ValueError otherwise.
    """
    keys = TableKeys(secret, header.table_id)
    packed = header.packed()
    mac = keys.mac(packed)

    def pieces() -> Iterator[bytes]:
        yield packed + mac
        for hour, bits in header.minutes.items():
            entries = block_of(hour)
            if minutes_map(entry.epoch for entry in entries) != {hour: bits}:
                message = f"hour {hour} has not the entries its header promises"
                raise ValueError(message)
            sealed = keys.seal(hour, _pack_entries(entries), mac)
            yield _LENGTH.pack(len(sealed)) + sealed

    write_file(path, pieces())


def peek(path: Path) -> Header:
    """Read a header without judging its HMAC (to learn generation and slot). Raises KeystoreError E-KEY-TABLE."""
    with _opened(path) as file:
        return _read_header(file, path)[0]


class TableFile:
    """One generation's file, its header authenticated."""

    def __init__(self, path: Path, secret: bytes) -> None:
        """Read and judge the header. Raises KeystoreError E-KEY-TABLE: unreadable, or another secret's."""
        self._path = path
        with _opened(path) as file:
            self.header, packed, mac = _read_header(file, path)
            self._keys = TableKeys(secret, self.header.table_id)
            if not hmac.compare_digest(self._keys.mac(packed), mac):
                raise _table_error(path, "the keystore's secret does not open it")
            self._mac = mac
            self._offsets = _find_blocks(file, self.header)

    def read_hour(self, hour: int) -> tuple[MintedEpoch, ...]:
        """Return the hour's entries in order. Raises KeystoreError E-KEY-BLOCK (damaged), KeyError (no such hour)."""
        _ = self.header.minutes[hour]
        try:
            with _opened(self._path) as file:
                file.seek(self._offsets[hour])
                length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
                sealed = file.read(length)
            if len(sealed) != length:
                raise InvalidTag  # the last block, cut short or said to be longer than it is
            entries = _unpack_entries(hour, self._keys.unseal(hour, sealed, self._mac))
        except (InvalidTag, KeyError, struct.error):
            raise KeystoreError(
                "E-KEY-BLOCK",
                f"the keys of hour {hour} are damaged; the footage of that hour is lost",
                where=str(self._path),
                todo="check the disk; the other hours are not affected",
                clause="7.3(1)3",
            ) from None
        return entries

    def damaged_hours(self) -> list[int]:
        """Open every block and return the hours that do not open."""
        damaged = []
        for hour in self.header.minutes:
            try:
                self.read_hour(hour)
            except KeystoreError:
                damaged.append(hour)
        return damaged


def _nonce(hour: int) -> bytes:
    return hour.to_bytes(12, "big")


def _pack_entries(entries: Iterable[MintedEpoch]) -> bytes:
    return b"".join(
        _ENTRY.pack(entry.epoch % MINUTES_AN_HOUR, len(entry.sealed_identity), entry.recipient.encode("ascii"))
        + entry.sealed_identity
        for entry in entries
    )


def _unpack_entries(hour: int, plain: bytes) -> tuple[MintedEpoch, ...]:
    entries, place = [], 0
    while place < len(plain):
        minute, length, recipient = _ENTRY.unpack_from(plain, place)
        place += _ENTRY.size
        epoch = MinuteNumber(hour * MINUTES_AN_HOUR + minute)
        entries.append(MintedEpoch(epoch, recipient.decode("ascii"), plain[place : place + length]))
        place += length
    return tuple(entries)


def _opened(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")
    except OSError as error:
        raise _table_error(path, f"cannot read: {error.strerror}") from None


def _read_header(file: BinaryIO, path: Path) -> tuple[Header, bytes, bytes]:
    fixed = file.read(_FIXED.size)
    try:
        magic, slot, run_count, hour_count, generation, table_id = _FIXED.unpack(fixed)
        if magic != _MAGIC or slot not in (0, 1) or hour_count > _MOST_HOURS:
            raise _table_error(path, "this is no epoch table")
        rest = file.read(run_count * _RUN.size + hour_count * _HOUR.size)
        split = run_count * _RUN.size
        runs = tuple(
            Run(RunKind(kind), MinuteNumber(first), MinuteNumber(last))
            for kind, first, last in _RUN.iter_unpack(rest[:split])
        )
        hours = tuple(_HOUR.iter_unpack(rest[split:]))
    except (struct.error, ValueError):
        raise _table_error(path, "its header is damaged") from None
    mac = file.read(_MAC_BYTES)
    if len(runs) != run_count or len(hours) != hour_count or len(mac) != _MAC_BYTES:
        raise _table_error(path, "it ends too early")
    return Header(generation, slot, table_id, runs, dict(hours)), fixed + rest, mac


def _find_blocks(file: BinaryIO, header: Header) -> dict[int, int]:
    """Return where each hour's block begins; hours behind a damaged length are missing."""
    offsets, place = {}, file.tell()
    for hour in header.minutes:
        raw = file.read(_LENGTH.size)
        length = _LENGTH.unpack(raw)[0] if len(raw) == _LENGTH.size else _MOST_BLOCK_BYTES + 1
        if length > _MOST_BLOCK_BYTES:
            break
        offsets[hour] = place
        place += _LENGTH.size + length
        file.seek(place)
    return offsets


def _table_error(path: Path, what: str) -> KeystoreError:
    return KeystoreError("E-KEY-TABLE", what, where=str(path), todo="see the ledger for what is lost", clause="7.3(1)1")
