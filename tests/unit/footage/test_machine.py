"""Histories of a pole: record, sweep, cut the power at any step, start again, move the clock, hold, fill the disk.

After every step a thief who kept a copy of every table there ever was, and who has the keystore as it is now, reads
nothing that is unheld and older than its retention; nothing younger than its retention less an hour is lost, nothing
held before its hold's last hour; and recorded = live + erased. Retention is 4 hours here, so that a history passes it
many times; the rule is the same.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from firmware.footage.clock_trust import keep_ratchet, read_ratchet
from firmware.footage.epochs import TableFile
from firmware.footage.recording import Clerk, Filming
from firmware.footage.retention import REWRITE_PERIOD_SECONDS, Hold, deadline_ns
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock, minute_of, start_of
from firmware.ground.errors import KeystoreError
from tests.parts.crashing import PowerCut, power
from tests.parts.footage_parts import MemoryKeystore, bench_settings, frame_now, make_parts, place_hold
from tests.parts.told import AN_ACT

START_NS = 29_923_200 * NS_PER_MINUTE
HOURS = 4
HOUR_NS = 3600 * NS_PER_SECOND
SETTINGS = bench_settings(retention_hours=HOURS)
CUTS = st.one_of(st.none(), st.tuples(st.integers(1, 120), st.booleans()))


class PoleMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="pole")
        self.state = Path(self.folder.name)
        self.keystore = MemoryKeystore()
        self.clock = SimulatedClock(START_NS)
        self.line_ns = START_NS  # the model's line: elapsed time, and max(ratchet, UTC) at each start
        self.copies: dict[bytes, Path] = {}
        self.holds: dict[int, Hold] = {}
        self.kept: dict[int, set[int]] = {}  # what was living of a hold's minutes when it was placed
        self.must: dict[int, set[int]] = {}  # and recorded by then: that is never lost while the hold stands
        self.gone: set[int] = set()
        self.latest_ns = START_NS
        self.early: set[int] = set()
        self.sealed: set[int] = set()

    def teardown(self) -> None:
        self.runner.close()
        self.folder.cleanup()

    # ---- the pole

    @initialize()
    def first_start(self) -> None:
        self.start()

    def start(self) -> None:
        self.line_ns = max(read_ratchet(self.state / "footage" / "clock.ratchet"), self.clock.utc_ns())
        self.parts = make_parts(self.state, self.clock, self.keystore, settings=SETTINGS)
        self.eraser = Eraser(self.parts)
        self.keystore.before_write = self.copy_tables
        self.swept_ns = self.clock.boot_ns()
        self.runner.run(boot(self.parts, self.eraser))

    def copy_tables(self) -> None:
        """The thief: a copy of every table file, under names of its own, at every touch of the keystore."""
        for path in (self.state / "footage").glob("epochs-*.table"):
            data = path.read_bytes()
            if data not in self.copies:
                copy = self.state / f"copy-{len(self.copies)}"
                copy.write_bytes(data)
                self.copies[data] = copy

    def act(self, deed: Coroutine[Any, Any, None], cut: tuple[int, bool] | None) -> None:
        """Do ``deed``; if the power goes meanwhile, start again."""
        with power(cut[0], after=cut[1]) if cut else nullcontext() as supply:
            if supply:
                self.keystore.before_write = lambda: (self.copy_tables(), supply.step(lambda: None))[0]
            self.runner.run(deed)
        self.keystore.before_write = self.copy_tables
        if supply and supply.gone:
            self.runner.close()
            self.runner = asyncio.Runner()
            self.start()

    async def pass_time(self, seconds: int) -> None:
        end_ns = self.clock.boot_ns() + seconds * NS_PER_SECOND
        while self.clock.boot_ns() < end_ns:
            due_ns = self.swept_ns + REWRITE_PERIOD_SECONDS * NS_PER_SECOND
            step_ns = max(0, min(end_ns, due_ns) - self.clock.boot_ns())
            await self.clock.advance_to(self.clock.utc_ns() + step_ns)
            self.line_ns += step_ns
            self.parts.trust.observe()
            if self.clock.boot_ns() >= due_ns:
                self.swept_ns = self.clock.boot_ns()
                await self.eraser.sweep()

    async def film(self, frames: int) -> None:
        clerk = Clerk()
        filming = Filming(self.parts, clerk, needs_keyframe=False, want_keys=self.eraser.sweep)
        working = asyncio.create_task(clerk.run())
        try:
            for _ in range(frames):
                await filming.take(frame_now(self.clock))
                await self.pass_time(15)
            await filming.finish()
            await clerk.settled()
        finally:
            working.cancel()
            (outcome,) = await asyncio.gather(working, return_exceptions=True)
        if isinstance(outcome, PowerCut):
            raise outcome
        keep_ratchet(self.parts.ratchet_path, self.parts.trust.now_ns())

    # ---- what happens

    @rule(frames=st.integers(1, 9), cut=CUTS)
    def record(self, frames: int, cut: tuple[int, bool] | None) -> None:
        self.act(self.film(frames), cut)

    @rule(minutes=st.integers(1, 400), cut=CUTS)
    def wait(self, minutes: int, cut: tuple[int, bool] | None) -> None:
        self.act(self.pass_time(minutes * 60), cut)

    @rule(minutes=st.integers(0, 600), rtc_lost=st.booleans())
    def switch_off(self, minutes: int, rtc_lost: bool) -> None:
        keep_ratchet(self.parts.ratchet_path, self.parts.trust.now_ns())
        off_ns = 0 if rtc_lost else minutes * NS_PER_MINUTE
        utc_ns = START_NS - 10**9 if rtc_lost else self.clock.utc_ns() + off_ns
        self.clock = SimulatedClock(utc_ns)
        self.start()

    @rule(cut=st.tuples(st.integers(1, 60), st.booleans()))
    def cut_again_while_starting(self, cut: tuple[int, bool]) -> None:
        """A start that is itself cut, then a good one."""
        parts = make_parts(self.state, self.clock, self.keystore, settings=SETTINGS)
        self.act(_quiet(boot(parts, Eraser(parts))), cut)
        self.start()

    @rule(hours=st.integers(-500, 500))
    def move_the_clock(self, hours: int) -> None:
        self.clock.step(hours * HOUR_NS)
        self.parts.trust.observe()

    @rule()
    def prove_the_clock(self) -> None:
        gained_seconds = self.parts.trust.confirm("officer", 100)
        self.line_ns += gained_seconds * NS_PER_SECOND
        self.swept_ns = self.clock.boot_ns()
        self.runner.run(self.eraser.sweep())

    @precondition(lambda self: self.sealed)
    @rule(place=st.integers(0, 10**6), minutes=st.integers(1, 5), hours=st.integers(2, 20))
    def hold(self, place: int, minutes: int, hours: int) -> None:
        first, number = MinuteNumber(sorted(self.sealed)[place % len(self.sealed)]), len(self.holds) + 1
        now_ns = self.parts.trust.now_ns()
        ends_ns = start_of(minute_of(now_ns + hours * HOUR_NS))
        span = [MinuteNumber(epoch) for epoch in range(first, first + minutes)]
        self.kept[number] = {epoch for epoch in span if deadline_ns(epoch, HOURS) > now_ns or self.held(epoch, now_ns)}
        self.must[number] = self.kept[number] & set(self.parts.store.recorded())
        self.holds[number] = Hold(first, span[-1], ends_ns, number)
        place_hold(self.parts, number, first, span[-1], ends_ns)

    @precondition(lambda self: self.holds)
    @rule(place=st.integers(0, 10**6), hours=st.integers(2, 20))
    def renew(self, place: int, hours: int) -> None:
        number = sorted(self.holds)[place % len(self.holds)]
        hold, now_ns = self.holds[number], self.parts.trust.now_ns()
        if hold.ends_utc_ns > now_ns and number not in self.gone | self.lapsed():
            ends_ns = start_of(minute_of(now_ns + hours * HOUR_NS))
            self.holds[number] = Hold(hold.first_epoch, hold.last_epoch, ends_ns, number)
            span = {"first_epoch": hold.first_epoch, "last_epoch": hold.last_epoch}
            self.parts.ledger.append("hold.renewed", hold=number, **span, ends_epoch=minute_of(ends_ns), **AN_ACT)

    @precondition(lambda self: self.holds)
    @rule(place=st.integers(0, 10**6))
    def lift(self, place: int) -> None:
        number = sorted(self.holds)[place % len(self.holds)]
        self.gone.add(number)
        self.parts.ledger.append("hold.lifted", hold=number, **AN_ACT)
        self.swept_ns = self.clock.boot_ns()
        self.runner.run(self.eraser.sweep())

    @rule(cut=CUTS)
    def fill_the_disk(self, cut: tuple[int, bool] | None) -> None:
        low = iter([True, False, False])
        self.eraser._is_low = lambda: next(low, False)  # type: ignore[method-assign]  # one round of room is made
        self.act(self.eraser.make_room(), cut)

    # ---- what must be true

    def ledgered(self, event: str) -> Counter[int]:
        found: Counter[int] = Counter()
        for line in self.parts.ledger.lines(event):
            found.update(range(int(line.fields["first_epoch"]), int(line.fields["last_epoch"]) + 1))
        return found

    def held(self, epoch: int, at_ns: int) -> bool:
        return any(
            epoch in self.kept[number] and hold.ends_utc_ns > at_ns
            for number, hold in self.holds.items()
            if number not in self.gone
        )

    def lapsed(self) -> set[int]:
        return {int(line.fields["hold"]) for line in self.parts.ledger.lines("hold.lapsed")}

    @invariant()
    def nothing_old_opens(self) -> None:
        if not hasattr(self, "parts"):
            return
        self.copy_tables()
        readable: set[MinuteNumber] = set()
        for copy in self.copies.values():
            for secret in self.keystore.slots.values():
                try:
                    readable |= set(TableFile(copy, secret).header.epochs())
                except KeystoreError:
                    continue
        assert 0 <= self.parts.trust.now_ns() - self.line_ns <= 900 * NS_PER_SECOND  # no clock set forward leaps it
        for epoch in readable:
            assert deadline_ns(epoch, HOURS) > self.line_ns or self.held(epoch, self.line_ns)

    @invariant()
    def nothing_young_is_lost_and_all_is_accounted_for(self) -> None:
        if not hasattr(self, "parts"):
            return
        store, table = self.parts.store, self.parts.table
        now_ns = self.parts.trust.now_ns()
        self.early |= set(self.ledgered("epochs.dropped_early"))
        erased, keyed, recorded = self.ledgered("epochs.erased"), set(table.epochs()), set(store.recorded())
        self.sealed = {int(line.fields["epoch"]) for line in self.parts.ledger.lines("minute.sealed")}
        assert max(erased.values(), default=1) == 1  # told exactly once
        assert not self.ledgered("epochs.lost")
        assert recorded <= keyed
        for number in self.sealed:
            epoch = MinuteNumber(number)
            live = epoch in keyed and epoch in recorded
            assert live != bool(erased[epoch])  # recorded = live + erased
            if deadline_ns(epoch, HOURS) - HOUR_NS > now_ns and epoch not in self.early:
                assert live
            if live:
                manifest = store.manifest(epoch)
                assert manifest is not None
                assert manifest.chunks
                for chunk in manifest.chunks:
                    assert store.hash_chunk(epoch, chunk.sequence) == chunk.sha256
        lapsed, self.latest_ns = self.lapsed(), max(self.latest_ns, now_ns)
        for number, hold in self.holds.items():
            if number in lapsed:
                assert hold.ends_utc_ns <= self.latest_ns + HOUR_NS  # no hold ends before its time, its last hour aside
            elif number not in self.gone and hold.ends_utc_ns > now_ns + HOUR_NS:
                assert self.must[number] <= recorded & keyed  # held is never lost
        unsealed = {epoch for epoch in recorded if epoch not in self.sealed}
        assert not unsealed
        assert minute_of(now_ns) in keyed


async def _quiet(deed: Coroutine[Any, Any, object]) -> None:
    await deed


def settings_of(examples: int, steps: int, *, shrink: bool = False) -> hypothesis.settings:
    """Shrinking a history takes minutes, so the short form reports what it found as it found it."""
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate]
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        phases=[*phases, hypothesis.Phase.shrink] if shrink else phases,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def test_histories() -> None:
    """Few: this one has real threads, the real clerk and four hours of keys. ``tests/histories`` has the volume."""
    run_state_machine_as_test(PoleMachine, settings=settings_of(6, 12))
