"""A case: from draft to closed, or refused, or withdrawn; two officers in between. Pure.

Knows:  document, scope, recipient, approvals, what was sealed, handed over and receipted.
Never:  a seal without a document number, two officers' approval of exactly this dossier, a recipient whose conditions
        cover it now, a proven clock; a step out of order.
Leaves: the cases after an act, or a refusal that names the clause and the next step.
Clauses: 7.2(1) (when, and on whose decision), 4.2(3) (only where the law says so), 7.3(1)2.

Scoping again, also after a hand-over (the body asks for more), makes another dossier, and so do a change of the
recipient's key or conditions: an approval counts only for the dossier it names.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from firmware.custody.office.acts import (
    CaseApproved,
    CaseClosed,
    CaseDocumented,
    CaseHandedOver,
    CaseOpened,
    CaseReceipted,
    CaseRefused,
    CaseScoped,
    CaseSealed,
    CaseWithdrawn,
)
from firmware.custody.office.case_stages import (
    DONE,
    FROM,
    NEXT,
    Approval,
    Case,
    CaseAct,
    Cases,
    Delivery,
    Ending,
    Stage,
)
from firmware.custody.office.context import NS_PER_DAY, Context, ns_of
from firmware.custody.office.dossier import MOST_SPANS, Dossier, addressee, document_number
from firmware.custody.office.fields import Role
from firmware.custody.office.instruments import JUDGED_THEN, Use, judge
from firmware.custody.office.recipients import Coverage, Recipient, Recipients, covers, minutes_of, normal
from firmware.ground.clock import NS_PER_MINUTE
from firmware.ground.errors import CaseError

WIDE_MINUTES: Final = 24 * 60
WIDE_CAMERAS: Final = 2


def dossier_of(case: Case, recipients: Recipients, pole: str) -> Dossier:
    """Return the dossier as it stands now. Raises :class:`CaseError` (E-CASE-ORDER) before there is a scope."""
    if case.basis is None or case.document is None or case.recipient is None:
        raise _out_of_order(case, "approved")
    return Dossier(
        pole=pole,
        case=case.number,
        basis=case.basis,
        document=case.document,
        spans=case.spans,
        to=addressee(recipients.known(case.recipient)),
        hold=case.hold,
        wide=case.wide,
        again=case.again,
    )


def approved_by(case: Case, dossier: str) -> tuple[str, str] | None:
    """Return the accounts of manager and chief who approved exactly this dossier; None while one is missing."""
    counting = [approval for approval in case.approvals if approval.dossier == dossier]
    for manager in counting:
        for chief in counting:
            if manager.account != chief.account and Role.MANAGER in manager.roles and Role.CHIEF in chief.roles:
                return manager.account, chief.account
    return None


def coverage(state: Cases, case: Case, recipient: Recipient, now_ns: int, *, proven: bool) -> Coverage:
    """Return what of a case's scope its recipient may have at ``now_ns``."""
    before = state.deliveries_to(recipient.code)
    return covers(
        recipient,
        case.spans,
        case.number,
        minutes_delivered=sum(delivery.minutes for delivery in before),
        deliveries=len(before),
        now_ns=now_ns,
        proven=proven,
    )


def deliverable(state: Cases, number: str, recipients: Recipients, pole: str, now_ns: int, *, proven: bool) -> Dossier:
    """Return the dossier of a case whose minutes may leave now: sealed, as approved, recipient covered, time proven.

    Raises :class:`CaseError`: E-CASE-NUMBER, E-CASE-ORDER, E-CASE-DOSSIER, E-CASE-APPROVALS, E-CASE-CLOCK,
    E-CASE-CONDITIONS.
    """
    case = state.known(number)
    if case.stage is not Stage.SEALED:
        raise _out_of_order(case, "bundled or handed over")
    dossier = dossier_of(case, recipients, pole)
    _refuse_unless_decided(case, case.seal or "", dossier.sha256())
    _refuse_unless_covered(state, case, recipients, now_ns, proven=proven)
    return dossier


