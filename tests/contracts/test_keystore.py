"""What every keystore keeps to: software, and the TPM's code against a real software TPM."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.footage.ports import Keystore, SecretSlot
from firmware.ground.log import Log
from tests.parts.footage_parts import MemoryKeystore, Silence
from tests.parts.swtpm import swtpm

BOTH: tuple[SecretSlot, SecretSlot] = (0, 1)


@dataclass
class Bench:
    """A keystore and how to meet it again after a power cut."""

    keystore: Keystore
    again: Callable[[], Awaitable[Keystore]]


@pytest_asyncio.fixture(params=["software", "tpm2", "memory"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "software":

        async def reopen() -> Keystore:
            return SoftwareKeystore(tmp_path, Log(Silence()))

        yield Bench(await reopen(), reopen)
    elif request.param == "memory":  # the stand-in of the other tests keeps to the same contract
        stand_in = MemoryKeystore()

        async def same() -> Keystore:
            return stand_in

        yield Bench(stand_in, same)
    else:
        async with swtpm() as tpm:

            async def power_cycle() -> Keystore:
                await tpm.stop()
                await tpm.start()
                return TpmKeystore(TpmTools(tpm.tcti))

            yield Bench(TpmKeystore(TpmTools(tpm.tcti)), power_cycle)


async def test_slots_are_empty_keep_what_is_written_and_forget_what_is_erased(bench: Bench) -> None:
    keystore = bench.keystore
    assert [await keystore.read_secret(slot) for slot in BOTH] == [None, None]
    for slot in BOTH:
        await keystore.erase_secret(slot)
    old, new = os.urandom(32), os.urandom(32)
    await keystore.write_secret(0, old)
    assert [await keystore.read_secret(slot) for slot in BOTH] == [old, None]
    await keystore.write_secret(1, new)
    await keystore.erase_secret(0)
    assert [await keystore.read_secret(slot) for slot in BOTH] == [None, new]
    await keystore.write_secret(0, old)
    await keystore.write_secret(0, new)
    assert await keystore.read_secret(0) == new


async def test_a_power_cut_changes_nothing(bench: Bench) -> None:
    secret = os.urandom(32)
    await bench.keystore.write_secret(0, os.urandom(32))
    await bench.keystore.write_secret(1, secret)
    await bench.keystore.erase_secret(0)
    keystore = await bench.again()
    assert [await keystore.read_secret(slot) for slot in BOTH] == [None, secret]


async def test_it_says_what_it_is(bench: Bench) -> None:
    assert bench.keystore.name in ("software", "tpm2")
    assert bench.keystore.erases == (bench.keystore.name == "tpm2")


@pytest.mark.parametrize("secret", [b"", bytes(32), os.urandom(31), os.urandom(33)])
async def test_unfit_secrets_are_refused(secret: bytes, tmp_path: Path) -> None:
    for keystore in (SoftwareKeystore(tmp_path, Log(Silence())), TpmKeystore(TpmTools("swtpm:path=/nowhere"))):
        with pytest.raises(ValueError, match="32 bytes"):
            await keystore.write_secret(0, secret)
