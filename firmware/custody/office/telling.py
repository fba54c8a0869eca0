"""How an act is told in the ledger: its event and closed fields. Pure.

Knows:  acts, and which of their fields are codes and numbers that may be told.
Never:  an organisation, a document's number, words, a code that somebody chose for a recipient or a medium.
Leaves: the fields of one ledger event.
Clauses: 7.3(1)3, 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.context import ns_of
from firmware.custody.office.register import Register
from firmware.footage import recipients
from firmware.footage.holds import living_from
from firmware.footage.settings import LONGEST_RETENTION_HOURS
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.ledger_events import Value

_TOLD_AS_IS: Final[Mapping[type[AnyAct], tuple[str, ...]]] = MappingProxyType(
    {
        acts.RoleRevoked: ("account",),
        acts.LinesOverridden: ("account",),
        acts.HoldPlaced: ("hold", "ends_epoch"),
        acts.HoldConfirmed: ("hold", "ends_epoch"),
        acts.HoldRenewed: ("hold", "ends_epoch"),
        acts.HoldLifted: ("hold",),
        acts.CaseOpened: ("case",),
        acts.CaseDocumented: ("case",),
        acts.CaseScoped: ("case",),
        acts.CaseApproved: ("case", "dossier"),
        acts.CaseRefused: ("case", "reason"),
        acts.CaseWithdrawn: ("case",),
        acts.CaseSealed: ("case", "dossier"),
        acts.CaseHandedOver: ("case", "package"),
        acts.CaseReceipted: ("case",),
        acts.CaseClosed: ("case",),
        acts.MediumOut: ("case",),
        acts.MediumSanitised: ("method",),
        acts.TimeStated: ("challenge",),
    }
)


def fields_of(act: AnyAct, after: Register, now_ns: int) -> dict[str, Value]:
    """Return the fields that are this kind of act's own; ``after`` is the register with it."""
    told: dict[str, Value] = {name: getattr(act, name) for name in _TOLD_AS_IS.get(type(act), ())}
    match act:
        case acts.OfficersFounded():
            told["officers"] = len(act.officers)
        case acts.RoleGranted():
            told |= {"account": act.officer.account, "role": str(act.officer.role)}
        case acts.LinesOverridden():
            told["until"] = ns_of(act.until, where="until") // NS_PER_SECOND
        case acts.GroupsChanged():
            told |= recipients.fingerprints(act.two_of_three or tuple(filter(None, (act.group_a, act.group_b))))
        case acts.HoldPlaced():
            told["kind"] = "provisional" if act.document is None else "confirmed"
            told["living_from"] = living_from(now_ns, LONGEST_RETENTION_HOURS)
    if isinstance(act, acts.HoldPlaced | acts.HoldConfirmed | acts.HoldRenewed):  # each line alone keeps the minutes
        span = after.holds.known(act.hold).span
        told |= {"first_epoch": span.first_epoch, "last_epoch": span.last_epoch}
    return told


def line_of(act: AnyAct, after: Register, signers: Sequence[str], now_ns: int, *, proven: bool) -> dict[str, Value]:
    """Return all fields of the act's line; ``after`` is the register with it, ``now_ns`` when it was judged."""
    return {
        **fields_of(act, after, now_ns),
        "number": after.number,
        "by": "/".join(signers),
        "act": act.sha256(),
        "at": now_ns // NS_PER_SECOND,
        "clock": "proven" if proven else "unproven",
    }
