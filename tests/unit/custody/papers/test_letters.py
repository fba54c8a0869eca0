"""Letters say what was decided, under which clause, in words that cannot be smuggled into the page."""

from __future__ import annotations

import typing

import pytest

from firmware.custody.office import acts
from firmware.custody.office.case_stages import Case, Delivery, Ending, Stage
from firmware.custody.office.fields import Basis, Document, Instrument, Span
from firmware.custody.office.holds import KeptMinutes
from firmware.custody.papers.letters import REASONS, answer_letter, hold_slip
from firmware.ground.errors import CaseError

FIRST = 29_923_200
SPAN = Span(camera="cam0", first_epoch=FIRST, last_epoch=FIRST + 9)
DOCUMENT = Document(
    number="小刑発第123号", date="2026-11-20", authority="小田原<警察署>", instrument=Instrument.INVESTIGATION_INQUIRY
)


def a_case(reason: str, **changed: object) -> Case:
    outcome = Stage.WITHDRAWN if reason == "withdrawn" else Stage.REFUSED
    ending = Ending(outcome, reason, None, FIRST * 60 * 10**9, "manager", (SPAN,))
    facts = {"stage": outcome, "document": DOCUMENT, "endings": (ending,), **changed}
    return Case("2026-0012", 0, "manager", **facts)  # type: ignore[arg-type]  # a test's own facts


def test_every_reason_an_officer_can_give_has_its_sentence_and_clause() -> None:
    reasons = set(typing.get_args(typing.get_type_hints(acts.CaseRefused)["reason"]))
    assert set(REASONS) == reasons | {"withdrawn"}
    for reason in reasons - {"other"}:
        assert "7." in answer_letter("sp03", a_case(reason)), reason


def test_the_letter_answers_the_document_in_japanese_time() -> None:
    letter = answer_letter("sp03", a_case("gone"))
    assert "2026-11-23 09:00 から 2026-11-23 09:10 まで" in letter
    assert "2026-11-20付け 捜査関係事項照会書「小刑発第123号」" in letter
    assert "小田原&lt;警察署&gt; 御中" in letter
    assert "<警察署>" not in letter


def test_a_refused_extension_says_that_the_rest_stays() -> None:
    delivered = Delivery("odawara-ps", 10, "ab" * 32, None, 0)
    assert "既に提供した 1 件には影響しません" in answer_letter("sp03", a_case("too-wide", deliveries=(delivered,)))


def test_no_letter_without_an_answer() -> None:
    with pytest.raises(CaseError, match="E-CASE-ORDER"):
        answer_letter("sp03", Case("2026-0012", 0, "manager"))


@pytest.mark.parametrize("document", [None, DOCUMENT])
def test_the_slip_says_until_when_and_what_it_does_not_allow(document: Document | None) -> None:
    kind = "confirmed" if document else "provisional"
    hold = KeptMinutes(3, SPAN, Basis.REQUEST, "<script>", kind, FIRST + 20, FIRST + 14420, "duty", document)  # type: ignore[arg-type]
    slip = hold_slip("sp03", hold, FIRST + 30)
    assert "2026-12-03 09:20" in slip
    assert "最大1時間前" in slip
    assert "閲覧・提供を認めるものではありません" in slip
    assert "<script>" not in slip
    assert ("小刑発第123号" in slip) is (document is not None)
    assert "終了しています" not in slip
    assert "終了しています" in hold_slip("sp03", hold, FIRST + 14420)
