"""The acts that prove one case, as they travel with its bundle, and how they are judged again where they arrive.

Knows:  acts with their signatures and the ledger's lines about them, of one case.
Never:  another case's document, an act believed without signature and line, a rule of its own: ``register`` judges.
Leaves: the register as far as this case needs it, or a refusal that names the act.
Clauses: 7.2(1) (two officers, on this document, for these minutes), 7.3(1)2, 7.3(1)3.

What travels: all acts about officers, those about the recipient, the hold, the media and the case itself. Acts of
other cases do not, so what a recipient received there before is judged on the pole alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.case_stages import CaseAct
from firmware.custody.office.holds import HoldAct
from firmware.custody.office.journal import Entry, decoded
from firmware.custody.office.media import MediumAct
from firmware.custody.office.officers import OfficerAct
from firmware.custody.office.recipients import RecipientAct
from firmware.custody.office.register import Register, decide, name_of
from firmware.custody.office.signatures import Signatures
from firmware.custody.office.telling import line_of
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import CaseError
from firmware.ground.ledger_lines import Line
from firmware.ground.ledger_office import OFFICE_EVENTS

MOST_ACTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Paper:
    """One act as it travels: its bytes, the signatures under it by account, and the ledger's line about it."""

    act: bytes
    signatures: Mapping[str, bytes]
    line: Line


def about(case: str, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return those of ``entries`` (all of a pole) that prove ``case``, in their order."""
    own = [entry.act for entry in entries if isinstance(entry.act, CaseAct) and entry.act.case == case]
    holds = {act.hold for act in own if isinstance(act, acts.CaseOpened)}
    recipients = {act.recipient for act in own if isinstance(act, acts.CaseScoped)}
    media = {act.medium for act in own if isinstance(act, acts.CaseHandedOver)}

    def is_needed(act: AnyAct) -> bool:
        if isinstance(act, HoldAct):
            return act.hold in holds
        if isinstance(act, RecipientAct):
            return act.recipient in recipients
        if isinstance(act, MediumAct):
            return act.medium in media
        if isinstance(act, CaseAct):
            return act.case == case
        return isinstance(act, OfficerAct)

    return tuple(entry for entry in entries if is_needed(entry.act))


async def judge(pole: str, papers: Iterable[Paper], signatures: Signatures) -> tuple[Register, dict[str, str]]:
    """Fold ``papers`` into a register, judging each again: hash, signatures, authority, rules, line.

    Returns it with the public keys by which accounts have signed. The lines must have been proven before. Raises
    :class:`CaseError`: E-OFFICE-EDITED, E-OFFICE-FORGED, E-OFFICE-LEDGER, naming the ledger's line.
    """
    register, keys = Register(pole), dict[str, str]()
    for paper in papers:
        register = await _judge(register, paper, signatures, keys)
    return register, keys


async def _judge(register: Register, paper: Paper, signatures: Signatures, keys: dict[str, str]) -> Register:
    line = paper.line
    if line.event not in OFFICE_EVENTS:
        raise _wrong("E-OFFICE-LEDGER", f"{line.event} tells of no act", line)
    told, act = dict(line.fields), decoded(paper.act)
    number, signers = int(told["number"]), tuple(str(told["by"]).split("/"))
    now_ns, proven = int(told["at"]) * NS_PER_SECOND, told["clock"] == "proven"
    if act.sha256() != told["act"]:
        raise _wrong("E-OFFICE-EDITED", f"act {number} is not the one that took effect", line)
    if number <= register.number:
        raise _wrong("E-OFFICE-LEDGER", f"act {number} does not come after act {register.number}", line)
    if set(paper.signatures) != set(signers):
        raise _wrong("E-OFFICE-FORGED", f"act {number} does not carry exactly the signatures it was done on", line)
    register = replace(register, number=number - 1)  # those in between are other matters
    for account in signers:
        key = register.key(act, account)
        if key is None or not await signatures.verify(paper.act, paper.signatures[account], key):
            raise _wrong(
                "E-OFFICE-FORGED", f"the signature of {account} under act {number} is not by that officer's key", line
            )
        keys[account] = key
    try:
        after = decide(register, act, signers, now_ns, proven=proven)
    except CaseError as error:
        raise _wrong("E-OFFICE-FORGED", f"act {number} could not have been done: {error.what}", line) from None
    if (line.event, told) != (name_of(act), line_of(act, after, signers, now_ns, proven=proven)):
        raise _wrong("E-OFFICE-LEDGER", f"the line tells something else than act {number} says", line)
    return after


def _wrong(code: str, what: str, line: Line) -> CaseError:
    return CaseError(
        code, what, where=f"ledger line n={line.index}, {line.event}",
        todo="hand nothing out; keep the bundle as evidence and compare with the pole's own acts", clause="7.2(1)",
    )  # fmt: skip
