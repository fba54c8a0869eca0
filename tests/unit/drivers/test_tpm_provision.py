"""Provisioning: what the chip then refuses, what crosses the bus, what a cut leaves, what moves from an older pole."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from firmware.drivers import tpm_owner
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.signer_tpm import TpmSigner
from firmware.drivers.tpm import TpmKeystore, TpmTools, memory_file
from firmware.drivers.tpm_guard import Guard
from firmware.drivers.tpm_owner import OwnerKey
from firmware.drivers.tpm_record import ChipRecord, read_record
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from tests.parts.footage_parts import Silence
from tests.parts.provisioned import ORIGIN, Chip, tapped
from tests.parts.swtpm import Swtpm, swtpm


@pytest_asyncio.fixture
async def tpm() -> AsyncIterator[Swtpm]:
    async with swtpm() as part:
        yield part


async def test_a_provisioned_chip_keeps_secrets_and_signs_and_a_second_call_changes_nothing(
    tpm: Swtpm, tmp_path: Path
) -> None:
    chip = Chip.beside(tpm, tmp_path)
    done = await chip.provision()
    assert done.changed
    names = ["storage key", "policy", "places", "signing key", "owner's key", "lockout", "ownership"]
    assert [step for step, _ in chip.steps] == names
    keystore, signer = await chip.keys()
    secret = os.urandom(32)
    assert await keystore.read_secret(0) is None
    await keystore.write_secret(0, secret)
    await tpm.stop()
    await tpm.start()
    assert await keystore.read_secret(0) == secret
    public = load_der_public_key(signer.public_key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(await signer.sign(b"a checkpoint\n"), b"a checkpoint\n", ec.ECDSA(hashes.SHA256()))
    before = (tmp_path / "tpm.json").read_bytes()
    again = await chip.provision()
    assert (again.changed, again.record) == (False, done.record)
    assert (tmp_path / "tpm.json").read_bytes() == before
    assert len(chip.steps) == len(names)
    await keystore.erase_secret(0)
    assert await keystore.read_secret(0) is None
    for kind in ("handles-transient", "handles-loaded-session", "handles-saved-session"):
        assert await chip.tools.call("getcap", kind) == b""


async def test_no_password_reads_writes_defines_or_clears(tpm: Swtpm, tmp_path: Path) -> None:
    chip = Chip.beside(tpm, tmp_path)
    record = (await chip.provision()).record
    keystore, _ = await chip.keys()
    await keystore.write_secret(0, os.urandom(32))
    place, signing = f"0x{record.first_index:08x}", f"0x{record.signing_handle:08x}"
    zeros = bytes(32)
    for attempt in (
        ("nvread", place, "-C", "o", "-s", "32"),
        ("nvread", place, "-C", place, "-s", "32"),
        ("nvread", place, "-C", "p", "-s", "32"),
        ("nvwrite", place, "-C", "o", "-i", "-"),
        ("nvwrite", place, "-C", place, "-i", "-"),
        ("nvwrite", f"0x{record.policy_index:08x}", "-C", "o", "-i", "-"),
        ("nvundefine", "-C", "o", place),
        ("nvdefine", "0x01500077", "-C", "o", "-s", "8"),
        ("sign", "-c", signing, "-g", "sha256", "-s", "ecdsa", "-d", "-f", "plain", "-o", "/dev/stdout"),
        ("evictcontrol", "-C", "o", "-c", signing),
        ("createprimary", "-Q", "-C", "o", "-c", "/dev/null"),
        ("clear", "-c", "l"),
        ("dictionarylockout", "-c"),
        ("changeauth", "-c", "o", "guess"),
    ):
        with pytest.raises(KeystoreError, match="0x"):
            await chip.tools.call(*attempt, give=zeros)
    assert await keystore.read_secret(0) is not None


@pytest.mark.parametrize("act", ["read", "write", "sign"])
async def test_a_session_is_good_for_one_act(tpm: Swtpm, tmp_path: Path, act: str) -> None:
    chip = Chip.beside(tpm, tmp_path)
    record = (await chip.provision()).record
    keystore, _ = await chip.keys()
    await keystore.write_secret(0, os.urandom(32))
    place = f"0x{record.first_index:08x}"
    tries = {
        "read": ("nvread", place, "-C", place, "-s", "32", "-P"),
        "write": ("nvwrite", place, "-C", place, "-i", "-", "-P"),
        "sign": (
            *("sign", "-c", f"0x{record.signing_handle:08x}", "-g", "sha256", "-s", "ecdsa", "-d", "-f", "plain"),
            *("-o", "/dev/stdout", "-p"),
        ),
    }
    for name, command in tries.items():
        async with Guard(chip.tools, record, ()).session(act) as (path, session):  # type: ignore[arg-type]  # one of three
            if name == act:
                await chip.tools.call(*command, f"session:{path}", give=bytes(32), files=(session,))
            else:
                with pytest.raises(KeystoreError, match="0x"):
                    await chip.tools.call(*command, f"session:{path}", give=bytes(32), files=(session,))


async def test_nothing_secret_crosses_the_bus_in_either_direction(tpm: Swtpm, tmp_path: Path) -> None:
    """Provisioning, a secret there and back, an owner's act; and the same relay does hear what is sent in clear."""
    chip = Chip.beside(tpm, tmp_path)
    plain = os.urandom(16).hex().encode()
    passwords: list[bytes] = []
    async with tapped(tpm) as (tcti, heard):
        chip.settings = msgspec.structs.replace(chip.settings, tcti=tcti)
        real = os.urandom

        def remember(length: int) -> bytes:
            passwords.append(real(length))
            return passwords[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tpm_owner.os, "urandom", remember)
            record = (await chip.provision()).record
        keystore, _ = await chip.keys()
        secret = os.urandom(32)
        await keystore.write_secret(1, secret)
        assert await keystore.read_secret(1) == secret
        await tpm_owner.bind(chip.tools, record, chip.owner(record), ())
        passwords = [password.replace(b"\0", b"\1") for password in passwords if len(password) == 32]
        assert len(passwords) >= 3
        assert len(heard) > 5000
        private = chip.owner(record)._private.private_numbers().private_value.to_bytes(32, "big")
        for hidden in (secret, private, *passwords):
            assert hidden not in heard
        with memory_file("clear", plain) as (path, number), pytest.raises(KeystoreError):
            await chip.tools.call("changeauth", "-c", "o", "-p", "guess", f"file:{path}", files=(number,))
        assert plain in heard  # the listener works: a new password sent without a hidden session is heard


