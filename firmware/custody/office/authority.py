"""Who may do what: one table, and the one place that judges by it.

Knows:  roles, lines of administration, for each act and each question who may sign or ask.
Never:  a rule about an officer in another module, an exception for anybody, a person's name.
Leaves: a verdict, or a refusal that names role, act, allowed roles and clause.
Clauses: 5.1(1) (two lines of administration), 7.2(1) (two officers hand out), 7.3(1)2, 4.2(3).

An act's name here is its tag; where what it does decides who may do it, a colon and a word follow (``of`` in
``register``). ``needs`` is met when each of its sets is met by another officer, and nobody signs beside them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from firmware.custody.office.fields import Role
from firmware.ground.errors import CaseError


class Line(StrEnum):
    """A line of administration. Footage and flow have no officer in common (5.1(1)); the other two look on."""

    FOOTAGE = "footage"
    FLOW = "flow"
    AUDIT = "audit"
    CARE = "care"


LINES: Final[Mapping[Role, Line]] = MappingProxyType(
    {
        Role.CHIEF: Line.FOOTAGE,
        Role.MANAGER: Line.FOOTAGE,
        Role.HANDLER: Line.FOOTAGE,
        Role.DUTY: Line.FOOTAGE,
        Role.FLOW_MANAGER: Line.FLOW,
        Role.AUDITOR: Line.AUDIT,
        Role.MAINTAINER: Line.CARE,
    }
)


@dataclass(frozen=True, slots=True)
class Signer:
    """An officer in force whose signature was verified; ``roles`` are those that count at this instant."""

    account: str
    roles: frozenset[Role]
    group: Literal["a", "b", "c"] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Who must sign (one other officer for each set), under which clause; ``apart``: each of another key group."""

    needs: tuple[frozenset[Role], ...]
    clause: str
    apart: bool = False


_CHIEF: Final = frozenset({Role.CHIEF})
_MANAGER: Final = frozenset({Role.MANAGER})
_DECIDERS: Final = frozenset({Role.CHIEF, Role.MANAGER})
_WORKERS: Final = frozenset({Role.MANAGER, Role.HANDLER})
_KEY_HOLDERS: Final = frozenset({Role.CHIEF, Role.MANAGER, Role.HANDLER})
_ANYONE_OF_FOOTAGE: Final = frozenset(role for role, line in LINES.items() if line is Line.FOOTAGE)
_READERS: Final = frozenset({*_ANYONE_OF_FOOTAGE, Role.AUDITOR})
_BOTH: Final = (_CHIEF, _MANAGER)

ACTS: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        # officers: whoever could approve a release, or change whose keys open, is made by two
        "officers.founded": Rule(_BOTH, "5.1(1)"),
        "role.granted": Rule((_DECIDERS,), "5.1(1)"),  # handler, duty: no approval, no key group
        "role.granted:decider": Rule(_BOTH, "7.2(1)"),  # chief, manager, or anybody with a key group
        "role.granted:outside": Rule((_CHIEF,), "5.1(1)"),  # flow, audit, care: not the footage manager's to choose
        "role.revoked": Rule((_DECIDERS,), "5.1(1)"),
        "role.revoked:decider": Rule(_BOTH, "7.2(1)"),
        "role.revoked:outside": Rule((_CHIEF,), "5.1(1)"),
        "role.override": Rule((_CHIEF,), "5.1(1)"),
        "role.override:own": Rule(_BOTH, "5.1(1)"),  # a chief does not lift the wall for themselves alone
        "groups.changed": Rule((_KEY_HOLDERS, _KEY_HOLDERS), "7.3(1)1", apart=True),
        # recipients: the keeper of the footage registers and removes them (7.3(1)2)
        "recipient.added": Rule((_DECIDERS,), "7.3(1)2"),
        "recipient.changed": Rule((_DECIDERS,), "7.3(1)2"),
        "recipient.suspended": Rule((_WORKERS | _CHIEF,), "7.3(1)2"),  # protective: a handler may
        "recipient.resumed": Rule((_DECIDERS,), "7.3(1)2"),
        "recipient.removed": Rule((_DECIDERS,), "7.3(1)2"),
        # holds: placing one is protective and short; keeping longer is decided
        "hold.placed": Rule((_ANYONE_OF_FOOTAGE,), "7.1(4)"),
        "hold.placed:document": Rule((_MANAGER,), "7.1(4)"),
        "hold.confirmed": Rule((_MANAGER,), "7.1(4)"),
        "hold.renewed": Rule((_MANAGER,), "7.1(4)"),
        "hold.renewed:year": Rule(_BOTH, "7.1(4)"),  # past twelve months
        "hold.lifted": Rule((_MANAGER,), "7.1(4)"),
        # cases: anybody of the line prepares, two decide, each with an approval of their own
        "case.opened": Rule((_WORKERS,), "7.2(1)"),
        "case.documented": Rule((_WORKERS,), "7.2(1)"),
        "case.scoped": Rule((_WORKERS,), "7.2(1)"),
        "case.approved": Rule((_DECIDERS,), "7.2(1)"),
        "case.refused": Rule((_DECIDERS,), "7.2(1)"),
        "case.withdrawn": Rule((_WORKERS,), "7.2(1)"),
        "case.sealed": Rule((_WORKERS,), "7.2(1)"),
        "case.handed_over": Rule((_WORKERS,), "7.3(1)3"),
        "case.receipted": Rule((_WORKERS,), "7.3(1)3"),
        "case.closed": Rule((_MANAGER,), "7.2(1)"),
        # media
        "medium.registered": Rule((_MANAGER,), "7.3(1)3"),
        "medium.out": Rule((_WORKERS,), "7.3(1)3"),
        "medium.returned": Rule((_WORKERS,), "7.3(1)3"),
        "medium.sanitised": Rule((_WORKERS,), "7.3(1)3"),
        "medium.lost": Rule((_WORKERS,), "7.3(1)3"),
        # time: a false one erases evidence
        "clock.stated": Rule((_KEY_HOLDERS,), "7.1(3)"),
    }
)  # fmt: skip
"""Every act there is; a test compares it with ``acts``. Nobody outside the footage line stands in it."""

