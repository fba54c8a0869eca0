"""The morning sheet: one page on which an officer sees every pole, what is missing, what ends soon.

Knows:  one file of facts a pole, as ``pole-custodian morning --facts`` wrote it there.
Never:  a picture, a count of people, an officer's or an investigator's name; a pole left out because its file is bad.
Leaves: one printable A4 page; the same as JSON. Whatever needs somebody stands first.
Clauses: 7.1(3) (days really kept), 7.1(4) (holds that end), 7.3(1)2 (recipients that expire).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from firmware.custody.languages import Language
from firmware.custody.office.fields import Account, Camera, CaseId, Code, Epoch, HoldId, Instant, PoleId
from firmware.custody.office.holds import WARN_DAYS
from firmware.custody.pages import render
from firmware.custody.papers.morning_words import WORDS
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, iso_utc, utc_ns_of

CASE_DAYS: Final = WARN_DAYS[-1]
"""Where an open case stands among what ends: after all of it."""

OLD_FACTS_HOURS: Final = 24
_JAPAN_NS: Final = 9 * 3600 * NS_PER_SECOND
_MINUTES_A_DAY: Final = 1440

Count = Annotated[int, Meta(ge=0)]


class HeldMinutes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hold in force; its minutes, both ends included, and the minute at which it lapses by itself."""

    hold: HoldId
    camera: Camera
    first_epoch: Epoch
    last_epoch: Epoch
    ends_epoch: Epoch
    confirmed: bool


class ExpiringRecipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A recipient that is registered, and until when."""

    recipient: Code
    not_after: Instant
    suspended: bool = False


class OpenCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A case that is not closed, refused or withdrawn."""

    case: CaseId
    state: str
    approvals: Count = 0


class MediumOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A medium that is not back."""

    medium: Code
    case: CaseId


class LinesHeld(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An officer who holds both administration lines, and until when (5.1(1))."""

    account: Account
    until: Instant


class PoleFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One pole at ``utc``. ``missing_minutes``: of the last 24 h by reason; ``oldest_epoch`` None: nothing kept."""

    version: Literal[1] = 1
    pole: PoleId
    utc: Instant
    recording: bool
    missing_minutes: dict[str, Count]
    oldest_epoch: Epoch | None
    live_minutes: Count
    clock_proven: bool
    keystore: Literal["software", "tpm2"]
    free_percent: Annotated[int, Meta(ge=0, le=100)]
    ledger_lines: Count
    holds: tuple[HeldMinutes, ...] = ()
    recipients: tuple[ExpiringRecipient, ...] = ()
    cases: tuple[OpenCase, ...] = ()
    media_out: tuple[MediumOut, ...] = ()
    both_lines: tuple[LinesHeld, ...] = ()

    def encoded(self) -> bytes:
        """Return the canonical JSON bytes."""
        return msgspec.json.encode(self, order="sorted") + b"\n"


@dataclass(frozen=True, slots=True)
class Unread:
    """A pole's file that could not be read: it stands on the sheet all the same."""

    file: str
    why: str


@dataclass(frozen=True, slots=True)
class Todo:
    """Something for somebody, most urgent first. ``code`` is one of the sentences of the sheet's catalogue."""

    days: int
    pole: str
    code: str
    what: str

    @property
    def within(self) -> int:
        """The warning it stands under: 1, 3 or 7 days; 0 for what is due now."""
        return 0 if self.days <= 0 else next((days for days in WARN_DAYS if self.days < days), WARN_DAYS[-1])


def read_facts(data: bytes, file: str) -> PoleFacts | Unread:
    """Return a pole's facts; :class:`Unread` for a file that is none."""
    try:
        return msgspec.json.decode(data, type=PoleFacts, strict=True)
    except (msgspec.DecodeError, RecursionError):
        return Unread(file, "no file of facts that this version reads")


