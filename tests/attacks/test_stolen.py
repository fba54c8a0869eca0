"""Stolen disk, stolen pole, and what a lawful opener needs: Debian's own age, both officers, the pole's keystore."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyrage
import pytest

from firmware.drivers.mint_process import MintProcess
from firmware.footage.epochs import TableFile
from firmware.footage.run import boot
from firmware.footage.settings import Officers
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import MemoryKeystore, Silence, bench_settings, make_parts, recipient_and_key

START_NS = 29_923_200 * NS_PER_MINUTE


def stock_age(key: Path, sealed: bytes) -> bytes:
    """Decrypt with the age that Debian ships."""
    return subprocess.run(["age", "-d", "-i", key], input=sealed, capture_output=True, check=True).stdout


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_debians_age_opens_a_chunk_with_the_identity_that_both_groups_recovered(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    (a, of_a), (b, of_b) = recipient_and_key(), recipient_and_key()
    officers = Officers(a=(a,), b=(b,))
    mint = MintProcess(officers, profile="bench", clock=clock, log=Log(Silence()))
    parts = make_parts(
        tmp_path / "pole", clock, MemoryKeystore(), settings=bench_settings(officers=officers), mint=mint
    )
    await boot(parts, Eraser(parts))
    epoch = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    sealed = await parts.table.sealed_identity(epoch)
    keys = {name: tmp_path / name for name in ("a", "b", "epoch")}
    keys["a"].write_text(f"{of_a}\n")
    keys["b"].write_text(f"{of_b}\n")
    keys["epoch"].write_bytes(stock_age(keys["b"], stock_age(keys["a"], sealed)))
    for chunk in parts.store.chunks(epoch):
        assert stock_age(keys["epoch"], chunk.read_bytes()).decode() == parts.table.recipient_of(epoch)
    with pytest.raises(subprocess.CalledProcessError):
        stock_age(keys["a"], parts.store.chunks(epoch)[0].read_bytes())


async def test_a_stolen_disk_holds_no_private_half_and_no_secret(tmp_path: Path) -> None:
    clock, keystore = SimulatedClock(START_NS), MemoryKeystore()
    parts = make_parts(tmp_path, clock, keystore)
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, clock)
    secrets = set(keystore.slots.values())
    for path in files_below(tmp_path):
        data = path.read_bytes()
        assert b"AGE-SECRET-KEY" not in data
        assert not any(secret in data for secret in secrets)
    for path in parts.store.folder.glob("*.table"):
        for guess in (bytes(32), os.urandom(32)):
            with pytest.raises(KeystoreError, match="E-KEY-TABLE"):
                TableFile(path, guess)


async def test_a_public_key_alone_can_forge_a_chunk_but_not_a_minute(tmp_path: Path) -> None:
    """age does not say who wrote a file; the manifest's hash in the ledger does."""
    clock = SimulatedClock(START_NS)
    parts = make_parts(tmp_path, clock, MemoryKeystore())
    await boot(parts, Eraser(parts))
    await record_a_minute(parts, clock)
    epoch = MinuteNumber(START_NS // NS_PER_MINUTE)
    path = parts.store.chunks(epoch)[0]
    size = path.stat().st_size
    forged = pyrage.encrypt(b"x", [pyrage.x25519.Identity.generate().to_public()]).ljust(size, b"x")[:size]
    path.unlink()
    path.write_bytes(forged)
    again = make_parts(tmp_path, clock, parts.table._keystore)
    findings = await boot(again, Eraser(again))
    assert findings.damaged == [(epoch, 0)]
    assert path not in again.store.chunks(epoch)
    assert [dict(line.fields) for line in again.ledger.lines("chunk.damaged")] == [{"epoch": epoch, "sequence": 0}]
