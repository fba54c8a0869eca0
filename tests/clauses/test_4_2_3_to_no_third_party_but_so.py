"""4.2(3): 第三者に提供することは、法令等に特段の定めがある場合を除き、禁止. There is one way by which footage
leaves, and every step of it is needed; nobody but a body that the law names is at its end.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from firmware.custody.bundle.span import Span
from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.cases import dossier_of
from firmware.custody.office.fields import Basis, Document, Instrument, RecipientKind
from firmware.custody.office.fields import Span as Asked
from firmware.custody.office.instruments import RULES, Use
from firmware.custody.office.journal import Journal
from firmware.footage.settings import LegalBases
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError
from tests.parts.office import POLICE, Office
from tests.parts.small_pole import FIRST, SmallPole

FIRMWARE = Path(__file__).parents[2] / "firmware"
CASE = "2026-0001"
PAPER = Document(
    number="小刑発第123号", date="2026-11-20", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
)
STEPS = ("founded", "recipient", "opened", "documented", "scoped", "manager approves", "chief approves", "sealed")


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    pole = await SmallPole.begin(tmp_path / "state", minutes=2)
    pole.record(FIRST, chunks=1)
    return pole


def beside(folder: Path) -> set[str]:
    return {path.name.removesuffix(".part") for path in folder.iterdir()}


async def step(office: Office, journal: Journal, name: str) -> None:
    """Do one step of a case, as the officer who does it."""
    register, draw = journal.register, office.draw_up
    dossier = "0" * 64
    if CASE in register.cases.entries and register.cases.known(CASE).recipient:
        dossier = dossier_of(register.cases.known(CASE), register.recipients, "sp03").sha256()
    spans = (Asked(camera="cam0", first_epoch=FIRST, last_epoch=FIRST),)
    match name:
        case "founded":
            await office.found_here(journal)
            return
        case "recipient":
            act: AnyAct = office.a_recipient()
        case "opened":
            act = draw(acts.CaseOpened, "manager", case=CASE)
        case "documented":
            act = draw(acts.CaseDocumented, "manager", case=CASE, basis=Basis.REQUEST, document=PAPER)
        case "scoped":
            act = draw(acts.CaseScoped, "manager", case=CASE, spans=spans, recipient=POLICE)
        case "sealed":
            act = draw(acts.CaseSealed, "manager", case=CASE, dossier=dossier)
        case _:
            act = draw(acts.CaseApproved, name.split(maxsplit=1)[0], case=CASE, dossier=dossier)
    await office.do(journal, act)


@pytest.mark.parametrize("left_out", ["", *STEPS])
async def test_whichever_step_is_left_out_nothing_leaves(pole: SmallPole, tmp_path: Path, left_out: str) -> None:
    journal, refused = await pole.journal(pole.holdings()), 0
    for name in STEPS:
        if name != left_out:
            try:
                await step(pole.office, journal, name)
            except CaseError as error:
                assert error.clause
                assert error.todo
                refused += 1
    if not left_out:
        assert refused == 0
        assert len((await pole.bundle_of(CASE, tmp_path / "bundle.tar")).epochs) == 1
        return
    with pytest.raises(CaseError) as caught:
        await pole.bundle_of(CASE, tmp_path / "bundle.tar")
    assert caught.value.code in ("E-CASE-ORDER", "E-CASE-NUMBER")
    assert "bundle.tar" not in beside(tmp_path)


async def test_a_case_that_ended_gives_nothing(pole: SmallPole, tmp_path: Path) -> None:
    case = await pole.sealed_case(Span(FIRST, MinuteNumber(FIRST)))
    journal = await pole.journal(pole.holdings())
    await pole.office.do(journal, pole.office.draw_up(acts.CaseRefused, "manager", case=case, reason="not-needed"))
    with pytest.raises(CaseError, match="E-CASE-ORDER"):
        await pole.bundle_of(case, tmp_path / "bundle.tar")


def test_only_bodies_that_a_law_names_can_be_recipients() -> None:
    """No person, insurer, school, medium or other section of the city is selectable (2: 捜査機関)."""
    assert {str(kind) for kind in RecipientKind} == {
        "police-station", "police-headquarters", "prosecutor", "coast-guard", "narcotics-control",
        "labour-standards", "court", "bar-association",
    }  # fmt: skip
    on = LegalBases()
    releasing = [
        rule for rule in RULES.values() if Use.RELEASE in rule.uses and (not rule.switch or getattr(on, rule.switch))
    ]
    reached = frozenset[RecipientKind]().union(*(rule.bodies for rule in releasing))
    assert not reached & {RecipientKind.COURT, RecipientKind.BAR_ASSOCIATION}  # the city has not decided


def callers_of(name: str) -> set[str]:
    found = set()
    for path in FIRMWARE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if getattr(called, "attr", getattr(called, "id", "")) == name:
                found.add(str(path.relative_to(FIRMWARE)))
    return found


def test_there_is_one_way_out() -> None:
    """Private halves are read out of the table in one place, bundles are made by one command."""
    assert callers_of("make_bundle") == {"custodian/cases.py"}
    assert callers_of("sealed_identities") == {"custody/bundle/making.py", "footage/table.py"}
    assert callers_of("examine") == {"custody/bundle/making.py"}
    assert callers_of("open_bundle") == {"custodian/bundles.py", "custody/package/making.py"}
