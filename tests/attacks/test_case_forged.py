"""A case that was not decided as it says: swapped scope, forged approval, an office of one's own, one officer alone.

The attacker here controls the pole (root, the ledger's key) or is one of the officers; the desk has the bundle and,
where said so, the office's own list of keys.
"""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from firmware.custody.bundle import index
from firmware.custody.bundle.archive import reading, writing
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.span import Span
from firmware.custody.desk.approvals import prove_approvals
from firmware.custody.office import acts
from firmware.custody.office import dossier as dossiers
from firmware.custody.office.cases import dossier_of
from firmware.custody.office.fields import Role
from firmware.custody.office.fields import Span as Asked
from firmware.custody.office.journal import Journal
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError, PoleError
from tests.attacks.test_bundle_tampered import Members, read, reindexed, signed
from tests.parts.office import POLICE, new_key
from tests.parts.small_pole import FIRST, SmallPole

TWO = Span(FIRST, MinuteNumber(FIRST + 1))
CASE = "2026-0001"


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    pole = await SmallPole.begin(tmp_path / "state", minutes=4)
    for epoch in range(FIRST, FIRST + 4):
        pole.record(epoch, chunks=1)
    return pole


async def journal_of(pole: SmallPole) -> Journal:
    return await pole.journal(pole.holdings())


def desk_refuses(pole: SmallPole, path: Path, listed: Mapping[str, str] | None = None) -> PoleError:
    with reading(path) as reader, pytest.raises(PoleError) as caught:
        prove_approvals(CheckedBundle(reader, pole.public_key()), pole.office.signatures, listed)
    return caught.value


def members_of(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return {member.name: read(tar, member) for member in tar}


async def write_again(path: Path, members: Members, pole: SmallPole) -> None:
    """As the pole itself writes and signs: who controls it can."""
    members = await signed(reindexed(members, lambda made: made), pole.key)
    await asyncio.to_thread(path.unlink)
    with writing(path, (FIRST + 9) * 60 * 10**9) as tar:
        for name, content in members.items():
            tar.add(name, content)


async def test_the_scope_is_swapped_after_the_approvals(pole: SmallPole, tmp_path: Path) -> None:
    """Two officers approve one minute; a handler makes it four before sealing. Nothing leaves."""
    journal, office = await journal_of(pole), pole.office
    narrow = Asked(camera="cam0", first_epoch=FIRST, last_epoch=FIRST)
    await office.seal_a_case(journal, CASE, narrow, document="1")
    wide = (Asked(camera="cam0", first_epoch=FIRST, last_epoch=FIRST + 3),)
    approved = journal.register.cases.known(CASE).seal
    await office.do(journal, office.draw_up(acts.CaseScoped, "manager", case=CASE, spans=wide, recipient=POLICE))
    for dossier in (
        approved,
        dossier_of(journal.register.cases.known(CASE), journal.register.recipients, "sp03").sha256(),
    ):
        with pytest.raises(CaseError, match=r"E-CASE-(DOSSIER|APPROVALS)"):
            await office.do(journal, office.draw_up(acts.CaseSealed, "manager", case=CASE, dossier=dossier))
    with pytest.raises(CaseError, match="E-CASE-ORDER"):
        await pole.bundle_of(CASE, tmp_path / "bundle.tar")
    assert not (tmp_path / "bundle.tar").exists()


async def test_the_dossier_in_a_bundle_is_swapped_by_who_has_the_pole_s_key(pole: SmallPole, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, TWO)
    members = members_of(path)
    dossier = dossiers.decode(members[index.DOSSIER])
    other = dossiers.Dossier(
        pole=dossier.pole, case=dossier.case, basis=dossier.basis, document=dossier.document, to=dossier.to,
        spans=(Asked(camera="cam0", first_epoch=FIRST, last_epoch=FIRST),),
    )  # fmt: skip
    await write_again(path, {**members, index.DOSSIER: other.encoded()}, pole)
    with reading(path) as reader, pytest.raises(CaseError, match="E-CASE-CHANGED"):
        CheckedBundle(reader, pole.public_key())


@pytest.mark.parametrize("account", ["chief", "manager"])
async def test_an_approval_is_forged_on_the_pole_and_found_at_the_desk(
    pole: SmallPole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    """The pole's program is made to believe every signature; the approval is signed by a key of the attacker's."""
    journal, office = await journal_of(pole), pole.office
    await office.found_here(journal)
    await office.do(journal, office.a_recipient())
    real_key, real_file = office.keys[account], office.keyfile(account).read_bytes()

    async def believes(*_arguments: object, **_options: object) -> bool:
        return True

    with monkeypatch.context() as patch:
        patch.setattr(type(office.signatures), "verify", believes)
        office.keyfile(account).unlink()
        office.keyfile(account).with_name(f"{account}.pub").unlink()
        office.keys[account] = new_key(office.keyfile(account))
        path = tmp_path / "bundle.tar"
        await pole.bundle(path, TWO)
    office.keys[account] = real_key
    office.keyfile(account).write_bytes(real_file)
    error = desk_refuses(pole, path)
    assert (error.code, account in error.what, error.clause) == ("E-OFFICE-FORGED", True, "7.2(1)")


async def test_without_its_signature_an_approval_is_none(pole: SmallPole, tmp_path: Path) -> None:
    """Signatures taken out, exchanged, or an approval left out altogether, by who can sign as the pole."""
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, TWO)
    members = members_of(path)
    signatures = sorted(name for name in members if name.endswith(".sig"))
    approvals = [name for name in signatures if b'"act":"case.approved"' in members[f"{name.split('.')[0]}.act"]]
    assert len(approvals) == 2
    await write_again(path, {name: content for name, content in members.items() if name != approvals[0]}, pole)
    assert desk_refuses(pole, path).code == "E-OFFICE-FORGED"
    first, second = (members[name] for name in approvals)
    await write_again(path, {**members, approvals[0]: second, approvals[1]: first}, pole)
    assert desk_refuses(pole, path).code == "E-OFFICE-FORGED"
    head = approvals[1].split(".")[0] + "."
    await write_again(path, {name: content for name, content in members.items() if not name.startswith(head)}, pole)
    assert desk_refuses(pole, path).code == "E-OFFICE-FORGED"  # the seal could not have been done


async def test_an_office_of_the_attacker_s_own_is_found_by_the_list(pole: SmallPole, tmp_path: Path) -> None:
    """A pole founded by its thief holds together by itself: hence the list, kept at the city hall."""
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, TWO)
    with reading(path) as reader:
        alone = prove_approvals(CheckedBundle(reader, pole.public_key()), pole.office.signatures)
        assert (alone.manager, alone.chief, alone.compared) == ("manager", "chief", False)
        compared = prove_approvals(CheckedBundle(reader, None), pole.office.signatures, pole.office.keys)
        assert compared.compared
    real = {account: new_key(tmp_path / f"real-{account}") for account in ("chief", "manager")}
    error = desk_refuses(pole, path, real)
    assert (error.code, error.clause) == ("E-CASE-OFFICERS", "7.2(1)")
    assert desk_refuses(pole, path, {"chief": pole.office.keys["chief"]}).code == "E-CASE-OFFICERS"


