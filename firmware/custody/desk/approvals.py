"""Did two officers approve exactly this, for exactly this body? Judged at the desk, from the bundle alone.

Knows:  a proven bundle's dossier and acts, the port that verifies signatures, perhaps the office's own list of keys.
Never:  an approval believed because the pole says so: the officers' own signatures are verified again.
Leaves: who approved, by which keys; or a refusal that names the act.
Clauses: 7.2(1) (two officers, document, scope), 7.3(1)2 (recipient and conditions), 4.2(3).

The keys come from the acts themselves, from the founding on. Who controls a pole could found an office of its own on
it; hence the list, kept at the city hall, with which an officer compares them (``--officers``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.office.case_papers import MOST_ACTS, judge
from firmware.custody.office.case_stages import Stage
from firmware.custody.office.cases import approved_by, dossier_of
from firmware.custody.office.signatures import Signatures
from firmware.ground.errors import CaseError


@dataclass(frozen=True, slots=True)
class Approvals:
    """Who approved the dossier with that SHA-256, with which keys; ``compared``: by the office's own list."""

    dossier: str
    manager: str
    chief: str
    keys: Mapping[str, str]
    compared: bool


def prove_approvals(
    checked: CheckedBundle, signatures: Signatures, listed: Mapping[str, str] | None = None
) -> Approvals:
    """Judge every act of ``checked`` again, and that they lead to this dossier sealed on two officers' approvals.

    ``listed``: account -> public key, as the office keeps them; every key that decided must stand there. Raises
    :class:`CaseError`: E-OFFICE-FORGED and its kind, E-CASE-APPROVALS, E-CASE-OFFICERS. Blocks.
    """
    with ThreadPoolExecutor(1) as one:  # a loop of its own, whoever calls
        return one.submit(asyncio.run, _prove(checked, signatures, listed)).result()


async def _prove(checked: CheckedBundle, signatures: Signatures, listed: Mapping[str, str] | None) -> Approvals:
    found = checked.index
    if len(checked.papers) > MOST_ACTS:
        raise _unapproved("it carries more acts than a case can have", checked)
    register, keys = await judge(found.pole, checked.papers, signatures)
    case = register.cases.entries.get(found.case)
    if case is None or case.stage is not Stage.SEALED or case.seal != found.dossier:
        raise _unapproved(f"its acts do not seal case {found.case}", checked)
    if dossier_of(case, register.recipients, found.pole) != checked.dossier:
        raise _unapproved("its acts lead to another document, other minutes or another recipient", checked)
    who = approved_by(case, found.dossier)
    if who is None:
        raise _unapproved("manager and chief have not both approved it", checked)
    for account in sorted(keys) if listed is not None else ():
        mine = (listed or {}).get(account)
        if mine != keys[account]:
            how = "is not on" if mine is None else "has another key by"
            raise CaseError(
                "E-CASE-OFFICERS", f"{account} {how} the office's own list", where=checked.where,
                todo="hand nothing out: find out who founded this pole's office, and when", clause="7.2(1)",
            )  # fmt: skip
    manager, chief = who
    return Approvals(found.dossier, manager, chief, keys, compared=listed is not None)


def _unapproved(what: str, checked: CheckedBundle) -> CaseError:
    return CaseError(
        "E-CASE-APPROVALS", what, where=checked.where,
        todo="hand nothing out; keep the bundle as evidence and ask the pole's officers", clause="7.2(1)",
    )  # fmt: skip