def apply(state: Cases, act: CaseAct, context: Context, recipients: Recipients, pole: str) -> Cases:
    """Return the cases after ``act``, whose signers were authorised already. Raises :class:`CaseError`.

    E-CASE-NUMBER, E-CASE-ORDER, E-CASE-DOCUMENT, E-CASE-DUPLICATE, E-CASE-SCOPE, E-CASE-WIDE, E-CASE-CONDITIONS,
    E-CASE-DOSSIER, E-CASE-APPROVALS, E-CASE-CLOCK, E-CASE-REASON; besides those of ``instruments`` and ``recipients``.
    """
    if isinstance(act, CaseOpened):
        if act.case in state.entries:
            raise _refused("E-CASE-NUMBER", f"there is a case {act.case} already", act.case, "take a new number")
        return _put(state, Case(act.case, context.now_ns, act.by, hold=act.hold), context)
    case = state.known(act.case)
    if case.stage not in FROM[type(act)]:
        raise _out_of_order(case, DONE[type(act)])
    match act:
        case CaseDocumented():
            after = _documented(state, case, act, context)
        case CaseScoped():
            after = _scoped(state, case, act, context, recipients)
        case CaseApproved():
            after = _approved(case, act, context, dossier_of(case, recipients, pole).sha256())
        case CaseSealed():
            _refuse_unless_decided(case, act.dossier, dossier_of(case, recipients, pole).sha256())
            _refuse_unless_covered(state, case, recipients, context.now_ns, proven=context.proven)
            after = replace(case, stage=Stage.SEALED, seal=act.dossier)
        case CaseHandedOver():
            deliverable(state, case.number, recipients, pole, context.now_ns, proven=context.proven)
            after = _handed_over(case, act, context)
        case CaseReceipted():
            receipts = (*case.receipts, act.date)
            stage = Stage.RECEIPTED if len(receipts) == len(case.deliveries) else Stage.HANDED_OVER
            after = replace(case, stage=stage, receipts=receipts)
        case CaseClosed():
            after = replace(case, stage=Stage.CLOSED)
        case CaseRefused() | CaseWithdrawn():
            after = _ended(case, act, context)
    return _put(state, after, context)


def _documented(state: Cases, case: Case, act: CaseDocumented, context: Context) -> Case:
    number = document_number(act.document.number)
    if number != act.document.number:
        raise _refused(
            "E-CASE-DOCUMENT", "its number is not written plainly", case.number, f"write it as {number}", "7.2(1)2"
        )
    if ns_of(f"{act.document.date}T00:00:00Z", where="the document's date") > context.now_ns + NS_PER_DAY:
        raise _refused(
            "E-CASE-DOCUMENT", f"it is dated {act.document.date}, which has not come yet", case.number,
            "read its date again", "7.2(1)2",
        )  # fmt: skip
    judge(act.document.instrument, Use.RELEASE, context.bases or JUDGED_THEN, basis=act.basis)
    earlier = [other.number for other in state.with_document(number) if other.number != case.number]
    if earlier and act.reason is None:
        raise _refused(
            "E-CASE-DUPLICATE", f"document {number} stands in case {', '.join(sorted(earlier))} already", case.number,
            "look at that case; if this is another matter, say why with --reason", "7.2(1)2",
        )  # fmt: skip
    return replace(
        case, stage=Stage.DOCUMENTED, basis=act.basis, document=act.document, again=act.reason,
        spans=(), recipient=None, wide=None, approvals=(),
    )  # fmt: skip