async def test_one_officer_alone_gets_no_bundle(pole: SmallPole, tmp_path: Path) -> None:
    """The manager, with the pole's console and all commands: approves twice, signs as the chief, becomes the chief."""
    journal, office = await journal_of(pole), pole.office
    await office.found_here(journal)
    await office.do(journal, office.a_recipient())
    draw = office.draw_up
    await office.scope_a_case(journal, CASE, Asked(camera="cam0", first_epoch=FIRST, last_epoch=FIRST), document="1")
    dossier = dossier_of(journal.register.cases.known(CASE), journal.register.recipients, "sp03").sha256()
    await office.do(journal, draw(acts.CaseApproved, "manager", case=CASE, dossier=dossier))
    again = draw(acts.CaseApproved, "manager", case=CASE, dossier=dossier)
    with pytest.raises(CaseError, match="E-CASE-APPROVALS"):
        await office.do(journal, again)
    as_chief = draw(acts.CaseApproved, "chief", case=CASE, dossier=dossier)
    forged = {
        "chief": await office.signatures.sign(as_chief.encoded(), office.keys["manager"], office.keyfile("manager"))
    }
    with pytest.raises(CaseError, match="E-OFFICE-FORGED"):
        await journal.submit(as_chief.encoded(), forged)
    for officer in (office.officer("friend", Role.CHIEF), office.officer("manager", Role.CHIEF)):
        with pytest.raises(CaseError, match="E-OFFICE-"):
            await office.do(journal, draw(acts.RoleGranted, "manager", officer=officer))
    with pytest.raises(CaseError, match="E-CASE-APPROVALS"):
        await office.do(journal, draw(acts.CaseSealed, "manager", case=CASE, dossier=dossier))
    with pytest.raises(CaseError, match="E-CASE-ORDER"):
        await pole.bundle_of(CASE, tmp_path / "bundle.tar")


async def test_a_recipient_that_expired_since_the_seal_gets_no_bundle(pole: SmallPole, tmp_path: Path) -> None:
    case = await pole.sealed_case(TWO)
    pole.pass_to(FIRST + 31 * 24 * 60)
    with pytest.raises(CaseError, match="E-CASE-CONDITIONS"):
        await pole.bundle_of(case, tmp_path / "bundle.tar")


async def test_a_bundle_tells_of_no_other_case(pole: SmallPole, tmp_path: Path) -> None:
    """Two cases on one pole: the bundle of one has neither document, minutes nor acts of the other."""
    await pole.sealed_case(Span(MinuteNumber(FIRST + 3), MinuteNumber(FIRST + 3)), document="秘匿-77")
    await pole.bundle(tmp_path / "bundle.tar", TWO, document="公開-1")
    content = (tmp_path / "bundle.tar").read_bytes()
    assert "公開-1".encode() in content
    assert "秘匿-77".encode() not in content
    assert b"2026-0001" not in content
    with reading(tmp_path / "bundle.tar") as reader:
        assert pole.prove(CheckedBundle(reader, pole.public_key())).compared
