"""Clause 7.3(1): encrypted at rest so that theft gives nothing; recording, carrying and erasing accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.footage.recipients import fingerprints
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, minute_of
from firmware.ground.errors import ConfigError
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, bench_settings, make_parts, recipient_and_key

START_NS = 29_923_200 * NS_PER_MINUTE
HOUR_NS = 3600 * NS_PER_SECOND


def test_a_pole_refuses_a_keystore_that_a_thief_can_copy() -> None:
    with pytest.raises(ConfigError, match="cannot erase") as raised:
        bench_settings(keystore="software").refuse_unfit("pole")
    assert raised.value.clause == "7.3(1)1"


async def test_recorded_is_live_and_erased_over_the_whole_life(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    for pause_hours in (0, 100, 200, 100, 100):
        await clock.advance_to(clock.utc_ns() + pause_hours * HOUR_NS)
        await eraser.sweep()
        await record_a_minute(parts, clock)
        sealed = {int(line.fields["epoch"]) for line in parts.ledger.lines("minute.sealed")}
        erased = {
            epoch
            for line in parts.ledger.lines("epochs.erased")
            for epoch in range(int(line.fields["first_epoch"]), int(line.fields["last_epoch"]) + 1)
        }
        live = set(parts.store.recorded())
        assert sealed == live | (sealed & erased)
        assert not live & erased
    assert len(sealed) == 5
    assert len(sealed & erased) >= 2


async def test_whose_keys_can_open_is_in_the_ledger_and_a_change_is_seen(tmp_path: Path) -> None:
    clock, keystore, settings = SimulatedClock(START_NS), MemoryKeystore(), bench_settings()
    for _ in range(2):
        parts = make_parts(tmp_path, clock, keystore, settings=settings)
        await boot(parts, Eraser(parts))
    assert len(list(parts.ledger.lines("recipients.set"))) == 1
    added = type(settings.officers)(a=(*settings.officers.a, recipient_and_key()[0]), b=settings.officers.b)
    parts.ledger.append("recipients.approved", act="0" * 64, **fingerprints(added.groups))
    parts = make_parts(tmp_path, clock, keystore, settings=bench_settings(officers=added))
    await boot(parts, Eraser(parts))
    told = [line.fields for line in parts.ledger.lines("recipients.set")]
    assert len(told) == 2
    assert told[0]["group_a"] != told[1]["group_a"]
    assert told[0]["group_b"] == told[1]["group_b"]


async def test_a_full_disk_takes_the_oldest_unheld_minutes_early_and_says_so(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    oldest = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    await clock.advance_to(clock.utc_ns() + HOUR_NS)
    await eraser.sweep()
    young = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    low = iter([True, False, False])
    eraser._is_low = lambda: next(low, False)  # type: ignore[method-assign]  # a disk that is full once
    await eraser.make_room()
    assert parts.store.recorded() == [young]
    early = [line.fields for line in parts.ledger.lines("epochs.dropped_early")]
    assert [(fields["first_epoch"], fields["reason"]) for fields in early] == [(oldest, "disk_full")]
