"""What is due is exactly what the guideline says, for every instant, epoch and hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.footage.retention import HORIZON_SECONDS, REWRITE_PERIOD_SECONDS, Hold, deadline_ns, due, oldest_unheld
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber

EPOCHS = st.lists(st.integers(1, 40_000).map(MinuteNumber), unique=True, max_size=60).map(sorted)
HOLDS = st.lists(
    st.builds(
        lambda first, length, ends: Hold(MinuteNumber(first), MinuteNumber(first + length), ends * NS_PER_MINUTE),
        st.integers(1, 40_000),
        st.integers(0, 500),
        st.integers(0, 60_000),
    ),
    max_size=4,
)


@given(epochs=EPOCHS, holds=HOLDS, now=st.integers(0, 60_000), hours=st.integers(2, 336))
def test_due_against_a_plain_reading(epochs: list[MinuteNumber], holds: list[Hold], now: int, hours: int) -> None:
    found = due(epochs, holds, now * NS_PER_MINUTE, retention_hours=hours)
    for epoch in epochs:
        old = (epoch + hours * 60) - now <= HORIZON_SECONDS // 60
        kept = any(
            hold.first_epoch <= epoch <= hold.last_epoch and hold.ends_utc_ns > (now + 60) * NS_PER_MINUTE
            for hold in holds
        )
        assert (epoch in found) == (old and not kept)


@given(epoch=st.integers(1, 40_000).map(MinuteNumber), phase=st.integers(0, REWRITE_PERIOD_SECONDS - 1))
def test_a_minute_lives_335_to_336_hours_whenever_the_rewrites_fall(epoch: MinuteNumber, phase: int) -> None:
    start_seconds = epoch * 60
    sweep = start_seconds - start_seconds % REWRITE_PERIOD_SECONDS + phase
    while not due([epoch], [], sweep * NS_PER_SECOND, retention_hours=336):
        sweep += REWRITE_PERIOD_SECONDS
    life_seconds = sweep - start_seconds
    assert 335 * 3600 <= life_seconds <= 336 * 3600 - 300


def test_the_deadline_is_336_hours_from_the_first_frame() -> None:
    assert deadline_ns(MinuteNumber(10), 336) == (10 + 336 * 60) * NS_PER_MINUTE


@given(epochs=EPOCHS, holds=HOLDS, before=st.integers(1, 40_000), count=st.integers(0, 30))
def test_early_erasure_takes_the_oldest_and_never_a_held_or_a_present_one(
    epochs: list[MinuteNumber], holds: list[Hold], before: int, count: int
) -> None:
    taken = oldest_unheld(epochs, holds, MinuteNumber(before), count)
    free = [
        epoch for epoch in epochs if epoch < before and not any(h.first_epoch <= epoch <= h.last_epoch for h in holds)
    ]
    assert taken == free[:count]