async def test_the_owners_key_is_sealed_to_the_officers_and_stands_nowhere_in_clear(tpm: Swtpm, tmp_path: Path) -> None:
    chip = Chip.beside(tpm, tmp_path)
    record = (await chip.provision()).record
    owner = chip.owner(record)
    kept = list(tmp_path.iterdir())  # noqa: ASYNC240 - a test's own folder
    assert sorted(path.name for path in kept) == ["tpm-owner.age", "tpm.json"]
    for path in kept:
        assert b"PRIVATE KEY" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
    async with tpm_owner.owner_session(chip.tools, record, owner) as (path, session):
        await chip.tools.call("nvdefine", "0x01500077", "-C", "o", "-s", "8", "-P", f"session:{path}", files=(session,))
    stranger = OwnerKey.generate()
    with pytest.raises(KeystoreError, match="E-KEY-OWNER"):
        OwnerKey.from_pem(stranger.pem(), record)
    with pytest.raises(KeystoreError, match="0x"):
        async with tpm_owner.owner_session(chip.tools, record, stranger) as (path, session):
            await chip.tools.call(
                "nvdefine", "0x01500078", "-C", "o", "-s", "8", "-P", f"session:{path}", files=(session,)
            )


async def test_another_boot_gets_nothing_until_the_owner_binds_it_and_then_everything_is_there(
    tpm: Swtpm, tmp_path: Path
) -> None:
    chip = Chip.beside(tpm, tmp_path, boot_pcrs=(4, 7))
    record = (await chip.provision()).record
    keystore, signer = await chip.keys()
    secret = os.urandom(32)
    await keystore.write_secret(0, secret)
    await chip.tools.call("pcrextend", f"7:sha256={'ab' * 32}")
    for act in (keystore.read_secret(0), keystore.write_secret(0, os.urandom(32)), signer.sign(b"x")):
        with pytest.raises(KeystoreError, match="E-KEY-BOOT") as raised:
            await act
        assert "rebind" in raised.value.todo
    with pytest.raises(KeystoreError, match="E-KEY-BOOT"):
        await keystore.erase_secret(0)  # a failed erasure is never taken for one
    await tpm_owner.bind(chip.tools, record, chip.owner(record), (4, 7))
    assert await keystore.read_secret(0) == secret
    await signer.sign(b"x")
    wider, _ = await open_pole_keys(
        msgspec.structs.replace(chip.settings, boot_pcrs=(7,)), tmp_path, ORIGIN, Log(Silence())
    )
    with pytest.raises(KeystoreError, match="E-KEY-BOOT"):  # footage.toml alone cannot loosen the binding
        await wider.read_secret(0)


class CutError(Exception):
    pass


class CutTools(TpmTools):
    """The installer pulls the plug just after the ``at``-th call."""

    def __init__(self, tcti: str, at: int) -> None:
        super().__init__(tcti)
        self.calls = 0
        self._at = at

    async def call(self, *arguments: str, give: bytes = b"", files: tuple[int, ...] = ()) -> bytes:
        self.calls += 1
        found = await super().call(*arguments, give=give, files=files)
        if self.calls == self._at:
            raise CutError
        return found


