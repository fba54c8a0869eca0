"""What an officer can do: a closed list of acts, each one struct whose canonical bytes the officer signs.

Knows:  account codes, case and document numbers, minutes, public keys, organisations that receive footage.
Never:  an officer's name, a private half, a picture, free text that no field asks for.
Leaves: canonical bytes (sorted JSON and a newline), their SHA-256: what the ledger keeps of an act.
Clauses: 4.2(3), 5.1(1), 7.1(4), 7.2(1), 7.3(1)2 (who did what, provable years later).

An act is drawn up, signed with ``ssh-keygen -Y sign -n act.smartpole``, and done on one pole, once: its nonce makes its
bytes its own, and it must be done within ``GOOD_FOR_HOURS`` of ``utc``. Epochs are UTC minute numbers; a span has both
ends.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from firmware.custody.office.fields import (
    Account,
    AgeRecipient,
    Basis,
    CaseId,
    Code,
    Conditions,
    Day,
    Document,
    Epoch,
    HoldId,
    Instant,
    Officer,
    PoleId,
    RecipientKind,
    SealedTo,
    Sha256,
    Span,
    Words,
)

NAMESPACE: Final = "act.smartpole"
GOOD_FOR_HOURS: Final = 72
MOST_BYTES: Final = 64 * 1024


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="act"):
    """What all acts have: on which pole, drawn up when and by whom, and sixteen random bytes."""

    pole: PoleId
    utc: Instant
    by: Account
    nonce: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]

    def encoded(self) -> bytes:
        """Return the canonical bytes: what is signed and hashed."""
        return msgspec.json.encode(self, order="sorted") + b"\n"

    def sha256(self) -> str:
        """Return the SHA-256 (hex) of :meth:`encoded`."""
        return hashlib.sha256(self.encoded()).hexdigest()


# ---- officers


class OfficersFounded(Act, frozen=True, kw_only=True, tag="officers.founded"):
    """The first act on a pole: who its officers are. Signed by a chief and a manager among them."""

    officers: tuple[Officer, ...]


class RoleGranted(Act, frozen=True, kw_only=True, tag="role.granted"):
    """Somebody becomes an officer, or one of the officers gets another role, key, group or dates."""

    officer: Officer


class RoleRevoked(Act, frozen=True, kw_only=True, tag="role.revoked"):
    """An officer is one no longer. What was signed before stays valid."""

    account: Account


class LinesOverridden(Act, frozen=True, kw_only=True, tag="role.override"):
    """One person holds both administration lines on this pole until ``until`` (5.1(1)): 30 days at most."""

    account: Account
    until: Instant
    reason: Words


class GroupsChanged(Act, frozen=True, kw_only=True, tag="groups.changed"):
    """Whose keys open what is recorded from now on. Signed by an officer of each group as it stands."""

    group_a: tuple[AgeRecipient, ...] = ()
    group_b: tuple[AgeRecipient, ...] = ()
    two_of_three: tuple[tuple[AgeRecipient, ...], ...] = ()


# ---- recipients


class RecipientAdded(Act, frozen=True, kw_only=True, tag="recipient.added"):
    """A body may receive footage until ``not_after``, under ``conditions``, sealed to its own age key."""

    recipient: Code
    organisation: Words
    kind: RecipientKind
    age_recipient: SealedTo
    not_after: Instant
    conditions: Conditions = Conditions()


class RecipientChanged(Act, frozen=True, kw_only=True, tag="recipient.changed"):
    """Its key, expiry and conditions from now on."""

    recipient: Code
    age_recipient: SealedTo
    not_after: Instant
    conditions: Conditions = Conditions()


class RecipientSuspended(Act, frozen=True, kw_only=True, tag="recipient.suspended"):
    """It receives nothing until it is resumed."""

    recipient: Code


class RecipientResumed(Act, frozen=True, kw_only=True, tag="recipient.resumed"):
    """A suspension ends."""

    recipient: Code


class RecipientRemoved(Act, frozen=True, kw_only=True, tag="recipient.removed"):
    """It receives nothing more, ever, under this code. Its history stays."""

    recipient: Code


# ---- holds


class HoldPlaced(Act, frozen=True, kw_only=True, tag="hold.placed"):
    """Minutes are kept beyond 336 h: provisionally on a call that was called back, or on a document."""

    hold: HoldId
    span: Span
    basis: Basis
    office: Words
    called_back: bool = False
    document: Document | None = None
    ends_epoch: Epoch


class HoldConfirmed(Act, frozen=True, kw_only=True, tag="hold.confirmed"):
    """A document confirms a provisional hold."""

    hold: HoldId
    document: Document
    ends_epoch: Epoch


class HoldRenewed(Act, frozen=True, kw_only=True, tag="hold.renewed"):
    """A new decision to keep a confirmed hold, until ``ends_epoch``."""

    hold: HoldId
    ends_epoch: Epoch
    reason: Words


class HoldLifted(Act, frozen=True, kw_only=True, tag="hold.lifted"):
    """A hold ends now: what is older than 336 h goes with the next rewrite."""

    hold: HoldId
    reason: Words


# ---- cases


class CaseOpened(Act, frozen=True, kw_only=True, tag="case.opened"):
    """A case begins as a draft, perhaps out of a hold."""

    case: CaseId
    hold: HoldId | None = None


class CaseDocumented(Act, frozen=True, kw_only=True, tag="case.documented"):
    """The paper has come. ``reason``: why its number stands in an earlier case too."""

    case: CaseId
    basis: Basis
    document: Document
    reason: Words | None = None


class CaseScoped(Act, frozen=True, kw_only=True, tag="case.scoped"):
    """Which minutes go to whom. A wide scope (over 24 h or two cameras) says why."""

    case: CaseId
    spans: tuple[Span, ...]
    recipient: Code
    reason: Words | None = None


class CaseApproved(Act, frozen=True, kw_only=True, tag="case.approved"):
    """One officer's approval of exactly this dossier: any later change of document, scope or recipient voids it."""

    case: CaseId
    dossier: Sha256


