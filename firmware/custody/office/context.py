"""The circumstances in which an act takes effect, the same when it is done and when the ledger is read again.

Knows:  the act's number and hash, the instant, whether the clock was proven, who signed.
Never:  a clock of its own, anything that the ledger does not tell again later.
Leaves: one frozen value, handed to every ``apply(state, act, context)``.
Clauses: 5.1(1), 7.1(4), 7.2(1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from firmware.custody.office.authority import Signer
from firmware.footage.settings import LegalBases
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import CaseError

NS_PER_DAY: Final = 86_400 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Context:
    """``number`` counts acts from 1; ``now_ns`` is a whole second (UTC ns), as the ledger's line tells it.

    ``signers``: first whoever drew the act up. ``bases``: the city's switches where the act is being done; None where
    the ledger is read again, because they were judged then and may have changed since.
    """

    number: int
    sha256: str
    now_ns: int
    proven: bool
    signers: tuple[Signer, ...]
    bases: LegalBases | None = None


def ns_of(instant: str, *, where: str) -> int:
    """Return an ``Instant`` as UTC ns. Raises :class:`CaseError` (E-OFFICE-DATE) for a day that does not exist."""
    try:
        moment = datetime.strptime(instant, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise CaseError(
            "E-OFFICE-DATE", f"{instant} is no instant", where=where, todo="write it like 2026-12-01T17:00:00Z"
        ) from None
    return int(moment.timestamp()) * NS_PER_SECOND
