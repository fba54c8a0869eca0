"""Issue: after erasure nothing opens, whatever was copied before; and what the software keystore cannot do, shown."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.drivers.mint_process import MintProcess
from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.footage.epochs import TableFile
from firmware.footage.parts import Parts
from firmware.footage.ports import Keystore, SecretSlot
from firmware.footage.recording import Clerk, Filming
from firmware.footage.run import boot
from firmware.footage.settings import Officers
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, minute_of
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from tests.parts.footage_parts import Silence, bench_settings, frame_now, make_parts, recipient_and_key
from tests.parts.swtpm import swtpm

START_NS = 29_923_200 * NS_PER_MINUTE
HOUR_NS = 3_600 * NS_PER_SECOND
BOTH: tuple[SecretSlot, SecretSlot] = (0, 1)


@dataclass
class Thief:
    """Copies every file whenever it likes; later holds keys and opens what it can."""

    folder: Path
    tables: list[bytes] = field(default_factory=list)
    chunks: dict[str, bytes] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def copy(self, footage: Path) -> None:
        self.tables += [path.read_bytes() for path in footage.glob("*.table")]
        self.chunks |= {path.name: path.read_bytes() for path in footage.rglob("*.age")}

    def opens(
        self, secrets: Collection[bytes], of_a: Sequence[pyrage.x25519.Identity], of_b: Sequence[pyrage.x25519.Identity]
    ) -> set[int]:
        """Return the epochs of which it can read a picture with ``secrets`` and the officers' private keys."""
        identities: dict[int, bytes] = {}
        for data in self.tables:
            path = self.folder / f"copy-{next(self._numbers)}.table"
            path.write_bytes(data)
            for secret in secrets:
                try:
                    table = TableFile(path, secret)
                except KeystoreError:
                    continue
                for hour in table.header.minutes:
                    identities |= {entry.epoch: entry.sealed_identity for entry in table.read_hour(hour)}
        return {
            int(name.split("-")[0])
            for name, chunk in self.chunks.items()
            if _read(chunk, identities.get(int(name.split("-")[0])), of_a, of_b)
        }


def _read(
    chunk: bytes,
    sealed: bytes | None,
    of_a: Sequence[pyrage.x25519.Identity],
    of_b: Sequence[pyrage.x25519.Identity],
) -> bool:
    for first, second in ((of_a, of_b), (of_b, of_a), (of_a, of_a), (of_b, of_b)):
        try:
            identity = pyrage.decrypt(pyrage.decrypt(sealed or b"", list(first)), list(second)).decode()
            pyrage.decrypt(chunk, [pyrage.x25519.Identity.from_str(identity)])
        except (pyrage.DecryptError, ValueError):
            continue
        return True
    return False


@dataclass
class Scene:
    """One pole that has recorded an old minute and a young one, its thief, its officers."""

    parts: Parts
    clock: SimulatedClock
    thief: Thief
    of_a: pyrage.x25519.Identity
    of_b: pyrage.x25519.Identity
    old: int
    young: int


async def play(tmp_path: Path, keystore: Keystore) -> Scene:
    """Record an old minute and a young one, sweep before the old one's deadline, copy everything all the time."""
    clock = SimulatedClock(START_NS)
    (a, of_a), (b, of_b) = recipient_and_key(), recipient_and_key()
    officers = Officers(a=(a,), b=(b,))
    mint = MintProcess(officers, profile="bench", clock=clock, log=Log(Silence()))
    parts = make_parts(tmp_path / "pole", clock, keystore, settings=bench_settings(officers=officers), mint=mint)
    eraser, thief = Eraser(parts), Thief(tmp_path)
    await boot(parts, eraser)
    old = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    thief.copy(parts.store.folder)
    await eraser.sweep()
    thief.copy(parts.store.folder)
    await clock.advance_to(START_NS + 336 * HOUR_NS - 10 * NS_PER_MINUTE)
    await eraser.sweep()
    thief.copy(parts.store.folder)
    young = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    thief.copy(parts.store.folder)
    await clock.advance_to(START_NS + 336 * HOUR_NS)
    return Scene(parts, clock, thief, of_a, of_b, old, young)


