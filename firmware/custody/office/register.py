"""The register: everything the office knows, as a fold over the acts that took effect. Pure.

Knows:  officers, recipients, media, holds, cases as they stand; which acts were done.
Never:  a clock, a file, an act done twice, an act of another pole, an act whose signers may not do it.
Leaves: the register after an act, or a refusal that says what, under which clause, and what to do next.
Clauses: 5.1(1), 7.1(4), 7.2(1), 7.3(1)2, 7.3(1)3, 4.2(3).

``decide`` is the only way from one register to the next, when an act is done and when the ledger is read again: the
same inputs (act, signers, second, clock proven or not) stand in the ledger's line, so the same verdict comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from firmware.custody.office import cases, holds, media, officers, recipients
from firmware.custody.office.acts import (
    GOOD_FOR_HOURS,
    AnyAct,
    CaseHandedOver,
    CaseOpened,
    GroupsChanged,
    HoldPlaced,
    HoldRenewed,
    LinesOverridden,
    MediumOut,
    OfficersFounded,
    RoleGranted,
    RoleRevoked,
    TimeStated,
)
from firmware.custody.office.authority import LINES, Line, Signer, authorise
from firmware.custody.office.case_stages import Cases
from firmware.custody.office.context import Context, ns_of
from firmware.custody.office.fields import Officer, Role
from firmware.custody.office.holds import Holds
from firmware.custody.office.media import Media
from firmware.custody.office.officers import Officers
from firmware.custody.office.recipients import Recipients
from firmware.footage.settings import LegalBases
from firmware.footage.settings import Officers as Groups
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.config import OutOfLaw
from firmware.ground.errors import CaseError

EARLY_MINUTES: Final = 10
"""How far ahead of the pole's clock an officer's may be."""

_NS_PER_HOUR: Final = 3_600 * NS_PER_SECOND
_DECIDERS: Final = frozenset({Role.CHIEF, Role.MANAGER})
_WEIGHTS: Final = ("", "outside", "decider")
"""What either of two may do, what the chief does, what needs both: the heavier of before and after counts."""


@dataclass(frozen=True, slots=True)
class Register:
    """All that is in force on ``pole`` after ``number`` acts; ``done`` are their hashes."""

    pole: str
    number: int = 0
    done: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    officers: Officers = field(default_factory=Officers)
    recipients: Recipients = field(default_factory=Recipients)
    media: Media = field(default_factory=Media)
    holds: Holds = field(default_factory=Holds)
    cases: Cases = field(default_factory=Cases)
    groups: GroupsChanged | None = None

    def signer(self, act: AnyAct, account: str, now_ns: int) -> Signer:
        """Return what ``account`` signs ``act`` as: by this register, or by the founding act's own list."""
        if isinstance(act, OfficersFounded) and not self.officers.founded:
            return _founder(act, account)
        return self.officers.signer(account, now_ns)

    def key(self, act: AnyAct, account: str) -> str | None:
        """Return the public key with which ``account`` must have signed ``act``; None where there is none."""
        if isinstance(act, OfficersFounded) and not self.officers.founded:
            return next((officer.key for officer in act.officers if officer.account == account), None)
        return self.officers.key(account)


def decide(
    register: Register,
    act: AnyAct,
    signers: Sequence[str],
    now_ns: int,
    *,
    proven: bool,
    bases: LegalBases | None = None,
) -> Register:
    """Return the register after ``act``, or raise :class:`CaseError`; nothing is done on a raise.

    ``signers``: the accounts whose signatures over the act were verified with :meth:`Register.key`, first the one that
    drew it up. ``now_ns``: a whole second, UTC. ``bases``: see :class:`Context`.
    """
    _refuse_misplaced(register, act, now_ns)
    if not signers or act.by != signers[0]:
        raise CaseError(
            "E-OFFICE-SIGNERS", f"drawn up by {act.by}, signed by {', '.join(signers) or 'nobody'}",
            where=name_of(act), todo=f"{act.by} must sign it too", clause="7.3(1)2",
        )  # fmt: skip
    signed_as = tuple(register.signer(act, account, now_ns) for account in signers)
    authorise(of(register, act), signed_as)
    context = Context(register.number + 1, act.sha256(), now_ns, proven, signed_as, bases)
    after = _applied(register, act, context)
    return replace(after, number=context.number, done=MappingProxyType({**register.done, context.sha256: now_ns}))


def name_of(act: AnyAct) -> str:
    """Return the act's tag: ``role.granted``."""
    return str(type(act).__struct_config__.tag)


