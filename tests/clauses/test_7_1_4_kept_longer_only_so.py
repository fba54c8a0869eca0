"""7.1(4): ただし、以下の場合はその限りではない. Minutes outlive 14 days only while an officer's hold says so, exactly
those minutes, on a call for ten days, on a document for thirty, and then they go by themselves.

The running pole (its eraser, table, store, ledger) and the officers' journal are two hands here as on a street: they
share the ledger and the lock, nothing else. 336 hours are 336 hours.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.custody.office import acts
from firmware.custody.office.fields import Basis, Document, Instrument, Span
from firmware.custody.office.holds import warnings
from firmware.custody.office.journal import Journal
from firmware.footage.parts import Parts
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, SimulatedClock, start_of
from firmware.ground.errors import CaseError
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, make_parts
from tests.parts.office import FIRST, Office

DAY = 24 * 60
OFFICE = "小田原警察署 刑事課"
INQUIRY = Document(
    number="小刑発第123号", date="2026-11-23", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
)


@dataclass
class Street:
    """A pole that recorded three minutes, its officers, and the days that pass."""

    clock: SimulatedClock
    parts: Parts
    eraser: Eraser
    office: Office
    journal: Journal

    async def day(self, days: float) -> list[int]:
        """Let time pass until so many days after the first minute, with an hourly sweep then; what is left?"""
        await self.clock.advance_to((FIRST + int(days * DAY)) * NS_PER_MINUTE)
        self.parts.trust.observe()
        await self.eraser.sweep()
        return [epoch - FIRST for epoch in self.parts.store.recorded()]

    async def call(self, number: int, first: int, last: int, days: float = 10, by: str = "duty") -> None:
        """Place a hold by telephone over minutes counted from the first."""
        span = Span(camera="cam0", first_epoch=FIRST + first, last_epoch=FIRST + last)
        act = self.office.draw_up(
            acts.HoldPlaced, by, hold=number, span=span, basis=Basis.REQUEST, office=OFFICE, called_back=True,
            ends_epoch=self.now + int(days * DAY),
        )  # fmt: skip
        await self.office.do(self.journal, act)

    async def decide(self, kind: type[acts.AnyAct], number: int, days: float, *more: str, **fields: object) -> None:
        ends = {} if kind is acts.HoldLifted else {"ends_epoch": self.now + int(days * DAY)}
        act = self.office.draw_up(kind, "manager", hold=number, **ends, **fields)
        await self.office.do(self.journal, act, *more)

    @property
    def now(self) -> int:
        return self.clock.utc_ns() // NS_PER_MINUTE

    def lapsed(self) -> list[int]:
        self.parts.ledger.refresh()
        return [int(line.fields["hold"]) for line in self.parts.ledger.lines("hold.lapsed")]


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    clock = SimulatedClock(FIRST * NS_PER_MINUTE)
    parts = make_parts(tmp_path / "state", clock, MemoryKeystore())
    eraser = Eraser(parts)
    await boot(parts, eraser)
    for _ in range(3):
        await record_a_minute(parts, clock)
        await clock.advance_to(start_of(type(parts.table.epochs()[0])(clock.utc_ns() // NS_PER_MINUTE + 1)))
    office = Office(tmp_path, clock, state=tmp_path / "state")
    yield Street(clock, parts, eraser, office, await office.found("duty"))


async def test_without_a_hold_everything_is_gone_after_14_days(street: Street) -> None:
    assert await street.day(13.9) == [0, 1, 2]
    assert await street.day(14) == []


async def test_a_call_keeps_exactly_its_minute_for_ten_days_and_no_longer(street: Street) -> None:
    await street.day(13)
    await street.call(1, 1, 1)
    assert await street.day(14) == [1]
    assert await street.day(22.9) == [1]
    assert street.lapsed() == []
    assert await street.day(23) == []
    assert street.lapsed() == [1]
    await street.day(24)
    assert street.lapsed() == [1]  # told once


async def test_a_call_alone_keeps_no_eleventh_day(street: Street) -> None:
    with pytest.raises(CaseError, match="E-CASE-HOLD-LONG"):
        await street.call(1, 1, 1, days=10.001)
    with pytest.raises(CaseError, match="E-CASE-HOLD"):
        await street.call(1, 1, 1)
        await street.decide(acts.HoldRenewed, 1, 5, reason="x")


async def test_the_document_confirms_it_and_every_thirty_days_it_is_decided_anew(street: Street) -> None:
    await street.day(13)
    await street.call(1, 0, 1)
    await street.day(20)
    await street.decide(acts.HoldConfirmed, 1, 30, document=INQUIRY)
    assert await street.day(49.9) == [0, 1]
    register = street.journal.register
    assert [found.days for found in warnings(register.holds.entries.values(), street.now)] == [1]
    await street.decide(acts.HoldRenewed, 1, 30, reason="捜査継続中")
    assert await street.day(79.8) == [0, 1]
    await street.decide(acts.HoldLifted, 1, 0, reason="送致済")
    assert await street.day(79.9) == []
    assert street.lapsed() == []


async def test_a_year_needs_the_chief_as_well(street: Street) -> None:
    await street.day(13)
    await street.call(1, 0, 0)
    await street.decide(acts.HoldConfirmed, 1, 30, document=INQUIRY)
    for month in range(1, 13):
        await street.day(13 + month * 29)
        await street.decide(acts.HoldRenewed, 1, 30 if month < 12 else 10, reason="捜査継続中")
    await street.day(13 + 12 * 29 + 9)
    with pytest.raises(CaseError, match="E-OFFICE-SIGNERS"):
        await street.decide(acts.HoldRenewed, 1, 30, reason="捜査継続中")
    await street.decide(acts.HoldRenewed, 1, 30, "chief", reason="捜査継続中")
    assert await street.day(13 + 365 + 10) == [0]


async def test_two_holds_overlap_and_what_either_keeps_stays(street: Street) -> None:
    await street.day(13)
    await street.call(1, 0, 1, days=5)
    await street.call(2, 1, 2, days=9)
    assert await street.day(17) == [0, 1, 2]
    assert await street.day(18) == [1, 2]
    await street.decide(acts.HoldLifted, 2, 0, reason="誤り")
    assert await street.day(18.1) == []


async def test_a_hold_brings_nothing_back(street: Street) -> None:
    await street.day(14)
    await street.call(1, 0, 2)
    assert await street.day(15) == []


async def test_the_keeper_of_people_flow_and_the_maintainer_hold_nothing(street: Street) -> None:
    for account in ("flow", "maintainer", "auditor"):
        officer = street.office.officer(account)
        await street.office.do(street.journal, street.office.draw_up(acts.RoleGranted, "chief", officer=officer))
        with pytest.raises(CaseError, match="E-OFFICE-ROLE"):
            await street.call(9, 0, 0, by=account)


def test_the_running_pole_cannot_even_import_who_asked() -> None:
    """It learns of holds from the ledger's whole numbers alone (DESIGN: pole cannot import custody)."""
    code = "import firmware.pole, firmware.footage.holds, sys; sys.exit(any('custody' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
