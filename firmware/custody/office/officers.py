"""Officers: who is one, in which role, from when until when. Pure.

Knows:  account codes, roles, public keys, dates, overrides of the wall between the two lines.
Never:  an officer's name, a pole without a chief and a manager, one key for two accounts.
Leaves: the officers in force at an instant, and what they may sign as.
Clauses: 5.1(1) (nobody holds both lines), 7.2(1), 4.2(3).

Whoever is revoked stays in the register: what was signed before stays valid. An account code may be granted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeVar

from firmware.custody.office.acts import LinesOverridden, OfficersFounded, RoleGranted, RoleRevoked
from firmware.custody.office.authority import LINES, Line, Signer
from firmware.custody.office.context import NS_PER_DAY, Context, ns_of
from firmware.custody.office.fields import Officer, Role
from firmware.ground.errors import CaseError

LONGEST_OVERRIDE_DAYS: Final = 30
MOST_OFFICERS: Final = 64

Entry = TypeVar("Entry")
OfficerAct = OfficersFounded | RoleGranted | RoleRevoked | LinesOverridden


@dataclass(frozen=True, slots=True)
class Standing:
    """An officer as granted by act ``since`` and, where it is so, revoked by act ``revoked``."""

    officer: Officer
    since: int
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class Officers:
    """All officers there were, and until when (UTC ns) one of them may hold both lines."""

    standings: Mapping[str, Standing] = field(default_factory=lambda: MappingProxyType({}))
    overrides: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def founded(self) -> bool:
        """Tell whether this pole has officers at all."""
        return bool(self.standings)

    def in_force(self, now_ns: int) -> tuple[Officer, ...]:
        """Return the officers of this instant, by account."""
        return tuple(s.officer for _, s in sorted(self.standings.items()) if _in_force(s, now_ns))

    def roles(self, officer: Officer, now_ns: int) -> frozenset[Role]:
        """Return the roles that count now: the second line's only while an override is in force."""
        if officer.also is None or self.overrides.get(officer.account, 0) <= now_ns:
            return frozenset({officer.role})
        return frozenset({officer.role, officer.also})

    def signer(self, account: str, now_ns: int) -> Signer:
        """Return what ``account`` may sign as at this instant. Raises :class:`CaseError` (E-OFFICE-UNKNOWN)."""
        standing = self.standings.get(account)
        if standing is None or not _in_force(standing, now_ns):
            raise CaseError(
                "E-OFFICE-UNKNOWN", f"{account} {_why_not(standing, now_ns)}", where="the officers of this pole",
                todo="see officer list; a chief and a manager grant roles", clause="5.1(1)",
            )  # fmt: skip
        return Signer(account, self.roles(standing.officer, now_ns), standing.officer.group)

    def key(self, account: str) -> str | None:
        """Return the public key that is ``account``'s now; None for somebody who is no officer (any more)."""
        standing = self.standings.get(account)
        return None if standing is None or standing.revoked is not None else standing.officer.key


def apply(state: Officers, act: OfficerAct, context: Context) -> Officers:
    """Return the officers after ``act``, whose signers were authorised already.

    Raises :class:`CaseError`: E-OFFICE-FOUNDED, E-OFFICE-UNKNOWN, E-OFFICE-KEY, E-OFFICE-LINES, E-OFFICE-DATE,
    E-OFFICE-LAST, E-OFFICE-MANY.
    """
    match act:
        case OfficersFounded():
            return _founded(state, act, context)
        case RoleGranted():
            after = _granted(state, act.officer, context)
        case RoleRevoked():
            after = _revoked(state, act.account, context)
        case LinesOverridden():
            return _overridden(state, act, context)
    _refuse_headless(after, context.now_ns)
    return after


def _founded(state: Officers, act: OfficersFounded, context: Context) -> Officers:
    if state.founded:
        raise CaseError(
            "E-OFFICE-FOUNDED", "this pole has officers already", where="officers.founded",
            todo="grant and revoke roles; nobody founds a second time", clause="5.1(1)",
        )  # fmt: skip
    if len({officer.account for officer in act.officers}) != len(act.officers):
        raise CaseError("E-OFFICE-KEY", "an account stands twice in the list", where="officers", todo="name each once")
    after = state
    for officer in act.officers:
        after = _granted(after, officer, context)
    _refuse_headless(after, context.now_ns)
    return after


