"""What is known of a case at each stage, and which steps lead from one to the next: data, no rule.

Knows:  document, scope, recipient, approvals, deliveries, endings of every case there was.
Never:  a step judged here (``cases`` does), a case forgotten.
Leaves: frozen values; the table of stages.
Clauses: 7.2(1), 7.3(1)2.

    draft -> documented -> scoped -> (two approvals) -> sealed -> handed over -> receipted -> closed
    refused, withdrawn: from everywhere before the hand-over; an extension's refusal leaves what was handed over before
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from firmware.custody.office.acts import (
    CaseApproved,
    CaseClosed,
    CaseDocumented,
    CaseHandedOver,
    CaseOpened,
    CaseReceipted,
    CaseRefused,
    CaseScoped,
    CaseSealed,
    CaseWithdrawn,
)
from firmware.custody.office.fields import Basis, Document, Role, Span
from firmware.ground.errors import CaseError

CaseAct = (
    CaseOpened | CaseDocumented | CaseScoped | CaseApproved | CaseRefused | CaseWithdrawn | CaseSealed
    | CaseHandedOver | CaseReceipted | CaseClosed
)  # fmt: skip


class Stage(StrEnum):
    """Where a case stands. Two approvals are no stage: whether they count is judged by the dossier of the moment."""

    DRAFT = "draft"
    DOCUMENTED = "documented"
    SCOPED = "scoped"
    SEALED = "sealed"
    HANDED_OVER = "handed-over"
    RECEIPTED = "receipted"
    CLOSED = "closed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


_BEFORE_A_SEAL: Final = frozenset({Stage.DRAFT, Stage.DOCUMENTED, Stage.SCOPED})
_OUT: Final = frozenset({Stage.HANDED_OVER, Stage.RECEIPTED})
FROM: Final[Mapping[type[CaseAct], frozenset[Stage]]] = MappingProxyType(
    {
        CaseDocumented: _BEFORE_A_SEAL,
        CaseScoped: frozenset({Stage.DOCUMENTED, Stage.SCOPED, Stage.SEALED, *_OUT}),
        CaseApproved: frozenset({Stage.SCOPED}),
        CaseSealed: frozenset({Stage.SCOPED}),
        CaseHandedOver: frozenset({Stage.SEALED}),
        CaseReceipted: frozenset({Stage.HANDED_OVER}),
        CaseClosed: frozenset({Stage.RECEIPTED}),
        CaseRefused: _BEFORE_A_SEAL | {Stage.SEALED},
        CaseWithdrawn: _BEFORE_A_SEAL | {Stage.SEALED},
    }
)
"""From which stage each act may be done."""

NEXT: Final[Mapping[Stage, str]] = MappingProxyType(
    {
        Stage.DRAFT: "enter the document: case document",
        Stage.DOCUMENTED: "say which minutes go to whom: case scope",
        Stage.SCOPED: "manager and chief approve: case approve; then case seal",
        Stage.SEALED: "make the bundle: case bundle; then case hand-over",
        Stage.HANDED_OVER: "enter the receipt: case receipt",
        Stage.RECEIPTED: "close it: case close",
        Stage.CLOSED: "it is closed; whoever asks for more opens a new case",
        Stage.REFUSED: "it was refused; print the letter: case letter",
        Stage.WITHDRAWN: "it was withdrawn; print the letter: case letter",
    }
)


@dataclass(frozen=True, slots=True)
class Approval:
    """One officer's approval of one dossier."""

    account: str
    roles: frozenset[Role]
    dossier: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What went out: so many minutes to that body, as this package (SHA-256), in an instant (UTC ns)."""

    recipient: str
    minutes: int
    package: str
    medium: str | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a case, or an extension of it, was refused or withdrawn; ``spans`` are those that were asked for then."""

    outcome: Stage
    reason: str
    words: str | None
    at_ns: int
    by: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One case. ``seal`` is the dossier that was sealed last; ``acts`` are the hashes of all acts about it."""

    number: str
    opened_ns: int
    by: str
    stage: Stage = Stage.DRAFT
    hold: int | None = None
    basis: Basis | None = None
    document: Document | None = None
    again: str | None = None
    spans: tuple[Span, ...] = ()
    recipient: str | None = None
    wide: str | None = None
    approvals: tuple[Approval, ...] = ()
    seal: str | None = None
    deliveries: tuple[Delivery, ...] = ()
    receipts: tuple[str, ...] = ()
    endings: tuple[Ending, ...] = ()
    acts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cases:
    """All cases there were, by number."""

    entries: Mapping[str, Case] = field(default_factory=lambda: MappingProxyType({}))

    def known(self, number: str) -> Case:
        """Return the case of that number. Raises :class:`CaseError` (E-CASE-NUMBER)."""
        if number not in self.entries:
            raise CaseError(
                "E-CASE-NUMBER", f"there is no case {number}", where="the cases of this pole", todo="see case list",
                clause="7.2(1)",
            )  # fmt: skip
        return self.entries[number]

    def deliveries_to(self, recipient: str) -> tuple[Delivery, ...]:
        """Return what that body has received so far, in all cases."""
        return tuple(d for case in self.entries.values() for d in case.deliveries if d.recipient == recipient)

    def with_document(self, number: str) -> tuple[Case, ...]:
        """Return the cases in which a document of that number stands."""
        return tuple(case for case in self.entries.values() if case.document and case.document.number == number)


def receipts_missing(case: Case) -> Iterator[Delivery]:
    """Yield the deliveries whose receipt has not come."""
    yield from case.deliveries[len(case.receipts) :]


DONE: Final[Mapping[type[CaseAct], str]] = MappingProxyType(
    {
        CaseDocumented: "given a document",
        CaseScoped: "scoped",
        CaseApproved: "approved",
        CaseSealed: "sealed",
        CaseHandedOver: "handed over",
        CaseReceipted: "receipted",
        CaseClosed: "closed",
        CaseRefused: "refused",
        CaseWithdrawn: "withdrawn",
    }
)
