"""What the pole says of itself: the same facts for the status file, for the city and for a replay's summary.

Knows:  counters and states of the houses, bands of residence, the ledger's last checkpoint.
Never:  a record's numbers, a person, a case; it reads and changes nothing.
Leaves: :class:`StatusReport`, the city's retained messages, a summary of whole numbers.
Clauses: 5.1(1), 5.2(1) (how long pictures exist is told), 5.1 (each system stands by itself).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from firmware.camera.frames import SlotPool, SmallFrames
from firmware.city import standing
from firmware.city.outbox import Outbox
from firmware.city.payload import describe
from firmware.city.publisher import Progress
from firmware.city.standing import SystemState, reason_code
from firmware.flow.run import Figures
from firmware.footage.clock_trust import TrustedTime
from firmware.footage.parts import Counters
from firmware.ground.clock import Clock, iso_utc
from firmware.ground.ledger import Ledger
from firmware.upkeep.status import ClockShown, StatusReport
from firmware.upkeep.whole import Settings

SystemName = Literal["camera", "flow", "footage", "city"]


@dataclass(slots=True)
class Health:
    """Which systems run and why one does not; the composition root writes it, reports read it."""

    states: dict[SystemName, SystemState] = field(
        default_factory=lambda: {name: SystemState(state="starting") for name in ("camera", "flow", "footage", "city")}
    )
    last_words: dict[SystemName, str] = field(default_factory=dict)
    """A failure for good in one line, for the person at the terminal; never in a status or a message."""

    def note(self, system: SystemName, state: Literal["running", "degraded", "failed", "stopped", "off"]) -> None:
        """Say that ``system`` is well, or at least in order."""
        self.states[system] = SystemState(state=state)

    def fell(self, system: SystemName, code: str, *, for_good: bool = False) -> None:
        """Say that ``system`` fell with ``code``; it is tried again unless ``for_good``."""
        self.states[system] = SystemState(state="failed" if for_good else "degraded", reason=reason_code(code))


@dataclass(frozen=True, slots=True, kw_only=True)
class PoleReport:
    """Implements ``firmware.city.publisher.SelfReport``; collects the status file's content."""

    settings: Settings
    health: Health
    small: SmallFrames
    main: SlotPool
    figures: Figures
    counters: Counters
    trust: TrustedTime
    outbox: Outbox
    ledger: Ledger
    clock: Clock
    started_utc_ns: int
    progress: Callable[[], Progress | None]
    missing_walls: Callable[[], Sequence[str]]
    refusal: Callable[[], str]

    def description(self) -> standing.Description:
        """See the port."""
        rules = self.settings.flow
        return describe(
            self.settings.place,
            k=rules.k_total,
            k_tile=rules.k_attr,
            k_cell=rules.k_cell,
            attributes=rules.attributes,
            window_minutes=rules.window_minutes,
            slice_seconds=max(1, round(rules.slice_period_seconds)),
            mean_percent=(rules.mean_day_percent, rules.mean_night_percent),
        )

    def state(self) -> standing.State:
        """See the port."""
        return standing.State(
            sp_pole=self.settings.place.pole,
            sp_status="online",
            profile=self.settings.pole.profile,
            keystore=self.settings.footage.keystore if self.settings.footage.enabled else "none",
            flow=self._system("flow"),
            footage=self._system("footage"),
            city=self._city(),
        )

    def meter(self) -> standing.Meter:
        """See the port."""
        residence = self.small.residence.summary()
        return standing.Meter(
            sp_pole=self.settings.place.pole,
            sp_since=iso_utc(self.started_utc_ns),
            sp_at=iso_utc(self.clock.utc_ns()),
            residence_p50_ms=standing.band(residence.p50_us),
            residence_p999_ms=standing.band(residence.p99_9_us),
            residence_max_ms=standing.band(residence.max_us),
            slots_overwritten=self.small.counters.overwritten,
            wipe_failures=self.small.counters.wipe_failures,
            egress_blocked=self.outbox.counters.egress_blocked,
            minutes_published=self.figures.minutes_published,
            minutes_suppressed=self.figures.minutes_suppressed,
            minutes_gap=self.figures.gap_minutes,
            epochs_erased=self.counters.erased_epochs,
            live_holds=standing.holds_band(self.counters.holds),
        )

    def checkpoint(self) -> str | None:
        """See the port."""
        return self.ledger.last_signed()

    def growth(self) -> str | None:
        """See the port."""
        return self.ledger.last_growth()

    def status(self) -> StatusReport:
        """Return the status file's content."""
        officers = self.settings.footage.officers
        return StatusReport(
            written_utc_ns=self.clock.utc_ns(),
            started_utc_ns=self.started_utc_ns,
            pole=self.settings.place.pole,
            profile=self.settings.pole.profile,
            flow=self._system("flow"),
            footage=self._system("footage"),
            city=self._city(),
            keystore=self.settings.footage.keystore if self.settings.footage.enabled else "none",
            officers={name: _fingerprints(group) for name, group in zip(officers.names, officers.groups, strict=True)},
            missing_walls=tuple(self.missing_walls()),
            clock=self._clock() if self.settings.footage.enabled else None,
            counters=self.totals(),
        )

    def totals(self) -> dict[str, int]:
        """Return the counters of all systems, by name; whole numbers that tell nothing of a single minute."""
        residence = self.small.residence.summary()
        return {
            "slices": self.figures.slices,
            "slices_lost": self.figures.slices_lost,
            "minutes_published": self.figures.minutes_published,
            "minutes_suppressed": self.figures.minutes_suppressed,
            "minutes_gap": self.figures.gap_minutes,
            "attribute_tiles": self.figures.tiles,
            "residence_p50_us": residence.p50_us,
            "residence_p99_9_us": residence.p99_9_us,
            "residence_max_us": residence.max_us,
            "slots_overwritten": self.small.counters.overwritten,
            "wipe_failures": self.small.counters.wipe_failures,
            "main_frames_dropped": self.main.counters.dropped,
            "chunks": self.counters.chunks,
            "ciphertext_bytes": self.counters.ciphertext_bytes,
            "chunks_lost": self.counters.lost_chunks,
            "footage_gaps": self.counters.gaps,
            "footage_minutes": self.counters.minutes,
            "epochs_erased": self.counters.erased_epochs,
            "holds": self.counters.holds,
            "records_delivered": self.outbox.counters.delivered,
            "records_expired": self.outbox.counters.expired,
            "records_crowded_out": self.outbox.counters.crowded_out,
            "records_damaged": self.outbox.counters.damaged,
            "records_unkept": self.outbox.counters.unkept,
            "egress_blocked": self.outbox.counters.egress_blocked,
        }

    def _clock(self) -> ClockShown:
        state = self.trust.state
        return ClockShown(
            source=state.source,
            proven=state.proven,
            settled=self.trust.settled,
            uncertainty_ms=state.uncertainty_ms,
            line_ahead_ms=(self.trust.now_ns() - self.clock.utc_ns()) // 1_000_000,
        )

    def _system(self, name: Literal["flow", "footage"]) -> SystemState:
        camera, own = self.health.states["camera"], self.health.states[name]
        if own.state == "running" and camera.state in ("degraded", "failed"):
            return camera
        if name == "flow" and self.refusal():
            return SystemState(state="degraded", reason=reason_code(self.refusal()))
        if name == "footage" and own.state == "running" and self.counters.refusal:
            return SystemState(state="degraded", reason=reason_code(self.counters.refusal))
        return own

    def _city(self) -> SystemState:
        progress = self.progress()
        if progress is None or self.health.states["city"].state != "running":
            return self.health.states["city"]
        reason = progress.reason if self.outbox.reason == "ok" else self.outbox.reason
        return SystemState(state="running" if reason == "ok" else "degraded", reason=reason_code(reason))


def _fingerprints(recipients: Sequence[str]) -> tuple[str, ...]:
    """Return a short SHA-256 (first 16 hex digits) of each officer's public key."""
    return tuple(hashlib.sha256(recipient.encode("ascii")).hexdigest()[:16] for recipient in recipients)
