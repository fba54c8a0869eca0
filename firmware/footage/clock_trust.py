"""The line of time that ages follow: it never runs backwards and no spoofed clock makes it leap.

Knows:  UTC as the machine believes, time since boot, the latest instant ever reached (the ratchet).
Never:  a longer life by a clock set back, evidence erased by a clock set forward without proof.
Leaves: instants on the line, steps worth a ledger line, the ratchet's file.
Clauses: 7.1(3) (336 hours of elapsed time), 7.3(1) (a false clock is no way to destroy evidence).

While running, the line is time since boot plus an offset. The offset may only grow: by what UTC gains, as long as
unproven gains stay within ten minutes (a credit that refills by a minute a day, so that an honest slow crystal is
followed). A larger step waits for :meth:`TrustedTime.confirm`. At boot the line starts at max(ratchet, UTC).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.durable import write_file
from firmware.ground.errors import StoreError

UNPROVEN_STEP_SECONDS: Final = 600
_REFILL_SECONDS_A_DAY: Final = 60
_DAY_SECONDS: Final = 86_400
_NOTEWORTHY_NS: Final = 2 * NS_PER_SECOND

Source = Literal["machine", "ratchet", "network", "officer"]


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


class TrustedTime:
    """The line. ``ratchet_ns`` is the last value that :func:`read_ratchet` kept, 0 for none."""

    def __init__(self, clock: Clock, ratchet_ns: int = 0) -> None:
        self._clock = clock
        boot_ns, utc_ns = clock.boot_ns(), clock.utc_ns()
        self._offset_ns = max(utc_ns, ratchet_ns) - boot_ns  # 7.1(3): time switched off counts, never backwards
        self._seen_ns = utc_ns - boot_ns
        self._credit_ns = UNPROVEN_STEP_SECONDS * NS_PER_SECOND
        self._credited_at_ns = boot_ns
        self._state = ClockState("machine" if utc_ns >= ratchet_ns else "ratchet", proven=False, uncertainty_ms=-1)

    def now_ns(self) -> int:
        """Return the line's present instant (UTC ns)."""
        return self.at_ns(self._clock.boot_ns())

    def at_ns(self, boot_ns: int) -> int:
        """Return the line's instant (UTC ns) at ``boot_ns`` since boot."""
        return boot_ns + self._offset_ns

    def observe(self) -> Step | None:
        """Look at UTC; follow a small gain, hold still otherwise. Return a step of two seconds or more, once."""
        boot_ns = self._clock.boot_ns()
        machine_ns = self._clock.utc_ns() - boot_ns
        moved_ns, self._seen_ns = machine_ns - self._seen_ns, machine_ns
        gain_ns = machine_ns - self._offset_ns
        self._refill(boot_ns)
        followed = 0 < gain_ns <= self._credit_ns
        if followed:
            self._credit_ns -= gain_ns
            self._offset_ns = machine_ns
            if self._state.source == "ratchet":
                self._state = ClockState("machine", proven=False, uncertainty_ms=-1)
        elif gain_ns > 0:
            self._state = ClockState(self._state.source, proven=False, uncertainty_ms=gain_ns // 1_000_000)
        if abs(moved_ns) < _NOTEWORTHY_NS:
            return None
        if not followed:
            self._state = ClockState(self._state.source, proven=False, uncertainty_ms=abs(gain_ns) // 1_000_000)
        return Step(round(moved_ns / NS_PER_SECOND), followed)

    def confirm(self, source: Literal["network", "officer"], uncertainty_ms: int) -> int:
        """Take the machine's UTC as proven (authenticated time, an officer's signed time). Return the gain in seconds.

        The line goes forward to it at once; the caller sweeps. UTC behind the line leaves the line where it is.
        """
        boot_ns = self._clock.boot_ns()
        machine_ns = self._clock.utc_ns() - boot_ns
        gain_ns = max(0, machine_ns - self._offset_ns)
        self._offset_ns += gain_ns
        self._seen_ns = machine_ns
        self._credit_ns = UNPROVEN_STEP_SECONDS * NS_PER_SECOND
        self._credited_at_ns = boot_ns
        self._state = ClockState(source, proven=True, uncertainty_ms=uncertainty_ms)
        return gain_ns // NS_PER_SECOND

    @property
    def state(self) -> ClockState:
        """How far it can be trusted now."""
        return self._state

    def _refill(self, boot_ns: int) -> None:
        elapsed_ns = boot_ns - self._credited_at_ns
        self._credited_at_ns = boot_ns
        refill_ns = elapsed_ns * _REFILL_SECONDS_A_DAY // _DAY_SECONDS
        self._credit_ns = min(self._credit_ns + refill_ns, UNPROVEN_STEP_SECONDS * NS_PER_SECOND)


def read_ratchet(path: Path) -> int:
    """Return the latest instant kept in ``path`` (UTC ns); 0 where there is none or it cannot be read as one."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def keep_ratchet(path: Path, now_ns: int) -> None:
    """Write ``now_ns`` durably. Raises StoreError."""
    try:
        write_file(path, f"{now_ns}\n".encode("ascii"))
    except OSError as error:
        raise StoreError(
            "E-STORE-FULL" if error.errno == errno.ENOSPC else "E-STORE-WRITE",
            f"cannot keep the latest instant: {error.strerror}",
            where=str(path),
            todo="free or replace the disk",
            clause="7.1(3)",
        ) from None
