"""A clock spoofed fifteen days forward and back: nothing is erased, nothing leaves, nothing lives longer."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.custody.bundle.making import Holdings, make_bundle
from firmware.custody.office.fields import Span as Asked
from firmware.custody.office.journal import Journal
from firmware.footage.clock_files import followed_line
from firmware.footage.holds import LedgerHolds
from firmware.footage.parts import Parts
from firmware.footage.ports import NetworkTime
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.table import EpochTable
from firmware.footage.timekeeping import Timekeeper
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock
from firmware.ground.errors import CaseError
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, make_parts
from tests.parts.office import Office
from tests.signing import Ed25519Key

START_NS = 29_923_200 * NS_PER_MINUTE
CASE = "2026-0001"
HOUR_NS = 3600 * NS_PER_SECOND
FIFTEEN_DAYS_NS = 15 * 24 * HOUR_NS


@dataclass
class Network:
    """An authenticated source; ``age_seconds`` since it last answered."""

    age_seconds: int | None = None

    async def read(self) -> NetworkTime | None:
        return None if self.age_seconds is None else NetworkTime(15, self.age_seconds)


@dataclass
class Street:
    """A pole with some recorded minutes, and the custodian's program beside it."""

    state: Path
    clock: SimulatedClock
    keystore: MemoryKeystore
    network: Network
    recorded: tuple[MinuteNumber, ...] = ()

    def __post_init__(self) -> None:
        self.office = Office(self.state.parent, self.clock, state=self.state)

    async def seal(self) -> None:
        """A case over all that was recorded, sealed while the clock was still right."""
        asked = Asked(camera="cam0", first_epoch=self.recorded[0], last_epoch=self.recorded[-1])
        await self.office.seal_a_case(await self.office.journal(), CASE, asked, document="小刑発第123号")
        self.parts.ledger.refresh()

    async def start(self) -> None:
        self.parts: Parts = make_parts(self.state, self.clock, self.keystore, time_source=self.network)
        self.eraser = Eraser(self.parts)
        self.keeper = Timekeeper(self.parts, self.eraser)
        await boot(self.parts, self.eraser)
        await self.keeper.begin()
        await self.keeper.look()

    async def passes(self, seconds: int, *, sweep: bool = True) -> None:
        await self.clock.advance_to(self.clock.utc_ns() + seconds * NS_PER_SECOND)
        if sweep:
            await self.eraser.sweep()
        await self.keeper.look()

    def alive(self) -> bool:
        return set(self.recorded) <= set(self.parts.table.epochs()) & set(self.parts.store.recorded())

    async def ask(self, out: Path) -> str:
        """Ask for everything, as the custodian's own process does; return the refusal's code, or nothing."""
        parts = self.parts
        ledger = await asyncio.to_thread(
            lambda: Ledger.open(self.state / "ledger", Ed25519Key(), self.clock, mend=False)
        )
        holdings = Holdings(
            pole="sp03",
            camera="cam0",
            store=parts.store,
            table=EpochTable(parts.store.folder, self.keystore),
            ledger=ledger,
            holds=LedgerHolds(ledger, self.state / "ledger", 336),
            lock=PoleLock(self.state / "lock"),
            signer=Ed25519Key(),
            clock=self.clock,
            trust=followed_line(self.clock, parts.store.folder),
            retention_hours=336,
            release_open=lambda: followed_line(self.clock, parts.store.folder).settled,
        )
        try:
            journal = await Journal.open(
                self.office.acts, "sp03", ledger, holdings.lock, self.office.signatures,
                lambda: (holdings.trust.now_ns(), holdings.release_open()),
            )  # fmt: skip
            await make_bundle(holdings, journal, CASE, out)
        except CaseError as error:
            assert out.name not in os.listdir(out.parent)  # noqa: PTH208 - a name is enough
            return error.code
        finally:
            parts.ledger.refresh()
        os.unlink(out)  # noqa: PTH108 - blocking is fine here
        return ""


@pytest.fixture
async def street(tmp_path: Path) -> Street:
    street = Street(tmp_path / "state", SimulatedClock(START_NS), MemoryKeystore(), Network(age_seconds=2))
    await street.start()
    for _ in range(2):
        await record_a_minute(street.parts, street.clock)
    street.recorded = tuple(street.parts.store.recorded())
    await street.keeper.look()
    await street.passes(120, sweep=False)
    await street.seal()
    return street


