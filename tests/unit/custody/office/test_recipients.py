"""Recipients: what a body may have, to the minute and to the second; compared with a plain minute-by-minute reading."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.office.acts import Act, RecipientAdded, RecipientChanged, RecipientRemoved, RecipientSuspended
from firmware.custody.office.context import Context
from firmware.custody.office.fields import Conditions, RecipientKind, Span
from firmware.custody.office.recipients import (
    Coverage,
    Recipient,
    RecipientAct,
    Recipients,
    apply,
    covers,
    minutes_of,
    normal,
)
from firmware.ground.clock import NS_PER_SECOND, iso_utc
from firmware.ground.errors import CaseError
from tests.parts.role_sweep import DAY, NOW, age_keys

COMMON = {"pole": "sp03", "utc": iso_utc(NOW), "by": "manager", "nonce": "0" * 32}
MINUTES = st.integers(1000, 1060)
CAMERAS = st.sampled_from(["cam0", "cam1", "cam2"])
SPANS = st.builds(
    lambda camera, first, length: Span(camera=camera, first_epoch=first, last_epoch=first + length),
    CAMERAS, MINUTES, st.integers(0, 20),
)  # fmt: skip
CONDITIONS = st.builds(
    Conditions,
    cameras=st.lists(CAMERAS, max_size=2).map(tuple),
    cases=st.sampled_from([(), ("2026-001",), ("2026-002",), ("2026-001", "2026-002")]),
    first_epoch=st.none() | MINUTES,
    last_epoch=st.none() | MINUTES,
    most_minutes=st.none() | st.integers(1, 60),
    most_deliveries=st.none() | st.integers(1, 3),
)


def body(conditions: Conditions | None = None, **changes: object) -> Recipient:
    entry = Recipient(
        "odawara-ps",
        "小田原警察署",
        RecipientKind.POLICE_STATION,
        age_keys()[0],
        NOW + DAY,
        conditions or Conditions(),
        1,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]  # a test's own fields


def asked(entry: Recipient, *spans: Span, now_ns: int = NOW, proven: bool = True, **before: int) -> Coverage:
    before = {"minutes_delivered": 0, "deliveries": 0, **before}
    return covers(entry, spans, "2026-001", now_ns=now_ns, proven=proven, **before)


def minutes(spans: tuple[Span, ...]) -> list[tuple[str, int]]:
    return [(span.camera, epoch) for span in spans for epoch in range(span.first_epoch, span.last_epoch + 1)]


@given(
    conditions=CONDITIONS,
    spans=st.lists(SPANS, max_size=5),
    delivered=st.integers(0, 60),
    deliveries=st.integers(0, 3),
    late=st.booleans(),
    proven=st.booleans(),
    state=st.sampled_from(["active", "active", "suspended", "removed"]),
)
def test_against_a_plain_reading_minute_by_minute(
    conditions: Conditions, spans: list[Span], delivered: int, deliveries: int, late: bool, proven: bool, state: str
) -> None:
    entry = body(conditions, state=state)
    found = asked(
        entry, *spans, now_ns=NOW + DAY if late else NOW, proven=proven, minutes_delivered=delivered,
        deliveries=deliveries,
    )  # fmt: skip
    wanted = sorted(set(minutes(tuple(spans))))
    may = (
        state == "active"
        and proven
        and not late
        and (not conditions.cases or "2026-001" in conditions.cases)
        and (conditions.most_deliveries is None or deliveries < conditions.most_deliveries)
    )
    allowed = [
        (camera, epoch)
        for camera, epoch in wanted
        if may
        and (not conditions.cameras or camera in conditions.cameras)
        and (conditions.first_epoch is None or epoch >= conditions.first_epoch)
        and (conditions.last_epoch is None or epoch <= conditions.last_epoch)
    ]
    if conditions.most_minutes is not None:
        allowed = allowed[: max(0, conditions.most_minutes - delivered)]
    assert minutes(found.allowed) == allowed
    assert found.whole == (not found.differences)
    if may:
        taken = [minute for difference in found.differences for minute in minutes((difference.span,))]  # type: ignore[arg-type]
        assert sorted(minutes(found.allowed) + taken) == wanted
    else:
        assert found.differences


@given(st.lists(SPANS, max_size=6))
def test_normal_spans_are_the_same_minutes_once(spans: list[Span]) -> None:
    found = normal(spans)
    assert minutes(found) == sorted(set(minutes(tuple(spans))))
    assert normal(found) == found
    assert minutes_of(found) == len(set(minutes(tuple(spans))))


def test_expiry_is_exact_to_the_second() -> None:
    span = Span(camera="cam0", first_epoch=1000, last_epoch=1001)
    assert asked(body(), span, now_ns=NOW + DAY - NS_PER_SECOND).whole
    (difference,) = asked(body(), span, now_ns=NOW + DAY).differences
    assert (difference.why, difference.words) == ("expired", f"expired at {iso_utc(NOW + DAY)}")


def test_an_unproven_clock_denies() -> None:
    span = Span(camera="cam0", first_epoch=1000, last_epoch=1001)
    found = asked(body(), span, proven=False)
    assert (found.allowed, [difference.why for difference in found.differences]) == ((), ["clock"])


# ---- the register of them


def act(kind: type[Act], /, **fields: object) -> RecipientAct:
    return kind(**COMMON, recipient="odawara-ps", **fields)  # type: ignore[return-value]  # a test's own


def added(**fields: object) -> RecipientAct:
    whole = {"organisation": "小田原警察署", "kind": RecipientKind.POLICE_STATION, "age_recipient": age_keys()[0]}
    return act(RecipientAdded, **{**whole, "not_after": iso_utc(NOW + 30 * DAY), **fields})


def context(number: int = 1, now_ns: int = NOW) -> Context:
    return Context(number, "0" * 64, now_ns, True, ())


def refusal(state: Recipients, act: RecipientAct) -> str:
    with pytest.raises(CaseError) as caught:
        apply(state, act, context())
    return caught.value.code


def test_removing_one_keeps_its_history() -> None:
    state = apply(Recipients(), added(), context(7))
    state = apply(state, act(RecipientRemoved), context(8))
    entry = state.known("odawara-ps")
    assert (entry.state, entry.organisation, entry.since) == ("removed", "小田原警察署", 7)
    for later in (added(age_recipient=age_keys()[1]), act(RecipientSuspended), act(RecipientRemoved)):
        assert refusal(state, later) == "E-OFFICE-RECIPIENT"


@pytest.mark.parametrize("until_ns", [NOW, NOW - DAY, NOW + 366 * DAY + NS_PER_SECOND])
def test_an_end_lies_within_a_year(until_ns: int) -> None:
    assert refusal(Recipients(), added(not_after=iso_utc(until_ns))) == "E-OFFICE-DATE"
    state = apply(Recipients(), added(), context())
    changed = act(RecipientChanged, age_recipient=age_keys()[1], not_after=iso_utc(until_ns))
    assert refusal(state, changed) == "E-OFFICE-DATE"


def test_a_key_to_which_nothing_can_be_sealed_is_refused() -> None:
    assert refusal(Recipients(), added(age_recipient="age1" + "q" * 58)) == "E-OFFICE-KEY"


def test_two_bodies_never_share_a_key() -> None:
    state = apply(Recipients(), added(), context())
    other = RecipientAdded(
        **COMMON, recipient="other", organisation="県警", kind=RecipientKind.POLICE_HEADQUARTERS,
        age_recipient=age_keys()[0], not_after=iso_utc(NOW + DAY),
    )  # fmt: skip
    assert refusal(state, other) == "E-OFFICE-KEY"


def test_conditions_that_no_minute_meets_are_refused() -> None:
    assert refusal(Recipients(), added(conditions=Conditions(first_epoch=5, last_epoch=4))) == "E-OFFICE-CONDITIONS"
