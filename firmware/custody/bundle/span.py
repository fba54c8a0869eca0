"""From when to when: whole minutes, in UTC or Japanese time, never a time that could be read in two ways.

Knows:  two texts.
Never:  a time zone guessed, a second rounded in silence.
Leaves: a run of minutes.
Clauses: 7.2(1) (only what the document asks for).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from firmware.custody.office.fields import Span as Asked
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, iso_utc, minute_of
from firmware.ground.errors import CaseError

MOST_MINUTES: Final = 14 * 24 * 60
"""A stretch of a scope or a hold is never longer than footage lives; beyond a day a case says why (7.2(1))."""

_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|\+00:00|\+09:00)")
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes ``first`` to ``last``, both included."""

    first: MinuteNumber
    last: MinuteNumber

    @property
    def minutes(self) -> range:
        """Every minute, in order."""
        return range(self.first, self.last + 1)

    @property
    def count(self) -> int:
        """How many minutes."""
        return self.last - self.first + 1

    @classmethod
    def of(cls, asked: Asked) -> Span:
        """Return the minutes of one stretch of a scope."""
        return cls(MinuteNumber(asked.first_epoch), MinuteNumber(asked.last_epoch))

    def text(self) -> str:
        """Return ``2026-11-23T09:00:00Z to 2026-11-23T09:05:00Z`` (the end not included)."""
        return f"{iso_utc(self.first * NS_PER_MINUTE)} to {iso_utc((self.last + 1) * NS_PER_MINUTE)}"


def parse_span(begin: str, end: str, now_ns: int, most_minutes: int = MOST_MINUTES) -> Span:
    """Read ``--from`` (included) and ``--to`` (not included): ISO 8601 with ``Z`` or ``+09:00``, on whole minutes.

    Raises :class:`CaseError` ``E-CASE-SPAN`` for anything else, an inverted or empty span, more than ``most_minutes``
    (whole days), or minutes that have not ended.
    """
    first, after = _minute(begin, "--from"), _minute(end, "--to")
    if after <= first:
        raise refused("--to is not after --from", f"--from {begin} --to {end}", "swap or correct them")
    if after - first > most_minutes:
        days = f"{most_minutes // (24 * 60)} days"
        raise refused(
            f"{after - first} minutes are more than {days} ({most_minutes})", f"--from {begin} --to {end}",
            f"ask for what is needed, {days} at a time",
        )  # fmt: skip
    if after > minute_of(now_ns):
        raise refused(
            f"it is {iso_utc(now_ns)}: those minutes have not all ended", f"--to {end}", "wait, or end the span earlier"
        )
    return Span(first, MinuteNumber(after - 1))


def refused(what: str, where: str, todo: str) -> CaseError:
    """Return the error for a span that cannot be asked for."""
    return CaseError("E-CASE-SPAN", what, where=where, todo=todo, clause="7.2(1)")


def _minute(text: str, option: str) -> MinuteNumber:
    wrong = refused(
        f"{option} is not a whole minute with Z or +09:00",
        text,
        "write 2026-11-23T09:00:00Z or 2026-11-23T18:00:00+09:00",
    )
    if not _TIME.fullmatch(text) or not text.isascii():
        raise wrong
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise wrong from None
    seconds, rest = divmod(moment - _EPOCH, timedelta(seconds=1))
    if rest or seconds % 60:
        raise wrong
    return MinuteNumber(seconds // 60)
