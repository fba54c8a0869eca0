"""The line of time that ages follow: it never runs backwards and no spoofed clock makes it leap.

Knows:  UTC as the machine believes, time since boot, the latest instant ever reached (the ratchet), who proved UTC.
Never:  a longer life by a clock set back, evidence erased by a clock set forward without proof.
Leaves: instants on the line, steps worth a ledger line, the ratchet's file, what another program needs to follow.
Clauses: 7.1(3) (336 hours of elapsed time), 7.3(1) (a false clock is no way to destroy evidence).

While running, the line is time since boot plus an offset. The offset may only grow: by what UTC gains, as long as
unproven gains stay within ten minutes (a credit that refills by a minute a day, so that an honest slow crystal is
followed). A larger step waits for :meth:`TrustedTime.confirm`. At boot the line starts at max(ratchet, UTC); a program
that starts again under the same boot goes on with the line it had, because time since boot did not stop meanwhile.

A proof says: at this instant the machine's UTC was right to so many milliseconds. It widens by what a bad crystal could
drift and by every movement of UTC against time since boot, and ends: after a step, when it is too wide, or when nobody
renewed it for too long. Footage may leave only while the time is ``settled``: proven, and what was due by it erased.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.durable import write_file
from firmware.ground.errors import StoreError

UNPROVEN_STEP_SECONDS: Final = 600
DRIFT_PPM: Final = 100
"""What a crystal at -20 to 60 degrees may be off when nothing disciplines it: 8.64 s a day."""

NOTEWORTHY_NS: Final = 2 * NS_PER_SECOND
_CREDIT_NS: Final = UNPROVEN_STEP_SECONDS * NS_PER_SECOND
_REFILL_SECONDS_A_DAY: Final = 60
_DAY_SECONDS: Final = 86_400
_NS_PER_MS: Final = 1_000_000

Source = Literal["machine", "ratchet", "network", "officer"]
ProvenBy = Literal["network", "officer"]
Lost = Literal["source", "drift", "step"]


@dataclass(frozen=True, slots=True)
class _Limit:
    """How long a proof lasts unrenewed, and how wide it may grow."""

    lasts_seconds: int
    most_ms: int


_LIMITS: Final = {
    "network": _Limit(lasts_seconds=_DAY_SECONDS, most_ms=10_000),
    "officer": _Limit(lasts_seconds=31 * _DAY_SECONDS, most_ms=900_000),
}


@dataclass(frozen=True, slots=True)
class ClockState:
    """How far the line can be trusted. ``uncertainty_ms`` is -1 where nothing is known."""

    source: Source
    proven: bool
    uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """UTC moved against time since boot by ``seconds`` (rounded); ``followed`` tells whether the line went with it."""

    seconds: int
    followed: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Where the line began: at the machine's UTC, at the ratchet (UTC was behind it), or going on in the same boot.

    ``forward_seconds``: how far beyond the ratchet it began; for years of power-off, or a clock set forward, many.
    """

    source: Literal["machine", "ratchet", "running"]
    forward_seconds: int


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``machine_ns`` (UTC less time since boot) was right to ``uncertainty_ms`` at ``boot_ns`` since boot."""

    source: ProvenBy
    uncertainty_ms: Annotated[int, Meta(ge=0)]
    boot_ns: Annotated[int, Meta(ge=0)]
    machine_ns: int


class LineRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The line as another program, or this one started again, can go on with it; worth nothing under another boot.

    ``offset_ns``: line less time since boot; ``machine_ns``: UTC less time since boot as last seen; ``proof`` only
    when settled.
    """

    version: Literal[1] = 1
    boot_id: Annotated[str, Meta(min_length=1, max_length=64)]
    written_boot_ns: Annotated[int, Meta(ge=0)]
    offset_ns: int
    machine_ns: int
    credit_ns: Annotated[int, Meta(ge=0)]
    source: Source
    proof: Proof | None = None


