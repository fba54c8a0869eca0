"""The clock's small files: the line shown to the custodian's program, an officer's word on its way to the pole.

Knows:  the footage folder, which boot this is.
Never:  a proof taken over from another boot, from a file that is torn, or from a pole that has fallen silent.
Leaves: ``clock.line`` (written each minute and at every change), ``clock.challenge``, ``clock.word``; canonical JSON.
Clauses: 7.1(3) (both programs judge ages by one line), 7.3(1) (nothing is handed out on an unproven clock).

Whoever can write these files as root can as well write the ratchet or read the frames; against everybody else the
folder's rights stand. Written under the pole's lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from firmware.footage.clock_trust import LineRecord, TrustedTime, keep_clock_file, keep_ratchet, read_ratchet
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.durable import remove_file
from firmware.ground.errors import StoreError

SILENT_SECONDS: Final = 180
"""A line not shown again for so long comes from a pole that does not run: its proof is not taken over."""

WORD_SECONDS: Final = 600
"""From challenge to confirmation, and from there to the pole: what takes longer is asked for again."""

_MOST_BYTES: Final = 4096

BootId = Annotated[str, Meta(min_length=1, max_length=64)]
Elapsed = Annotated[int, Meta(ge=0)]
Kind = TypeVar("Kind", bound=msgspec.Struct)


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an officer was asked to sign, and when (time since boot, ns)."""

    version: Literal[1] = 1
    nonce: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    boot_id: BootId
    boot_ns: Elapsed


class OfficerWord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An officer's checked word that ``machine_ns`` (UTC less time since boot) is right to ``uncertainty_ms``."""

    version: Literal[1] = 1
    boot_id: BootId
    boot_ns: Elapsed
    machine_ns: int
    uncertainty_ms: Annotated[int, Meta(ge=0)]


def ratchet_in(folder: Path) -> Path:
    """Return where the ratchet stands in the footage folder."""
    return folder / "clock.ratchet"


def line_in(folder: Path) -> Path:
    """Return where the line is shown."""
    return folder / "clock.line"


def challenge_in(folder: Path) -> Path:
    """Return where the open challenge stands."""
    return folder / "clock.challenge"


def word_in(folder: Path) -> Path:
    """Return where an officer's checked word waits for the pole."""
    return folder / "clock.word"


def own_line(clock: Clock, folder: Path) -> TrustedTime:
    """Return the line for the program that keeps it: the ratchet, and the last record if it is of this boot."""
    return TrustedTime(clock, read_ratchet(ratchet_in(folder)), read_record(line_in(folder), LineRecord))


def followed_line(clock: Clock, folder: Path) -> TrustedTime:
    """Return the pole's line for another program of the same machine.

    It is settled only when the pole showed it so within the last three minutes of this boot, and UTC has not stepped
    since; in every other case (another boot, no file, a torn one, a pole that does not run) nothing is proven.
    """
    record = read_record(line_in(folder), LineRecord)
    trust = TrustedTime(clock, read_ratchet(ratchet_in(folder)), record)
    trust.heed()
    if record is None or clock.boot_ns() - record.written_boot_ns > SILENT_SECONDS * NS_PER_SECOND:
        trust.doubt()
    return trust


def show_line(folder: Path, trust: TrustedTime) -> None:
    """Keep the ratchet and show the line. Raises StoreError; the old files then stand, and fall silent."""
    keep_ratchet(ratchet_in(folder), trust.now_ns())
    write_record(line_in(folder), trust.record())


def read_record(path: Path, kind: type[Kind]) -> Kind | None:
    """Return what stands in ``path``; None for no file or one that is not exactly of this ``kind``."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=kind, strict=True)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write it durably. Raises StoreError."""
    keep_clock_file(path, msgspec.json.encode(record, order="sorted") + b"\n")


def drop_record(path: Path) -> None:
    """Remove it durably. Raises StoreError."""
    try:
        if path.exists():
            remove_file(path)
    except OSError as error:
        raise StoreError(
            "E-STORE-WRITE", f"cannot remove: {error.strerror}", where=str(path), todo="check the disk"
        ) from None
