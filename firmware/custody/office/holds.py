"""The life of a hold: asked for by telephone or on paper, confirmed, renewed, lifted, or over by itself. Pure.

Knows:  which minutes of which camera, on which basis, until when; who decided.
Never:  a hold without an end, an end further off than its kind allows, an ended one that lives again.
Leaves: the holds after an act, or a refusal with its clause; what ends soon.
Clauses: 7.1(4) (on which grounds, exactly these minutes, so long), 7.1(3) (and then they go).

Times are UTC minute numbers. A hold is over at ``ends_epoch``; its last hour belongs to the erasure, which the pole
does hourly, so nothing can be decided about it any more then. What the pole itself keeps stands in ``footage.holds``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal

from firmware.custody.office.acts import HoldConfirmed, HoldLifted, HoldPlaced, HoldRenewed
from firmware.custody.office.context import Context
from firmware.custody.office.fields import Basis, Document, Instrument, Span
from firmware.custody.office.instruments import JUDGED_THEN, Use, judge
from firmware.footage.retention import HORIZON_SECONDS
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, iso_utc, start_of
from firmware.ground.errors import CaseError

MINUTES_A_DAY: Final = 24 * 60
MOST_PROVISIONAL_DAYS: Final = 10
MOST_REVIEW_DAYS: Final = 30
CHIEF_AFTER_DAYS: Final = 365
"""Twelve months: from then on a renewal needs the chief officer's signature as well."""

WARN_DAYS: Final = (1, 3, 7)
LAST_HOUR_MINUTES: Final = HORIZON_SECONDS // 60

HoldAct = HoldPlaced | HoldConfirmed | HoldRenewed | HoldLifted
Kind = Literal["provisional", "confirmed"]
Standing = Literal["provisional", "confirmed", "lifted", "lapsed"]


@dataclass(frozen=True, slots=True)
class KeptMinutes:
    """One hold. ``document`` is None for a telephone call; ``decisions`` counts what was decided about it."""

    number: int
    span: Span
    basis: Basis
    office: str
    kind: Kind
    placed_epoch: int
    ends_epoch: int
    by: str
    document: Document | None = None
    decisions: int = 1
    lifted_epoch: int | None = None

    def standing(self, now_epoch: int) -> Standing:
        """Return how it stands at ``now_epoch``."""
        if self.lifted_epoch is not None:
            return "lifted"
        return self.kind if now_epoch < self.ends_epoch else "lapsed"

    def lives(self, now_epoch: int) -> bool:
        """Tell whether it keeps its minutes at ``now_epoch``."""
        return self.lifted_epoch is None and now_epoch < self.ends_epoch


@dataclass(frozen=True, slots=True)
class Holds:
    """All holds there were, by number."""

    entries: Mapping[int, KeptMinutes] = field(default_factory=lambda: MappingProxyType({}))

    def known(self, number: int) -> KeptMinutes:
        """Return the hold of that number. Raises :class:`CaseError` (E-CASE-HOLD)."""
        if number not in self.entries:
            raise _refused("E-CASE-HOLD", f"there is no hold {number}", "see hold list", number)
        return self.entries[number]

    def living(self, now_epoch: int) -> tuple[KeptMinutes, ...]:
        """Return those that keep minutes at ``now_epoch``, the one that ends first first."""
        alive = (hold for hold in self.entries.values() if hold.lives(now_epoch))
        return tuple(sorted(alive, key=lambda hold: (hold.ends_epoch, hold.number)))


@dataclass(frozen=True, slots=True)
class EndsSoon:
    """A hold that ends within ``days`` (1, 3 or 7), in ``minutes_left``."""

    hold: KeptMinutes
    days: int
    minutes_left: int


def warnings(holds: Iterable[KeptMinutes], now_epoch: int) -> tuple[EndsSoon, ...]:
    """Return the living holds that end within 7, 3 or 1 days, the most urgent first."""
    found = []
    for hold in holds:
        left = hold.ends_epoch - now_epoch
        days = next((days for days in WARN_DAYS if left <= days * MINUTES_A_DAY), None)
        if hold.lives(now_epoch) and days is not None:
            found.append(EndsSoon(hold, days, left))
    return tuple(sorted(found, key=lambda warning: (warning.minutes_left, warning.hold.number)))


def needs_chief(hold: KeptMinutes, ends_epoch: int) -> bool:
    """Tell whether keeping ``hold`` until ``ends_epoch`` is beyond twelve months, so that two must decide."""
    return ends_epoch > hold.placed_epoch + CHIEF_AFTER_DAYS * MINUTES_A_DAY


