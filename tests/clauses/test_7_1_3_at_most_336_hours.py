"""Clause 7.1(3): footage is kept for at most 14 days. Here: 336 hours of a running pole, by its own clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.footage.epochs import TableFile
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground import config
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, minute_of
from firmware.ground.errors import ConfigError, KeystoreError
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, make_parts
from tests.unit.footage.test_settings import OFFICERS, read

START_NS = 29_923_200 * NS_PER_MINUTE
HOUR_NS = 3600 * NS_PER_SECOND
PERIOD_NS = 3300 * NS_PER_SECOND


async def test_every_minute_lives_335_to_336_hours_and_then_no_copy_opens(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path / "pole", clock, keystore)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    recorded = []
    for _ in range(3):
        recorded.append(minute_of(clock.utc_ns()))
        await record_a_minute(parts, clock)
    copies: list[Path] = []

    def copy() -> None:
        for path in parts.store.folder.glob("*.table"):
            copies.append(tmp_path / f"copy-{len(copies)}")
            copies[-1].write_bytes(path.read_bytes())

    def readable() -> set[int]:
        found: set[int] = set()
        for path in copies:
            for secret in keystore.slots.values():
                try:
                    found |= set(TableFile(path, secret).header.epochs())
                except KeystoreError:
                    continue
        return found & set(recorded)

    copy()
    while clock.utc_ns() + 40 * PERIOD_NS < START_NS + 335 * HOUR_NS:
        await clock.advance_to(clock.utc_ns() + 40 * PERIOD_NS)  # between these, hourly rewrites change nothing
        await eraser.sweep()
        copy()
    assert readable() == set(recorded)
    gone_at_ns: dict[int, int] = {}
    while len(gone_at_ns) < len(set(recorded)):
        await clock.advance_to(clock.utc_ns() + PERIOD_NS)
        await eraser.sweep()
        copy()
        for epoch in set(recorded) - readable():
            gone_at_ns.setdefault(epoch, clock.utc_ns())
    for epoch, at_ns in gone_at_ns.items():
        age_ns = at_ns - epoch * NS_PER_MINUTE
        assert 335 * HOUR_NS <= age_ns <= 336 * HOUR_NS
    assert parts.store.recorded() == []


async def test_a_pole_that_slept_past_the_deadline_purges_before_anything_else(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    epoch = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    later = SimulatedClock(START_NS + 400 * HOUR_NS)
    again = make_parts(tmp_path, later, keystore)
    await Eraser(again).boot()
    assert epoch not in again.table.epochs()
    assert again.store.recorded() == []
    events = [line.event for line in again.ledger.lines()]
    assert "epochs.erased" in events


async def test_while_switched_off_with_a_lost_clock_the_ratchet_holds(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    await record_a_minute(parts, clock)
    await clock.advance_to(START_NS + 335 * HOUR_NS + 1)
    await eraser.sweep()
    assert parts.store.recorded() == []
    again = make_parts(tmp_path, SimulatedClock(0), keystore)  # the battery of the clock is empty
    await Eraser(again).boot()
    assert again.trust.now_ns() >= START_NS + 335 * HOUR_NS
    assert not again.trust.state.proven


def test_fifteen_days_cannot_be_configured() -> None:
    with pytest.raises(ConfigError, match=r"7\.1\(3\)"):
        read(f"retention_hours = 360\n{OFFICERS}")
    assert config.fingerprint(read(OFFICERS)).startswith("sha256:")