def of(register: Register, act: AnyAct) -> str:
    """Return by which line of ``authority.ACTS`` this act is judged: its tag, and a variant where that matters."""
    name = name_of(act)
    match act:
        case RoleGranted():
            before = register.officers.standings.get(act.officer.account)
            variant = max(_weight(act.officer), _weight(before.officer) if before else "", key=_WEIGHTS.index)
        case RoleRevoked():
            before = register.officers.standings.get(act.account)
            variant = _weight(before.officer) if before else ""
        case LinesOverridden():
            before = register.officers.standings.get(act.account)
            variant = "own" if before and before.officer.role is Role.CHIEF else ""
        case HoldPlaced():
            variant = "" if act.document is None else "document"
        case HoldRenewed():
            hold = register.holds.entries.get(act.hold)
            variant = "year" if hold and holds.needs_chief(hold, act.ends_epoch) else ""
        case _:
            variant = ""
    return f"{name}:{variant}" if variant else name


def _applied(register: Register, act: AnyAct, context: Context) -> Register:
    """Hand the act to the part that it belongs to; here parts meet that do not know each other."""
    match act:
        case OfficersFounded() | RoleGranted() | RoleRevoked() | LinesOverridden():
            return replace(register, officers=officers.apply(register.officers, act, context))
        case GroupsChanged():
            _refuse_no_rule(act)
            return replace(register, groups=act)
        case TimeStated():
            return register
    if isinstance(act, recipients.RecipientAct):
        return replace(register, recipients=recipients.apply(register.recipients, act, context))
    if isinstance(act, MediumOut):
        register.cases.known(act.case)
    if isinstance(act, media.MediumAct):
        return replace(register, media=media.apply(register.media, act, context))
    if isinstance(act, holds.HoldAct):
        return replace(register, holds=holds.apply(register.holds, act, context))
    if isinstance(act, CaseHandedOver) and act.medium is not None:
        register.media.refuse_unless_out(act.medium, act.case)
    if isinstance(act, CaseOpened) and act.hold is not None:
        register.holds.known(act.hold)
    after = cases.apply(register.cases, act, context, register.recipients, register.pole)
    return replace(register, cases=after)


def _refuse_no_rule(act: GroupsChanged) -> None:
    """Refuse a set of keys that footage.toml could not hold either: two rules at once, none, one key twice."""
    try:
        Groups(a=act.group_a, b=act.group_b, two_of_three=act.two_of_three)
    except OutOfLaw as error:
        raise CaseError(
            "E-OFFICE-KEYS", error.what, where=name_of(act), todo="draw it up anew", clause="7.3(1)1"
        ) from None


def _refuse_misplaced(register: Register, act: AnyAct, now_ns: int) -> None:
    """Refuse what belongs to another pole, another time, or was done already."""
    if act.pole != register.pole:
        raise CaseError(
            "E-OFFICE-POLE", f"this act is for {act.pole}, this pole is {register.pole}", where=name_of(act),
            todo="draw it up for this pole, or take it to the other", clause="7.3(1)2",
        )  # fmt: skip
    if act.sha256() in register.done:
        raise CaseError(
            "E-OFFICE-REPLAYED", "exactly this act was done already", where=f"{name_of(act)} of {act.utc}",
            todo="draw up a new one if it is to be done again", clause="7.3(1)2",
        )  # fmt: skip
    drawn_ns = ns_of(act.utc, where="utc")
    if isinstance(act, TimeStated):
        return  # it is about a clock that may be years off; the pole's challenge keeps it fresh
    if drawn_ns + GOOD_FOR_HOURS * _NS_PER_HOUR < now_ns:
        raise CaseError(
            "E-OFFICE-STALE", f"drawn up at {act.utc}, more than {GOOD_FOR_HOURS} hours ago", where=name_of(act),
            todo="draw it up and sign it anew", clause="7.3(1)2",
        )  # fmt: skip
    if drawn_ns > now_ns + EARLY_MINUTES * 60 * NS_PER_SECOND:
        raise CaseError(
            "E-OFFICE-EARLY", f"drawn up at {act.utc}, which has not come yet by the pole's clock", where=name_of(act),
            todo="check both clocks; the pole's is shown by its status", clause="7.3(1)2",
        )  # fmt: skip


def _founder(act: OfficersFounded, account: str) -> Signer:
    for officer in act.officers:
        if officer.account == account:
            return Signer(account, frozenset({officer.role}), officer.group)
    raise CaseError(
        "E-OFFICE-UNKNOWN", f"{account} is not among the officers to be founded", where="officers.founded",
        todo="a chief and a manager of the list sign it", clause="5.1(1)",
    )  # fmt: skip


def _weight(officer: Officer) -> str:
    """Return the variant by which an officer is granted or revoked: by two, by the chief, or (empty) by either."""
    if officer.role in _DECIDERS or officer.group is not None or officer.also in _DECIDERS:
        return "decider"
    return "" if LINES[officer.role] is Line.FOOTAGE and officer.also is None else "outside"
