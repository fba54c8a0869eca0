"""A case's way, all of it: every order of steps is tried, and what must never be reached is not.

The steps are few, so the state space is small enough to be walked to its end (:func:`test_every_state_there_is`); what
holds there holds for every history of these steps, however long.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from pyrage import x25519

from firmware.custody.office import recipients
from firmware.custody.office.acts import (
    Act,
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
    RecipientAdded,
    RecipientChanged,
    RecipientSuspended,
)
from firmware.custody.office.authority import Signer
from firmware.custody.office.case_stages import FROM, Case, Cases, Stage
from firmware.custody.office.cases import apply, approved_by, coverage, dossier_of
from firmware.custody.office.context import Context
from firmware.custody.office.dossier import decode
from firmware.custody.office.fields import Basis, Conditions, Document, Instrument, RecipientKind, Role, Span
from firmware.custody.office.recipients import Recipients
from firmware.footage.settings import LegalBases
from firmware.ground.clock import NS_PER_MINUTE, iso_utc
from firmware.ground.errors import CaseError

BASES = LegalBases()
NOW = 29_940_000
DAY = 24 * 60
MANAGER = Signer("mgr-sato", frozenset({Role.MANAGER}))
CHIEF = Signer("chief-ito", frozenset({Role.CHIEF}))
DEPUTY = Signer("mgr-kato", frozenset({Role.MANAGER}))
SPAN = Span(camera="cam0", first_epoch=NOW - 300, last_epoch=NOW - 200)
OTHER = Span(camera="cam0", first_epoch=NOW - 100, last_epoch=NOW - 99)
INQUIRY = Document(
    number="小刑発第123号", date="2026-11-20", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
)
KEYS = [str(x25519.Identity.generate().to_public()) for _ in range(3)]
COMMON = {"pole": "sp03", "utc": "2026-11-23T00:00:00Z", "nonce": "0" * 32}


def at(now: int, signer: Signer, *, proven: bool = True, bases: LegalBases | None = BASES) -> Context:
    return Context(1, f"{now:064x}", now * NS_PER_MINUTE, proven, (signer,), bases)


def a_recipient(
    code: str = "odawara-ps",
    kind: RecipientKind = RecipientKind.POLICE_STATION,
    key: str = KEYS[0],
    conditions: Conditions | None = None,
    days: int = 30,
) -> RecipientAdded:
    return RecipientAdded(
        **COMMON, by="mgr-sato", recipient=code, organisation="小田原警察署", kind=kind, age_recipient=key,
        not_after=iso_utc((NOW + days * DAY) * NS_PER_MINUTE), conditions=conditions or Conditions(),
    )  # fmt: skip


def bodies(*added: RecipientAdded) -> Recipients:
    state = Recipients()
    for act in added or (a_recipient(),):
        state = recipients.apply(state, act, at(NOW, MANAGER))
    return state


@dataclass
class Office:
    """Cases and recipients of one pole, and a short way to do a step."""

    cases: Cases
    recipients: Recipients
    now: int = NOW

    def do(self, act: Act, signer: Signer = MANAGER, *, proven: bool = True, bases: LegalBases | None = BASES) -> None:
        context = at(self.now, signer, proven=proven, bases=bases)
        self.cases = apply(self.cases, act, context, self.recipients, "sp03")  # type: ignore[arg-type]  # one of them

    def refusal(self, act: Act, signer: Signer = MANAGER, **facts: object) -> CaseError:
        before = self.cases
        with pytest.raises(CaseError) as caught:
            self.do(act, signer, **facts)  # type: ignore[arg-type]  # a test's own facts
        assert self.cases is before
        return caught.value

    @property
    def case(self) -> Case:
        return self.cases.known("2026-0012")

    def dossier(self) -> str:
        return dossier_of(self.case, self.recipients, "sp03").sha256()


def opened(case: str = "2026-0012") -> CaseOpened:
    return CaseOpened(**COMMON, by="mgr-sato", case=case)


def documented(document: Document = INQUIRY, case: str = "2026-0012", reason: str | None = None) -> CaseDocumented:
    basis = Basis.REQUEST if document.instrument is Instrument.INVESTIGATION_INQUIRY else Basis.LAW
    return CaseDocumented(**COMMON, by="mgr-sato", case=case, basis=basis, document=document, reason=reason)


def scoped(*spans: Span, to: str = "odawara-ps", reason: str | None = None, case: str = "2026-0012") -> CaseScoped:
    return CaseScoped(**COMMON, by="mgr-sato", case=case, spans=spans or (SPAN,), recipient=to, reason=reason)


def approved(dossier: str, by: str = "mgr-sato") -> CaseApproved:
    return CaseApproved(**COMMON, by=by, case="2026-0012", dossier=dossier)


def sealed(dossier: str) -> CaseSealed:
    return CaseSealed(**COMMON, by="mgr-sato", case="2026-0012", dossier=dossier)


def handed_over(package: str = "ab" * 32) -> CaseHandedOver:
    return CaseHandedOver(**COMMON, by="mgr-sato", case="2026-0012", package=package)


RECEIPTED = CaseReceipted(**COMMON, by="mgr-sato", case="2026-0012", date="2026-11-24")
CLOSED = CaseClosed(**COMMON, by="mgr-sato", case="2026-0012")
REFUSED = CaseRefused(**COMMON, by="mgr-sato", case="2026-0012", reason="too-wide")
WITHDRAWN = CaseWithdrawn(**COMMON, by="mgr-sato", case="2026-0012")


@pytest.fixture
def office() -> Office:
    office = Office(Cases(), bodies())
    office.do(opened())
    return office


def until_scoped(office: Office, *spans: Span) -> str:
    office.do(documented())
    office.do(scoped(*spans))
    return office.dossier()


def until_sealed(office: Office) -> str:
    dossier = until_scoped(office) if office.case.stage is Stage.DRAFT else office.dossier()
    office.do(approved(dossier), MANAGER)
    office.do(approved(dossier, "chief-ito"), CHIEF)
    office.do(sealed(dossier))
    return dossier


def test_the_whole_way(office: Office) -> None:
    dossier = until_sealed(office)
    assert approved_by(office.case, dossier) == ("mgr-sato", "chief-ito")
    office.do(handed_over())
    office.do(RECEIPTED)
    office.do(CLOSED)
    assert (office.case.stage, office.case.seal, len(office.case.acts)) == (Stage.CLOSED, dossier, 9)
    assert [(d.recipient, d.minutes) for d in office.cases.deliveries_to("odawara-ps")] == [("odawara-ps", 101)]


def test_a_dossier_holds_all_that_is_approved_in_canonical_bytes(office: Office) -> None:
    until_scoped(office)
    dossier = dossier_of(office.case, office.recipients, "sp03")
    assert decode(dossier.encoded()) == dossier
    assert (dossier.document, dossier.spans, dossier.to.age_recipient) == (INQUIRY, (SPAN,), KEYS[0])


@pytest.mark.parametrize("number", ["なし", "-", " ", "none"])
def test_no_number_no_document(office: Office, number: str) -> None:
    error = office.refusal(documented(replace_number(number)))
    assert (error.code, error.clause) == ("E-CASE-DOCUMENT", "7.2(1)2")


def replace_number(number: str) -> Document:
    return Document(
        number=number, date="2026-11-20", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
    )


def test_a_number_is_written_plainly_and_a_date_has_come(office: Office) -> None:
    assert "小刑発第123号" in office.refusal(documented(replace_number("小刑発第１２３号"))).todo
    late = Document(number="1", date="2027-01-01", authority="x", instrument=Instrument.WARRANT)
    assert office.refusal(documented(late)).code == "E-CASE-DOCUMENT"
    never = Document(number="1", date="2026-11-31", authority="x", instrument=Instrument.WARRANT)
    assert office.refusal(documented(never)).code == "E-OFFICE-DATE"


def test_the_wrong_instrument_is_refused_with_its_clause_and_the_right_one_named(office: Office) -> None:
    phone = Document(number="1", date="2026-11-20", authority="x", instrument=Instrument.TELEPHONE)
    act = CaseDocumented(**COMMON, by="mgr-sato", case="2026-0012", basis=Basis.REQUEST, document=phone)
    error = office.refusal(act)
    assert (error.code, error.clause, "捜査関係事項照会書" in error.todo) == ("E-CASE-INSTRUMENT", "7.2(1)", True)
    bar = Document(number="1", date="2026-11-20", authority="x", instrument=Instrument.BAR_INQUIRY)
    assert office.refusal(documented(bar)).code == "E-CASE-BASIS-OFF"
    office.do(documented(bar), bases=None)  # read again out of the ledger: it was on then


def test_a_number_that_came_before_shows_the_earlier_case_and_asks_why(office: Office) -> None:
    office.do(documented())
    office.do(opened("2026-0013"))
    error = office.refusal(documented(case="2026-0013"))
    assert (error.code, "2026-0012" in error.what) == ("E-CASE-DUPLICATE", True)
    office.do(documented(case="2026-0013", reason="同じ照会書の別紙"))


def test_a_wide_scope_says_why(office: Office) -> None:
    office.do(documented())
    day = Span(camera="cam0", first_epoch=NOW - 1441, last_epoch=NOW - 2)
    office.do(scoped(day))
    wider = Span(camera="cam0", first_epoch=NOW - 1442, last_epoch=NOW - 2)
    error = office.refusal(scoped(wider))
    assert (error.code, error.clause) == ("E-CASE-WIDE", "7.2(1)")
    office.do(scoped(wider, reason="犯行時刻が特定できない"))
    cameras = [Span(camera=f"cam{n}", first_epoch=NOW - 5, last_epoch=NOW - 4) for n in range(3)]
    assert office.refusal(scoped(*cameras)).code == "E-CASE-WIDE"
    office.do(scoped(*cameras[:2]))


@pytest.mark.parametrize(
    "spans",
    [
        (Span(camera="cam0", first_epoch=NOW - 4, last_epoch=NOW - 5),),
        (SPAN, SPAN),
        (OTHER, SPAN),
        (SPAN, Span(camera="cam0", first_epoch=NOW - 199, last_epoch=NOW - 198)),
        (Span(camera="cam0", first_epoch=NOW - 4, last_epoch=NOW),),
    ],
)
def test_a_scope_is_minutes_that_have_ended_each_once_in_order(office: Office, spans: tuple[Span, ...]) -> None:
    office.do(documented())
    assert office.refusal(scoped(*spans)).code == "E-CASE-SCOPE"


def test_a_scope_beyond_the_recipient_s_conditions_says_which(office: Office) -> None:
    office.recipients = bodies(a_recipient(conditions=Conditions(most_minutes=100)))
    office.do(documented())
    error = office.refusal(scoped())
    assert (error.code, error.clause, "100 minutes" in error.what) == ("E-CASE-CONDITIONS", "7.3(1)2", True)


def test_the_body_fits_the_paper(office: Office) -> None:
    office.recipients = bodies(a_recipient(), a_recipient("court", RecipientKind.COURT, KEYS[1]))
    office.do(documented())
    assert office.refusal(scoped(to="court")).code == "E-CASE-BODY"
    assert office.refusal(scoped(to="nobody")).code == "E-OFFICE-RECIPIENT"


def test_one_officer_twice_is_one_officer(office: Office) -> None:
    dossier = until_scoped(office)
    office.do(approved(dossier))
    assert office.refusal(approved(dossier)).code == "E-CASE-APPROVALS"
    assert office.refusal(sealed(dossier)).code == "E-CASE-APPROVALS"


def test_two_managers_are_not_manager_and_chief(office: Office) -> None:
    dossier = until_scoped(office)
    office.do(approved(dossier))
    office.do(approved(dossier, "mgr-kato"), DEPUTY)
    assert office.refusal(sealed(dossier)).code == "E-CASE-APPROVALS"
    office.do(approved(dossier, "chief-ito"), CHIEF)
    office.do(sealed(dossier))


def test_one_who_holds_both_roles_is_still_one(office: Office) -> None:
    both = Signer("both", frozenset({Role.MANAGER, Role.CHIEF}))
    dossier = until_scoped(office)
    office.do(approved(dossier, "both"), both)
    assert office.refusal(sealed(dossier)).code == "E-CASE-APPROVALS"


def test_an_approval_is_of_one_dossier(office: Office) -> None:
    """Swapped scope: the minutes change between the two approvals, or between approval and seal."""
    narrow = until_scoped(office, SPAN)
    office.do(approved(narrow))
    office.do(approved(narrow, "chief-ito"), CHIEF)
    office.do(scoped(OTHER))
    assert office.case.approvals == ()
    assert office.refusal(sealed(narrow)).code == "E-CASE-DOSSIER"
    assert office.refusal(sealed(office.dossier())).code == "E-CASE-APPROVALS"
    assert office.refusal(approved(narrow)).code == "E-CASE-DOSSIER"


@pytest.mark.parametrize("change", ["key", "conditions", "expiry"])
def test_a_recipient_changed_after_approval_is_another_dossier(office: Office, change: str) -> None:
    dossier = until_scoped(office)
    office.do(approved(dossier))
    office.do(approved(dossier, "chief-ito"), CHIEF)
    act = RecipientChanged(
        **COMMON, by="mgr-sato", recipient="odawara-ps", age_recipient=KEYS[1] if change == "key" else KEYS[0],
        not_after=iso_utc((NOW + (31 if change == "expiry" else 30) * DAY) * NS_PER_MINUTE),
        conditions=Conditions(most_minutes=1000) if change == "conditions" else Conditions(),
    )  # fmt: skip
    office.recipients = recipients.apply(office.recipients, act, at(NOW, MANAGER))
    assert office.refusal(sealed(dossier)).code == "E-CASE-DOSSIER"
    assert office.refusal(sealed(office.dossier())).code == "E-CASE-APPROVALS"


def test_a_recipient_that_expired_or_was_suspended_receives_nothing(office: Office) -> None:
    dossier = until_scoped(office)
    office.do(approved(dossier))
    office.do(approved(dossier, "chief-ito"), CHIEF)
    office.now = NOW + 30 * DAY
    assert office.refusal(sealed(dossier)).code == "E-CASE-CONDITIONS"
    office.now = NOW + 30 * DAY - 1
    office.do(sealed(dossier))
    suspended = RecipientSuspended(**COMMON, by="mgr-sato", recipient="odawara-ps")
    office.recipients = recipients.apply(office.recipients, suspended, at(NOW, MANAGER))
    assert office.refusal(handed_over()).code == "E-CASE-CONDITIONS"


def test_with_an_unproven_clock_nothing_is_sealed(office: Office) -> None:
    dossier = until_scoped(office)
    office.do(approved(dossier), proven=False)
    office.do(approved(dossier, "chief-ito"), CHIEF)
    error = office.refusal(sealed(dossier), proven=False)
    assert (error.code, error.clause) == ("E-CASE-CLOCK", "7.1(3)")


def test_more_before_and_after_is_scoped_and_approved_anew_and_its_refusal_takes_nothing_back(office: Office) -> None:
    until_sealed(office)
    office.do(handed_over())
    office.do(scoped(SPAN, OTHER))
    assert office.refusal(sealed(office.dossier())).code == "E-CASE-APPROVALS"
    office.do(REFUSED)
    assert (office.case.stage, office.case.endings[-1].spans) == (Stage.HANDED_OVER, (SPAN, OTHER))
    office.do(RECEIPTED)
    office.do(scoped(SPAN, OTHER))
    until_sealed(office)
    office.do(handed_over("cd" * 32))
    assert (office.case.stage, len(office.case.deliveries)) == (Stage.HANDED_OVER, 2)
    office.do(RECEIPTED)
    office.do(CLOSED)


def test_deliveries_count_against_the_conditions_in_all_cases(office: Office) -> None:
    office.recipients = bodies(a_recipient(conditions=Conditions(most_deliveries=1)))
    until_sealed(office)
    office.do(handed_over())
    assert office.refusal(scoped(OTHER)).code == "E-CASE-CONDITIONS"
    office.do(opened("2026-0013"))
    office.do(documented(case="2026-0013", reason="別件"))
    assert office.refusal(scoped(OTHER, case="2026-0013")).code == "E-CASE-CONDITIONS"


def test_other_is_no_reason_by_itself(office: Office) -> None:
    bare = CaseRefused(**COMMON, by="mgr-sato", case="2026-0012", reason="other")
    assert office.refusal(bare).code == "E-CASE-REASON"


# ---- every state there is

PERSONS = (MANAGER, CHIEF, DEPUTY)
LIMITED = Conditions(most_deliveries=2)


@dataclass(frozen=True)
class World:
    """All that can differ: the case, the recipient's entry, and when: in time, by an unproven clock, too late."""

    cases: Cases
    recipients: Recipients
    when: str = "in time"

    def key(self) -> object:
        """What makes two worlds one: everything that a later step is judged by."""
        found = [
            (case.stage, case.document, case.spans, case.recipient, frozenset(case.approvals), case.seal,
             len(case.deliveries), len(case.receipts))
            for case in self.cases.entries.values()
        ]  # fmt: skip
        return tuple(found), tuple(self.recipients.entries.values()), self.when

    @property
    def proven(self) -> bool:
        return self.when != "unproven"

    @property
    def now(self) -> int:
        return NOW + (40 * DAY if self.when == "late" else 0)


