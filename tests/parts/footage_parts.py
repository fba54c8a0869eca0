"""The footage house with quick stand-ins for what is slow: recorder, mint, TPM. Everything else is the real thing."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyrage

from firmware.footage.clock_files import own_line
from firmware.footage.holds import LedgerHolds, living_from
from firmware.footage.manifest import Origin
from firmware.footage.parts import Parts
from firmware.footage.ports import ChunkFacts, Keystore, LentFrame, Mint, MintedEpoch, SecretSlot, TimeSource
from firmware.footage.retention import Hold
from firmware.footage.settings import FootageSettings, Officers
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground.clock import MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import JailError
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from firmware.ground.log import Log
from tests.parts.told import AN_ACT
from tests.signing import Ed25519Key

SOMEBODY = pyrage.x25519.Identity.generate()
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Silence:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str, /) -> None:
        self.lines.append(text)


class MemoryKeystore:
    """A keystore that truly erases, as a TPM does."""

    name: Literal["software", "tpm2"] = "tpm2"
    erases = True

    def __init__(self) -> None:
        self.slots: dict[SecretSlot, bytes] = {}
        self.before_write: Callable[[], None] = lambda: None

    async def read_secret(self, slot: SecretSlot) -> bytes | None:
        return self.slots.get(slot)

    async def write_secret(self, slot: SecretSlot, secret: bytes) -> None:
        self.before_write()
        self.slots[slot] = secret

    async def erase_secret(self, slot: SecretSlot) -> None:
        self.before_write()
        self.slots.pop(slot, None)


class QuickMint:
    """Pairs that open nothing, made at once."""

    def __init__(self) -> None:
        self.calls = 0

    async def make(self, first_epoch: MinuteNumber, count: int) -> Sequence[MintedEpoch]:
        self.calls += 1
        return [quick_epoch(MinuteNumber(first_epoch + place)) for place in range(count)]


def quick_epoch(epoch: MinuteNumber) -> MintedEpoch:
    digits, number = "", epoch
    for _ in range(58):
        number, digit = divmod(number, 32)
        digits += ALPHABET[digit]
    return MintedEpoch(epoch, f"age1{digits}", b"age-encryption.org/v1\n-> X25519 sealed %d" % epoch)


@dataclass
class QuickRecorder:
    """Writes a real age file whose plaintext tells the recipient; dies on demand."""

    die_at: str = ""
    descriptor: int = -1
    recipient: str = ""
    pts: list[int] = field(default_factory=list)

    async def begin(self, descriptor: int, recipient: str) -> None:
        self._perhaps_die("begin")
        self.descriptor, self.recipient, self.pts = descriptor, recipient, []

    async def add(self, frame: LentFrame) -> None:
        self._perhaps_die("add")
        self.pts.append(frame.stamp.pts_90k)

    async def end(self) -> ChunkFacts:
        self._perhaps_die("end")
        sealed = sealed_to(self.recipient)
        os.write(self.descriptor, sealed)
        return ChunkFacts(len(self.pts), self.pts[0], self.pts[-1], len(sealed))

    def _perhaps_die(self, where: str) -> None:
        if self.die_at == where:
            self.die_at = ""
            raise JailError("E-JAIL-DEATH", "killed by the test", where="recorder", todo="none")


def sealed_to(recipient: str) -> bytes:
    try:
        public = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:  # a QuickMint's
        public = SOMEBODY.to_public()
    sealed: bytes = pyrage.encrypt(recipient.encode(), [public])
    return sealed


@dataclass(frozen=True)
class Stamp:
    utc_ns: int
    boot_ns: int
    pts_90k: int


@dataclass(frozen=True)
class FakeFrame:
    stamp: Stamp
    slot: int = 0
    length: int = 1
    keyframe: bool = True


def frame_now(clock: SimulatedClock, *, keyframe: bool = True) -> FakeFrame:
    return FakeFrame(Stamp(clock.utc_ns(), clock.boot_ns(), clock.boot_ns() * 9 // 100_000), keyframe=keyframe)


def recipient_and_key() -> tuple[str, pyrage.x25519.Identity]:
    identity = pyrage.x25519.Identity.generate()
    return str(identity.to_public()), identity


OFFICERS = Officers(a=(recipient_and_key()[0],), b=(recipient_and_key()[0],))
"""The same in all of a run: a pole that starts again with other officers' keys is refused new epochs."""


def bench_settings(**changes: object) -> FootageSettings:
    facts: dict[str, object] = {"officers": OFFICERS, "min_free_bytes": 0, "min_free_percent": 0}
    return FootageSettings(**{**facts, **changes})  # type: ignore[arg-type]  # a test's own mapping


def origin() -> Origin:
    return Origin(pole="sp03", camera="cam0", software="0.1.0", config_sha256="sha256:0", keystore="tpm2")


def make_parts(
    state: Path,
    clock: SimulatedClock,
    keystore: Keystore,
    *,
    settings: FootageSettings | None = None,
    mint: Mint | None = None,
    recorder: QuickRecorder | None = None,
    holds: Callable[[], Sequence[Hold]] | None = None,
    log: Log | None = None,
    accept_lost_keys: bool = False,
    time_source: TimeSource | None = None,
) -> Parts:
    state.mkdir(exist_ok=True)
    store = Store(state / "footage")
    settings = settings or bench_settings()
    ledger = Ledger.open(state / "ledger", Ed25519Key(), clock)
    return Parts(
        settings=settings,
        origin=origin(),
        recorder=recorder or QuickRecorder(),
        store=store,
        table=EpochTable(store.folder, keystore),
        ledger=ledger,
        mint=mint or QuickMint(),
        trust=own_line(clock, store.folder),
        clock=clock,
        lock=PoleLock(state / "lock"),
        log=log or Log(Silence()),
        holds=holds or LedgerHolds(ledger, state / "ledger", settings.retention_hours),
        accept_lost_keys=accept_lost_keys,
        time_source=time_source,
    )


def place_hold(parts: Parts, number: int, first: int, last: int, ends_ns: int) -> None:
    """Place a hold as the custodian's process does: one line in the ledger, judged by the same line of time."""
    parts.ledger.append(
        "hold.placed",
        hold=number,
        first_epoch=first,
        last_epoch=last,
        ends_epoch=minute_of(ends_ns),
        living_from=living_from(parts.trust.now_ns(), parts.settings.retention_hours),
        kind="provisional",
        **AN_ACT,
    )
