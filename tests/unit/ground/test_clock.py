"""Simulated time wakes sleepers in order, and a step of UTC is not time passing."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, iso_utc, minute_of, start_of, utc_ns_of


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_sleepers_wake_at_their_own_time_in_order(wakes: list[int]) -> None:
    async def play() -> list[tuple[int, int]]:
        clock, woken = SimulatedClock(0), []

        async def sleeper(at_ns: int) -> None:
            await clock.sleep_until(at_ns)
            woken.append((at_ns, clock.utc_ns()))

        tasks = [asyncio.create_task(sleeper(at_ns)) for at_ns in wakes]
        await asyncio.sleep(0)
        await clock.advance_to(1000)
        await asyncio.gather(*tasks)
        return woken

    woken = asyncio.run(play())
    assert [at for at, _ in woken] == sorted(wakes)
    assert all(at == now for at, now in woken)


def test_a_step_moves_utc_only() -> None:
    clock = SimulatedClock(10 * NS_PER_MINUTE, boot_ns=5)
    clock.step(-NS_PER_MINUTE)
    assert (clock.utc_ns(), clock.boot_ns()) == (9 * NS_PER_MINUTE, 5)


def test_minutes_are_utc_minutes() -> None:
    assert iso_utc(start_of(minute_of(1_795_424_461_000_000_000))) == "2026-11-23T09:01:00Z"


async def test_a_step_of_utc_makes_a_wait_by_boot_time_neither_longer_nor_shorter() -> None:
    clock = SimulatedClock(1_000 * NS_PER_SECOND)
    woken: list[int] = []

    async def wait() -> None:
        await clock.sleep_until_boot(clock.boot_ns() + 60 * NS_PER_SECOND)
        woken.append(clock.boot_ns())

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    began_ns = clock.boot_ns()
    clock.step(-86_400 * NS_PER_SECOND)
    await clock.advance_to(clock.utc_ns() + 59 * NS_PER_SECOND)
    assert woken == []
    clock.step(2 * 86_400 * NS_PER_SECOND)
    await clock.advance_to(clock.utc_ns() + 5 * NS_PER_SECOND)
    await task
    assert woken == [began_ns + 60 * NS_PER_SECOND]


@given(st.integers(0, 4_000_000_000))
def test_an_instant_reads_back(seconds: int) -> None:
    assert utc_ns_of(iso_utc(seconds * NS_PER_SECOND)) == seconds * NS_PER_SECOND


def test_an_instant_says_its_offset() -> None:
    assert utc_ns_of("2026-11-23T18:00:00+09:00") == utc_ns_of("2026-11-23T09:00:00Z")
    with pytest.raises(ValueError, match="offset"):
        utc_ns_of("2026-11-23T09:00:00")
