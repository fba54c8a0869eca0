"""What a bundle says it is: the closed list of its members, its minutes, and the minutes it cannot hold.

Knows:  a document number, epochs, hashes.
Never:  a person, a field that is not listed here.
Leaves: canonical JSON, signed by the pole as a note of its own.
Clauses: 7.2(1)2 (the document), 7.3(1)3 (what was handed out, exactly).

    minutes/<epoch>/manifest.json              times, hashes and gaps of that minute
    minutes/<epoch>/ledger.line, .tlog-proof   the ledger's line with the manifest's hash, and its proof
    minutes/<epoch>/identity.age               age(group A, age(group B, the minute's identity))
       or for two of three: identity-12.age, identity-13.age, identity-23.age, age(officer 1, age(officer 2, ...))
    minutes/<epoch>/<sequence>.age             the chunks, unchanged
    case/dossier.json                          document, minutes and recipient as two officers approved them
    case/acts/<number>.act, .<account>.sig     each act that led to it, with the signatures under it
    case/acts/<number>.line, .tlog-proof       the ledger's line about that act, and its proof
    bundle.line, bundle.tlog-proof             the ledger's line about this bundle, and its proof
    checkpoint  pole.vkey                      the ledger's signed head; the key that signed it
    bundle.json bundle.note                    this index; its hash, signed by the same key. Always last.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from firmware.custody.office.fields import CaseId, Span

INDEX: Final = "bundle.json"
NOTE: Final = "bundle.note"
LINE: Final = "bundle.line"
PROOF: Final = "bundle.tlog-proof"
CHECKPOINT: Final = "checkpoint"
POLE_KEY: Final = "pole.vkey"
DOSSIER: Final = "case/dossier.json"
MOST_INDEX_BYTES: Final = 64 * 1024 * 1024

_MEMBER: Final = re.compile(
    r"minutes/[1-9][0-9]{0,9}/(manifest\.json|ledger\.line|ledger\.tlog-proof|identity(-12|-13|-23)?\.age|(0|[1-9][0-9]{0,3})\.age)"
    r"|case/dossier\.json|case/acts/[1-9][0-9]{0,6}\.(act|line|tlog-proof|[a-z][a-z0-9-]{1,23}\.sig)"
    r"|bundle\.(json|note|line|tlog-proof)|checkpoint|pole\.vkey"
)

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
WhyMissing = Literal["erased", "expired", "dropped_early", "lost", "not_recorded", "not_sealed", "damaged"]
"""``expired``: its 336 hours are over and the pole has not erased it yet, for instance because it was switched off."""

WhyDamaged = Literal["changed", "missing"]


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One member of the archive."""

    name: str
    length: Annotated[int, Meta(ge=0)]
    sha256: Sha256


class Missing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Minutes asked for that are not here, and by which line of the ledger (None: no line tells)."""

    first_epoch: int
    last_epoch: int
    reason: WhyMissing
    ledger_line: int | None = None
    ledger_utc: str | None = None


class DamagedChunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A chunk that already lay damaged on the pole: ``changed`` ones are here as they are, ``missing`` ones are not."""

    epoch: int
    sequence: int
    why: WhyDamaged


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A bundle's index; ``epochs`` are the minutes it holds, ``members`` all its files but itself and its note.

    ``spans`` are the approved stretches of minutes, ``first_epoch`` and ``last_epoch`` their outer ends; ``dossier`` is
    the SHA-256 of what two officers approved.
    """

    version: Literal[2] = 2
    pole: Annotated[str, Meta(pattern=r"^sp[0-9]{2,7}$")]
    case: CaseId
    dossier: Sha256
    document: str
    spans: tuple[Span, ...]
    first_epoch: int
    last_epoch: int
    made_utc: str
    ledger_line: int
    epochs: tuple[int, ...]
    missing: tuple[Missing, ...]
    damaged: tuple[DamagedChunk, ...]
    members: tuple[Member, ...]

    def encoded(self) -> bytes:
        """Return the canonical JSON bytes."""
        return msgspec.json.encode(self, order="sorted") + b"\n"


def decode(data: bytes) -> Index:
    """Read :meth:`Index.encoded` back. Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Index, strict=True)


def is_member(name: str) -> bool:
    """Tell whether a bundle may have a member of this name."""
    return _MEMBER.fullmatch(name) is not None and name.isascii()


def of_act(number: int, what: str) -> str:
    """Return a member's name of an act, for instance ``case/acts/12.line``."""
    return f"case/acts/{number}.{what}"


def of_minute(epoch: int, what: str) -> str:
    """Return a member's name, for instance ``minutes/29923200/manifest.json``."""
    return f"minutes/{epoch}/{what}"


def identity_name(pair: str) -> str:
    """Return what of a minute holds its identity for ``pair`` (see ``nesting.seal_for``; "" for two groups)."""
    return f"identity-{pair}.age" if pair else "identity.age"


def note_text(origin: str, index: bytes) -> str:
    """Return what the pole signs about an index: three lines that no checkpoint can be mistaken for."""
    digest = base64.b64encode(hashlib.sha256(index).digest()).decode("ascii")
    return f"{origin}\nbundle sha256\n{digest}\n"
