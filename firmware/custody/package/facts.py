"""What a package must know of its case, and whether the case allows it.

Knows:  a case's document, spans, recipient and approvals, as the pole's bundle carries them, already proven.
Never:  a private half, a name of a person: accounts are codes, organisations are offices.
Leaves: a verdict before anything is opened.
Clauses: 7.2(1)2 (a document), 7.2(1) (its minutes only), 7.3(1)2 (registered, not expired, its own key).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from firmware.custody.bundle.index import Index
from firmware.custody.office.fields import (
    Account,
    AgeRecipient,
    Basis,
    CaseId,
    Code,
    Conditions,
    Document,
    Instant,
    PoleId,
    RecipientKind,
    Sha256,
    Span,
    Words,
)
from firmware.ground.clock import NS_PER_MINUTE, iso_utc, utc_ns_of
from firmware.ground.errors import CaseError


class Recipient(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The registered body. ``age_recipient`` None: it has no key, and the case says that nine words are agreed on."""

    code: Code
    organisation: Words
    kind: RecipientKind
    age_recipient: AgeRecipient | None
    not_after: Instant
    conditions: Conditions = Conditions()


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that was done in the case: when, by which account (``pole`` for the machine), on which ledger line."""

    what: str
    utc: Instant
    by: Account | Literal["pole"]
    sha256: Sha256 | None = None
    ledger_line: int | None = None
    medium: str = ""


class CaseFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sealed case. ``approved_by`` are the two accounts; ``steps`` everything that was done, in order."""

    pole: PoleId
    case: CaseId
    basis: Basis
    document: Document
    spans: tuple[Span, ...]
    recipient: Recipient
    approved_by: tuple[Account, ...]
    steps: tuple[Step, ...] = ()


def judge(facts: CaseFacts, found: Index, camera: str, now_ns: int) -> None:
    """Raise :class:`CaseError` unless the case covers what the bundle holds and its recipient may receive it now."""
    number = facts.document.number
    if found.document != number:
        raise _refused("E-CASE-DOCUMENT", "the bundle was made for another document than the case's", number)
    if len(set(facts.approved_by)) < 2:
        raise _refused("E-CASE-APPROVALS", "two officers have not approved it", facts.case)
    spans = [span for span in facts.spans if span.camera == camera]
    minutes = {epoch for span in spans for epoch in range(span.first_epoch, span.last_epoch + 1)}
    outside = [epoch for epoch in found.epochs if epoch not in minutes]
    if outside:
        where = iso_utc(outside[0] * NS_PER_MINUTE)
        raise _refused("E-CASE-OUTSIDE", f"{len(outside)} minutes of {camera} are not in the approved scope", where)
    if now_ns >= utc_ns_of(facts.recipient.not_after):
        what = f"the recipient's registration ended on {facts.recipient.not_after}"
        raise _refused("E-CASE-RECIPIENT", what, facts.recipient.code)


def compare_key(facts: CaseFacts, expected: str) -> None:
    """Raise :class:`CaseError` unless the key that an officer has on paper is the one the case was approved for."""
    if facts.recipient.age_recipient != expected.strip():
        what = "the case was approved for another key than the one you gave"
        raise _refused("E-CASE-RECIPIENT", what, facts.recipient.code)


def _refused(code: str, what: str, where: str) -> CaseError:
    return CaseError(
        code, what, where=where, todo="correct the case at the pole, have it approved, and seal it again",
        clause="7.3(1)2" if code == "E-CASE-RECIPIENT" else "7.2(1)",
    )  # fmt: skip