READS: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "officer list": Rule((_READERS | {Role.FLOW_MANAGER, Role.MAINTAINER},), "5.1(1)"),
        "recipient list": Rule((_READERS,), "7.3(1)2"),
        "retrievals list": Rule((_KEY_HOLDERS | {Role.AUDITOR},), "7.3(1)2"),
        "retrievals export": Rule((_DECIDERS | {Role.AUDITOR},), "7.3(1)2"),
        "hold list": Rule((_READERS,), "7.1(4)"),
        "scope preview": Rule((_KEY_HOLDERS,), "7.2(1)"),
        "case bundle": Rule((_KEY_HOLDERS,), "7.2(1)"),
        "case list": Rule((_KEY_HOLDERS | {Role.AUDITOR},), "7.2(1)"),
        "case show": Rule((_KEY_HOLDERS | {Role.AUDITOR},), "7.2(1)"),
        "medium list": Rule((_READERS,), "7.3(1)3"),
        "morning": Rule((_READERS,), "7.1(4)"),
        "act show": Rule((_KEY_HOLDERS | {Role.AUDITOR},), "7.3(1)2"),
    }
)  # fmt: skip
"""What only asks; nothing of it shows a picture."""


def authorise(what: str, signers: Sequence[Signer]) -> None:
    """Raise unless ``signers`` are exactly the officers that ``what`` (an act or a question) needs.

    Raises :class:`CaseError`: E-OFFICE-ACT (nothing of that name), E-OFFICE-ROLE, E-OFFICE-SIGNERS, E-OFFICE-GROUPS.
    """
    rule = ACTS.get(what) or READS.get(what)
    if rule is None:
        raise CaseError("E-OFFICE-ACT", f"nobody may do {what}", where=what, todo="see --help", clause="5.1(1)")
    accounts = [signer.account for signer in signers]
    if len(set(accounts)) != len(accounts) or not accounts:
        raise _signers(what, rule, f"signed by {_list(accounts) or 'nobody'}")
    allowed = frozenset[Role]().union(*rule.needs)
    for signer in signers:
        if not signer.roles & allowed:
            raise _role(what, rule, signer)
    if len(signers) != len(rule.needs) or not _met(rule.needs, signers):
        raise _signers(what, rule, "signed by " + ", ".join(f"{s.account} ({_list(s.roles)})" for s in signers))
    if rule.apart and (None in (groups := [signer.group for signer in signers]) or len(set(groups)) != len(groups)):
        raise CaseError(
            "E-OFFICE-GROUPS", f"{what} needs officers of different key groups, not {_list(g or '-' for g in groups)}",
            where=what, todo="have an officer of each group sign the same act", clause=rule.clause,
        )  # fmt: skip


def needed(what: str) -> tuple[tuple[Role, ...], ...]:
    """Return for each signature that ``what`` needs the roles that may give it, in the order of :class:`Role`."""
    rule = ACTS.get(what) or READS[what]
    return tuple(tuple(role for role in Role if role in roles) for roles in rule.needs)


def _met(needs: tuple[frozenset[Role], ...], signers: Sequence[Signer]) -> bool:
    return any(
        all(signer.roles & roles for signer, roles in zip(order, needs, strict=True))
        for order in itertools.permutations(signers)
    )


def _role(what: str, rule: Rule, signer: Signer) -> CaseError:
    lines = {LINES[role] for role in signer.roles}
    outside = "; that is the other line of administration" if Line.FOOTAGE not in lines else ""
    return CaseError(
        "E-OFFICE-ROLE",
        f"{signer.account} is {_list(signer.roles) or 'no officer'} and may not do {what}{outside}",
        where=what,
        todo=f"ask for the signature of: {_words(rule)}",
        clause=rule.clause if Line.FOOTAGE in lines else "5.1(1)",
    )


def _signers(what: str, rule: Rule, how: str) -> CaseError:
    count = len(rule.needs)
    return CaseError(
        "E-OFFICE-SIGNERS",
        f"{what} needs {count} signature{'s of different officers' if count > 1 else ''}; it is {how}",
        where=what,
        todo=f"have it signed by: {_words(rule)}",
        clause=rule.clause,
    )


def _words(rule: Rule) -> str:
    return " and ".join("/".join(role for role in Role if role in roles) for roles in rule.needs)


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
