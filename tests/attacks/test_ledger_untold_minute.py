"""The power goes between a manifest and its line: the minute must not be lost to the court for it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from firmware.footage.manifest import sha256_of
from firmware.footage.parts import Parts
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.untold import NEWEST, untold
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, SimulatedClock
from firmware.ground.ledger_start import start_ledger
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, make_parts
from tests.signing import Ed25519Key

START_NS = 29_923_200 * NS_PER_MINUTE


def sealed(parts: Parts) -> list[tuple[int | str, int | str]]:
    return [(line.fields["epoch"], line.fields["manifest"]) for line in parts.ledger.lines("minute.sealed")]


def rewrite_untold(parts: Parts, epoch: MinuteNumber) -> tuple[int, str]:
    """Leave what a power cut between manifest and line leaves: a manifest on the disk, no line."""
    manifest = parts.store.manifest(epoch)
    assert manifest is not None
    return epoch, parts.store.write_manifest(msgspec.structs.replace(manifest, recovered=not manifest.recovered))


async def test_a_minute_whose_line_was_lost_is_told_at_the_next_boot(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, clock)
    lost = rewrite_untold(parts, parts.store.recorded()[-1])
    assert untold(parts.store, parts.ledger) == [lost]
    clock.step(2 * 24 * 60 * NS_PER_MINUTE)  # it stayed dark for two days
    again = make_parts(tmp_path, clock, keystore)
    await boot(again, Eraser(again))
    assert sealed(again)[-1] == lost
    assert untold(again.store, again.ledger) == []


async def test_a_manifest_changed_long_after_gains_no_line(tmp_path: Path) -> None:
    """Else whoever changes the disk would only have to wait for a reboot."""
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    for _ in range(NEWEST + 1):
        await record_a_minute(parts, clock)
        await clock.advance_to((clock.utc_ns() // NS_PER_MINUTE + 1) * NS_PER_MINUTE)
    oldest = parts.store.recorded()[0]
    forged = rewrite_untold(parts, oldest)
    again = make_parts(tmp_path, clock, keystore)
    await boot(again, Eraser(again))
    assert forged not in sealed(again)


async def test_after_a_damaged_ledger_every_minute_in_the_store_is_told_again(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    for _ in range(NEWEST + 2):
        await record_a_minute(parts, clock)
        await clock.advance_to((clock.utc_ns() // NS_PER_MINUTE + 1) * NS_PER_MINUTE)
    path = tmp_path / "ledger" / "lines.jsonl"
    path.write_bytes(b"?" + path.read_bytes()[1:])
    _, damage = start_ledger(tmp_path / "ledger", Ed25519Key(), clock, "sp03")
    assert damage is not None
    for _ in range(2):
        again = make_parts(tmp_path, clock, keystore)
        await boot(again, Eraser(again))
    stored = [(epoch, sha256_of(again.store.manifest_bytes(epoch) or b"")) for epoch in again.store.recorded()]
    assert sealed(again) == stored
