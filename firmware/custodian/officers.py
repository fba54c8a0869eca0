"""Commands about officers: found, grant, revoke, override, list.

Knows:  account codes, public keys.
Never:  an officer's name, a rule: those stand in ``custody.office``.
Leaves: acts; the list of officers.
Clauses: 5.1(1), 7.2(1).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from firmware.custodian.acting import Office, public_key
from firmware.custodian.answers import Facts
from firmware.custodian.commands import acting, lines_of, reading
from firmware.custodian.times import instant_of
from firmware.custody.office.acts import (
    AnyAct,
    GroupsChanged,
    LinesOverridden,
    OfficersFounded,
    RoleGranted,
    RoleRevoked,
)
from firmware.custody.office.fields import Officer, Role
from firmware.footage.settings import FootageSettings
from firmware.ground import config

officer = typer.Typer(no_args_is_help=True, help="Officers and their roles. (職員)")

AccountWord = Annotated[str, typer.Argument(help="The account: a code, not a person's name.")]


class Founders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of ``officer found``: one ``[[officers]]`` table for each."""

    officers: tuple[Officer, ...]


@acting(officer, "found")
def found(
    office: Office, file: Annotated[Path, typer.Argument(help="TOML: [[officers]] account, role, key.")]
) -> AnyAct:
    """Name the first officers of a pole; a chief and a manager of the list sign (--as and --with)."""
    return office.draft(OfficersFounded, officers=config.load(file, Founders).officers)


@acting(officer, "grant")
def grant(
    office: Office,
    account: AccountWord,
    *,
    role: Annotated[Role, typer.Option("--role", help="The role on this pole.")],
    key: Annotated[Path, typer.Option("--key", help="The officer's public key (.pub, OpenSSH).")],
    also: Annotated[Role | None, typer.Option("--also", help="A role of the other line, under an override.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Key group (a, b, c) the officer is of.")] = None,
    begin: Annotated[str | None, typer.Option("--from", help="A deputy's first instant.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last instant, not included.")] = None,
) -> AnyAct:
    """Make somebody an officer, or give an officer another role, key, group or dates."""
    granted = {
        "account": account, "role": role, "key": public_key(key), "also": also, "group": group,
        "not_before": begin and instant_of(begin, "--from"), "not_after": until and instant_of(until, "--until"),
    }  # fmt: skip
    return office.draft(RoleGranted, officer=granted)


@acting(officer, "revoke")
def revoke(office: Office, account: AccountWord) -> AnyAct:
    """End an officer's role; what they signed stays valid."""
    return office.draft(RoleRevoked, account=account)


@acting(officer, "override")
def override(
    office: Office,
    account: AccountWord,
    *,
    until: Annotated[str, typer.Option("--until", help="End, within 30 days.")],
    reason: Annotated[str, typer.Option("--reason", help="Why one person must hold both lines.")],
) -> AnyAct:
    """Let one person hold both administration lines for a time (5.1(1)); everybody can see it in the ledger."""
    return office.draft(LinesOverridden, account=account, until=instant_of(until, "--until"), reason=reason)


@acting(officer, "keys")
def keys(
    office: Office,
    file: Annotated[Path, typer.Argument(help="The footage.toml that will be installed, with the new [officers].")],
) -> AnyAct:
    """Change whose keys open what is recorded from now on; an officer of each key group signs (--as and --with)."""
    groups = config.load(file, FootageSettings).officers
    return office.draft(GroupsChanged, group_a=groups.a, group_b=groups.b, two_of_three=groups.two_of_three)


@reading(officer, "list", "officer list")
def list_(office: Office) -> tuple[Facts, str]:
    """Show every officer there was, in force or not."""
    officers, now_ns = office.register.officers, office.now_ns
    in_force = {each.account for each in officers.in_force(now_ns)}
    rows: list[Facts] = []
    for account, standing in sorted(officers.standings.items()):
        each = standing.officer
        roles = officers.roles(each, now_ns) if account in in_force else frozenset()
        rows.append(
            {
                "account": account, "role": each.role, "also": each.also, "group": each.group,
                "in_force": account in in_force, "roles_now": sorted(roles), "not_before": each.not_before,
                "not_after": each.not_after, "since_act": standing.since, "revoked_by_act": standing.revoked,
                "key": each.key,
            }
        )  # fmt: skip
    text = "\n\n".join(lines_of({key: row[key] for key in row if row[key] is not None}) for row in rows)
    return {"officers": rows}, text or "no officers yet: officer found"
