"""A forged approval is refused when it is brought, and found when it was put on the disk behind the office's back.

Real keys, stock ssh-keygen, a real ledger. Whoever forges on the disk is root on the pole: they can write files and
append well-formed lines to the ledger, and still cannot sign for an officer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.fields import Basis, Document, Instrument, RecipientKind, Role, Span
from firmware.custody.office.journal import Journal
from firmware.custody.office.register import decide, name_of
from firmware.custody.office.telling import line_of
from firmware.ground.clock import NS_PER_MINUTE, iso_utc
from firmware.ground.errors import CaseError
from tests.parts.office import Office
from tests.parts.role_sweep import age_keys

CASE = "2026-0012"


@pytest.fixture
async def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def scoped(office: Office) -> Journal:
    """A founded office with a case that waits for its two approvals."""
    journal = await office.found("handler")
    now_epoch = office.clock.utc_ns() // NS_PER_MINUTE
    until = iso_utc(office.clock.utc_ns() + 30 * 24 * 60 * NS_PER_MINUTE)
    document = Document(
        number="小刑発第123号", date="2026-11-22", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
    )
    span = Span(camera="cam0", first_epoch=now_epoch - 90, last_epoch=now_epoch - 60)
    for kind, by, fields in (
        (acts.RecipientAdded, "manager", {
            "recipient": "odawara-ps", "organisation": "小田原警察署", "kind": RecipientKind.POLICE_STATION,
            "age_recipient": age_keys()[0], "not_after": until}),
        (acts.CaseOpened, "handler", {"case": CASE}),
        (acts.CaseDocumented, "handler", {"case": CASE, "basis": Basis.REQUEST, "document": document}),
        (acts.CaseScoped, "handler", {"case": CASE, "spans": (span,), "recipient": "odawara-ps"}),
    ):  # fmt: skip
        await office.do(journal, office.draw_up(kind, by, **fields))
    return journal


def approval(office: Office, journal: Journal, by: str) -> AnyAct:
    from firmware.custody.office.cases import dossier_of

    register = journal.register
    dossier = dossier_of(register.cases.known(CASE), register.recipients, register.pole).sha256()
    return office.draw_up(acts.CaseApproved, by, case=CASE, dossier=dossier)


async def refused(journal: Journal, act: AnyAct, given: dict[str, bytes]) -> str:
    before = (journal.register, journal._ledger.size)
    with pytest.raises(CaseError) as caught:
        await journal.submit(act.encoded(), given)
    assert (journal.register, journal._ledger.size) == before
    return caught.value.code


async def test_a_key_that_is_nobodys_here(office: Office) -> None:
    journal = await scoped(office)
    act = approval(office, journal, "chief")
    signed = await office.sign(act, "mallory")
    assert await refused(journal, act, {"chief": signed["mallory"]}) == "E-OFFICE-FORGED"
    act = approval(office, journal, "mallory")
    assert await refused(journal, act, await office.sign(act, "mallory")) == "E-OFFICE-UNKNOWN"


async def test_a_colleagues_signature_under_anothers_name(office: Office) -> None:
    journal = await scoped(office)
    act = approval(office, journal, "chief")
    signed = await office.sign(act, "manager")
    assert await refused(journal, act, {"chief": signed["manager"]}) == "E-OFFICE-FORGED"


async def test_a_signature_taken_from_another_act(office: Office) -> None:
    journal = await scoped(office)
    harmless = office.draw_up(acts.RecipientSuspended, "chief", recipient="odawara-ps")
    act = approval(office, journal, "chief")
    assert await refused(journal, act, await office.sign(harmless, "chief")) == "E-OFFICE-FORGED"


async def test_a_signature_for_another_purpose(office: Office) -> None:
    """Showing who asks is no approval: another namespace."""
    journal = await scoped(office)
    act = approval(office, journal, "chief")
    key, keyfile = office.key("chief"), office.keyfile("chief")
    signature = await office.signatures.sign(act.encoded(), key, keyfile, namespace="read.smartpole")
    assert await refused(journal, act, {"chief": signature}) == "E-OFFICE-FORGED"


async def test_an_officer_who_is_none_any_more(office: Office) -> None:
    journal = await scoped(office)
    deputy = office.officer("deputy", Role.MANAGER, not_after=iso_utc(office.clock.utc_ns() + 60 * NS_PER_MINUTE))
    await office.do(journal, office.draw_up(acts.RoleGranted, "chief", officer=deputy), "manager")
    act = approval(office, journal, "deputy")
    given = await office.sign(act, "deputy")
    office.pass_seconds(3600)
    assert await refused(journal, act, given) == "E-OFFICE-UNKNOWN"
    another = office.officer("manager2", Role.MANAGER)
    await office.do(journal, office.draw_up(acts.RoleGranted, "chief", officer=another), "manager")
    act = approval(office, journal, "manager2")
    given = await office.sign(act, "manager2")
    await office.do(journal, office.draw_up(acts.RoleRevoked, "chief", account="manager2"), "manager")
    assert await refused(journal, act, given) == "E-OFFICE-UNKNOWN"


async def test_an_act_edited_after_it_was_signed(office: Office) -> None:
    journal = await scoped(office)
    act = approval(office, journal, "chief")
    signed = await office.sign(act, "chief")
    edited = acts.decode(act.encoded().replace(b'"chief"', b'"manager"'))
    assert await refused(journal, edited, {"manager": signed["chief"]}) == "E-OFFICE-FORGED"


# ---- behind the office's back, on the disk


async def forge(office: Office, journal: Journal, act: AnyAct, given: dict[str, bytes], *, judged: bool = True) -> None:
    """Write files and a well-formed ledger line, as root could."""
    now_ns = office.clock.utc_ns()
    if judged:
        after = decide(journal.register, act, list(given), now_ns, proven=True)
    else:
        from dataclasses import replace

        after = replace(journal.register, number=journal.register.number + 1)
    number = after.number
    (office.acts / f"{number:06}.act").write_bytes(act.encoded())
    for account, signature in given.items():
        (office.acts / f"{number:06}.{account}.sig").write_bytes(signature)
    office.ledger().append(name_of(act), **line_of(act, after, list(given), now_ns, proven=True))


async def found_out(office: Office) -> CaseError:
    with pytest.raises(CaseError) as caught:
        await office.journal()
    assert "ledger line n=" in caught.value.where
    return caught.value


async def test_an_approval_forged_on_the_disk_is_found_by_its_signature(office: Office) -> None:
    journal = await scoped(office)
    act = approval(office, journal, "chief")
    await forge(office, journal, act, {"chief": (await office.sign(act, "mallory"))["mallory"]})
    error = await found_out(office)
    assert (error.code, f"{journal.register.number + 1:06}.act" in error.where) == ("E-OFFICE-FORGED", True)


async def test_a_seal_without_approvals_is_found_although_its_signature_is_good(office: Office) -> None:
    """A dishonest handler with root seals: the signature is real, the right is not."""
    journal = await scoped(office)
    dossier = approval(office, journal, "chief").dossier  # type: ignore[union-attr]  # an approval has one
    act = office.draw_up(acts.CaseSealed, "handler", case=CASE, dossier=dossier)
    await forge(office, journal, act, await office.sign(act, "handler"), judged=False)
    error = await found_out(office)
    assert error.code == "E-OFFICE-FORGED"
    assert "two officers must approve" in error.what


async def test_one_signature_where_two_are_needed_is_found(office: Office) -> None:
    journal = await scoped(office)
    act = office.draw_up(acts.RoleGranted, "manager", officer=office.officer("sham", Role.CHIEF))
    await forge(office, journal, act, await office.sign(act, "manager"), judged=False)
    error = await found_out(office)
    assert (error.code, "needs 2 signatures" in error.what) == ("E-OFFICE-FORGED", True)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda folder: flip(folder / "000003.act"), "E-OFFICE-EDITED"),
        (lambda folder: (folder / "000003.act").write_bytes(b""), "E-OFFICE-EDITED"),
        (lambda folder: swap(folder / "000003.act", folder / "000004.act"), "E-OFFICE-EDITED"),
        (lambda folder: (folder / "000003.act").unlink(), "E-OFFICE-MISSING"),
        (lambda folder: flip(folder / "000001.chief.sig"), "E-OFFICE-FORGED"),
        (lambda folder: swap(folder / "000001.chief.sig", folder / "000001.manager.sig"), "E-OFFICE-FORGED"),
        (lambda folder: swap(folder / "000003.handler.sig", folder / "000004.handler.sig"), "E-OFFICE-FORGED"),
        (lambda folder: (folder / "000002.manager.sig").unlink(), "E-OFFICE-FORGED"),
    ],
    ids=["edited", "emptied", "acts swapped", "removed", "signature edited", "two signatures swapped",
         "one officer's signatures swapped", "signature removed"],
)  # fmt: skip
async def test_what_is_changed_on_the_disk_afterwards_is_found(
    office: Office, change: Callable[[Path], None], code: str
) -> None:
    await scoped(office)
    change(office.acts)
    error = await found_out(office)
    assert error.code == code
    assert "keep folder and ledger as evidence" in error.todo


async def test_an_act_that_the_ledger_never_told_never_took_effect(office: Office) -> None:
    """Without a line it is set aside and named, even with a good signature."""
    journal = await scoped(office)
    act = approval(office, journal, "chief")
    signed = await office.sign(act, "chief")
    number = journal.register.number + 1
    (office.acts / f"{number:06}.act").write_bytes(act.encoded())
    (office.acts / f"{number:06}.chief.sig").write_bytes(signed["chief"])
    again = await office.journal()
    assert again.register == journal.register
    assert {path.name.split(".", 1)[1] for path in again.aside} == {f"{number:06}.act", f"{number:06}.chief.sig"}
    (office.acts / "000099.act").write_bytes(act.encoded())
    (office.acts / "000098.act").write_bytes(act.encoded())
    with pytest.raises(CaseError, match="E-OFFICE-LOST"):
        await office.journal()