def _scoped(state: Cases, case: Case, act: CaseScoped, context: Context, recipients: Recipients) -> Case:
    if not act.spans or act.spans != normal(act.spans) or len(act.spans) > MOST_SPANS:
        raise _refused(
            "E-CASE-SCOPE", "its stretches are none, too many, inverted, overlapping or out of order", case.number,
            f"give up to {MOST_SPANS} stretches, each once",
        )  # fmt: skip
    if any(span.last_epoch >= context.now_ns // NS_PER_MINUTE for span in act.spans):
        raise _refused("E-CASE-SCOPE", "its minutes have not all ended", case.number, "wait, or end it earlier")
    minutes, cameras = minutes_of(act.spans), len({span.camera for span in act.spans})
    if (minutes > WIDE_MINUTES or cameras > WIDE_CAMERAS) and act.reason is None:
        raise _refused(
            "E-CASE-WIDE", f"{minutes} minutes of {cameras} cameras: is that the least that is needed?", case.number,
            "ask for less, or say why so much with --reason",
        )  # fmt: skip
    recipient = recipients.known(act.recipient)
    if case.document is not None:
        judge(
            case.document.instrument, Use.RELEASE, context.bases or JUDGED_THEN, basis=case.basis, kind=recipient.kind
        )
    after = replace(
        case, stage=Stage.SCOPED, spans=act.spans, recipient=act.recipient, wide=act.reason, approvals=(), seal=None
    )
    _refuse_unless_covered(
        state, after, recipients, context.now_ns, proven=True
    )  # the clock is judged when it is sealed
    return after


def _approved(case: Case, act: CaseApproved, context: Context, dossier: str) -> Case:
    if act.dossier != dossier:
        raise _other_dossier(case)
    signer = context.signers[0]
    counting = tuple(approval for approval in case.approvals if approval.dossier == dossier)
    if any(approval.account == signer.account for approval in counting):
        raise _refused(
            "E-CASE-APPROVALS",
            f"{signer.account} has approved it already; the other one must",
            case.number,
            "have the other officer (manager or chief) approve it",
        )
    return replace(case, approvals=(*counting, Approval(signer.account, signer.roles, dossier)))


def _refuse_unless_decided(case: Case, named: str, dossier: str) -> None:
    if named != dossier:
        raise _other_dossier(case)
    if case.document is None or document_number(case.document.number) != case.document.number:
        raise _out_of_order(case, "sealed")
    if approved_by(case, dossier) is None:
        have = ", ".join(approval.account for approval in case.approvals if approval.dossier == dossier) or "nobody"
        raise _refused(
            "E-CASE-APPROVALS", f"two officers must approve this dossier, a manager and a chief; so far: {have}",
            case.number, "have the missing one approve it: case approve",
        )  # fmt: skip


def _refuse_unless_covered(state: Cases, case: Case, recipients: Recipients, now_ns: int, *, proven: bool) -> None:
    if not proven:
        raise _refused(
            "E-CASE-CLOCK", "the pole's clock is not proven, so nobody knows what has expired", case.number,
            "prove the time first: wait for network time, or have an officer state it", "7.1(3)",
        )  # fmt: skip
    found = coverage(state, case, recipients.known(case.recipient or ""), now_ns, proven=proven)
    if not found.whole:
        why = "; ".join(dict.fromkeys(difference.words for difference in found.differences))
        raise _refused(
            "E-CASE-CONDITIONS", f"{case.recipient} may not have all of it: {why}", case.number,
            "scope what it may have, or have its entry changed: recipient change", "7.3(1)2",
        )  # fmt: skip


def _handed_over(case: Case, act: CaseHandedOver, context: Context) -> Case:
    delivery = Delivery(case.recipient or "", minutes_of(case.spans), act.package, act.medium, context.now_ns)
    return replace(case, stage=Stage.HANDED_OVER, deliveries=(*case.deliveries, delivery))


def _ended(case: Case, act: CaseRefused | CaseWithdrawn, context: Context) -> Case:
    outcome = Stage.REFUSED if isinstance(act, CaseRefused) else Stage.WITHDRAWN
    reason = act.reason if isinstance(act, CaseRefused) else "withdrawn"
    if reason == "other" and act.words is None:
        raise _refused("E-CASE-REASON", "other is no reason by itself", case.number, "say it with --words")
    ending = Ending(outcome, reason, act.words, context.now_ns, act.by, case.spans)
    stage = outcome
    if case.deliveries:  # only the extension ends; what was handed over before still needs its receipt
        stage = Stage.RECEIPTED if len(case.receipts) == len(case.deliveries) else Stage.HANDED_OVER
    return replace(case, stage=stage, approvals=(), seal=None, endings=(*case.endings, ending))


def _put(state: Cases, case: Case, context: Context) -> Cases:
    case = replace(case, acts=(*case.acts, context.sha256))
    return replace(state, entries=MappingProxyType({**state.entries, case.number: case}))


def _out_of_order(case: Case, done: str) -> CaseError:
    return _refused("E-CASE-ORDER", f"it is {case.stage} and cannot be {done} now", case.number, NEXT[case.stage])


def _other_dossier(case: Case) -> CaseError:
    return _refused(
        "E-CASE-DOSSIER", "document, scope or recipient are not as they were when this was drawn up", case.number,
        "read it again with case show, and approve what it says now",
    )  # fmt: skip


def _refused(code: str, what: str, number: str, todo: str, clause: str = "7.2(1)") -> CaseError:
    return CaseError(code, what, where=f"case {number}", todo=todo, clause=clause)
