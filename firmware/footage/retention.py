"""Which minutes must go: pure.

Knows:  epochs, holds, an instant.
Never:  a clock, a disk, an exception for anybody but a hold.
Leaves: the epochs whose keys must not be in the next table.
Clauses: 7.1(3) (at most 14 days = 336 hours), 7.1(4) (a hold keeps exactly its minutes, and ends by itself).

An epoch's deadline is its first instant plus 336 hours. The table is rewritten every 3300 s and drops what falls due
within the next 3600 s: every minute lives 335 to 336 hours, and a rewrite has 300 s to be late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, start_of

REWRITE_PERIOD_SECONDS: Final = 3300
HORIZON_SECONDS: Final = 3600
_NS_PER_HOUR: Final = 3600 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Hold:
    """Minutes that may outlive their deadline, until ``ends_utc_ns``; ``number`` is the ledger's, 0 for none."""

    first_epoch: MinuteNumber
    last_epoch: MinuteNumber
    ends_utc_ns: int
    number: int = 0


def deadline_ns(epoch: MinuteNumber, retention_hours: int) -> int:
    """Return the instant (UTC, ns) at which ``epoch`` must be unreadable."""
    return start_of(epoch) + retention_hours * _NS_PER_HOUR


def due(
    epochs: Iterable[MinuteNumber],
    holds: Sequence[Hold],
    now_ns: int,
    *,
    retention_hours: int,
    horizon_seconds: int = HORIZON_SECONDS,
) -> list[MinuteNumber]:
    """Return those of ``epochs`` whose deadline comes within ``horizon_seconds`` of ``now_ns`` and that no hold keeps.

    A hold that itself ends within the horizon keeps nothing any more: there is no rewrite between now and its end.
    """
    horizon_ns = now_ns + horizon_seconds * NS_PER_SECOND
    keeping = still_keeping(holds, horizon_ns)
    return [
        epoch for epoch in epochs if deadline_ns(epoch, retention_hours) <= horizon_ns and not is_held(epoch, keeping)
    ]


def still_keeping(holds: Iterable[Hold], at_ns: int) -> list[Hold]:
    """Return those of ``holds`` that have not ended by ``at_ns``."""
    return [hold for hold in holds if hold.ends_utc_ns > at_ns]


def is_held(epoch: MinuteNumber, holds: Iterable[Hold]) -> bool:
    """Tell whether one of ``holds`` names ``epoch``."""
    return any(hold.first_epoch <= epoch <= hold.last_epoch for hold in holds)


def oldest_unheld(
    recorded: Iterable[MinuteNumber], holds: Sequence[Hold], before: MinuteNumber, count: int
) -> list[MinuteNumber]:
    """Return up to ``count`` of the oldest recorded epochs before ``before`` that no hold names (the disk is full)."""
    return [epoch for epoch in sorted(recorded) if epoch < before and not is_held(epoch, holds)][:count]
