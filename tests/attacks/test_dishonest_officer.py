"""One officer alone, with every account that this officer can make: no footage leaves, no key group changes.

The officer signs for themselves and for every account that they granted (their own keys, sham names). All that they can
reach from an honest office is walked to its end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.authority import LINES, Line
from firmware.custody.office.fields import Officer, Role
from firmware.ground.clock import iso_utc
from firmware.ground.errors import CaseError
from tests.parts.role_sweep import DAY, STAFF, Scene, attempt, cases_of, dossier, founded, officer

SHAMS = ("sham-1",)
"""One is enough: what two could sign together, the officer and one sham could."""

VICTIMS = ("chief", "manager")
CASE_ACTS = (
    "case.scoped", "case.approved", "case.sealed", "case.handed_over", "case.refused", "case.withdrawn",
    "recipient.changed",
)  # fmt: skip
DECIDERS = {Role.CHIEF, Role.MANAGER}


def tries(scene: Scene, me: str) -> Iterator[AnyAct]:
    """Every act this officer might think of, whoever of theirs draws it up."""
    until = iso_utc(scene.now_ns + 20 * DAY)
    mine = controlled(scene, me)
    for by in mine:
        for account, role, group in itertools.product((*SHAMS, me), Role, (None, "a", "b")):
            yield scene.act(acts.RoleGranted, by, officer=officer(account, role, group=group))
        for account, also in itertools.product((*SHAMS, me), (Role.FLOW_MANAGER, Role.MANAGER, Role.CHIEF)):
            yield scene.act(acts.RoleGranted, by, officer=officer(account, Role.HANDLER, also=also))
        for account in (*SHAMS, me):
            yield scene.act(acts.LinesOverridden, by, account=account, until=until, reason="-")
        for account in (name for name in VICTIMS if name != me):
            yield scene.act(acts.RoleRevoked, by, account=account)
            yield scene.act(acts.RoleGranted, by, officer=with_my_key(account))
        yield attempt("groups.changed", scene, by)
        yield scene.act(acts.OfficersFounded, by, officers=(officer(me, Role.CHIEF), officer("sham-1", Role.MANAGER)))
        for what in CASE_ACTS:
            yield attempt(what, scene, by)


def with_my_key(account: str) -> Officer:
    """Another officer's account with a key that the thief holds."""
    return Officer(account=account, role=Role(account), key=officer("stolen", Role.DUTY).key)


def controlled(scene: Scene, me: str) -> tuple[str, ...]:
    """Whose signatures this officer can make: their own, and those of accounts whose keys they chose."""
    standings = scene.register.officers.standings
    honest = {each.account: each.key for each in STAFF}
    shams = [name for name, standing in standings.items() if honest.get(name) != standing.officer.key]
    return tuple(dict.fromkeys((me, *shams)))


def shape(scene: Scene) -> object:
    """What of a register matters for what can come next."""
    register = scene.register
    case = register.cases.entries["2026-0012"]
    officers = tuple(
        (name, s.officer.role, s.officer.also, s.officer.group, s.officer.key, s.revoked is not None)
        for name, s in sorted(register.officers.standings.items())
    )
    body = register.recipients.entries["odawara-ps"]
    approvals = tuple(sorted((a.account, a.dossier == dossier(scene)) for a in case.approvals))
    return officers, tuple(sorted(register.officers.overrides)), case.stage, approvals, body.state, register.groups


def reach(me: str, start: Scene) -> list[Scene]:
    """Every register this officer can bring about alone."""
    seen = {shape(start): start}
    waiting = [start]
    while waiting:
        scene = waiting.pop()
        mine = controlled(scene, me)
        for act in tries(scene, me):
            others = [account for account in mine if account != act.by]
            for signers in [(act.by,), *((act.by, other) for other in others)]:
                try:
                    after = scene.after(act, *signers)
                except CaseError:
                    continue
                # Revoking honest officers one by one makes no new powers: one such step is walked, not all orders.
                if shape(after) not in seen and lost(after) <= 1:
                    seen[shape(after)] = after
                    waiting.append(after)
    return list(seen.values())


def lost(scene: Scene) -> int:
    """How many honest officers are none any more, or have another's key."""
    standings = scene.register.officers.standings
    now = [(each, standings[each.account]) for each in STAFF]
    gone = (standing.revoked is not None or standing.officer.key != each.key for each, standing in now)
    return sum(gone)


@pytest.mark.parametrize("role", list(Role), ids=str)
def test_alone_nothing_leaves_and_nothing_changes_hands(role: Role) -> None:
    start = cases_of(founded())["scoped"]
    found = reach(role, start)
    assert all(scene.register.groups is None for scene in found)
    for scene in found:
        case = scene.register.cases.entries["2026-0012"]
        assert case.stage not in ("sealed", "handed-over")
        assert {approval.account for approval in case.approvals} <= {str(role)}
        for account in controlled(scene, role)[1:]:
            standing = scene.register.officers.standings[account]
            assert standing.officer.role not in DECIDERS
            assert standing.officer.group is None
            assert not (standing.officer.also and LINES[standing.officer.also] is Line.FOOTAGE)
    moved = len(found) > 1  # or the walk tried nothing
    assert moved == (role in {Role.CHIEF, Role.MANAGER, Role.HANDLER}), len(found)


def test_the_walk_would_find_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a manager free to make a chief alone, the same walk finds footage leaving."""
    from firmware.custody.office import authority

    loose = {**authority.ACTS, "role.granted:decider": authority.ACTS["role.granted"]}
    monkeypatch.setattr(authority, "ACTS", loose)
    start = cases_of(founded())["scoped"]
    granted = start.do(acts.RoleGranted, "manager", officer=officer("sham-1", Role.CHIEF))
    stages = {scene.register.cases.entries["2026-0012"].stage for scene in reach_quickly("manager", granted)}
    assert "sealed" in stages


def reach_quickly(me: str, start: Scene) -> list[Scene]:
    """The way a thief would take."""
    scene, found = start, [start]
    for what, by in (("case.approved", me), ("case.approved", "sham-1"), ("case.sealed", me)):
        scene = scene.after(attempt(what, replace(scene), by))
        found.append(scene)
    return found
