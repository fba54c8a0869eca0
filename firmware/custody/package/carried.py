"""The case that a bundle carries.

Knows:  a bundle's proven members: its dossier and the acts that led to it.
Never:  a case that somebody tells: what the package rests on was signed by the officers and by the pole.
Leaves: the facts of the case, or a refusal.
Clauses: 7.2(1)2, 7.3(1)2.
"""

from __future__ import annotations

from pathlib import Path

from firmware.custody.bundle import archive
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.desk.opening import Prove
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.office.case_papers import Paper
from firmware.custody.package.facts import CaseFacts, Recipient, Step


def facts_of(bundle: Path, expected_key: PoleKey | None, prove: Prove) -> CaseFacts:
    """Return the case in ``bundle``, proven. Raises :class:`CaseError`, :class:`LedgerError`."""
    with archive.reading(bundle) as reader:
        checked = CheckedBundle(reader, expected_key)
        approvals = prove(checked)
    dossier, to = checked.dossier, checked.dossier.to
    return CaseFacts(
        case=dossier.case,
        basis=dossier.basis,
        document=dossier.document,
        spans=dossier.spans,
        recipient=Recipient(
            code=to.recipient,
            organisation=to.organisation,
            kind=to.kind,
            age_recipient=to.age_recipient,
            not_after=to.not_after,
            conditions=to.conditions,
        ),
        approved_by=(approvals.manager, approvals.chief),
        steps=tuple(_step(paper) for paper in checked.papers if paper.line.fields.get("case") == dossier.case),
    )


def _step(paper: Paper) -> Step:
    line = paper.line
    return Step(
        what=line.event, utc=line.utc, by=str(line.fields["by"]).split("/")[0], sha256=str(line.fields["act"]),
        ledger_line=line.index,
    )  # fmt: skip