def steps(world: World) -> Iterator[tuple[Act | str, World]]:
    """Yield each step that succeeds, with the world after it."""
    case = world.cases.entries.get("2026-0012")
    dossiers = {"00" * 32, case.seal or "00" * 32, *(a.dossier for a in case.approvals)} if case else set()
    if case is not None and case.document is not None and case.recipient is not None:
        dossiers.add(dossier_of(case, world.recipients, "sp03").sha256())
    tried: list[tuple[Act, Signer]] = [(opened(), MANAGER)]
    tried += [(documented(document), MANAGER) for document in (INQUIRY, replace_number("なし"))]
    tried += [(scoped(*spans, to=to), MANAGER) for spans in ((SPAN,), (OTHER,)) for to in ("odawara-ps", "court")]
    tried += [(approved(d, who.account), who) for d in dossiers for who in PERSONS]
    tried += [(sealed(d), MANAGER) for d in dossiers]
    tried += [(act, MANAGER) for act in (handed_over(), RECEIPTED, CLOSED, REFUSED, WITHDRAWN)]
    for act, who in tried:
        try:
            after = apply(world.cases, act, at(world.now, who, proven=world.proven), world.recipients, "sp03")  # type: ignore[arg-type]
        except CaseError:
            continue
        yield act, replace(world, cases=after)
    yield from outside(world)