class TrustedTime:
    """The line. ``ratchet_ns`` is the last value that :func:`read_ratchet` kept, 0 for none.

    ``record``: the line as it was last shown; followed if it is of this boot, else as good as none.
    """

    def __init__(self, clock: Clock, ratchet_ns: int = 0, record: LineRecord | None = None) -> None:
        self._clock = clock
        boot_ns, machine_ns = self._look()
        self._stepped_at_ns = -1
        self._crept_ns = 0
        self._source: Source
        self._proof: Proof | None = None
        self._purged = False
        if record is not None and record.boot_id == clock.boot_id() and record.written_boot_ns <= boot_ns:
            self._offset_ns = max(record.offset_ns, ratchet_ns - boot_ns)
            self._seen_ns = record.machine_ns
            self._credit_ns, self._credited_at_ns = min(record.credit_ns, _CREDIT_NS), record.written_boot_ns
            self._source, self._proof = record.source, record.proof
            self._purged = record.proof is not None
            self.start = Start("running", forward_seconds=0)
            return
        self._offset_ns = max(machine_ns, ratchet_ns - boot_ns)  # 7.1(3): time switched off counts, never backwards
        self._seen_ns = machine_ns
        self._credit_ns, self._credited_at_ns = _CREDIT_NS, boot_ns
        began: Literal["machine", "ratchet"] = "machine" if machine_ns + boot_ns >= ratchet_ns else "ratchet"
        self._source = began
        forward_ns = self._offset_ns + boot_ns - ratchet_ns if ratchet_ns else 0
        self.start = Start(began, forward_seconds=forward_ns // NS_PER_SECOND)

    def now_ns(self) -> int:
        """Return the line's present instant (UTC ns)."""
        return self.at_ns(self._clock.boot_ns())

    def at_ns(self, boot_ns: int) -> int:
        """Return the line's instant (UTC ns) at ``boot_ns`` since boot."""
        return boot_ns + self._offset_ns

    def observe(self) -> Step | None:
        """Look at UTC; follow a small gain, hold still otherwise. Return a step of two seconds or more, once."""
        boot_ns, machine_ns = self._look()
        moved_ns, self._seen_ns = machine_ns - self._seen_ns, machine_ns
        gain_ns = machine_ns - self._offset_ns
        self._refill(boot_ns)
        followed = 0 < gain_ns <= self._credit_ns
        if followed:
            self._credit_ns -= gain_ns
            self._offset_ns = machine_ns
            if self._source == "ratchet":
                self._source = "machine"
        stepped = abs(moved_ns) >= NOTEWORTHY_NS
        if stepped or self.waiting_ns > 0:
            self.doubt()
        if not stepped:
            self._crept_ns += abs(moved_ns)
            return None
        self._stepped_at_ns = boot_ns
        return Step(round(moved_ns / NS_PER_SECOND), followed)

    def heed(self) -> None:
        """Let no proof stand if UTC has stepped since it was last seen; the line itself is its keeper's to move."""
        if abs(self._look()[1] - self._seen_ns) >= NOTEWORTHY_NS:
            self.doubt()

    def confirm(self, source: ProvenBy, uncertainty_ms: int) -> int:
        """Take the machine's UTC as proven (authenticated time, an officer's signed time). Return the gain in seconds.

        The line goes forward to it at once; the caller sweeps and then says :meth:`purged`. UTC behind the line leaves
        the line where it is. Renewing a settled proof without a gain leaves it settled.
        """
        boot_ns, machine_ns = self._look()
        gain_ns = max(0, machine_ns - self._offset_ns)
        self._purged = self.settled and gain_ns < NOTEWORTHY_NS
        self._offset_ns += gain_ns
        self._seen_ns = machine_ns
        lead_ns = max(0, self._offset_ns - machine_ns)  # else proof and step in turn could lead it on and on
        self._credit_ns, self._credited_at_ns = max(0, _CREDIT_NS - lead_ns), boot_ns
        self._source = source
        self._proof = Proof(source=source, uncertainty_ms=uncertainty_ms, boot_ns=boot_ns, machine_ns=machine_ns)
        return gain_ns // NS_PER_SECOND

    def purged(self) -> None:
        """Take note that everything due by the proven time is erased."""
        self._purged = True

    @property
    def state(self) -> ClockState:
        """How far it can be trusted now. A proof that ended by itself still tells its source and its width."""
        if self._proof is None:
            return ClockState(self._source, proven=False, uncertainty_ms=-1)
        return ClockState(self._source, proven=self.lost is None, uncertainty_ms=self._width_ms(self._proof))

    @property
    def settled(self) -> bool:
        """Whether the time is proven and what was due by it is erased: only then may footage leave (7.1(3))."""
        return self._purged and self.state.proven

    @property
    def lost(self) -> Lost | None:
        """Why there is no proof now; None while there is one."""
        proof = self._proof
        if proof is None:
            return "step"
        limit = _LIMITS[proof.source]
        if self._clock.boot_ns() - proof.boot_ns > limit.lasts_seconds * NS_PER_SECOND:
            return "source"
        return "drift" if self._width_ms(proof) > limit.most_ms else None

    @property
    def waiting_ns(self) -> int:
        """How far UTC, as last seen, is ahead of the line: a gain that waits for proof (or 0)."""
        return max(0, self._seen_ns - self._offset_ns)

    @property
    def stepped_at_ns(self) -> int:
        """Time since boot (ns) at which the last step was seen, -1 for none: what vouched before it is void."""
        return self._stepped_at_ns

    @property
    def crept_ns(self) -> int:
        """How far UTC has moved against time since boot, ns, all movements too small to be a step added up."""
        return self._crept_ns

    @property
    def seen_machine_ns(self) -> int:
        """UTC less time since boot, ns, as last seen."""
        return self._seen_ns

    def doubt(self) -> None:
        """Let no proof stand: UTC stepped, or whoever kept the proof has not been heard of."""
        self._proof, self._purged = None, False

    def record(self) -> LineRecord:
        """Return what another program needs to follow this line."""
        boot_ns = self._clock.boot_ns()
        self._refill(boot_ns)
        return LineRecord(
            boot_id=self._clock.boot_id(),
            written_boot_ns=boot_ns,
            offset_ns=self._offset_ns,
            machine_ns=self._seen_ns,
            credit_ns=self._credit_ns,
            source=self._source,
            proof=self._proof if self.settled else None,
        )

    def _look(self) -> tuple[int, int]:
        """Return time since boot, and UTC less it. Read in this order, a delay between the two can only lag UTC."""
        utc_ns = self._clock.utc_ns()
        boot_ns = self._clock.boot_ns()
        return boot_ns, utc_ns - boot_ns

    def _width_ms(self, proof: Proof) -> int:
        elapsed_ns = max(0, self._clock.boot_ns() - proof.boot_ns)
        drift_ns = elapsed_ns * DRIFT_PPM // 1_000_000
        return proof.uncertainty_ms + -(-(drift_ns + abs(self._seen_ns - proof.machine_ns)) // _NS_PER_MS)

    def _refill(self, boot_ns: int) -> None:
        elapsed_ns = boot_ns - self._credited_at_ns
        self._credited_at_ns = boot_ns
        refill_ns = elapsed_ns * _REFILL_SECONDS_A_DAY // _DAY_SECONDS
        self._credit_ns = min(self._credit_ns + refill_ns, _CREDIT_NS)


def read_ratchet(path: Path) -> int:
    """Return the latest instant kept in ``path`` (UTC ns); 0 where there is none or it cannot be read as one."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def keep_ratchet(path: Path, now_ns: int) -> None:
    """Write ``now_ns`` durably. Raises StoreError."""
    keep_clock_file(path, f"{now_ns}\n".encode("ascii"))


def keep_clock_file(path: Path, content: bytes) -> None:
    """Replace one of the clock's small files durably. Raises StoreError."""
    try:
        write_file(path, content)
    except OSError as error:
        raise StoreError(
            "E-STORE-FULL" if error.errno == errno.ENOSPC else "E-STORE-WRITE",
            f"cannot keep the latest instant: {error.strerror}",
            where=str(path),
            todo="free or replace the disk",
            clause="7.1(3)",
        ) from None