async def cut_at(folder: Path, at: int) -> int:
    """Move a pole of the earlier firmware, whose secret lives, and cut that after its ``at``-th call to the chip."""
    async with swtpm() as tpm:
        chip = Chip.beside(tpm, folder)
        secret = os.urandom(32)
        await TpmKeystore(chip.tools, chip.settings.nv_index).write_secret(1, secret)
        tools = CutTools(tpm.tcti, at)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Chip, "tools", tools)
            try:
                await chip.provision()
            except CutError:
                await tpm.stop()
                await tpm.start()
        done = await chip.provision()
        assert done.record.owned
        keystore, signer = await chip.keys()
        assert [await keystore.read_secret(0), await keystore.read_secret(1)] == [None, secret], at
        await signer.sign(b"x")
        await tpm_owner.bind(chip.tools, done.record, chip.owner(done.record), ())
        assert await keystore.read_secret(1) == secret
        return tools.calls


async def test_cut_here_and_there_a_second_call_finishes(tmp_path: Path) -> None:
    total = await cut_at(tmp_path / "whole", 10**6)
    assert total > 60
    for at in range(9, total + 1, 19):
        await cut_at(tmp_path / f"{at}", at)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_cut_anywhere_a_second_call_finishes(tmp_path: Path) -> None:
    for at in range(1, await cut_at(tmp_path / "whole", 10**6) + 1):
        await cut_at(tmp_path / f"{at}", at)


async def test_what_an_unowned_chip_held_moves_behind_the_policy_and_its_old_place_is_gone(
    tpm: Swtpm, tmp_path: Path
) -> None:
    chip = Chip.beside(tpm, tmp_path)
    old = TpmKeystore(chip.tools, chip.settings.nv_index)
    old_key = (await TpmSigner.open(chip.tools, ORIGIN, chip.settings.signing_handle)).public_key
    secret = os.urandom(32)
    await old.write_secret(0, secret)
    await chip.provision()
    assert "move" in [step for step, _ in chip.steps]
    keystore, signer = await chip.keys()
    assert await keystore.read_secret(0) == secret
    assert signer.public_key != old_key
    listed = await chip.tools.call("getcap", "handles-nv-index")
    assert f"0x{chip.settings.nv_index:X}".encode() not in listed
    assert f"0x{chip.settings.signing_handle:X}".encode() not in await chip.tools.call("getcap", "handles-persistent")


async def test_a_chip_that_somebody_owns_is_left_alone(tpm: Swtpm, tmp_path: Path) -> None:
    await TpmTools(tpm.tcti).call("changeauth", "-c", "o", "somebody")
    chip = Chip.beside(tpm, tmp_path)
    with pytest.raises(KeystoreError, match="E-KEY-OWNED"):
        await chip.provision()
    assert not (tmp_path / "tpm.json").exists()


async def test_a_pole_without_provisioning_is_refused_and_a_bench_told(tpm: Swtpm, tmp_path: Path) -> None:
    chip, sink = Chip.beside(tpm, tmp_path), Silence()
    with pytest.raises(KeystoreError, match="E-KEY-UNPROVISIONED"):
        await open_pole_keys(chip.settings, tmp_path, ORIGIN, Log(sink), "pole")
    await open_pole_keys(chip.settings, tmp_path, ORIGIN, Log(sink), "bench")
    assert any("keystore.unprovisioned" in line for line in sink.lines)


@pytest.mark.parametrize("junk", [b"", b"{}", b"x", b'{"chip":1}'])
def test_a_spoiled_record_is_no_missing_one(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "tpm.json").write_bytes(junk)
    with pytest.raises(KeystoreError, match="E-KEY-RECORD"):
        read_record(tmp_path)


async def test_a_record_whose_storage_key_was_exchanged_reaches_no_chip(tpm: Swtpm, tmp_path: Path) -> None:
    """An interposer's own key in the record: the salt goes to a key the chip has not, and the chip refuses."""
    chip = Chip.beside(tpm, tmp_path / "one")
    record = (await chip.provision()).record
    keystore, _ = await chip.keys()
    await keystore.write_secret(0, os.urandom(32))
    async with swtpm() as second:
        strange = (await Chip.beside(second, tmp_path / "two").provision()).record
    forged: ChipRecord = msgspec.structs.replace(record, storage_key=strange.storage_key)
    with pytest.raises(KeystoreError, match="E-KEY-TPM"):
        await TpmKeystore(chip.tools, record.first_index, Guard(chip.tools, forged, ())).read_secret(0)