def _granted(state: Officers, officer: Officer, context: Context) -> Officers:
    where = f"officer {officer.account}"
    begin_ns = ns_of(officer.not_before, where=where) if officer.not_before else 0
    if officer.not_after is not None and ns_of(officer.not_after, where=where) <= max(context.now_ns, begin_ns):
        raise CaseError(
            "E-OFFICE-DATE", f"{officer.account} would be an officer until {officer.not_after} only, never",
            where=where, todo="give a later not_after",
        )  # fmt: skip
    for account, standing in state.standings.items():
        if account != officer.account and standing.revoked is None and _same_key(standing.officer.key, officer.key):
            raise CaseError(
                "E-OFFICE-KEY", f"{account} has that key already; two accounts of one key are one person", where=where,
                todo="have each officer make a key of their own", clause="7.2(1)",
            )  # fmt: skip
    _refuse_both_lines(state, officer, context)
    if officer.account not in state.standings and len(state.standings) >= MOST_OFFICERS:
        raise CaseError("E-OFFICE-MANY", f"there are {MOST_OFFICERS} officers", where=where, todo="reuse a code")
    return replace(state, standings=_with(state.standings, officer.account, Standing(officer, context.number)))


def _refuse_both_lines(state: Officers, officer: Officer, context: Context) -> None:
    if officer.also is None:
        return
    crossing = {LINES[officer.role], LINES[officer.also]} == {Line.FOOTAGE, Line.FLOW}
    if not crossing or state.overrides.get(officer.account, 0) <= context.now_ns:
        raise CaseError(
            "E-OFFICE-LINES",
            f"{officer.account} would be {officer.role} and {officer.also}"
            + (": both lines of administration in one hand" if crossing else ": one role an account"),
            where=f"officer {officer.account}",
            todo="choose another officer; or have the chief sign a role.override with its end and its reason first"
            if crossing
            else "grant one role",
            clause="5.1(1)",
        )


def _revoked(state: Officers, account: str, context: Context) -> Officers:
    standing = state.standings.get(account)
    if standing is None or standing.revoked is not None:
        raise CaseError(
            "E-OFFICE-UNKNOWN", f"{account} {_why_not(standing, context.now_ns)}", where="the officers of this pole",
            todo="see officer list", clause="5.1(1)",
        )  # fmt: skip
    return replace(state, standings=_with(state.standings, account, replace(standing, revoked=context.number)))


def _overridden(state: Officers, act: LinesOverridden, context: Context) -> Officers:
    state.signer(act.account, context.now_ns)
    until_ns = ns_of(act.until, where="until")
    if not context.now_ns < until_ns <= context.now_ns + LONGEST_OVERRIDE_DAYS * NS_PER_DAY:
        raise CaseError(
            "E-OFFICE-DATE", f"{act.until} is not within the coming {LONGEST_OVERRIDE_DAYS} days", where="until",
            todo=f"give an end within {LONGEST_OVERRIDE_DAYS} days; a new act can follow", clause="5.1(1)",
        )  # fmt: skip
    return replace(state, overrides=_with(state.overrides, act.account, until_ns))


def _refuse_headless(state: Officers, now_ns: int) -> None:
    """Keep a chief and a manager: without them nobody could ever be granted a role again."""
    roles = {officer.role for officer in state.in_force(now_ns)}
    missing = [role for role in (Role.CHIEF, Role.MANAGER) if role not in roles]
    if missing:
        raise CaseError(
            "E-OFFICE-LAST", f"no {' and no '.join(missing)} would be in force", where="the officers of this pole",
            todo="name the successor first", clause="7.2(1)",
        )  # fmt: skip


def _in_force(standing: Standing, now_ns: int) -> bool:
    officer = standing.officer
    begun = officer.not_before is None or ns_of(officer.not_before, where=officer.account) <= now_ns
    ended = officer.not_after is not None and ns_of(officer.not_after, where=officer.account) <= now_ns
    return standing.revoked is None and begun and not ended


def _why_not(standing: Standing | None, now_ns: int) -> str:
    if standing is None:
        return "is no officer"
    if standing.revoked is not None:
        return f"was revoked by act {standing.revoked}"
    officer = standing.officer
    if officer.not_before is not None and now_ns < ns_of(officer.not_before, where=officer.account):
        return f"is an officer from {officer.not_before} on"
    return f"was an officer until {officer.not_after}"


def _same_key(one: str, other: str) -> bool:
    return one.split()[:2] == other.split()[:2]


def _with(entries: Mapping[str, Entry], key: str, entry: Entry) -> Mapping[str, Entry]:
    return MappingProxyType({**entries, key: entry})
