"""A recipient after its expiry, suspended, removed, with a key changed after the approval: nothing is sealed for it."""

from __future__ import annotations

import pytest

from firmware.custody.office import acts
from firmware.ground.clock import NS_PER_SECOND, iso_utc
from firmware.ground.errors import CaseError
from tests.parts.role_sweep import DAY, Scene, age_keys, approve, cases_of, dossier, founded

APPROVED = "scoped, approved by chief and manager"


@pytest.fixture
def approved() -> Scene:
    return cases_of(founded())[APPROVED]


def seal(scene: Scene) -> Scene:
    return scene.do(acts.CaseSealed, "handler", case="2026-0012", dossier=dossier(scene))


def refusal(scene: Scene) -> CaseError:
    with pytest.raises(CaseError) as caught:
        seal(scene)
    return caught.value


def at(scene: Scene, now_ns: int) -> Scene:
    return Scene(scene.register, now_ns, scene.proven)


def test_to_the_second(approved: Scene) -> None:
    expiry_ns = approved.register.recipients.known("odawara-ps").not_after_ns
    assert seal(at(approved, expiry_ns - NS_PER_SECOND)).register.cases.known("2026-0012").stage == "sealed"
    error = refusal(at(approved, expiry_ns))
    assert (error.code, error.clause) == ("E-CASE-CONDITIONS", "7.3(1)2")
    assert iso_utc(expiry_ns) in error.what


def test_a_clock_set_back_does_not_bring_it_back_to_life(approved: Scene) -> None:
    """With the clock put back the pole's time is unproven, and then nothing is covered."""
    assert refusal(Scene(approved.register, approved.now_ns, proven=False)).code == "E-CASE-CLOCK"


@pytest.mark.parametrize("kind", [acts.RecipientSuspended, acts.RecipientRemoved])
def test_suspended_or_removed_between_approval_and_seal(approved: Scene, kind: type) -> None:
    assert refusal(approved.do(kind, "manager", recipient="odawara-ps")).code == "E-CASE-CONDITIONS"


def test_another_key_after_the_approval_voids_it(approved: Scene) -> None:
    """Who exchanges the recipient's key after two approved would receive what they approved for another."""
    until = iso_utc(approved.now_ns + 20 * DAY)
    fields = {"recipient": "odawara-ps", "age_recipient": age_keys()[5], "not_after": until}
    swapped = approved.do(acts.RecipientChanged, "manager", **fields)
    assert refusal(swapped).code == "E-CASE-APPROVALS"
    again = approve(approve(swapped, "chief"), "manager")
    assert seal(again).register.cases.known("2026-0012").stage == "sealed"