class CaseRefused(Act, frozen=True, kw_only=True, tag="case.refused"):
    """The city does not hand out: an honest outcome, with its letter."""

    case: CaseId
    reason: Literal["wrong-instrument", "not-needed", "too-wide", "gone", "forged", "recipient", "other"]
    words: Words | None = None


class CaseWithdrawn(Act, frozen=True, kw_only=True, tag="case.withdrawn"):
    """Whoever asked does not ask any more."""

    case: CaseId
    words: Words | None = None


class CaseSealed(Act, frozen=True, kw_only=True, tag="case.sealed"):
    """The approved minutes leave the pole in a bundle, which only both officers' groups can open."""

    case: CaseId
    dossier: Sha256


class CaseHandedOver(Act, frozen=True, kw_only=True, tag="case.handed_over"):
    """The package (its SHA-256) went to the recipient, perhaps on a registered medium."""

    case: CaseId
    package: Sha256
    medium: Code | None = None


class CaseReceipted(Act, frozen=True, kw_only=True, tag="case.receipted"):
    """The signed receipt (受領書) is here; its scan's hash, where it was scanned."""

    case: CaseId
    date: Day
    scan: Sha256 | None = None


class CaseClosed(Act, frozen=True, kw_only=True, tag="case.closed"):
    """Nothing more is owed in this case."""

    case: CaseId


# ---- media


class MediumRegistered(Act, frozen=True, kw_only=True, tag="medium.registered"):
    """A medium that may carry packages."""

    medium: Code
    kind: Literal["usb", "disc", "card", "disk"]
    serial: Words


class MediumOut(Act, frozen=True, kw_only=True, tag="medium.out"):
    """It leaves the office in a case."""

    medium: Code
    case: CaseId


class MediumReturned(Act, frozen=True, kw_only=True, tag="medium.returned"):
    """It is back."""

    medium: Code


class MediumSanitised(Act, frozen=True, kw_only=True, tag="medium.sanitised"):
    """What was on it is gone; the words are NIST SP 800-88's."""

    medium: Code
    method: Literal["clear", "purge", "destroy"]


class MediumLost(Act, frozen=True, kw_only=True, tag="medium.lost"):
    """It is lost: a possible leak, to be reported."""

    medium: Code


# ---- time


class TimeStated(Act, frozen=True, kw_only=True, tag="clock.stated"):
    """An officer's own clock, in answer to a pole's challenge."""

    challenge: Sha256
    officers_utc: Instant


AnyAct = (
    OfficersFounded | RoleGranted | RoleRevoked | LinesOverridden | GroupsChanged
    | RecipientAdded | RecipientChanged | RecipientSuspended | RecipientResumed | RecipientRemoved
    | HoldPlaced | HoldConfirmed | HoldRenewed | HoldLifted
    | CaseOpened | CaseDocumented | CaseScoped | CaseApproved | CaseRefused | CaseWithdrawn | CaseSealed
    | CaseHandedOver | CaseReceipted | CaseClosed
    | MediumRegistered | MediumOut | MediumReturned | MediumSanitised | MediumLost
    | TimeStated
)  # fmt: skip


def decode(data: bytes) -> AnyAct:
    """Read :meth:`Act.encoded` back. Raises msgspec.DecodeError; also for bytes that are not the canonical ones."""
    act: AnyAct = msgspec.json.decode(data, type=AnyAct, strict=True)
    if act.encoded() != data:
        raise msgspec.ValidationError("not the canonical bytes of this act")
    return act
