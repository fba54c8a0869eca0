"""Recipients: the bodies that may receive footage, until when, under which conditions, sealed to which key. Pure.

Knows:  codes, organisations, age public keys, expiries, viewing conditions.
Never:  a private person, a removed body forgotten, a code used again, a condition that widens a case.
Leaves: what of a scope a body may have now, and the difference listed with its reasons.
Clauses: 7.3(1)2 (registered and removed, with expiry and conditions), 4.2(3), 7.2(1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal

from pyrage import RecipientError, x25519

from firmware.custody.office.acts import (
    RecipientAdded,
    RecipientChanged,
    RecipientRemoved,
    RecipientResumed,
    RecipientSuspended,
)
from firmware.custody.office.context import NS_PER_DAY, Context, ns_of
from firmware.custody.office.fields import WORDS, Conditions, RecipientKind, Span
from firmware.ground.clock import iso_utc
from firmware.ground.errors import CaseError

LONGEST_DAYS: Final = 366

RecipientAct = RecipientAdded | RecipientChanged | RecipientSuspended | RecipientResumed | RecipientRemoved
Why = Literal["clock", "removed", "suspended", "expired", "case", "deliveries", "camera", "before", "after", "minutes"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One body as it stands. Receives until ``not_after_ns`` (that instant excluded)."""

    code: str
    organisation: str
    kind: RecipientKind
    age_recipient: str
    not_after_ns: int
    conditions: Conditions
    since: int
    state: Literal["active", "suspended", "removed"] = "active"


@dataclass(frozen=True, slots=True)
class Recipients:
    """All bodies there were, by code."""

    entries: Mapping[str, Recipient] = field(default_factory=lambda: MappingProxyType({}))

    def known(self, code: str) -> Recipient:
        """Return the entry of ``code``. Raises :class:`CaseError` (E-OFFICE-RECIPIENT)."""
        if code not in self.entries:
            raise _refused(f"there is no recipient {code}", code, "see recipient list; register it with recipient add")
        return self.entries[code]


@dataclass(frozen=True, slots=True)
class Difference:
    """Minutes asked for and not allowed, and why; ``span`` None: all of them."""

    why: Why
    words: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a scope may go out now (normal spans, in order), and what not."""

    allowed: tuple[Span, ...]
    differences: tuple[Difference, ...]

    @property
    def whole(self) -> bool:
        """Tell whether all that was asked for is allowed."""
        return not self.differences


def apply(state: Recipients, act: RecipientAct, context: Context) -> Recipients:
    """Return the recipients after ``act``, whose signers were authorised already.

    Raises :class:`CaseError`: E-OFFICE-RECIPIENT, E-OFFICE-DATE, E-OFFICE-KEY, E-OFFICE-CONDITIONS.
    """
    if isinstance(act, RecipientAdded):
        if act.recipient in state.entries:
            raise _refused(f"the code {act.recipient} was used already", act.recipient, "choose another code")
        entry = Recipient(
            act.recipient, act.organisation, act.kind, act.age_recipient, _until(act, context), act.conditions,
            context.number,
        )  # fmt: skip
        return _put(state, _fit(state, entry))
    entry = state.known(act.recipient)
    if entry.state == "removed":
        raise _refused(f"{entry.code} was removed, for good", entry.code, "register the body anew under another code")
    match act:
        case RecipientChanged():
            changed = replace(
                entry, age_recipient=act.age_recipient, not_after_ns=_until(act, context), conditions=act.conditions
            )
            return _put(state, _fit(state, changed))
        case RecipientSuspended():
            if entry.state == "suspended":
                raise _refused(f"{entry.code} is suspended already", entry.code, "nothing needs to be done")
            return _put(state, replace(entry, state="suspended"))
        case RecipientResumed():
            if entry.state != "suspended":
                raise _refused(f"{entry.code} is not suspended", entry.code, "nothing needs to be done")
            return _put(state, replace(entry, state="active"))
        case RecipientRemoved():
            return _put(state, replace(entry, state="removed"))


def covers(
    recipient: Recipient,
    spans: Sequence[Span],
    case: str,
    *,
    minutes_delivered: int,
    deliveries: int,
    now_ns: int,
    proven: bool,
) -> Coverage:
    """Return which minutes of ``spans`` this body may have now in ``case``, and what is taken away by what.

    ``minutes_delivered`` and ``deliveries`` are what it received before. Never more than what is asked for. While the
    clock is unproven nothing is covered: nobody knows then whether it has expired.
    """
    asked, limits = normal(spans), recipient.conditions
    flat = list(_flat_refusals(recipient, case, deliveries, now_ns, proven=proven))
    if flat:
        return Coverage((), tuple(flat))
    allowed: list[Span] = []
    differences: list[Difference] = []
    left = None if limits.most_minutes is None else max(0, limits.most_minutes - minutes_delivered)
    for span in asked:
        if limits.cameras and span.camera not in limits.cameras:
            differences.append(Difference("camera", f"only {', '.join(limits.cameras)}", span))
            continue
        first, last = limits.first_epoch or span.first_epoch, limits.last_epoch or span.last_epoch
        before = _part(span, span.first_epoch, min(span.last_epoch, first - 1))
        after = _part(span, max(span.first_epoch, last + 1), span.last_epoch)
        fitting = _part(span, max(span.first_epoch, first), min(span.last_epoch, last))
        differences += [Difference("before", "earlier than its first minute", part) for part in before]
        differences += [Difference("after", "later than its last minute", part) for part in after]
        for part in fitting:
            room = minutes_of((part,)) if left is None else min(left, minutes_of((part,)))
            left = None if left is None else left - room
            allowed += _part(part, part.first_epoch, part.first_epoch + room - 1)
            words = f"{limits.most_minutes} minutes in all, {minutes_delivered} received before"
            too_many = _part(part, part.first_epoch + room, part.last_epoch)
            differences += [Difference("minutes", words, rest) for rest in too_many]
    return Coverage(tuple(allowed), tuple(differences))


def normal(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same minutes as spans that neither overlap nor touch, by camera and time."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.camera, span.first_epoch)):
        last = joined[-1] if joined else None
        if last is None or last.camera != span.camera or span.first_epoch > last.last_epoch + 1:
            joined += _part(span, span.first_epoch, span.last_epoch)
        else:
            joined[-1] = Span(
                camera=last.camera, first_epoch=last.first_epoch, last_epoch=max(last.last_epoch, span.last_epoch)
            )
    return tuple(joined)


def minutes_of(spans: Iterable[Span]) -> int:
    """Return how many minutes normal spans have, each camera's counted."""
    return sum(span.last_epoch - span.first_epoch + 1 for span in spans)