async def test_fifteen_days_forward_and_back_erases_nothing_and_opens_nothing(street: Street, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar"
    assert await street.ask(out) == ""
    street.clock.step(FIFTEEN_DAYS_NS)
    assert await street.ask(out) == "E-CASE-CLOCK"  # before the pole itself has looked
    street.network.age_seconds = None  # whoever set the clock also cut the network
    for _ in range(10):
        await street.passes(3300)
        assert street.alive()
        assert await street.ask(out) == "E-CASE-CLOCK"
    await street.start()  # killed, so that it may believe its clock at the start
    assert street.alive()
    assert await street.ask(out) == "E-CASE-CLOCK"
    street.clock.step(-FIFTEEN_DAYS_NS)
    await street.passes(60)
    assert await street.ask(out) == "E-CASE-CLOCK"  # back is a step too: nobody vouches for what it is now
    street.network.age_seconds = 2
    await street.passes(60)
    assert street.alive()
    assert await street.ask(out) == ""
    refusals = list(street.parts.ledger.lines("bundle.refused"))
    assert {line.fields["reason"] for line in refusals} == {"clock"}
    assert abs(street.parts.trust.now_ns() - street.clock.utc_ns()) < NS_PER_SECOND


async def test_back_and_forward_lengthens_no_life(street: Street) -> None:
    street.clock.step(-FIFTEEN_DAYS_NS)
    street.network.age_seconds = None
    for _ in range(12):
        await street.passes(27 * 3600)
    assert street.alive()  # 324 hours
    await street.passes(12 * 3600)
    assert not set(street.recorded) & set(street.parts.table.epochs())


async def test_ten_minutes_at_a_time_between_proofs_do_not_add_up(street: Street) -> None:
    """Whoever can set UTC, and lets the network set it right again each time, gains ten minutes once."""
    for _ in range(30):
        ahead_ns = street.parts.trust.now_ns() - street.clock.utc_ns()
        street.clock.step(ahead_ns + 590 * NS_PER_SECOND)
        await street.keeper.look()
        street.clock.step(-ahead_ns - 590 * NS_PER_SECOND)
        await street.passes(10, sweep=False)
        await street.passes(10, sweep=False)
    assert street.parts.trust.settled
    assert street.parts.trust.now_ns() - street.clock.utc_ns() <= 610 * NS_PER_SECOND


async def test_at_boot_a_forward_rtc_erases_at_once_and_still_nothing_leaves(street: Street, tmp_path: Path) -> None:
    """What the design accepts: a pole that was off for long must not be readable first and asked later."""
    street.network.age_seconds = None
    street.clock = SimulatedClock(street.clock.utc_ns() + FIFTEEN_DAYS_NS)
    await street.start()
    assert not set(street.recorded) & set(street.parts.table.epochs())
    assert await street.ask(tmp_path / "bundle.tar") == "E-CASE-CLOCK"
    (erased,) = [line for line in street.parts.ledger.lines("epochs.erased") if line.fields["epochs"]]
    assert erased.fields["first_epoch"] == street.recorded[0]
    started = list(street.parts.ledger.lines("clock.started"))[-1]
    assert (started.fields["source"], int(started.fields["forward_seconds"]) >= 14 * 86_400) == ("machine", True)


async def test_a_lost_rtc_hides_the_time_off_until_proof_and_nothing_leaves_before(
    street: Street, tmp_path: Path
) -> None:
    true_ns = street.clock.utc_ns() + 3 * 365 * 24 * HOUR_NS
    street.network.age_seconds = None
    street.clock = SimulatedClock(5 * NS_PER_SECOND)  # 1970
    await street.start()
    assert street.alive()
    assert await street.ask(tmp_path / "bundle.tar") == "E-CASE-CLOCK"
    street.clock.step(true_ns - street.clock.utc_ns())  # chronyd sets it
    await street.passes(30)
    street.network.age_seconds = 2
    await street.passes(30, sweep=False)
    assert not set(street.recorded) & set(street.parts.table.epochs())  # erased by the proof, before anything was asked
    assert await street.ask(tmp_path / "bundle.tar") == "E-CASE-CONDITIONS"  # its recipient has expired as well