def outside(world: World) -> Iterator[tuple[str, World]]:
    """Yield what happens around the case: the clock, the time, the recipient's entry."""
    for when in ("in time", "unproven", "late"):
        yield when, replace(world, when=when)
    for key in KEYS[:2]:
        change = RecipientChanged(
            **COMMON, by="mgr-sato", recipient="odawara-ps", age_recipient=key, conditions=LIMITED,
            not_after=iso_utc((NOW + 30 * DAY) * NS_PER_MINUTE),
        )  # fmt: skip
        yield "key", replace(world, recipients=recipients.apply(world.recipients, change, at(NOW, MANAGER)))


def judge_arrival(before: World, act: Act | str, after: World) -> None:
    """What must be true of every step into a sealed case, and of every step there is."""
    now = after.cases.entries.get("2026-0012")
    was = before.cases.entries.get("2026-0012")
    if now is None:
        return
    if isinstance(act, CaseSealed):
        assert was is not None
        assert was.stage is Stage.SCOPED
        assert now.document is not None
        assert any(letter.isdigit() for letter in now.document.number)
        dossier = dossier_of(now, after.recipients, "sp03")
        assert now.seal == dossier.sha256()
        who = {approval.account for approval in now.approvals if approval.dossier == now.seal}
        assert len(who) >= 2
        assert CHIEF.account in who
        assert who & {MANAGER.account, DEPUTY.account}
        entry = after.recipients.known(now.recipient or "")
        assert entry.kind is RecipientKind.POLICE_STATION
        assert after.proven
        assert coverage(before.cases, now, entry, after.now * NS_PER_MINUTE, proven=True).whole
    elif now.stage is Stage.SEALED:
        assert was is not None
        assert was.stage is Stage.SEALED  # nothing but a seal seals
    if isinstance(act, CaseHandedOver):
        assert was is not None
        assert was.stage is Stage.SEALED
    if was is not None and was.stage in (Stage.CLOSED, Stage.REFUSED, Stage.WITHDRAWN):
        assert now == was  # an ended case is ended
    if was is not None:
        assert len(now.deliveries) - len(was.deliveries) in ((1,) if isinstance(act, CaseHandedOver) else (0,))


def test_every_state_there_is() -> None:
    court = a_recipient("court", RecipientKind.COURT, KEYS[2])
    start = World(Cases(), bodies(a_recipient(conditions=LIMITED), court))
    seen, waiting = {start.key()}, deque([start])
    stages, done = Counter[str](), Counter[str]()
    while waiting:
        world = waiting.popleft()
        for act, after in steps(world):
            judge_arrival(world, act, after)
            done[type(act).__name__ if isinstance(act, Act) else act] += 1
            if (key := after.key()) not in seen:
                seen.add(key)
                waiting.append(after)
                case = after.cases.entries.get("2026-0012")
                stages[case.stage if case else "none"] += 1
    assert set(stages) >= {str(stage) for stage in Stage}  # all were reached: the walk is not empty
    assert all(done[act.__name__] for act in FROM)
    assert len(seen) > 1000, len(seen)
