"""Histories of a pole's clock against a plain model: whatever happens to UTC, the RTC, the proof and the power.

The model knows the true time, which the pole never does. A minute's key must not outlive its retention by true time
while footage may leave, nothing may be erased early but by what a boot believed, and nothing may leave unproven.
Retention is 4 hours here, so that a history passes it many times; the rules are the same.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from firmware.footage.clock_files import followed_line, line_in, read_record
from firmware.footage.clock_trust import LineRecord, read_ratchet
from firmware.footage.ports import NetworkTime
from firmware.footage.retention import REWRITE_PERIOD_SECONDS
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.timekeeping import Timekeeper
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, minute_of
from tests.parts.crashing import power
from tests.parts.footage_parts import MemoryKeystore, bench_settings, make_parts
from tests.unit.footage.test_machine import settings_of

START_NS = 29_923_200 * NS_PER_MINUTE
HOURS = 4
HOUR_NS = 3600 * NS_PER_SECOND
DAY_SECONDS = 86_400
SETTLED_MS = 10
CREDIT_NS = 600 * NS_PER_SECOND
SETTINGS = bench_settings(retention_hours=HOURS)


class Daemon:
    """A chronyd that tells the truth about its last sample, and does not notice by itself that somebody set UTC."""

    def __init__(self, machine: ClockMachine) -> None:
        self.machine = machine
        self.reachable = False
        self.sampled_at_ns = -1

    def sample(self) -> None:
        """Ask the server; where UTC is wrong, set it right, as ``makestep`` does."""
        if self.reachable:
            self.machine.clock.step(self.machine.true_ns - self.machine.clock.utc_ns())
            self.sampled_at_ns = self.machine.clock.boot_ns()

    async def read(self) -> NetworkTime | None:
        if self.sampled_at_ns < 0:
            return None
        age_ns = self.machine.clock.boot_ns() - self.sampled_at_ns
        return NetworkTime(SETTLED_MS, age_ns // NS_PER_SECOND)


class ClockMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="clock")
        self.state = Path(self.folder.name)
        self.keystore = MemoryKeystore()
        self.clock = SimulatedClock(START_NS)
        self.true_ns = START_NS
        self.ppm = 0
        self.filmed: dict[int, int] = {}  # epoch: true time of its first frame
        self.lead_ns = CREDIT_NS  # how far the line may be ahead of the truth
        self.lag_ns = 0  # how far it may be behind: only an RTC that was behind at boot makes it so
        self.floor_ns = 0
        self.erased_early: list[tuple[int, int]] = []
        self.proven_at_ns: int | None = None  # model: when the network last proved UTC in this boot

    def teardown(self) -> None:
        self.runner.close()
        self.folder.cleanup()

    # ---- the pole

    @initialize(ppm=st.integers(-100, 100))
    def first_start(self, ppm: int) -> None:
        self.ppm = ppm
        self.daemon = Daemon(self)
        self.start()

    def start(self) -> None:
        self.parts = make_parts(self.state, self.clock, self.keystore, settings=SETTINGS, time_source=self.daemon)
        self.eraser = Eraser(self.parts)
        self.keeper = Timekeeper(self.parts, self.eraser)
        self.swept_ns = self.clock.boot_ns()
        self.runner.run(self.begin())
        record = read_record(line_in(self.state / "footage"), LineRecord)
        assert record is not None
        assert self.parts.trust.now_ns() >= self.floor_ns

    async def begin(self) -> None:
        await boot(self.parts, self.eraser)
        await self.keeper.begin()

    def new_boot(self, rtc_ns: int) -> None:
        """The machine starts: what the RTC says is believed when it is ahead of the ratchet."""
        ratchet_ns = read_ratchet(self.state / "footage" / "clock.ratchet")
        line_ns = max(ratchet_ns, rtc_ns)
        self.lead_ns = max(self.lead_ns, line_ns - self.true_ns) + CREDIT_NS
        self.lag_ns = max(0, self.true_ns - line_ns)
        self.clock = SimulatedClock(rtc_ns)
        self.daemon.sampled_at_ns, self.proven_at_ns = -1, None
        self.start()

    def elapse(self, seconds: int) -> Coroutine[Any, Any, None]:
        """Time passes; the crystal is off by ``ppm``. The house looks once a minute and sweeps every 55 minutes."""

        async def passing() -> None:
            end_ns = self.clock.boot_ns() + seconds * NS_PER_SECOND
            while self.clock.boot_ns() < end_ns:
                due_ns = self.swept_ns + REWRITE_PERIOD_SECONDS * NS_PER_SECOND
                step_ns = max(1, min(end_ns, due_ns) - self.clock.boot_ns())
                await self.clock.advance_to(self.clock.utc_ns() + step_ns)
                self.true_ns += step_ns + step_ns * self.ppm // 1_000_000
                self.parts.trust.observe()
                if self.clock.boot_ns() >= due_ns:
                    self.swept_ns = self.clock.boot_ns()
                    await self.eraser.sweep()
            await self.look()

        return passing()

    async def look(self) -> None:
        before = self.parts.trust.state.proven
        await self.keeper.look()
        if self.parts.trust.settled and (not before or self.daemon.reachable):
            self.proven_at_ns = self.clock.boot_ns()
        if self.parts.trust.settled:
            self.lag_ns = 0

    # ---- what happens

    @rule(minutes=st.integers(0, 300))
    def film(self, minutes: int) -> None:
        self.filmed.setdefault(minute_of(self.parts.trust.now_ns()), self.true_ns)
        self.runner.run(self.elapse(60 * (minutes + 1)))

    @rule(hours=st.integers(1, 40))
    def wait(self, hours: int) -> None:
        self.runner.run(self.elapse(hours * 3600))

    @rule()
    def network_comes(self) -> None:
        self.daemon.reachable = True
        self.daemon.sample()
        self.runner.run(self.elapse(5))
        self.runner.run(self.elapse(5))
        self.daemon.sample()  # where the first one set the clock, this is the first that counts
        self.runner.run(self.elapse(5))
        assert self.unlocked()

    @rule()
    def network_goes(self) -> None:
        self.daemon.reachable = False

    @rule()
    def network_polls(self) -> None:
        self.daemon.sample()
        self.runner.run(self.look())

    @rule(
        seconds=st.one_of(
            st.sampled_from([-1, 1]), st.integers(-590, 590), st.integers(-40 * DAY_SECONDS, 40 * DAY_SECONDS)
        )
    )
    def clock_steps(self, seconds: int) -> None:
        """NTP, a leap second repeated or left out, a spoofed clock: UTC moves and no time passes."""
        before_ns = self.parts.trust.now_ns()
        self.clock.step(seconds * NS_PER_SECOND)
        if abs(seconds) >= 2:
            assert not self.unlocked()
        self.runner.run(self.look())
        gained_ns = self.parts.trust.now_ns() - before_ns
        assert 0 <= gained_ns <= (CREDIT_NS if seconds > 0 else 0)
        assert abs(seconds) < 2 or not self.unlocked()

    @rule(milliseconds=st.integers(-50, 50))
    def clock_smears(self, milliseconds: int) -> None:
        """A leap second spread over a day, in pieces."""
        for _ in range(3):
            self.clock.step(milliseconds * 1_000_000)
            self.runner.run(self.elapse(600))

    @rule(minutes=st.integers(0, 90))
    def spoofed_fifteen_days_and_back(self, minutes: int) -> None:
        for days in (15, -15):
            self.clock.step(days * DAY_SECONDS * NS_PER_SECOND)
            self.runner.run(self.elapse(60 * minutes + 1))

    @rule(minutes=st.integers(0, 3000))
    def switched_off_with_an_rtc(self, minutes: int) -> None:
        self.true_ns += minutes * NS_PER_MINUTE
        self.new_boot(self.clock.utc_ns() + minutes * NS_PER_MINUTE)

    @rule(minutes=st.integers(0, 3000))
    def switched_off_and_the_rtc_is_lost(self, minutes: int) -> None:
        self.true_ns += minutes * NS_PER_MINUTE
        self.new_boot(minutes * 7)

    @rule(years=st.integers(1, 5))
    def years_of_power_off(self, years: int) -> None:
        self.true_ns += years * 365 * DAY_SECONDS * NS_PER_SECOND
        self.new_boot(self.true_ns)
        assert not set(self.filmed) & set(self.parts.table.epochs())  # all of it went before anything was asked

    @rule()
    def killed_and_started_again(self) -> None:
        line_ns = self.parts.trust.now_ns()
        self.start()
        assert self.parts.trust.now_ns() <= line_ns  # no restart makes it leap

    @rule(cut=st.integers(1, 40), after=st.booleans())
    def killed_while_looking(self, cut: int, after: bool) -> None:
        """The process dies between any two writes: state file, ledger, table, keystore."""
        self.daemon.sample()
        with power(cut, after=after) as supply:
            self.keystore.before_write = lambda: supply.step(lambda: None)
            self.runner.run(self.look())
        self.keystore.before_write = lambda: None
        if supply.gone:
            self.runner.close()
            self.runner = asyncio.Runner()
            self.start()

    # ---- what must be true

    def unlocked(self) -> bool:
        return followed_line(self.clock, self.state / "footage").settled

    def readable(self) -> set[int]:
        return set(self.filmed) & set(self.parts.table.epochs())

    @invariant()
    def the_line_never_runs_backwards(self) -> None:
        if not hasattr(self, "parts"):
            return
        shown_ns = read_ratchet(self.state / "footage" / "clock.ratchet")
        assert shown_ns >= self.floor_ns
        self.floor_ns = shown_ns
        assert self.parts.trust.now_ns() >= shown_ns

    @invariant()
    def the_line_keeps_to_what_it_was_given(self) -> None:
        if not hasattr(self, "parts"):
            return
        ahead_ns = self.parts.trust.now_ns() - self.true_ns
        slack_ns = (self.true_ns - START_NS) // 1000  # a minute a day of credit, and the crystal
        assert -self.lag_ns - slack_ns <= ahead_ns <= self.lead_ns + slack_ns

    @invariant()
    def nothing_goes_early(self) -> None:
        if not hasattr(self, "parts"):
            return
        keyed = set(self.parts.table.epochs())
        for epoch, filmed_ns in list(self.filmed.items()):
            if epoch not in keyed:
                allowance_ns = self.lead_ns + HOUR_NS + (self.true_ns - START_NS) // 1000
                assert self.true_ns - filmed_ns >= HOURS * HOUR_NS - allowance_ns
                del self.filmed[epoch]

    @invariant()
    def nothing_old_is_readable_once_anything_may_leave(self) -> None:
        if not hasattr(self, "parts"):
            return
        old = {epoch for epoch in self.readable() if self.true_ns - self.filmed[epoch] > HOURS * HOUR_NS}
        if old:
            assert self.lag_ns > 0  # an RTC that was behind hid the time it was off
            assert not self.unlocked()

    @invariant()
    def nothing_leaves_unproven(self) -> None:
        if not hasattr(self, "parts") or not self.unlocked():
            return
        state = self.parts.trust.state
        assert self.proven_at_ns is not None
        assert self.clock.boot_ns() - self.proven_at_ns <= DAY_SECONDS * NS_PER_SECOND
        assert abs(self.clock.utc_ns() - self.true_ns) <= (state.uncertainty_ms + 1) * 1_000_000

    @invariant()
    def the_ledger_takes_turns(self) -> None:
        """Proven and lost are told when they change, never over and over."""
        if not hasattr(self, "parts"):
            return
        told = [line.event for line in self.parts.ledger.lines() if line.event in ("clock.proven", "clock.lost")]
        lost = [place for place, event in enumerate(told) if event == "clock.lost"]
        assert all(place > 0 and told[place - 1] == "clock.proven" for place in lost)


def test_histories_of_the_clock() -> None:
    run_state_machine_as_test(ClockMachine, settings=settings_of(12, 15))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_long_histories_of_the_clock() -> None:
    run_state_machine_as_test(ClockMachine, settings=settings_of(300, 40, shrink=True))
