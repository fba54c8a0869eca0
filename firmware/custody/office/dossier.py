"""What two officers approve: one text that holds document, scope and recipient together. Pure.

Knows:  a case's document, its minutes, the recipient with its key and conditions as they stand.
Never:  a field that could change unseen: whatever is not in here is not approved.
Leaves: canonical bytes, their SHA-256, which both approvals and the seal name.
Clauses: 7.2(1) (exactly these minutes, on this document), 7.3(1)2 (to this body, under these conditions), 4.2(3).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from firmware.custody.office.fields import (
    Basis,
    CaseId,
    Code,
    Conditions,
    Document,
    HoldId,
    Instant,
    PoleId,
    RecipientKind,
    SealedTo,
    Span,
    Words,
)
from firmware.custody.office.recipients import Recipient
from firmware.ground.clock import iso_utc
from firmware.ground.errors import CaseError

MOST_BYTES: Final = 256 * 1024
MOST_SPANS: Final = 64

_NUMBER: Final = re.compile(r"(?=.*[0-9])[^\x00-\x1f\x7f]{1,64}")


class Addressee(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The recipient as it stood when the dossier was approved."""

    recipient: Code
    organisation: Words
    kind: RecipientKind
    age_recipient: SealedTo
    not_after: Instant
    conditions: Conditions


class Dossier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A case as it is approved. ``wide``: why so much; ``again``: why this document's number came before."""

    version: Literal[1] = 1
    pole: PoleId
    case: CaseId
    basis: Basis
    document: Document
    spans: Annotated[tuple[Span, ...], Meta(min_length=1, max_length=MOST_SPANS)]
    to: Addressee
    hold: HoldId | None = None
    wide: Words | None = None
    again: Words | None = None

    def encoded(self) -> bytes:
        """Return the canonical bytes."""
        return msgspec.json.encode(self, order="sorted") + b"\n"

    def sha256(self) -> str:
        """Return the SHA-256 (hex) of :meth:`encoded`."""
        return hashlib.sha256(self.encoded()).hexdigest()


def decode(data: bytes) -> Dossier:
    """Read :meth:`Dossier.encoded` back. Raises msgspec.DecodeError; also for bytes that are not the canonical ones."""
    dossier = msgspec.json.decode(data, type=Dossier, strict=True)
    if dossier.encoded() != data:
        raise msgspec.ValidationError("not the canonical bytes of this dossier")
    return dossier


def addressee(recipient: Recipient) -> Addressee:
    """Return ``recipient`` as a dossier keeps it."""
    return Addressee(
        recipient=recipient.code,
        organisation=recipient.organisation,
        kind=recipient.kind,
        age_recipient=recipient.age_recipient,
        not_after=iso_utc(recipient.not_after_ns),
        conditions=recipient.conditions,
    )


def document_number(typed: str) -> str:
    """Return the number of the document that asks, full-width letters made plain. Raises :class:`CaseError`.

    A number has a digit; "none" and "-" are no documents (7.2(1)2).
    """
    number = " ".join(unicodedata.normalize("NFKC", typed).split())
    if not _NUMBER.fullmatch(number):
        raise CaseError(
            "E-CASE-DOCUMENT",
            "footage is handed out only against a document with a number",
            where="the document's number",
            todo="enter the number as it stands on the document; on a telephone call alone nothing is handed out",
            clause="7.2(1)2",
        )
    return number


def document_hash(number: str) -> str:
    """Return the SHA-256 (hex) of a document number: what the ledger keeps of it."""
    return hashlib.sha256(number.encode()).hexdigest()
