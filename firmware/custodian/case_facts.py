"""A case as facts for an officer's screen, and whether its bundle was made.

Knows:  the register, the ledger's lines about bundles.
Never:  a picture, a person.
Leaves: facts; a refusal where nothing was bundled.
Clauses: 7.2(1), 7.3(1)2.
"""

from __future__ import annotations

from firmware.custodian.acting import Office
from firmware.custodian.answers import Facts
from firmware.custodian.scopes import spans_of
from firmware.custody.office.case_stages import NEXT, Case, Stage, receipts_missing
from firmware.custody.office.cases import approved_by, coverage, dossier_of
from firmware.ground.clock import iso_utc
from firmware.ground.errors import CaseError


def case_facts(office: Office, case: Case) -> Facts:
    """Return what there is to say of a case, and what comes next."""
    facts: Facts = {
        "case": case.number, "state": case.stage, "hold": case.hold,
        "document": case.document.number if case.document else None,
        "instrument": case.document.instrument if case.document else None,
        "authority": case.document.authority if case.document else None,
        "spans": spans_of(case.spans), "recipient_code": case.recipient, "reason": case.wide,
    }  # fmt: skip
    if case.recipient is not None and case.stage in (Stage.SCOPED, Stage.SEALED):
        register = office.register
        sha256 = dossier_of(case, register.recipients, office.pole).sha256()
        found = coverage(
            register.cases, case, register.recipients.known(case.recipient), office.now_ns, proven=office.proven
        )
        facts |= {
            "dossier": sha256,
            "approved_by": [each.account for each in case.approvals if each.dossier == sha256],
            "approved": approved_by(case, sha256) is not None,
            "not_covered": [each.words for each in found.differences],
        }
    return facts | {
        "deliveries": [{"at": iso_utc(each.at_ns), "sha256": each.package} for each in case.deliveries],
        "receipts_missing": len(list(receipts_missing(case))),
        "endings": [{"state": each.outcome, "reason": each.reason} for each in case.endings],
        "next": NEXT[case.stage],
    }


def refuse_without_bundle(office: Office, number: str) -> None:
    """Raise :class:`CaseError` (E-CASE-ORDER) where the ledger tells of no finished bundle of this seal. Blocks."""
    if office.holdings is None:
        return
    case, ledger = office.register.cases.known(number), office.holdings.ledger
    abandoned = {line.fields["bundled_line"] for line in ledger.lines("case.abandoned")}
    made = [
        line.index
        for line in ledger.lines("case.bundled")
        if (line.fields["case"], line.fields["dossier"]) == (number, case.seal) and line.index not in abandoned
    ]
    if not made:
        raise CaseError(
            "E-CASE-ORDER", "no bundle of it was made, so no package can have gone out", where=f"case {number}",
            todo=NEXT[Stage.SEALED], clause="7.2(1)",
        )  # fmt: skip