async def record_a_minute(parts: Parts, clock: SimulatedClock) -> None:
    clerk = Clerk()
    filming = Filming(parts, clerk, needs_keyframe=False, want_keys=Eraser(parts).sweep)
    working = asyncio.create_task(clerk.run())
    for _ in range(3):
        await filming.take(frame_now(clock))
        await clock.advance_to(clock.utc_ns() + 10 * NS_PER_SECOND)
    await filming.finish()
    await clerk.settled()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def secrets_now(keystore: Keystore) -> list[bytes]:
    return [secret for slot in BOTH if (secret := await keystore.read_secret(slot)) is not None]


async def test_tpm2_after_erasure_every_copy_ever_made_and_all_keys_open_nothing_erased(tmp_path: Path) -> None:
    async with swtpm() as tpm:
        keystore = TpmKeystore(TpmTools(tpm.tcti))
        scene = await play(tmp_path, keystore)
        await tpm.stop()  # stolen: the chip as it is now, on the thief's bench
        await tpm.start()
        secrets = await secrets_now(TpmKeystore(TpmTools(tpm.tcti)))
        assert len(secrets) == 1
        assert len(scene.thief.tables) >= 4
        assert {scene.old, scene.young} == {int(name.split("-")[0]) for name in scene.thief.chunks}
        assert scene.thief.opens(secrets, [scene.of_a], [scene.of_b]) == {scene.young}
        erased = [line.fields for line in scene.parts.ledger.lines("epochs.erased")]
        assert any(fields["first_epoch"] <= scene.old <= fields["last_epoch"] for fields in erased)  # type: ignore[operator]  # integers
        assert {fields["keystore"] for fields in erased} == {"tpm2"}


async def test_before_erasure_both_officers_do_open_it_and_one_group_never(tmp_path: Path) -> None:
    """The thief of the test above is able: the same hands open everything before the deadline."""
    async with swtpm() as tpm:
        keystore = TpmKeystore(TpmTools(tpm.tcti))
        clock = SimulatedClock(START_NS)
        (a, of_a), (b, of_b) = recipient_and_key(), recipient_and_key()
        officers = Officers(a=(a,), b=(b,))
        mint = MintProcess(officers, profile="bench", clock=clock, log=Log(Silence()))
        parts = make_parts(tmp_path / "pole", clock, keystore, settings=bench_settings(officers=officers), mint=mint)
        await boot(parts, Eraser(parts))
        epoch = minute_of(clock.utc_ns())
        await record_a_minute(parts, clock)
        thief = Thief(tmp_path)
        thief.copy(parts.store.folder)
        secrets = await secrets_now(keystore)
        assert thief.opens(secrets, [of_a], [of_b]) == {epoch}
        assert thief.opens(secrets, [of_a], []) == set()  # one group alone
        assert thief.opens(secrets, [], [of_b]) == set()
        assert thief.opens([], [of_a], [of_b]) == set()  # a stolen disk, and both officers
        assert thief.opens(secrets, [], []) == set()  # a stolen pole


async def test_software_a_copied_secret_file_reopens_an_old_table_and_it_says_so(tmp_path: Path) -> None:
    """The weakness, shown: on flash the old secret file may survive; whoever has it and both officers reads on."""
    sink = Silence()
    folder = tmp_path / "keystore"
    keystore = SoftwareKeystore(folder, Log(sink))
    copied: list[bytes] = []
    write = keystore.write_secret

    async def copying(slot: SecretSlot, secret: bytes) -> None:
        await write(slot, secret)
        copied.append((folder / f"slot-{slot}").read_bytes())

    keystore.write_secret = copying  # type: ignore[method-assign]  # the thief's cron job
    scene = await play(tmp_path, keystore)
    assert scene.thief.opens(await secrets_now(keystore), [scene.of_a], [scene.of_b]) == {scene.young}
    assert scene.thief.opens(copied, [scene.of_a], [scene.of_b]) == {scene.old, scene.young}  # the weakness
    assert not keystore.erases
    assert any("copied_secret_reopens_old_tables" in line for line in sink.lines)
    assert {line.fields["keystore"] for line in scene.parts.ledger.lines("epochs.erased")} == {"software"}
