"""Erasing that fails: tried again, told, and at the deadline at least the ciphertext is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.footage.ports import MintedEpoch, SecretSlot
from firmware.footage.retention import Hold
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import KeystoreError, LedgerError, StoreError
from tests.attacks.test_erasure import record_a_minute
from tests.parts.crashing import PowerCut
from tests.parts.footage_parts import MemoryKeystore, QuickMint, bench_settings, make_parts
from tests.parts.swtpm import Swtpm, swtpm

START_NS = 29_923_200 * NS_PER_MINUTE
HOUR_NS = 3600 * NS_PER_SECOND
SETTINGS = bench_settings(retention_hours=4)


def refuse() -> None:
    raise KeystoreError("E-KEY-TPM", "no answer", where="tpm", todo="none")


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await asyncio.sleep(0.001)


async def test_a_dumb_keystore_is_asked_again_every_minute_and_overdue_ciphertext_goes(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    epoch = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    await clock.advance_to(START_NS + 2 * HOUR_NS)
    await eraser.sweep()
    sweeping = asyncio.create_task(eraser.keep_sweeping())
    await asyncio.sleep(0)
    keystore.before_write = refuse
    await clock.advance_to(START_NS + 4 * HOUR_NS + 2 * NS_PER_MINUTE)
    await until(lambda: parts.counters.sweep_failures >= 1 and not parts.store.recorded())
    assert epoch in parts.table.epochs()  # not erased, and not said to be
    assert not list(parts.ledger.lines("epochs.erased"))
    keystore.before_write = lambda: None
    failures = parts.counters.sweep_failures
    for _ in range(200):
        await clock.advance_to(clock.utc_ns() + 61 * NS_PER_SECOND)
        await asyncio.sleep(0.01)
        if epoch not in parts.table.epochs() and any(parts.ledger.lines("epochs.erased")):
            break
    assert epoch not in parts.table.epochs()
    assert parts.counters.sweep_failures <= failures + 1
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)


async def test_a_failing_mint_does_not_stop_erasing(tmp_path: Path) -> None:
    class Broken(QuickMint):
        async def make(self, first_epoch: MinuteNumber, count: int) -> Sequence[MintedEpoch]:
            if self.calls:
                refuse()
            return await super().make(first_epoch, count)

    clock, mint = SimulatedClock(START_NS), Broken()
    parts = make_parts(tmp_path, clock, MemoryKeystore(), settings=SETTINGS, mint=mint)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    epoch = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    await clock.advance_to(START_NS + 3 * HOUR_NS + 30 * NS_PER_MINUTE)
    await eraser.sweep()  # made keys remain for the next minute, so this is no failure yet
    assert epoch not in parts.table.epochs()
    await clock.advance_to(START_NS + 5 * HOUR_NS)
    with pytest.raises(KeystoreError, match="E-KEY-TPM"):
        await eraser.sweep()


async def test_a_ledger_that_cannot_be_written_is_told_at_the_next_start(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    epoch = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    await clock.advance_to(START_NS + 4 * HOUR_NS)
    append = parts.ledger.append

    def broken(*_: object, **__: object) -> int:
        raise LedgerError("E-LEDGER-DISK", "cannot write", where="ledger", todo="none")

    parts.ledger.append = broken  # type: ignore[method-assign]  # the disk, for a moment
    with pytest.raises(LedgerError):
        await eraser.sweep()
    parts.ledger.append = append  # type: ignore[method-assign]  # and back
    again = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
    await boot(again, Eraser(again))
    told = [line.fields for line in again.ledger.lines("epochs.erased")]
    assert sum(int(fields["first_epoch"]) <= epoch <= int(fields["last_epoch"]) for fields in told) == 1
    assert epoch not in again.store.recorded()


async def test_held_minutes_stay_and_go_when_the_hold_ends(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    epoch = minute_of(START_NS)
    holds = [Hold(epoch, epoch, START_NS + 10 * HOUR_NS)]
    parts = make_parts(tmp_path, clock, keystore, settings=SETTINGS, holds=lambda: tuple(holds))
    eraser = Eraser(parts)
    await boot(parts, eraser)
    await record_a_minute(parts, clock)
    for hour in range(1, 9):
        await clock.advance_to(START_NS + hour * HOUR_NS)
        await eraser.sweep()
        assert parts.store.recorded() == [epoch]
        assert await parts.table.sealed_identity(epoch)
    assert set(parts.table.epochs()).isdisjoint(range(epoch + 1, epoch + 200))  # everything outside expired on time
    await clock.advance_to(START_NS + 9 * HOUR_NS + NS_PER_MINUTE)
    await eraser.sweep()
    assert parts.store.recorded() == []


async def test_if_everything_is_held_a_full_disk_stops_recording_loudly(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    epoch = minute_of(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore(), holds=lambda: (Hold(epoch, epoch, 2 * START_NS),))
    eraser = Eraser(parts)
    await boot(parts, eraser)
    await record_a_minute(parts, clock)
    await clock.advance_to(START_NS + HOUR_NS)
    eraser._is_low = lambda: True  # type: ignore[method-assign]  # a full disk
    with pytest.raises(StoreError, match=r"E-STORE-FULL.*held"):
        await eraser.make_room()
    assert parts.store.recorded() == [epoch]


class CutTpm(TpmKeystore):
    """The real code against the real software TPM; the power goes at the n-th change of a secret."""

    def __init__(self, tools: TpmTools) -> None:
        super().__init__(tools)
        self.cut_at = 0
        self.after = False

    async def write_secret(self, slot: SecretSlot, secret: bytes) -> None:
        await self._perhaps(super().write_secret(slot, secret))

    async def erase_secret(self, slot: SecretSlot) -> None:
        await self._perhaps(super().erase_secret(slot))

    async def _perhaps(self, deed: Coroutine[Any, Any, None]) -> None:
        self.cut_at -= 1
        if self.cut_at == 0 and not self.after:
            deed.close()
            raise PowerCut
        await deed
        if self.cut_at == 0:
            raise PowerCut


@pytest_asyncio.fixture
async def tpm() -> AsyncIterator[Swtpm]:
    async with swtpm() as part:
        yield part


async def test_tpm2_cut_at_every_change_of_a_secret_loses_nothing_and_revives_nothing(
    tpm: Swtpm, tmp_path: Path
) -> None:
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, CutTpm(TpmTools(tpm.tcti)), settings=SETTINGS)
    await boot(parts, Eraser(parts))
    first = minute_of(START_NS)
    await record_a_minute(parts, clock)
    for round_number, (cut_at, after) in enumerate(((1, True), (2, False), (2, True))):
        await clock.advance_to(START_NS + (round_number + 1) * HOUR_NS)
        keystore = CutTpm(TpmTools(tpm.tcti))
        parts = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
        keystore.cut_at, keystore.after = cut_at, after
        with pytest.raises(PowerCut):
            await boot(parts, Eraser(parts))
        await tpm.stop()
        await tpm.start()
        parts = make_parts(tmp_path, clock, CutTpm(TpmTools(tpm.tcti)), settings=SETTINGS)
        await boot(parts, Eraser(parts))
        live = clock.utc_ns() + HOUR_NS < START_NS + 4 * HOUR_NS
        assert (first in parts.table.epochs()) == live
        assert bool(parts.store.recorded()) == live
        secrets = [await parts.table._keystore.read_secret(slot) for slot in (0, 1)]
        assert sum(secret is not None for secret in secrets) == 1


async def test_a_spoofed_clock_erases_nothing_until_an_officer_proves_it(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    eraser = Eraser(parts)
    await boot(parts, eraser)
    epoch = minute_of(START_NS)
    await record_a_minute(parts, clock)
    clock.step(15 * 24 * HOUR_NS)
    parts.trust.observe()
    await eraser.sweep()
    assert parts.store.recorded() == [epoch]
    assert await parts.table.sealed_identity(epoch)
    await eraser.prove_time("officer", 500)
    assert parts.store.recorded() == []
    assert [line.fields["uncertainty_ms"] for line in parts.ledger.lines("clock.proven")] == [500]


async def test_an_accepted_loss_is_told_as_such_and_recording_goes_on(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    await boot(parts, Eraser(parts))
    epoch = minute_of(START_NS)
    await record_a_minute(parts, clock)
    await clock.advance_to(clock.utc_ns() + NS_PER_MINUTE)
    again = make_parts(tmp_path, clock, MemoryKeystore())  # another TPM
    with pytest.raises(KeystoreError, match="E-KEY-LOST"):
        await boot(again, Eraser(again))
    assert again.store.recorded() == [epoch]  # until somebody accepts it, nothing is touched
    again = make_parts(tmp_path, clock, MemoryKeystore(), accept_lost_keys=True)
    await boot(again, Eraser(again))
    lost = [line.fields for line in again.ledger.lines("epochs.lost")]
    assert [(fields["first_epoch"], fields["reason"]) for fields in lost] == [(epoch, "secret_missing")]
    assert again.store.recorded() == []
    await record_a_minute(again, clock)
    assert len(again.store.recorded()) == 1


async def test_a_rewrite_whose_last_step_failed_is_told_and_the_next_one_goes_on(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore, settings=SETTINGS)
    eraser = Eraser(parts)
    await boot(parts, eraser)
    epoch = minute_of(START_NS)
    await record_a_minute(parts, clock)
    await clock.advance_to(START_NS + 4 * HOUR_NS)
    changes = iter([True, False])  # the new secret is taken, the old one cannot be overwritten

    def once() -> None:
        if not next(changes):
            refuse()

    keystore.before_write = once
    with pytest.raises(KeystoreError, match="E-KEY-TPM"):
        await eraser.sweep()
    keystore.before_write = lambda: None
    await eraser.sweep()
    told = [line.fields for line in parts.ledger.lines("epochs.erased")]
    assert sum(int(fields["first_epoch"]) <= epoch <= int(fields["last_epoch"]) for fields in told) == 1
    assert parts.store.recorded() == []
    assert len(keystore.slots) == 1
    created = [line.fields for line in parts.ledger.lines("epochs.created")]
    spans = [range(int(fields["first_epoch"]), int(fields["last_epoch"]) + 1) for fields in created]
    assert len({number for span in spans for number in span}) == sum(map(len, spans))  # one pair an epoch, for ever
