"""What a witness makes of a checkpoint: pure.

Knows:  what it accepted before, what came now.
Never:  a checkpoint accepted that is not shown to begin with the last accepted one.
Leaves: a finding; the ones in ``ALARMS`` are evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from firmware.ground import note
from firmware.ground.errors import LedgerError
from firmware.ground.growth import MARKS, Growth
from firmware.ground.growth import parse as parse_growth
from firmware.ground.note import Checkpoint, Verifier


class Finding(StrEnum):
    """What was found."""

    FIRST = "first"  # the first one of this pole: nothing to compare it with
    GREW = "grew"  # begins with everything accepted before
    LATE = "late"  # an older one, shown to stand in a newer one
    KNOWN = "known"  # the newest accepted one again
    OLD = "old"  # an older accepted one again: somebody shows yesterday's
    WAITING = "waiting"  # larger, but without a proof from what was accepted last
    DENIED = "denied"  # larger, with proofs, but as if what was accepted last had never been signed
    FALSE = "false"  # the pole's key has not signed it
    SHRUNKEN = "shrunken"  # smaller than what was accepted, and not part of it as far as is shown
    FORKED = "forked"  # contradicts what was accepted


ALARMS: Final = frozenset({Finding.DENIED, Finding.FALSE, Finding.SHRUNKEN, Finding.FORKED})
ACCEPTED: Final = frozenset({Finding.FIRST, Finding.GREW})


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkpoint as it came, and what came with it to show that the ledger only grew."""

    signed: str
    checkpoint: Checkpoint
    growth: Growth | None


def read(text: str, *, where: str) -> Shown:
    """Read a message of ``audit/checkpoint`` or ``audit/growth``. Raises :class:`LedgerError`."""
    if text.startswith("smartpole growth"):
        growth = parse_growth(text, where=where)
        return Shown(growth.signed, growth.checkpoint, growth)
    return Shown(text, note.parse_checkpoint(text, where=where), None)


def judge(
    shown: Shown,
    key: Verifier,
    newest: Checkpoint | None,
    accepted_at: Callable[[int], Checkpoint | None],
    newest_growth: Growth | None = None,
) -> Finding:
    """Judge ``shown``. ``newest`` is the last accepted checkpoint, ``accepted_at`` gives the one of a size."""
    try:
        note.open_note(shown.signed, [key], where=key.name)
    except LedgerError:
        return Finding.FALSE
    now = shown.checkpoint
    if now.origin != key.name:
        return Finding.FALSE
    if newest is None:
        return Finding.FIRST
    before = accepted_at(now.size)
    if before is not None:
        if before.root != now.root:
            return Finding.FORKED
        return Finding.KNOWN if now.size == newest.size else Finding.OLD
    if now.size < newest.size:
        grew = newest_growth.grew_from(now) if newest_growth else None
        return {True: Finding.LATE, False: Finding.FORKED, None: Finding.SHRUNKEN}[grew]
    grew = shown.growth.grew_from(newest) if shown.growth else None
    if grew is None and shown.growth and _denies(shown.growth, newest):
        return Finding.DENIED
    return {True: Finding.GREW, False: Finding.FORKED, None: Finding.WAITING}[grew]


def _denies(growth: Growth, newest: Checkpoint) -> bool:
    """Tell whether ``growth``, which lists the last signed sizes without a break, skips one that was signed."""
    return len(growth.proofs) < MARKS or min(growth.proofs) < newest.size
