"""What the morning sheet needs to know of one pole, read from its ledger, store and register.

Knows:  which minutes lie in the store, the ledger's gaps, the register as it stands, the disk's room.
Never:  a picture, a chunk opened, anything of people flow, a name.
Leaves: one :class:`PoleFacts`.
Clauses: 7.1(3) (days really kept), 7.1(4) (holds that end), 7.3(1)2 (recipients that expire), 5.1(1) (both lines).

Call it under the pole's lock and off the loop: it reads files. A minute counts as missing where its manifest lacks a
chunk's time or more, or where there is none; its reason is the longest gap's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from firmware.custody.bundle.making import Holdings
from firmware.custody.office.case_stages import Stage
from firmware.custody.office.register import Register
from firmware.custody.papers.morning import (
    ExpiringRecipient,
    HeldMinutes,
    LinesHeld,
    MediumOut,
    OpenCase,
    PoleFacts,
)
from firmware.footage.manifest import Manifest
from firmware.footage.retention import is_held
from firmware.footage.store import Store
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, iso_utc, minute_of
from firmware.ground.errors import StoreError
from firmware.ground.ledger import Ledger

LOOK_BACK_MINUTES: Final = 24 * 60
SILENT_MINUTES: Final = 3
"""The newest minute of a pole that records is never older than that."""

MISSING_SECONDS: Final = 10
UNTOLD: Final = "not_recorded"
"""The reason of a minute that is not there and that no line explains: before the pole was set up, or a damaged disk."""

_OVER: Final = frozenset({Stage.CLOSED, Stage.REFUSED, Stage.WITHDRAWN})


def facts_of(holdings: Holdings, register: Register, keystore: Literal["software", "tpm2"]) -> PoleFacts:
    """Return the facts of this pole now. Raises LedgerError, StoreError."""
    now_ns = holdings.trust.now_ns()
    now = minute_of(now_ns)
    recorded = holdings.store.recorded()
    holds = holdings.holds()
    unheld = [epoch for epoch in recorded if not is_held(epoch, holds)]
    space = holdings.store.space()
    facts = PoleFacts(
        pole=holdings.pole,
        utc=iso_utc(now_ns - now_ns % NS_PER_SECOND),
        recording=bool(recorded) and recorded[-1] >= now - SILENT_MINUTES,
        missing_minutes=missing_minutes(holdings.store, holdings.ledger, recorded, now),
        oldest_epoch=min(unheld, default=None),
        live_minutes=len(recorded),
        clock_proven=holdings.trust.settled,
        keystore=keystore,
        free_percent=100 * space.free_bytes // max(1, space.total_bytes),
        ledger_lines=holdings.ledger.size,
    )
    return _with_the_office(facts, register, now_ns)


def missing_minutes(
    store: Store, ledger: Ledger, recorded: Iterable[MinuteNumber], now: MinuteNumber
) -> dict[str, int]:
    """Return by reason how many of the last 24 hours' minutes, the running one not included, are not there whole."""
    there = set(recorded)
    gaps = [
        (int(line.fields["first_epoch"]), int(line.fields["last_epoch"]), str(line.fields["reason"]))
        for line in ledger.lines("recording.gap")
    ]
    found = Counter[str]()
    for number in range(now - LOOK_BACK_MINUTES, now):
        epoch = MinuteNumber(number)
        reason = _lacks(store, epoch) if epoch in there else None
        if epoch not in there:
            reason = next((why for first, last, why in reversed(gaps) if first <= epoch <= last), UNTOLD)
        if reason is not None:
            found[reason] += 1
    return dict(sorted(found.items()))


def _lacks(store: Store, epoch: MinuteNumber) -> str | None:
    """Return why a recorded minute is not whole; None where it is, and for one whose manifest is not written yet."""
    try:
        manifest = store.manifest(epoch)
    except StoreError:
        return "store_fault"
    return None if manifest is None else _longest_gap(manifest)


def _longest_gap(manifest: Manifest) -> str | None:
    lengths = Counter[str]()
    for gap in manifest.gaps:
        lengths[str(gap.reason)] += gap.until_utc_ns - gap.from_utc_ns
    if lengths.total() < MISSING_SECONDS * NS_PER_SECOND:
        return None
    return lengths.most_common(1)[0][0]


def _with_the_office(facts: PoleFacts, register: Register, now_ns: int) -> PoleFacts:
    officers = register.officers
    return msgspec.structs.replace(
        facts,
        holds=tuple(
            HeldMinutes(
                hold=hold.number, camera=hold.span.camera, first_epoch=hold.span.first_epoch,
                last_epoch=hold.span.last_epoch, ends_epoch=hold.ends_epoch, confirmed=hold.kind == "confirmed",
            )
            for hold in register.holds.living(now_ns // NS_PER_MINUTE)
        ),
        recipients=tuple(
            ExpiringRecipient(
                recipient=each.code, not_after=iso_utc(each.not_after_ns), suspended=each.state == "suspended"
            )
            for each in register.recipients.entries.values()
            if each.state != "removed"
        ),
        cases=tuple(
            OpenCase(case=case.number, state=str(case.stage), approvals=len(case.approvals))
            for case in register.cases.entries.values()
            if case.stage not in _OVER
        ),
        media_out=tuple(
            MediumOut(medium=each.code, case=each.case)
            for each in register.media.entries.values()
            if each.state == "out" and each.case
        ),
        both_lines=tuple(
            LinesHeld(account=officer.account, until=iso_utc(officers.overrides[officer.account]))
            for officer in officers.in_force(now_ns)
            if len(officers.roles(officer, now_ns)) > 1
        ),
    )  # fmt: skip