def apply(state: Holds, act: HoldAct, context: Context) -> Holds:
    """Return the holds after ``act``, whose signers were authorised already.

    Raises :class:`CaseError`: E-CASE-HOLD, E-CASE-HOLD-OVER, E-CASE-HOLD-LONG, E-CASE-HOLD-SPAN, E-CASE-CALL and those
    of ``instruments.judge``.
    """
    now_epoch = context.now_ns // NS_PER_MINUTE
    if isinstance(act, HoldPlaced):
        if act.hold in state.entries:
            raise _refused("E-CASE-HOLD", f"hold {act.hold} is there already", "take the next free number", act.hold)
        return _put(state, _placed(act, context, now_epoch))
    hold = _decidable(state.known(act.hold), now_epoch)
    match act:
        case HoldConfirmed():
            if hold.kind == "confirmed":
                raise _refused("E-CASE-HOLD", "it is confirmed already", "renew it when its review is due", hold.number)
            _judge_paper(act.document, hold.basis, Use.HOLD_CONFIRMED, context)
            ends_epoch = _end(act.ends_epoch, now_epoch, MOST_REVIEW_DAYS, hold.number)
            after = replace(hold, kind="confirmed", document=act.document, ends_epoch=ends_epoch)
        case HoldRenewed():
            if hold.kind == "provisional":
                raise _refused(
                    "E-CASE-HOLD", "a provisional hold is not renewed: a document confirms it",
                    "enter the document with hold confirm, or let it lapse", hold.number,
                )  # fmt: skip
            after = replace(hold, ends_epoch=_end(act.ends_epoch, now_epoch, MOST_REVIEW_DAYS, hold.number))
        case HoldLifted():
            after = replace(hold, lifted_epoch=now_epoch)
    return _put(state, replace(after, decisions=hold.decisions + 1))


def _placed(act: HoldPlaced, context: Context, now_epoch: int) -> KeptMinutes:
    span = act.span
    if span.first_epoch > span.last_epoch:
        raise _refused("E-CASE-HOLD-SPAN", "its last minute comes before its first", "exchange them", act.hold)
    if span.last_epoch >= now_epoch:
        raise _refused(
            "E-CASE-HOLD-SPAN", "its minutes have not all ended: a hold keeps what there is, it orders nothing",
            "end it at a minute that is over; place another one later", act.hold,
        )  # fmt: skip
    if act.document is None:
        if not act.called_back:
            raise CaseError(
                "E-CASE-CALL", "whoever called has not been called back", where=f"hold {act.hold}",
                todo="call the office's own published number, ask for the caller, then place it with --called-back",
                clause="7.1(4)",
            )  # fmt: skip
        judge(Instrument.TELEPHONE, Use.HOLD_PROVISIONAL, context.bases or JUDGED_THEN, basis=act.basis)
        ends_epoch = _end(act.ends_epoch, now_epoch, MOST_PROVISIONAL_DAYS, act.hold)
        kind: Kind = "provisional"
    else:
        _judge_paper(act.document, act.basis, Use.HOLD_CONFIRMED, context)
        ends_epoch = _end(act.ends_epoch, now_epoch, MOST_REVIEW_DAYS, act.hold)
        kind = "confirmed"
    return KeptMinutes(act.hold, span, act.basis, act.office, kind, now_epoch, ends_epoch, act.by, act.document)


def _judge_paper(document: Document, basis: Basis, use: Use, context: Context) -> None:
    judge(document.instrument, use, context.bases or JUDGED_THEN, basis=basis)


def _decidable(hold: KeptMinutes, now_epoch: int) -> KeptMinutes:
    if hold.lifted_epoch is not None:
        raise _refused("E-CASE-HOLD-OVER", "it was lifted", "what still exists can be held anew", hold.number)
    if now_epoch >= hold.ends_epoch - LAST_HOUR_MINUTES:
        raise _refused(
            "E-CASE-HOLD-OVER", f"it ends at {_utc(hold.ends_epoch)}; its last hour is the erasure's",
            "what still exists can be held anew", hold.number,
        )  # fmt: skip
    return hold


def _end(ends_epoch: int, now_epoch: int, most_days: int, number: int) -> int:
    if ends_epoch <= now_epoch + LAST_HOUR_MINUTES:
        raise _refused(
            "E-CASE-HOLD-LONG", f"{_utc(ends_epoch)} is over, or within the coming hour", "give a later end", number
        )
    if ends_epoch > now_epoch + most_days * MINUTES_A_DAY:
        raise _refused(
            "E-CASE-HOLD-LONG", f"until {_utc(ends_epoch)} is longer than {most_days} days",
            f"end it at {_utc(now_epoch + most_days * MINUTES_A_DAY)} or before; later it is decided anew", number,
        )  # fmt: skip
    return ends_epoch


def _put(state: Holds, hold: KeptMinutes) -> Holds:
    return replace(state, entries=MappingProxyType({**state.entries, hold.number: hold}))


def _utc(epoch: int) -> str:
    return iso_utc(start_of(MinuteNumber(epoch)))


def _refused(code: str, what: str, todo: str, number: int) -> CaseError:
    return CaseError(code, what, where=f"hold {number}", todo=todo, clause="7.1(4)")
