"""The journal: an act takes effect when the ledger tells it, wherever the power is cut; what is forged is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.custody.office import acts
from firmware.custody.office.fields import Role
from firmware.custody.office.journal import Journal
from firmware.ground.errors import CaseError
from tests.parts.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def files(office: Office) -> list[str]:
    return sorted(path.name for path in office.acts.iterdir() if path.is_file())


async def grant(office: Office, journal: Journal, account: str = "handler", **fields: object) -> None:
    act = office.draw_up(acts.RoleGranted, "manager", officer=office.officer(account, Role.HANDLER), **fields)
    await office.do(journal, act)


async def test_what_was_done_is_there_for_the_next_process(office: Office) -> None:
    journal = await office.found()
    await grant(office, journal)
    assert journal.register.officers.in_force(office.clock.utc_ns())[1].account == "handler"
    again = await office.journal()
    assert again.register == journal.register
    assert again.entries == journal.entries
    assert files(office) == [
        "000001.act", "000001.chief.sig", "000001.manager.sig", "000002.act", "000002.manager.sig",
    ]  # fmt: skip


async def test_the_ledger_tells_codes_and_numbers_only(office: Office) -> None:
    journal = await office.found()
    await grant(office, journal)
    *_, line = office.ledger().lines("role.granted")
    assert line.event == "role.granted"
    assert {name: value for name, value in line.fields.items() if name != "act"} == {
        "number": 2, "by": "manager", "account": "handler", "role": "handler", "clock": "proven",
        "at": office.clock.utc_ns() // 10**9,
    }  # fmt: skip


async def test_two_processes_take_turns(office: Office) -> None:
    one = await office.found()
    other = await office.journal()
    await grant(office, one, "handler")
    await grant(office, other, "handler2")
    await grant(office, one, "handler3")
    assert [entry.number for entry in one.entries] == [1, 2, 3, 4]
    assert (await office.journal()).register == one.register


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda a: a | {"pole": "sp04"}, "E-OFFICE-POLE"),
        (lambda a: a | {"utc": "2026-11-19T23:59:59Z"}, "E-OFFICE-STALE"),
        (lambda a: a | {"utc": "2026-11-23T00:10:01Z"}, "E-OFFICE-EARLY"),
        (lambda a: a | {"utc": "2026-11-31T00:10:01Z"}, "E-OFFICE-DATE"),
    ],
)
async def test_misplaced_acts_are_refused(office: Office, change: Callable[[dict], dict], code: str) -> None:
    journal = await office.found()
    with pytest.raises(CaseError) as refused:
        await grant(office, journal, **change({}))
    assert refused.value.code == code
    assert len(journal.entries) == 1


@pytest.mark.parametrize("utc", ["2026-11-20T00:00:00Z", "2026-11-23T00:10:00Z"])
async def test_acts_at_the_edge_are_done(office: Office, utc: str) -> None:
    journal = await office.found()
    await grant(office, journal, utc=utc)
    assert len(journal.entries) == 2


async def test_an_old_act_is_not_done_again(office: Office) -> None:
    journal = await office.found()
    act = office.draw_up(acts.RoleGranted, "manager", officer=office.officer("handler"))
    signed = await office.sign(act, "manager")
    await journal.submit(act.encoded(), signed)
    await office.do(journal, office.draw_up(acts.RoleRevoked, "manager", account="handler"))
    for replayed in (journal, await office.journal()):
        with pytest.raises(CaseError, match="E-OFFICE-REPLAYED"):
            await replayed.submit(act.encoded(), signed)


async def test_bytes_that_are_no_act_are_refused(office: Office) -> None:
    journal = await office.found()
    act = office.draw_up(acts.RoleRevoked, "manager", account="handler")
    for data in (b"", b"{}", act.encoded()[:-1], b" " + act.encoded(), act.encoded() * 2, b"[" * 70_000):
        with pytest.raises(CaseError, match="E-OFFICE-BYTES"):
            await journal.submit(data, {})
