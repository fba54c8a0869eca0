"""Minutes as a machine: whatever the clock and the camera do, what was told stays told."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.flow.disclosure import Rules
from firmware.flow.minutes import GAP_MINUTES_AT_MOST, Instant, Minutes
from firmware.flow.record import (
    AttributeTile,
    Dimension,
    Gap,
    GapReason,
    PublishedMinute,
    Record,
    SuppressedMinute,
)  # fmt: skip
from firmware.flow.slice import SliceCounts
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, start_of

M = 29_923_296
RULES = Rules(planned=60, k_total=3, k_attr=5, k_cell=3, peak_rank=5, congested_tenths=50, min_coverage_thousandths=800)
GRACE_NS = NS_PER_SECOND


class Street:
    """A camera, a clock and the machine under test."""

    def __init__(self, *, newest: int | None = None, rules: Rules = RULES, second: float = 0.0) -> None:
        self.arrived = 0
        self.utc_ns = start_of(MinuteNumber(M)) + int(second * NS_PER_SECOND)
        self.boot_ns = 10**12
        told = None if newest is None else MinuteNumber(newest)
        self.minutes = Minutes(rules, now=self.now, newest=told, arrivals=lambda: self.arrived)
        self.told: list[Record] = []

    @property
    def now(self) -> Instant:
        return Instant(self.utc_ns, self.boot_ns)

    def slice(self, persons: int | None, *, arrives: bool = True, refused: bool = False) -> None:
        """One second: a frame (counted, or lost with None) or nothing at all, and the timer."""
        self.arrived += arrives
        if arrives:
            counts = None if persons is None else SliceCounts(persons)
            self.told += self.minutes.note(self.now, counts, model_refused=refused)
        self.utc_ns += NS_PER_SECOND
        self.boot_ns += NS_PER_SECOND
        self.told += self.minutes.close_until(self.now, GRACE_NS)

    def minute(self, persons: int | None, *, arrives: bool = True, refused: bool = False) -> None:
        for _ in range(60):
            self.slice(persons, arrives=arrives, refused=refused)

    def step(self, seconds: float) -> None:
        self.utc_ns += int(seconds * NS_PER_SECOND)


def published(street: Street) -> list[int]:
    return [r.minute for r in street.told if isinstance(r, PublishedMinute | SuppressedMinute)]


def gaps(street: Street) -> list[tuple[int, int, GapReason]]:
    return [(r.first_minute - M, r.last_minute - M, r.reason) for r in street.told if isinstance(r, Gap)]


def test_whole_minutes_are_told_in_order() -> None:
    street = Street()
    for persons in (0, 4, 2):
        street.minute(persons)
    street.slice(0)
    assert [type(record) for record in street.told] == [SuppressedMinute, PublishedMinute, SuppressedMinute]
    assert published(street) == [M, M + 1, M + 2]


def test_a_minute_closes_by_the_clock_when_frames_stop() -> None:
    street = Street()
    street.minute(4)
    street.slice(None, arrives=False)
    street.slice(None, arrives=False)
    assert published(street) == [M]


def test_a_blind_camera_is_a_fault_and_a_slow_counter_an_overload() -> None:
    street = Street()
    street.minute(4)
    street.minute(0, arrives=False)
    street.minute(0, arrives=False)
    street.minute(None)
    street.minute(None, refused=True)
    street.minute(4)
    street.slice(4)
    assert gaps(street) == [
        (1, 2, GapReason.CAMERA_FAULT), (3, 3, GapReason.OVERLOAD), (4, 4, GapReason.MODEL_MISMATCH),
    ]  # fmt: skip
    assert published(street) == [M, M + 5]


def test_coverage_decides_at_exactly_eighty_percent() -> None:
    for lost, told in ((12, True), (13, False)):
        street = Street(newest=M - 1)
        for second in range(60):
            street.slice(None if second < lost else 4)
        street.slice(4)
        street.slice(4)
        assert bool(published(street)) is told


def test_a_start_in_the_middle_of_a_minute_is_a_gap() -> None:
    street = Street(newest=M - 4, second=30)
    for _ in range(30):
        street.slice(4)
    street.minute(4)
    street.slice(4)
    assert gaps(street) == [(-3, 0, GapReason.STOPPED)]
    assert published(street) == [M + 1]


def test_what_was_told_before_the_restart_is_not_told_again() -> None:
    street = Street(newest=M)
    street.minute(4)
    street.minute(4)
    street.slice(4)
    assert published(street) == [M + 1]
    assert gaps(street) == []


def test_a_step_back_never_tells_a_minute_twice() -> None:
    street = Street()
    street.minute(4)
    street.minute(4)
    street.slice(4)
    street.step(-90)
    for _ in range(5):
        street.minute(4)
    assert published(street) == [M, M + 1, M + 3, M + 4]
    assert gaps(street) == [(2, 2, GapReason.CLOCK_UNPROVEN)]


def test_a_step_forward_leaves_a_gap_that_says_why() -> None:
    street = Street()
    street.minute(4)
    for _ in range(20):
        street.slice(4)
    street.step(600)
    for _ in range(3):
        street.minute(4)
    assert gaps(street) == [(1, 11, GapReason.CLOCK_UNPROVEN)]
    assert published(street)[:2] == [M, M + 12]


def test_a_clock_without_time_tells_nothing_and_then_says_what_was_missed() -> None:
    street = Street(newest=M - 3)
    lost = Street(newest=M - 3)
    lost.utc_ns = 0
    lost.minutes = Minutes(RULES, now=lost.now, newest=MinuteNumber(M - 3), arrivals=lambda: lost.arrived)
    lost.minute(4)
    lost.slice(4)
    assert lost.told == []
    lost.utc_ns = street.utc_ns
    lost.minute(4)
    lost.slice(4)
    lost.slice(4)
    assert published(lost) == [M]
    assert gaps(lost) == [(-2, -1, GapReason.CLOCK_UNPROVEN)]


def test_a_long_gap_is_told_in_pieces() -> None:
    street = Street(newest=M - 1)
    for _ in range(GAP_MINUTES_AT_MOST + 3):
        street.minute(0, arrives=False)
    assert gaps(street) == [(0, 0, GapReason.STOPPED), (1, GAP_MINUTES_AT_MOST, GapReason.CAMERA_FAULT)]
    street.told += street.minutes.end()
    assert [gap[0] for gap in gaps(street)[2:]] == [GAP_MINUTES_AT_MOST + 1, GAP_MINUTES_AT_MOST + 2]


def test_the_end_says_what_was_not_seen() -> None:
    street = Street(newest=M - 1)
    street.minute(4)
    for _ in range(10):
        street.slice(4)
    street.told += street.minutes.end()
    assert published(street) == [M]
    assert gaps(street) == [(1, 1, GapReason.STOPPED)]


def test_extra_slices_of_a_jittering_timer_are_not_wanted() -> None:
    street = Street()
    for _ in range(60):
        street.minutes.note(street.now, SliceCounts(4))
    assert not street.minutes.wants(street.now)
    assert street.minutes.wants(Instant(street.utc_ns + 60 * NS_PER_SECOND, street.boot_ns + 60 * NS_PER_SECOND))


def test_tiles_come_at_their_end_and_not_from_a_spoiled_clock() -> None:
    rules = Rules(
        planned=60, k_total=3, k_attr=5, k_cell=3, peak_rank=5, congested_tenths=50, min_coverage_thousandths=800,
        dimensions=(Dimension.SEX,), window_minutes=5,
    )  # fmt: skip
    assert M % 5 == 1
    for steps, expected in ((False, [M - 1, M + 4]), (True, [M - 1])):
        street = Street(rules=rules)
        for minute in range(10):
            for second in range(60):
                counts = SliceCounts(9, sex=(3, 3, 3))
                street.told += street.minutes.note(street.now, counts)
                street.utc_ns += NS_PER_SECOND
                street.boot_ns += NS_PER_SECOND
                street.told += street.minutes.close_until(street.now, GRACE_NS)
                if steps and (minute, second) == (6, 30):
                    street.step(5)
        tiles = [record for record in street.told if isinstance(record, AttributeTile)]
        assert [tile.first_minute for tile in tiles] == expected
        for tile in tiles:
            assert tile.share_tenths[Dimension.SEX] == {"female": 4, "male": 3, "unknown": 3}


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("slices"), st.integers(1, 90), st.sampled_from([None, 0, 2, 5])),
        st.tuples(st.just("blind"), st.integers(1, 200), st.none()),
        st.tuples(st.just("step"), st.integers(-400, 400), st.none()),
        st.tuples(st.just("restart"), st.integers(0, 90), st.none()),
    ),
    max_size=14,
)


@given(happenings)
@settings(max_examples=120, deadline=None)
def test_whatever_happens_minutes_are_told_once_in_order_and_without_holes(
    what: list[tuple[str, int, int | None]],
) -> None:
    street = Street(newest=M - 1)
    for kind, number, persons in what:
        if kind == "slices":
            for _ in range(number):
                street.slice(persons)
        elif kind == "blind":
            for _ in range(number):
                street.slice(None, arrives=False)
        elif kind == "step":
            street.step(number)
        else:
            street.utc_ns += number * NS_PER_SECOND
            street.boot_ns += number * NS_PER_SECOND
            kept = max((last_of(record) for record in street.told), default=M - 1)
            street.minutes = Minutes(RULES, now=street.now, newest=MinuteNumber(kept), arrivals=lambda: street.arrived)
    street.told += street.minutes.end()
    spans = [(first_of(record), last_of(record)) for record in street.told]
    assert all(first <= last for first, last in spans)
    assert spans == [] or spans[0][0] == M
    assert all(after[0] == before[1] + 1 for before, after in pairwise(spans))


def first_of(record: Record) -> int:
    return record.minute if isinstance(record, PublishedMinute | SuppressedMinute) else record.first_minute


def last_of(record: Record) -> int:
    if isinstance(record, PublishedMinute | SuppressedMinute):
        return record.minute
    assert isinstance(record, Gap)
    return record.last_minute
