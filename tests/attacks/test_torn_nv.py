"""A write of the TPM's NV memory cut short, at every place there is: boot finishes whichever half was done.

After any cut, before anything is repaired, there is a secret for the table in force; after boot there is exactly one
secret, every minute that should open opens, and what was being erased is gone or still entirely there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from firmware.drivers.tpm import TpmKeystore
from firmware.footage.ports import SecretSlot
from firmware.footage.table import EpochTable
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import KeystoreError
from tests.parts.footage_parts import MemoryKeystore, quick_epoch
from tests.parts.provisioned import Chip
from tests.parts.swtpm import Swtpm, swtpm

FIRST = MinuteNumber(29_923_200)
KEPT = [MinuteNumber(FIRST + place) for place in range(60)]
DUE = [MinuteNumber(FIRST - place) for place in range(1, 31)]
BOTH: tuple[SecretSlot, SecretSlot] = (0, 1)


class CutKeystore:
    """Fails at the ``at``-th operation: before it reached the chip, or after it did and before it was known."""

    name = "tpm2"
    erases = True

    def __init__(self, inner: MemoryKeystore | TpmKeystore, at: int, *, after: bool) -> None:
        self._inner = inner
        self._at = at
        self._after = after
        self.operations = 0

    async def read_secret(self, slot: SecretSlot) -> bytes | None:
        return await self._step(self._inner.read_secret(slot))

    async def write_secret(self, slot: SecretSlot, secret: bytes) -> None:
        await self._step(self._inner.write_secret(slot, secret))

    async def erase_secret(self, slot: SecretSlot) -> None:
        await self._step(self._inner.erase_secret(slot))

    async def _step(self, act: Coroutine[Any, Any, bytes | None]) -> bytes | None:
        self.operations += 1
        if self.operations == self._at and not self._after:
            act.close()
            raise cut()
        found = await act
        if self.operations == self._at:
            raise cut()
        return found


def cut() -> KeystoreError:
    return KeystoreError("E-KEY-TPM", "cut", where="the test", todo="none")


async def furnish(folder: Path, keystore: MemoryKeystore | TpmKeystore) -> None:
    table = EpochTable(folder, keystore)
    await table.load(FIRST)
    await table.rewrite([], [quick_epoch(epoch) for epoch in DUE + KEPT], FIRST)


async def rewrite(folder: Path, keystore: CutKeystore | TpmKeystore) -> None:
    table = EpochTable(folder, keystore)  # type: ignore[arg-type]  # a keystore with a fault
    await table.load(FIRST)
    await table.rewrite(DUE, [], FIRST)


async def judge(folder: Path, keystore: MemoryKeystore | TpmKeystore) -> None:
    assert [slot for slot in BOTH if await keystore.read_secret(slot) is not None]  # at no point none
    table = EpochTable(folder, keystore)
    await table.load(FIRST)
    assert len([slot for slot in BOTH if await keystore.read_secret(slot) is not None]) == 1
    opened = await table.sealed_identities(DUE + KEPT)
    assert set(KEPT) <= set(opened)
    assert set(opened) in ({*KEPT}, {*KEPT, *DUE})
    assert len(tables(folder)) == 1
    await table.rewrite([epoch for epoch in DUE if epoch in opened], [], FIRST)  # and life goes on
    assert set(await table.sealed_identities(DUE + KEPT)) == set(KEPT)


@pytest.mark.parametrize("after", [False, True])
async def test_a_driver_that_fails_before_or_after_any_operation(tmp_path: Path, after: bool) -> None:
    operations = 10**6
    at = 0
    while at < operations:
        at += 1
        folder, memory = tmp_path / str(at), MemoryKeystore()
        await furnish(folder, memory)
        cutting = CutKeystore(memory, at, after=after)
        try:
            await rewrite(folder, cutting)
            operations = cutting.operations
        except KeystoreError:
            pass
        await judge(folder, memory)
    assert at > 5


@pytest.mark.parametrize("at", range(1, 7))
async def test_the_same_on_a_real_software_tpm_behind_its_policy(tmp_path: Path, at: int) -> None:
    async with swtpm() as tpm:
        chip = Chip.beside(tpm, tmp_path / "pole")
        await chip.provision()
        keystore, _ = await chip.keys()
        folder = tmp_path / "pole" / "footage"
        await furnish(folder, keystore)
        with pytest.raises(KeystoreError, match=r"E-KEY-(TPM|VERIFY)"):
            await rewrite(folder, CutKeystore(keystore, at, after=bool(at % 2)))  # type: ignore[arg-type]  # as above
        await power_cycle(tpm)
        await judge(folder, keystore)


@pytest.mark.parametrize("milliseconds", [30, 90, 180, 300, 450, 700])
async def test_the_chip_itself_dies_in_the_middle(tmp_path: Path, milliseconds: int) -> None:
    """swtpm is killed (SIGKILL) some time into a rewrite, wherever that is, and comes back with what it had written."""
    async with swtpm() as tpm:
        chip = Chip.beside(tpm, tmp_path / "pole")
        await chip.provision()
        keystore, _ = await chip.keys()
        folder = tmp_path / "pole" / "footage"
        await furnish(folder, keystore)
        writing = asyncio.create_task(rewrite(folder, keystore))
        await asyncio.sleep(milliseconds / 1000)
        await kill(tpm)
        await asyncio.wait([writing])
        if not writing.cancelled() and writing.exception() is not None:
            assert isinstance(writing.exception(), KeystoreError)
        await tpm.start()
        await judge(folder, keystore)


def tables(folder: Path) -> list[Path]:
    return list(folder.glob("*.table"))


async def power_cycle(tpm: Swtpm) -> None:
    await kill(tpm)
    await tpm.start()


async def kill(tpm: Swtpm) -> None:
    assert tpm.process is not None
    tpm.process.kill()
    await tpm.process.wait()
    tpm.process = None
