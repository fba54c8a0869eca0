"""Minutes asked for: read in one way or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.bundle.span import MOST_MINUTES, Span, parse_span
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber
from firmware.ground.errors import CaseError

NOW_NS = int(datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC).timestamp()) * NS_PER_SECOND


def test_the_end_is_not_included() -> None:
    span = parse_span("2026-11-23T09:00:00Z", "2026-11-23T09:05:00Z", NOW_NS)
    assert (span.count, span.last - span.first) == (5, 4)
    assert span.first * NS_PER_MINUTE == NOW_NS - (180 * 60 + 30) * NS_PER_SECOND
    assert span.text() == "2026-11-23T09:00:00Z to 2026-11-23T09:05:00Z"
    assert list(span.minutes) == [span.first + number for number in range(5)]


@given(first=st.integers(0, 29_900_000), count=st.integers(1, MOST_MINUTES))
def test_japanese_time_and_utc_name_the_same_minutes(first: int, count: int) -> None:
    begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=first)
    end = begin + timedelta(minutes=count)
    japan = timezone(timedelta(hours=9))
    now_ns = (first + count) * NS_PER_MINUTE
    expected = Span(MinuteNumber(first), MinuteNumber(first + count - 1))
    assert parse_span(f"{begin:%Y-%m-%dT%H:%M:%SZ}", f"{end:%Y-%m-%dT%H:%MZ}", now_ns) == expected
    assert parse_span(begin.astimezone(japan).isoformat(), end.astimezone(japan).isoformat(), now_ns) == expected


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2026-11-23T09:05:00Z", "2026-11-23T09:00:00Z"),  # inverted
        ("2026-11-23T09:05:00Z", "2026-11-23T09:05:00Z"),  # empty
        ("2026-11-23T09:00:01Z", "2026-11-23T09:05:00Z"),  # not on a minute
        ("2026-11-23T09:00:00Z", "2026-11-23T09:05:59Z"),
        ("2026-11-09T08:59:00Z", "2026-11-23T09:00:00Z"),  # more than footage lives
        ("2026-11-23T11:59:00Z", "2026-11-23T12:01:00Z"),  # a minute that has not ended
        ("2026-11-23T09:00:00", "2026-11-23T09:05:00Z"),  # whose time?
        ("2026-11-23T09:00:00+01:00", "2026-11-23T09:05:00Z"),
        ("2026-11-23 09:00:00Z", "2026-11-23T09:05:00Z"),
        ("2026-02-30T09:00:00Z", "2026-11-23T09:05:00Z"),
        ("2026-11-23T09:00:60Z", "2026-11-23T09:05:00Z"),
        ("\u0662026-11-23T09:00:00Z", "2026-11-23T09:05:00Z"),
        ("now", "2026-11-23T09:05:00Z"),
        ("", ""),
    ],
)
def test_what_is_not_whole_ended_minutes_is_refused_with_the_clause(begin: str, end: str) -> None:
    with pytest.raises(CaseError) as caught:
        parse_span(begin, end, NOW_NS)
    assert (caught.value.code, caught.value.clause) == ("E-CASE-SPAN", "7.2(1)")
