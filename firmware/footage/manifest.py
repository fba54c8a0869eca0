"""The manifest of a minute: what stands beside its chunks, in clear.

Knows:  times, sizes and hashes of one minute's chunks, its gaps, how good the clock was.
Never:  a person, a face, a count, an event found in a picture: there is no field it could stand in.
Leaves: one canonical JSON file a minute; its SHA-256 enters the signed ledger.
Clauses: 7.3(2) (searched by time and camera only), 7.3(1)3 (each chunk accounted for), 7.1(3) (times to judge by).
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from firmware.footage.clock_trust import Source

VERSION: Final = 1
MOST_BYTES: Final = 256 * 1024

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class GapReason(StrEnum):
    """Why a stretch was not recorded; the ledger's list has the same words."""

    STOPPED = "stopped"
    CAMERA_FAULT = "camera_fault"
    RECORDER_FAULT = "recorder_fault"
    STORE_FAULT = "store_fault"
    DISK_FULL = "disk_full"
    OVERLOAD = "overload"
    POWER = "power"


class ChunkEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One chunk. Times are None where a crash took them; the file itself is whole all the same.

    ``first_pts_90k``/``last_pts_90k``: presentation times inside the container, 1/90000 s; ``first_utc_ns``/
    ``last_utc_ns``: capture times of the first and last picture by the machine's UTC; ``frames`` pictures.
    """

    sequence: Annotated[int, Meta(ge=0, le=9999)]
    ciphertext_bytes: Annotated[int, Meta(ge=1)]
    sha256: Sha256
    frames: int | None = None
    first_pts_90k: int | None = None
    last_pts_90k: int | None = None
    first_utc_ns: int | None = None
    last_utc_ns: int | None = None


class GapEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stretch of this minute (UTC ns on the trusted line) without footage."""

    from_utc_ns: int
    until_utc_ns: int
    reason: GapReason


class ClockEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How good the clock was: ``line_ahead_ms`` is the trusted line less the machine's UTC."""

    source: Source
    proven: bool
    uncertainty_ms: int
    line_ahead_ms: int


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the footage comes from: the same in every manifest of a run."""

    pole: Annotated[str, Meta(pattern=r"^sp[0-9]{2,7}$")]
    camera: str
    software: str
    config_sha256: str
    keystore: Literal["software", "tpm2"]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One epoch. ``recovered``: (partly) written after a crash, from what lay on the disk."""

    version: Literal[1] = 1
    origin: Origin
    epoch: int
    recovered: bool
    chunks: tuple[ChunkEntry, ...]
    gaps: tuple[GapEntry, ...]
    clock: ClockEntry

    def encoded(self) -> bytes:
        """Return the canonical JSON bytes (sorted keys, a newline at the end)."""
        return msgspec.json.encode(self, order="sorted") + b"\n"


def decode(data: bytes) -> Manifest:
    """Read :meth:`Manifest.encoded` back. Raises msgspec.DecodeError (ValidationError is one)."""
    return msgspec.json.decode(data, type=Manifest, strict=True)


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
