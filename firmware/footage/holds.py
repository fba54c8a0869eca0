"""The holds as the ledger tells them: all that the running pole ever learns of the office's decisions.

Knows:  lines ``hold.placed``, ``hold.confirmed``, ``hold.renewed``, ``hold.lifted``, ``hold.lapsed``; whole numbers.
Never:  who asked, why, on which paper; a minute revived whose time was over when its hold was placed.
Leaves: stretches of minutes that may outlive 336 h, each with its end.
Clauses: 7.1(3), 7.1(4) (exactly these minutes, exactly so long), 7.3(1)3.

The ledger is the one place where both programs meet: ``custodian`` appends, ``pole`` re-reads under the lock before it
erases. Reading is incremental. A ledger that was damaged and succeeded may have lost lines about holds; they are then
looked for in the damaged copies set aside, and whatever these still tell of keeping is honoured, of lifting not: the
safe side, and bounded, because no line keeps anything longer than ``MOST_DAYS_A_LINE``.
"""

from __future__ import annotations

import calendar
import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from firmware.footage.retention import Hold, deadline_ns, still_keeping
from firmware.ground import ledger_lines
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, minute_of, start_of
from firmware.ground.errors import LedgerError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_lines import Line, Place

MOST_DAYS_A_LINE: Final = 30
"""A confirmed hold is reviewed after 30 days at most (7.1(4)); what a damaged ledger says is believed no longer."""

_MARK: Final = b'"event":"hold.'
_KEEPING: Final = ("hold.placed", "hold.confirmed", "hold.renewed")
_ENDING: Final = ("hold.lifted", "hold.lapsed")
_DAY_NS: Final = 86_400 * NS_PER_SECOND


class LedgerHolds:
    """The holds of the ledger in ``folder``. Call it under the pole's lock, off the loop: it reads files."""

    def __init__(self, ledger: Ledger, folder: Path, retention_hours: int) -> None:
        self._ledger = ledger
        self._folder = folder
        self._retention_hours = retention_hours
        self._place = Place()
        self._standing: dict[int, list[Hold]] = {}
        self._lifted: set[int] = set()
        self._highest: int = 0
        self._rescued: dict[int, list[Hold]] | None = None

    def __call__(self) -> Sequence[Hold]:
        """Return every hold that was neither lifted nor has lapsed by a line. Raises LedgerError."""
        self._ledger.refresh()
        lines, self._place = self._ledger.since(self._place, _MARK)
        if self._rescued is None:  # once: nothing is added to a ledger that was set aside
            self._rescued = self._rescue(frozenset(line.raw for line in lines))
        for line in lines:
            self._follow(line)
        return [hold for holds in (self._standing, self._rescued) for pieces in holds.values() for hold in pieces]

    @property
    def rescued(self) -> frozenset[int]:
        """The numbers of those holds that only a damaged ledger still tells of."""
        return frozenset(self._rescued or ())

    @property
    def highest(self) -> int:
        """The highest number a hold ever had here; 0 for none."""
        return max(self._highest, max(self._rescued or {}, default=0))

    def _follow(self, line: Line) -> None:
        number = int(line.fields["hold"])
        self._highest = max(self._highest, number)
        if line.event in _ENDING:
            if line.event == "hold.lifted":  # for good; one that lapsed may just have been decided anew
                self._lifted.add(number)
            self._standing.pop(number, None)
            if self._rescued:
                self._rescued.pop(number, None)
        elif line.event in _KEEPING and number not in self._lifted:
            asked = _hold_of(line)
            before = self._standing.get(number)
            if line.event == "hold.placed":
                told = living_from(int(line.fields["at"]) * NS_PER_SECOND, self._retention_hours)
                self._standing[number] = self._living(asked, MinuteNumber(max(told, int(line.fields["living_from"]))))
            elif before is None:  # its first line was lost with a damaged ledger: the whole span, the safe side
                self._standing[number] = [asked]
            else:
                self._standing[number] = [
                    Hold(piece.first_epoch, piece.last_epoch, asked.ends_utc_ns, number) for piece in before
                ]

    def _living(self, asked: Hold, first_living: MinuteNumber) -> list[Hold]:
        """Return what of ``asked`` had not ended when it was placed: younger than 336 h, or kept by another hold."""
        at_ns = deadline_ns(MinuteNumber(first_living - 1), self._retention_hours)
        stretches = [(max(asked.first_epoch, first_living), asked.last_epoch)]
        stretches += [
            (max(asked.first_epoch, other.first_epoch), min(asked.last_epoch, other.last_epoch))
            for pieces in self._standing.values()
            for other in still_keeping(pieces, at_ns)
        ]
        return [
            Hold(MinuteNumber(first), MinuteNumber(last), asked.ends_utc_ns, asked.number)
            for first, last in dict.fromkeys(stretches)
            if first <= last
        ]

    def _rescue(self, told: frozenset[bytes]) -> dict[int, list[Hold]]:
        """Return the holds that stand in a ledger set aside as damaged and not in ``told``, the present one's lines."""
        found: dict[int, list[Hold]] = {}
        for path in sorted(self._folder.parent.glob(f"{self._folder.name}-damaged-*/lines.jsonl")):
            for line in _readable(path):
                if line.raw not in told:
                    hold = _hold_of(line)
                    ends_ns = min(hold.ends_utc_ns, instant_of(line) + MOST_DAYS_A_LINE * _DAY_NS)
                    found.setdefault(hold.number, []).append(
                        Hold(hold.first_epoch, hold.last_epoch, ends_ns, hold.number)
                    )
        return found


def living_from(now_ns: int, retention_hours: int) -> MinuteNumber:
    """Return the first minute whose 336 hours are not over at ``now_ns``: what ``hold.placed`` keeps of its instant."""
    return MinuteNumber(minute_of(now_ns - deadline_ns(MinuteNumber(0), retention_hours)) + 1)


def instant_of(line: Line) -> int:
    """Return the second in which a line was written (UTC ns)."""
    return calendar.timegm(time.strptime(line.utc, "%Y-%m-%dT%H:%M:%SZ")) * NS_PER_SECOND


def _hold_of(line: Line) -> Hold:
    fields = line.fields
    return Hold(
        MinuteNumber(int(fields["first_epoch"])),
        MinuteNumber(int(fields["last_epoch"])),
        start_of(MinuteNumber(int(fields["ends_epoch"]))),
        int(fields["hold"]),
    )


def _readable(path: Path) -> Iterator[Line]:
    """Yield the lines that keep minutes and can still be read as lines, whatever happened to those around them."""
    for raw in ledger_lines.read_lines(path):
        if any(f'"{event}"'.encode() in raw for event in _KEEPING):
            with contextlib.suppress(LedgerError, KeyError, ValueError):
                line = ledger_lines.parse(raw.removesuffix(b"\n"), where=str(path))
                _hold_of(line), instant_of(line)
                yield line
