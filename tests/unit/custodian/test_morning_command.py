"""``pole-custodian morning``: what a pole says of itself, and the page that an officer reads at the desk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from firmware import custodian
from firmware.custodian.labels_ja import LABELS
from firmware.custody.languages import Language
from firmware.custody.office import acts
from firmware.custody.office.fields import Basis, Span
from firmware.custody.papers.morning import as_facts, read_facts
from firmware.custody.papers.pole_facts import UNTOLD, facts_of
from firmware.footage.manifest import GapEntry, GapReason
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND
from tests.parts.small_pole import FIRST, SmallPole

DAY = 1440


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    """Six minutes recorded, one of them half; a power cut, a gap of a second; a hold, a recipient, a case."""
    pole = await SmallPole.begin(tmp_path / "state", minutes=12)
    for epoch in (FIRST, FIRST + 1, FIRST + 2, FIRST + 3):
        pole.record(epoch, chunks=1)
    pole.ledger.append("recording.gap", first_epoch=FIRST + 4, last_epoch=FIRST + 4, reason="power")
    pole.record(FIRST + 5, chunks=1, gaps=(gap(FIRST + 5, 40, GapReason.CAMERA_FAULT), gap(FIRST + 5, 5)))
    pole.record(FIRST + 6, chunks=1, gaps=(gap(FIRST + 6, 1),))
    pole.pass_to(FIRST + 8)
    office, journal = pole.office, await pole.journal(pole.holdings())
    await office.found_here(journal)
    await office.do(journal, office.a_recipient(days=2))
    span = Span(camera="cam0", first_epoch=FIRST, last_epoch=FIRST + 1)
    held = office.draw_up(
        acts.HoldPlaced, "manager", hold=1, span=span, basis=Basis.REQUEST, office="小田原警察署", called_back=True,
        ends_epoch=FIRST + 3 * DAY,
    )  # fmt: skip
    await office.do(journal, held)
    await office.do(journal, office.draw_up(acts.CaseOpened, "manager", case="2026-0001", hold=1))
    pole.ledger.refresh()
    return pole


def gap(epoch: int, seconds: int, reason: GapReason = GapReason.STOPPED) -> GapEntry:
    begin_ns = epoch * NS_PER_MINUTE
    return GapEntry(from_utc_ns=begin_ns, until_utc_ns=begin_ns + seconds * NS_PER_SECOND, reason=reason)


async def test_a_pole_says_what_is_missing_and_what_ends(pole: SmallPole) -> None:
    holdings = pole.holdings()
    facts = facts_of(holdings, (await pole.journal(holdings)).register, "tpm2")
    whole = FIRST + 8 - DAY
    assert facts.missing_minutes == {"power": 1, "camera_fault": 1, UNTOLD: FIRST - whole + 1}  # the running one is out
    assert (facts.recording, facts.oldest_epoch, facts.live_minutes) == (True, FIRST + 2, 6)  # held ones do not count
    assert [(each.hold, each.confirmed) for each in facts.holds] == [(1, False)]
    assert [(each.case, each.state) for each in facts.cases] == [("2026-0001", "draft")]
    told = as_facts([facts], holdings.trust.now_ns(), Language.EN)
    codes = {todo["code"]: todo["within"] for todo in told["todo"]}
    assert codes == {"recipient": 3, "hold_provisional": 3, "case": 7, "clock": 0}
    assert read_facts(facts.encoded(), "x") == facts
    pole.pass_to(FIRST + 12)
    assert not facts_of(pole.holdings(), (await pole.journal(pole.holdings())).register, "tpm2").recording


def keys(facts: Any) -> Iterator[str]:
    if isinstance(facts, Mapping):
        for key, value in facts.items():
            yield key
            if key != "reasons":  # codes of gaps
                yield from keys(value)
    elif isinstance(facts, list):
        for value in facts:
            yield from keys(value)


async def test_at_the_desk_one_page_of_all_poles(pole: SmallPole, tmp_path: Path) -> None:
    holdings = pole.holdings()
    facts = facts_of(holdings, (await pole.journal(holdings)).register, "tpm2")
    (tmp_path / "sp03.facts").write_bytes(facts.encoded())
    (tmp_path / "sp04.facts").write_text("{}")
    files = [str(tmp_path / name) for name in ("sp03.facts", "sp04.facts", "sp05.facts")]
    page = tmp_path / "sheet.html"
    said = CliRunner().invoke(custodian.app, ["--lang", "ja", "morning", *files, "--out", str(page), "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert told["unread"] == files[1:]
    assert set(keys(told)) <= set(LABELS)
    assert all(piece in page.read_text() for piece in ("朝の点検表", "sp03", *files[1:]))
    english = CliRunner().invoke(custodian.app, ["--lang", "en", "morning", *files])
    assert "sp03         STOPPED" in english.stdout or "sp03         recording" in english.stdout
    assert f"NOT READ     {files[1]}: " in english.stdout
    again = CliRunner().invoke(custodian.app, ["morning", *files, "--out", str(page)])
    assert (again.exit_code, again.stderr.split(":")[0]) == (1, "E-CASE-OUT")


@pytest.mark.parametrize("words", [["morning"], ["morning", "x.facts", "--facts", "y.facts"]])
def test_pole_or_desk(words: list[str]) -> None:
    said = CliRunner().invoke(custodian.app, words)
    assert (said.exit_code, said.stderr.split(":")[0]) == (2, "E-CONFIG-FILE")
