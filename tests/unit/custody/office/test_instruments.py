"""Which paper is good for what: the whole table, switch by switch."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from firmware.custody.office.fields import Basis, Instrument, RecipientKind
from firmware.custody.office.instruments import RULES, Subject, Use, is_on, judge
from firmware.footage.settings import LegalBases
from firmware.ground.errors import CaseError

DEFAULT = LegalBases()
DECIDED = LegalBases(bar_inquiry="令8-1", court_commission="令8-2", life_protection="令8-3")

GOOD_BY_DEFAULT = {
    (Instrument.TELEPHONE, Use.HOLD_PROVISIONAL),
    (Instrument.DISCLOSURE_REQUEST, Use.HOLD_PROVISIONAL),
    (Instrument.DISCLOSURE_REQUEST, Use.HOLD_CONFIRMED),
    *itertools.product((Instrument.WARRANT, Instrument.INVESTIGATION_INQUIRY), Use),
}
"""What the guideline and the law give without the city deciding anything (A-10)."""


def refusal(instrument: Instrument, use: Use, switches: LegalBases = DEFAULT, **facts: object) -> CaseError:
    with pytest.raises(CaseError) as caught:
        judge(instrument, use, switches, **facts)  # type: ignore[arg-type]  # a table's own row
    return caught.value


def is_good(instrument: Instrument, use: Use, switches: LegalBases) -> bool:
    try:
        judge(instrument, use, switches)
    except CaseError as error:
        assert error.clause in ("7.1(4)", "7.2(1)")
        assert error.todo
        return False
    return True


def test_every_instrument_has_its_rule_and_every_switch_an_instrument() -> None:
    assert set(RULES) == set(Instrument)
    switches = {rule.switch for rule in RULES.values() if rule.switch}
    assert switches == {field.name for field in msgspec.structs.fields(LegalBases)}


def test_by_default_exactly_this_is_good() -> None:
    good = {pair for pair in itertools.product(Instrument, Use) if is_good(*pair, DEFAULT)}
    assert good == GOOD_BY_DEFAULT


def test_a_decision_switches_on_its_own_instrument_and_no_other() -> None:
    for name, instrument in (
        ("bar_inquiry", Instrument.BAR_INQUIRY),
        ("court_commission", Instrument.COURT_COMMISSION),
        ("life_protection", Instrument.LIFE_PROTECTION),
    ):
        switches = LegalBases(**{name: "令8企第12号"})
        good = {pair for pair in itertools.product(Instrument, Use) if is_good(*pair, switches)}
        assert good - GOOD_BY_DEFAULT == set(itertools.product((instrument,), Use))
        assert is_on(instrument, switches)
        assert not is_on(instrument, DEFAULT)


def test_what_is_switched_off_is_off_for_everything() -> None:
    switches = LegalBases(warrant=False, investigation_inquiry=False, disclosure_request=False)
    good = {pair for pair in itertools.product(Instrument, Use) if is_good(*pair, switches)}
    assert good == {(Instrument.TELEPHONE, Use.HOLD_PROVISIONAL)}


def test_a_telephone_call_hands_nothing_out_and_the_right_paper_is_named() -> None:
    for switches in (DEFAULT, DECIDED):
        error = refusal(Instrument.TELEPHONE, Use.RELEASE, switches)
        assert (error.code, error.clause) == ("E-CASE-INSTRUMENT", "7.2(1)")
        assert "捜査関係事項照会書" in error.todo
        assert "令状" in error.todo


def test_a_missing_person_at_two_in_the_morning_names_whom_to_ask() -> None:
    error = refusal(Instrument.LIFE_PROTECTION, Use.HOLD_PROVISIONAL)
    assert (error.code, "総括責任者" in error.todo) == ("E-CASE-BASIS-OFF", True)


@pytest.mark.parametrize("instrument", list(Instrument))
@pytest.mark.parametrize("use", list(Use))
def test_no_paper_given_here_opens_wifi_logs(instrument: Instrument, use: Use) -> None:
    error = refusal(instrument, use, DECIDED, subject=Subject.WIFI_LOG)
    assert (error.code, error.clause, "令状" in error.todo) == ("E-CASE-OTHER-HOUSE", "8.1(2)", True)


@pytest.mark.parametrize("kind", list(RecipientKind))
@pytest.mark.parametrize("instrument", list(Instrument))
def test_the_body_that_asks_is_one_that_may_write_the_paper(instrument: Instrument, kind: RecipientKind) -> None:
    rule = RULES[instrument]
    use = Use.RELEASE if Use.RELEASE in rule.uses else Use.HOLD_PROVISIONAL
    if kind in rule.bodies:
        assert judge(instrument, use, DECIDED, kind=kind, basis=rule.basis) is rule
    else:
        assert refusal(instrument, use, DECIDED, kind=kind).code == "E-CASE-BODY"


def test_only_investigators_ask_for_the_investigation_of_crime() -> None:
    """7.1(4)2, 7.2(1)2: 捜査機関 are those whom the code of criminal procedure gives that power (2)."""
    for rule in RULES.values():
        if rule.basis is Basis.REQUEST:
            assert not rule.bodies & {RecipientKind.COURT, RecipientKind.BAR_ASSOCIATION}


def test_a_paper_under_the_wrong_number_of_the_clause_is_refused() -> None:
    assert refusal(Instrument.WARRANT, Use.RELEASE, basis=Basis.REQUEST).code == "E-CASE-BASIS"
    assert refusal(Instrument.INVESTIGATION_INQUIRY, Use.RELEASE, basis=Basis.LAW).code == "E-CASE-BASIS"


def test_an_unknown_switch_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"insurer": "yes"}, LegalBases)
