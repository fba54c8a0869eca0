"""The life of a hold: every history keeps to its limits, and ends by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from firmware.custody.office.acts import Act, HoldConfirmed, HoldLifted, HoldPlaced, HoldRenewed
from firmware.custody.office.authority import Signer
from firmware.custody.office.context import Context
from firmware.custody.office.fields import Basis, Document, Instrument, Role, Span
from firmware.custody.office.holds import Holds, apply, needs_chief, warnings
from firmware.footage.settings import LegalBases
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND
from firmware.ground.errors import CaseError

BASES = LegalBases()
NOW = 29_940_000
DAY = 24 * 60
MANAGER = Signer("mgr-sato", frozenset({Role.MANAGER}))
INQUIRY = Document(
    number="小刑発第123号", date="2026-11-20", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
)
SPAN = Span(camera="cam0", first_epoch=NOW - 300, last_epoch=NOW - 200)
COMMON = {"pole": "sp03", "utc": "2026-11-23T00:00:00Z", "by": "mgr-sato", "nonce": "0" * 32}


def context(act: Act, now: int, bases: LegalBases | None = BASES) -> Context:
    return Context(1, act.sha256(), now * NS_PER_MINUTE + 30 * NS_PER_SECOND, True, (MANAGER,), bases)


def call(number: int = 1, *, ends: int = NOW + 10 * DAY, **changes: object) -> HoldPlaced:
    facts: dict[str, object] = {"span": SPAN, "basis": Basis.REQUEST, "office": "小田原警察署", "called_back": True}
    return HoldPlaced(**COMMON, hold=number, ends_epoch=ends, **{**facts, **changes})  # type: ignore[arg-type]


def paper(number: int = 1, *, ends: int = NOW + 30 * DAY, **changes: object) -> HoldPlaced:
    return call(number, ends=ends, **{"called_back": False, "document": INQUIRY, **changes})


def confirmed(number: int = 1, *, ends: int, document: Document = INQUIRY) -> HoldConfirmed:
    return HoldConfirmed(**COMMON, hold=number, document=document, ends_epoch=ends)


def renewed(number: int = 1, *, ends: int) -> HoldRenewed:
    return HoldRenewed(**COMMON, hold=number, ends_epoch=ends, reason="捜査継続中")


def lifted(number: int = 1) -> HoldLifted:
    return HoldLifted(**COMMON, hold=number, reason="カメラ違い")


def after(*acts: Act, now: int = NOW) -> Holds:
    state = Holds()
    for act in acts:
        state = apply(state, act, context(act, now))  # type: ignore[arg-type]
    return state


def refusal(state: Holds, act: Act, now: int = NOW, bases: LegalBases | None = BASES) -> CaseError:
    with pytest.raises(CaseError) as caught:
        apply(state, act, context(act, now, bases))  # type: ignore[arg-type]
    assert caught.value.clause
    return caught.value


def test_a_call_that_was_called_back_keeps_exact_minutes_for_ten_days_to_the_minute() -> None:
    hold = after(call()).known(1)
    assert (hold.kind, hold.span, hold.ends_epoch) == ("provisional", SPAN, NOW + 10 * DAY)
    assert (hold.lives(NOW + 10 * DAY - 1), hold.lives(NOW + 10 * DAY)) == (True, False)
    assert [hold.standing(at) for at in (NOW, NOW + 10 * DAY)] == ["provisional", "lapsed"]
    assert refusal(Holds(), call(ends=NOW + 10 * DAY + 1)).code == "E-CASE-HOLD-LONG"


def test_nobody_was_called_back_so_nothing_is_kept() -> None:
    error = refusal(Holds(), call(called_back=False))
    assert (error.code, error.clause) == ("E-CASE-CALL", "7.1(4)")


def test_a_call_is_a_request_of_investigators_and_nothing_else() -> None:
    assert refusal(Holds(), call(basis=Basis.LAW)).code == "E-CASE-BASIS"


def test_a_document_keeps_thirty_days_and_a_telephone_is_no_document() -> None:
    assert after(paper()).known(1).kind == "confirmed"
    assert refusal(Holds(), paper(ends=NOW + 30 * DAY + 1)).code == "E-CASE-HOLD-LONG"
    by_phone = Document(number="1", date="2026-11-20", authority="x", instrument=Instrument.TELEPHONE)
    assert refusal(Holds(), paper(document=by_phone)).code == "E-CASE-INSTRUMENT"


def test_a_switch_turned_later_does_not_undo_what_was_decided() -> None:
    off = LegalBases(investigation_inquiry=False)
    assert refusal(Holds(), paper(), bases=off).code == "E-CASE-BASIS-OFF"
    assert apply(Holds(), paper(), context(paper(), NOW, None)).known(1).kind == "confirmed"


@pytest.mark.parametrize("last", [NOW, NOW + 5])
def test_minutes_that_have_not_ended_are_not_ordered_in_advance(last: int) -> None:
    span = Span(camera="cam0", first_epoch=NOW - 5, last_epoch=last)
    assert refusal(Holds(), call(span=span)).code == "E-CASE-HOLD-SPAN"
    inverted = Span(camera="cam0", first_epoch=NOW - 5, last_epoch=NOW - 6)
    assert refusal(Holds(), call(span=inverted)).code == "E-CASE-HOLD-SPAN"


def test_confirmed_by_the_document_then_renewed_by_new_decisions_only() -> None:
    state = after(call())
    assert refusal(state, renewed(ends=NOW + DAY)).code == "E-CASE-HOLD"
    state = apply(state, confirmed(ends=NOW + 35 * DAY), context(call(), NOW + 5 * DAY))
    hold = state.known(1)
    assert (hold.kind, hold.document, hold.ends_epoch) == ("confirmed", INQUIRY, NOW + 35 * DAY)
    assert refusal(state, confirmed(ends=NOW + 20 * DAY), NOW + 6 * DAY).code == "E-CASE-HOLD"
    assert refusal(state, renewed(ends=NOW + 61 * DAY), NOW + 30 * DAY).code == "E-CASE-HOLD-LONG"
    state = apply(state, renewed(ends=NOW + 60 * DAY), context(call(), NOW + 30 * DAY))
    assert (state.known(1).ends_epoch, state.known(1).decisions) == (NOW + 60 * DAY, 3)


def test_beyond_twelve_months_it_is_the_chief_s_decision_too() -> None:
    hold = after(paper()).known(1)
    assert not needs_chief(hold, NOW + 365 * DAY)
    assert needs_chief(hold, NOW + 365 * DAY + 1)


def test_the_last_hour_is_the_erasure_s_and_an_ended_hold_stays_ended() -> None:
    state = after(call())
    end = NOW + 10 * DAY
    apply(state, confirmed(ends=end + DAY), context(call(), end - 61))
    for now in (end - 60, end, end + 5):
        for act in (confirmed(ends=end + DAY), lifted()):
            assert refusal(state, act, now).code == "E-CASE-HOLD-OVER"
    assert refusal(after(call(), lifted()), lifted()).code == "E-CASE-HOLD-OVER"
    assert refusal(Holds(), call(ends=NOW + 60)).code == "E-CASE-HOLD-LONG"


def test_a_mistaken_hold_is_lifted_and_stays_in_the_register() -> None:
    state = after(call(), lifted(), call(2))
    assert [hold.standing(NOW) for hold in state.entries.values()] == ["lifted", "provisional"]
    assert [hold.number for hold in state.living(NOW)] == [2]
    assert refusal(state, call(1)).code == "E-CASE-HOLD"
    assert refusal(state, lifted(9)).code == "E-CASE-HOLD"


def test_warnings_come_at_seven_three_and_one_day_and_the_most_urgent_first() -> None:
    state = after(call(1, ends=NOW + 7 * DAY), call(2, ends=NOW + 2 * DAY), call(3, ends=NOW + DAY), call(4), call(5),
                  lifted(5))  # fmt: skip
    assert [(found.hold.number, found.days) for found in warnings(state.entries.values(), NOW)] == [
        (3, 1), (2, 3), (1, 7),
    ]  # fmt: skip
    assert [(found.hold.number, found.days) for found in warnings(state.entries.values(), NOW + 2 * DAY - 1)] == [
        (2, 1), (1, 7),
    ]  # fmt: skip
    assert warnings(after(call(ends=NOW + 7 * DAY + 1)).entries.values(), NOW) == ()


@dataclass
class Model:
    placed: int
    ends: int
    kind: str
    told: list[int] = field(default_factory=list)
    lifted: bool = False


class HoldMachine(RuleBasedStateMachine):
    """Any order of acts at any time, against four plain facts a hold."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.now, self.model = Holds(), NOW, dict[int, Model]()

    def attempt(self, act: Act) -> bool:
        try:
            self.state = apply(self.state, act, context(act, self.now))  # type: ignore[arg-type]
        except CaseError:
            return False
        return True

    @rule(minutes=st.integers(1, 12 * DAY))
    def wait(self, minutes: int) -> None:
        self.now += minutes

    @rule(lasting=st.integers(-5, 32 * DAY), by_paper=st.booleans(), back=st.booleans())
    def place(self, lasting: int, by_paper: bool, back: bool) -> None:
        number, ends = len(self.model) + 1, self.now + lasting
        act = paper(number, ends=ends) if by_paper else call(number, ends=ends, called_back=back)
        allowed = 60 < lasting <= (30 if by_paper else 10) * DAY and (by_paper or back)
        assert self.attempt(act) is allowed
        if allowed:
            self.model[number] = Model(self.now, ends, "confirmed" if by_paper else "provisional")

    @precondition(lambda self: self.model)
    @rule(
        place=st.integers(0, 99), lasting=st.integers(-5, 32 * DAY), what=st.sampled_from(["confirm", "renew", "lift"])
    )
    def decide(self, place: int, lasting: int, what: str) -> None:
        number = sorted(self.model)[place % len(self.model)]
        hold, ends = self.model[number], self.now + lasting
        open_ = not hold.lifted and self.now < hold.ends - 60
        act = {
            "confirm": confirmed(number, ends=ends), "renew": renewed(number, ends=ends), "lift": lifted(number)
        }[what]  # fmt: skip
        fits = 60 < lasting <= 30 * DAY
        allowed = open_ and {
            "confirm": hold.kind == "provisional" and fits, "renew": hold.kind == "confirmed" and fits, "lift": True
        }[what]  # fmt: skip
        assert self.attempt(act) is allowed
        if allowed and what == "lift":
            hold.lifted = True
        elif allowed:
            hold.kind, hold.ends = "confirmed", ends
            hold.told.append(self.now)

    @invariant()
    def as_the_model_says_and_never_longer_than_its_last_decision_allows(self) -> None:
        for number, model in self.model.items():
            hold = self.state.known(number)
            assert hold.lives(self.now) is (not model.lifted and self.now < model.ends)
            decided = max([model.placed, *model.told])
            assert hold.ends_epoch <= decided + (10 if model.kind == "provisional" else 30) * DAY
        living = [hold.number for hold in self.state.living(self.now)]
        assert set(living) == {number for number, m in self.model.items() if not m.lifted and self.now < m.ends}
        assert len(self.state.entries) == len(self.model)  # nothing is forgotten


def test_histories_of_holds() -> None:
    run_state_machine_as_test(
        HoldMachine,
        settings=settings(
            max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