def todos(poles: Iterable[PoleFacts], now_ns: int) -> list[Todo]:
    """Return what needs somebody, most urgent first; days are whole days left, 0 and below: now."""
    found = list[Todo]()
    for facts in poles:
        age_hours = (now_ns - utc_ns_of(facts.utc)) // (3600 * NS_PER_SECOND)
        if age_hours >= OLD_FACTS_HOURS:
            found.append(Todo(0, facts.pole, "old", f"{age_hours} h"))
        if not facts.recording:
            found.append(Todo(0, facts.pole, "stopped", ""))
        if not facts.clock_proven:
            found.append(Todo(0, facts.pole, "clock", ""))
        found += [Todo(0, facts.pole, "both_lines", line.account) for line in facts.both_lines]
        found += [Todo(1, facts.pole, "medium", f"{medium.medium} ({medium.case})") for medium in facts.media_out]
        found += _ending(facts, now_ns)
    return sorted(found, key=lambda todo: (todo.days, todo.pole, todo.code, todo.what))


def sheet(poles: Sequence[PoleFacts | Unread], now_ns: int, language: Language) -> str:
    """Return the sheet as one HTML page, A4 upright, one page for a city of twenty poles."""
    known = sorted((facts for facts in poles if isinstance(facts, PoleFacts)), key=lambda facts: facts.pole)
    facts: dict[str, object] = {
        "language": language,
        "words": WORDS[language],
        "made": japan(now_ns),
        "rows": [_row(facts, now_ns) for facts in known],
        "unread": [file for file in poles if isinstance(file, Unread)],
        "todos": todos(known, now_ns),
    }
    return render("papers/morning.html", facts)


def as_facts(poles: Sequence[PoleFacts | Unread], now_ns: int, language: Language) -> dict[str, Any]:
    """Return the sheet's content for ``--json``."""
    known = [facts for facts in poles if isinstance(facts, PoleFacts)]
    return {
        "made_utc": iso_utc(now_ns),
        "poles": [{"pole": facts.pole, **_row(facts, now_ns)} for facts in known],
        "unread": [file.file for file in poles if isinstance(file, Unread)],
        "todo": [
            {
                "days": todo.days, "within": todo.within, "pole": todo.pole, "code": todo.code,
                "says": WORDS[language][f"todo_{todo.code}"], "about": todo.what or None,
            }
            for todo in todos(known, now_ns)
        ],
    }  # fmt: skip


def japan(utc_ns: int) -> str:
    """Return ``utc_ns`` as ``2026-11-23 18:00`` in Japanese time."""
    return iso_utc(utc_ns + _JAPAN_NS)[:16].replace("T", " ")


def _ending(facts: PoleFacts, now_ns: int) -> list[Todo]:
    found = list[Todo]()
    for hold in facts.holds:
        days = (hold.ends_epoch * NS_PER_MINUTE - now_ns) // (_MINUTES_A_DAY * NS_PER_MINUTE)
        if days < WARN_DAYS[-1]:
            kind = "hold_confirmed" if hold.confirmed else "hold_provisional"
            found.append(Todo(days, facts.pole, kind, f"{hold.hold}: {japan(hold.ends_epoch * NS_PER_MINUTE)}"))
    for recipient in facts.recipients:
        days = (utc_ns_of(recipient.not_after) - now_ns) // (_MINUTES_A_DAY * NS_PER_MINUTE)
        if days < WARN_DAYS[-1] and not recipient.suspended:
            found.append(Todo(days, facts.pole, "recipient", f"{recipient.recipient}: {recipient.not_after[:10]}"))
    found += [
        Todo(CASE_DAYS, facts.pole, "case", f"{case.case}: {case.state}, {case.approvals}") for case in facts.cases
    ]
    return found


def _row(facts: PoleFacts, now_ns: int) -> dict[str, Any]:
    kept_days = 0.0
    if facts.oldest_epoch is not None:
        kept_days = round((now_ns // NS_PER_MINUTE - facts.oldest_epoch) / _MINUTES_A_DAY, 1)
    return {
        "pole": facts.pole,
        "as_of": japan(utc_ns_of(facts.utc)),
        "recording": facts.recording,
        "missing_24h": sum(facts.missing_minutes.values()),
        "reasons": dict(sorted(facts.missing_minutes.items())),
        "kept_days": kept_days,
        "live_minutes": facts.live_minutes,
        "clock_proven": facts.clock_proven,
        "keystore": facts.keystore,
        "free_percent": facts.free_percent,
        "holds": len(facts.holds),
        "cases": len(facts.cases),
    }
