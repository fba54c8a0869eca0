"""The case that a bundle carries, as its package tells it.

Knows:  a bundle's dossier and acts, proven by the pole's ledger and by two officers' own signatures.
Never:  a case that somebody tells: what a package rests on comes with the bundle.
Leaves: the facts of the case.
Clauses: 7.2(1)2 (the document), 7.3(1)2 (to whom, and every step that led there).
"""

from __future__ import annotations

from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.desk.approvals import Approvals
from firmware.custody.office.fields import WORDS
from firmware.custody.package.facts import CaseFacts, Recipient, Step
from firmware.custody.package.saying import STEPS
from firmware.ground.clock import NS_PER_SECOND, iso_utc


def facts_of(checked: CheckedBundle, approvals: Approvals) -> CaseFacts:
    """Return the case of ``checked``, whose ``approvals`` were proven before."""
    dossier = checked.dossier
    sealed_to = dossier.to.age_recipient
    return CaseFacts(
        pole=dossier.pole,
        case=dossier.case,
        basis=dossier.basis,
        document=dossier.document,
        spans=dossier.spans,
        recipient=Recipient(
            code=dossier.to.recipient,
            organisation=dossier.to.organisation,
            kind=dossier.to.kind,
            age_recipient=None if sealed_to == WORDS else sealed_to,
            not_after=dossier.to.not_after,
            conditions=dossier.to.conditions,
        ),
        approved_by=(approvals.manager, approvals.chief),
        steps=tuple(
            Step(
                what=paper.line.event,
                utc=iso_utc(int(paper.line.fields["at"]) * NS_PER_SECOND),
                by=str(paper.line.fields["by"]).split("/")[0],
                sha256=str(paper.line.fields["act"]),
                ledger_line=paper.line.index,
            )
            for paper in checked.papers
            if paper.line.event in STEPS
        ),
    )
