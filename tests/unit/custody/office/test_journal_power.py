"""The power goes at each step of an act: afterwards it took effect whole, or never began, and the next one works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firmware.custody.office import acts
from firmware.custody.office.fields import Role
from firmware.custody.office.journal import Journal
from firmware.custody.office.signatures import READING
from tests.parts.crashing import power
from tests.parts.office import POLE, Office


class Remembered:
    """Says of a signature what stock ssh-keygen said of it before: with the power going, no program can be started."""

    def __init__(self) -> None:
        self.good: set[tuple[bytes, bytes, str]] = set()

    async def sign(self, message: bytes, key: str, keyfile: Path | None = None, *, namespace: str = "") -> bytes:
        raise NotImplementedError

    async def verify(self, message: bytes, signature: bytes, key: str, *, namespace: str = "") -> bool:
        return namespace != READING and (message, signature, key) in self.good


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def signed(office: Office, remembered: Remembered, account: str) -> tuple[bytes, dict[str, bytes]]:
    act = office.draw_up(acts.RoleGranted, "manager", officer=office.officer(account, Role.HANDLER))
    given = await office.sign(act, "manager")
    assert await office.signatures.verify(act.encoded(), given["manager"], office.key("manager"))
    remembered.good.add((act.encoded(), given["manager"], office.key("manager")))
    return act.encoded(), given


async def opened(office: Office, remembered: Remembered) -> Journal:
    def instant() -> tuple[int, bool]:
        return office.clock.utc_ns(), True

    return await Journal.open(office.acts, POLE, office.ledger(), office.lock, remembered, instant)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_act_is_done_or_never_began(office: Office, after: bool) -> None:
    remembered = Remembered()

    async def found() -> None:
        journal = await office.found()
        for entry in journal.entries:
            for account in entry.signers:
                signature = journal.signature(entry.number, account)
                remembered.good.add((entry.act.encoded(), signature, office.key(account)))

    asyncio.run(found())
    outcomes, aside, cut_at = [], 0, 0
    while True:
        cut_at += 1
        data, given = asyncio.run(signed(office, remembered, f"handler{cut_at}"))
        before = asyncio.run(opened(office, remembered))
        with power(cut_at, after=after) as supply:
            asyncio.run(before.submit(data, given))
        booted = asyncio.run(opened(office, remembered))
        done = acts.decode(data).sha256() in booted.register.done
        assert [entry.number for entry in booted.entries] == list(range(1, len(booted.entries) + 1))
        assert done == (f"handler{cut_at}" in booted.register.officers.standings)
        if not supply.gone:
            assert done
            break
        outcomes.append(done)
        aside += len(booted.aside)
        assert asyncio.run(opened(office, remembered)).aside == ()
        if not done:  # the same act, still signed, can be done now
            asyncio.run(booted.submit(data, given))
    assert cut_at > 9
    assert outcomes == sorted(outcomes)  # never done before a certain step, always from it on: the ledger's line
    assert set(outcomes) == {True, False}
    assert aside > 0
    assert asyncio.run(office.journal()).register.number == cut_at + 1  # stock ssh-keygen finds all of it good
