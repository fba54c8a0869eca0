"""Times as an officer writes them: with Z or +09:00, never one that could be read in two ways.

Knows:  ISO 8601.
Never:  a time zone guessed.
Leaves: instants as acts have them (UTC).
Clauses: 7.3(1)2.
"""

from __future__ import annotations

from datetime import datetime

from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, iso_utc
from firmware.ground.errors import CaseError


def instant_of(text: str, option: str) -> str:
    """Return ``text`` as an ``Instant``. Raises :class:`CaseError` (E-OFFICE-DATE)."""
    return iso_utc(_seconds(text, option) * NS_PER_SECOND)


def minute_from(text: str | None, option: str, *, before: bool = False) -> int | None:
    """Return the UTC minute that begins at ``text``, or with ``before`` the one that ends there; None for None."""
    if text is None:
        return None
    seconds = _seconds(text, option)
    if seconds % 60:
        raise _wrong(text, option, "a whole minute")
    return seconds * NS_PER_SECOND // NS_PER_MINUTE - (1 if before else 0)


def _seconds(text: str, option: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(text, option, "a time") from None
    if moment.tzinfo is None or moment.microsecond:
        raise _wrong(text, option, "a whole second with Z or +09:00")
    return int(moment.timestamp())


def _wrong(text: str, option: str, what: str) -> CaseError:
    return CaseError(
        "E-OFFICE-DATE", f"{text} is not {what}", where=option,
        todo="write 2026-12-01T17:00:00+09:00 or 2026-12-01T08:00:00Z",
    )  # fmt: skip