def _flat_refusals(entry: Recipient, case: str, deliveries: int, now_ns: int, *, proven: bool) -> Iterable[Difference]:
    limits = entry.conditions
    if not proven:
        yield Difference("clock", "the clock is not proven, so nobody knows whether it has expired")
    if entry.state != "active":
        yield Difference(entry.state, f"{entry.organisation} is {entry.state}")
    if now_ns >= entry.not_after_ns:
        yield Difference("expired", f"expired at {iso_utc(entry.not_after_ns)}")
    if limits.cases and case not in limits.cases:
        yield Difference("case", f"only in {', '.join(limits.cases)}")
    if limits.most_deliveries is not None and deliveries >= limits.most_deliveries:
        yield Difference("deliveries", f"{limits.most_deliveries} deliveries, all received")


def _part(span: Span, first: int, last: int) -> list[Span]:
    return [Span(camera=span.camera, first_epoch=first, last_epoch=last)] if first <= last else []


def _until(act: RecipientAdded | RecipientChanged, context: Context) -> int:
    until_ns = ns_of(act.not_after, where="not_after")
    if not context.now_ns < until_ns <= context.now_ns + LONGEST_DAYS * NS_PER_DAY:
        raise CaseError(
            "E-OFFICE-DATE", f"{act.not_after} is not within the coming {LONGEST_DAYS} days", where="not_after",
            todo="give an end within a year; it can be changed later", clause="7.3(1)2",
        )  # fmt: skip
    return until_ns


def _fit(state: Recipients, entry: Recipient) -> Recipient:
    limits = entry.conditions
    if limits.first_epoch and limits.last_epoch and limits.first_epoch > limits.last_epoch:
        raise CaseError(
            "E-OFFICE-CONDITIONS", "the first minute comes after the last", where=entry.code, todo="exchange them",
            clause="7.3(1)2",
        )  # fmt: skip
    if entry.age_recipient == WORDS:  # two officers approve that, as they approve a key
        return entry
    try:
        x25519.Recipient.from_str(entry.age_recipient)
    except RecipientError:
        raise CaseError(
            "E-OFFICE-KEY", "nothing can be sealed to that public key", where=entry.code,
            todo="ask for the line that age-keygen printed: age1 and 58 letters and digits", clause="7.3(1)2",
        ) from None  # fmt: skip
    for other in state.entries.values():
        if other.code != entry.code and other.age_recipient == entry.age_recipient and other.state != "removed":
            raise CaseError(
                "E-OFFICE-KEY", f"{other.code} has that key already", where=entry.code,
                todo="ask for a key of its own: a body of two codes would have two bodies' conditions",
                clause="7.3(1)2",
            )  # fmt: skip
    return entry


def _put(state: Recipients, entry: Recipient) -> Recipients:
    return replace(state, entries=MappingProxyType({**state.entries, entry.code: entry}))


def _refused(what: str, code: str, todo: str) -> CaseError:
    return CaseError("E-OFFICE-RECIPIENT", what, where=f"recipient {code}", todo=todo, clause="7.3(1)2")
