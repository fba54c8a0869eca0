"""The line of time: no step shortens or lengthens a life without proof."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.footage.clock_trust import Step, TrustedTime, keep_ratchet, read_ratchet
from firmware.ground.clock import NS_PER_SECOND, SimulatedClock
from firmware.ground.errors import StoreError

START_NS = 1_795_000_000 * NS_PER_SECOND
DAY_SECONDS = 86_400


class StillClock(SimulatedClock):
    """Time passes when a test says so, without a loop."""

    def let_pass(self, seconds: int) -> None:
        self._utc_ns += seconds * NS_PER_SECOND
        self._boot_ns += seconds * NS_PER_SECOND


def test_the_line_is_utc_while_nothing_happens() -> None:
    clock = StillClock(START_NS)
    trust = TrustedTime(clock)
    clock.let_pass(1000)
    assert trust.observe() is None
    assert trust.now_ns() == clock.utc_ns()
    assert (trust.state.source, trust.state.proven) == ("machine", False)


def test_a_spoofed_clock_erases_nothing_until_it_is_proven() -> None:
    clock = StillClock(START_NS)
    trust = TrustedTime(clock)
    clock.step(15 * DAY_SECONDS * NS_PER_SECOND)
    assert trust.observe() == Step(15 * DAY_SECONDS, followed=False)
    assert trust.now_ns() == START_NS
    clock.let_pass(3600)
    assert trust.observe() is None  # told once
    assert trust.now_ns() == START_NS + 3600 * NS_PER_SECOND
    assert trust.confirm("officer", 500) == 15 * DAY_SECONDS
    assert trust.now_ns() == clock.utc_ns()
    assert trust.state.proven


def test_a_clock_set_back_lengthens_no_life() -> None:
    clock = StillClock(START_NS)
    trust = TrustedTime(clock)
    clock.step(-15 * DAY_SECONDS * NS_PER_SECOND)
    assert trust.observe() == Step(-15 * DAY_SECONDS, followed=False)
    clock.let_pass(60)
    assert trust.now_ns() == START_NS + 60 * NS_PER_SECOND
    trust.confirm("network", 10)
    assert trust.now_ns() == START_NS + 60 * NS_PER_SECOND


def test_small_corrections_are_followed_but_cannot_be_added_up() -> None:
    clock = StillClock(START_NS)
    trust = TrustedTime(clock)
    for _ in range(100):
        clock.step(300 * NS_PER_SECOND)
        trust.observe()
    assert trust.now_ns() - START_NS == 600 * NS_PER_SECOND
    assert not trust.state.proven


def test_the_ratchet_wins_over_a_clock_that_forgot(tmp_path: Path) -> None:
    keep_ratchet(tmp_path / "ratchet", START_NS)
    clock = StillClock(0)
    trust = TrustedTime(clock, read_ratchet(tmp_path / "ratchet"))
    assert trust.now_ns() == START_NS
    assert trust.state.source == "ratchet"
    clock = StillClock(START_NS + 5)
    assert TrustedTime(clock, START_NS).now_ns() == START_NS + 5


def test_a_spoiled_ratchet_is_no_ratchet(tmp_path: Path) -> None:
    for text in ("", "x", "-5", "9" * 30, "\u0664"):
        (tmp_path / "ratchet").write_text(text, "utf-8")
        assert read_ratchet(tmp_path / "ratchet") == 0
    assert read_ratchet(tmp_path / "none") == 0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("pass"), st.integers(0, 40 * DAY_SECONDS)),
            st.tuples(st.just("step"), st.integers(-40 * DAY_SECONDS, 40 * DAY_SECONDS)),
        ),
        max_size=40,
    )
)
def test_whatever_happens_the_line_never_lags_elapsed_time_and_never_leaps(moves: list[tuple[str, int]]) -> None:
    clock = StillClock(START_NS)
    trust = TrustedTime(clock)
    elapsed_seconds, before_ns = 0, trust.now_ns()
    for move, seconds in moves:
        if move == "pass":
            clock.let_pass(seconds)
            elapsed_seconds += seconds
        else:
            clock.step(seconds * NS_PER_SECOND)
        trust.observe()
        now_ns = trust.now_ns()
        assert now_ns >= before_ns
        before_ns = now_ns
        gained_seconds = (now_ns - START_NS) / NS_PER_SECOND - elapsed_seconds
        assert 0 <= gained_seconds <= 600 + elapsed_seconds / DAY_SECONDS * 60 + 1e-3


def test_a_ratchet_that_cannot_be_kept_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="E-STORE-WRITE"):
        keep_ratchet(tmp_path / "nowhere" / "ratchet", START_NS)
