"""The software keystore and signer: files of their own, loud, and errors with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.drivers.signer_software import SoftwareSigner
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from firmware.ground.note import ED25519
from tests.parts.footage_parts import Silence


async def test_files_are_the_owners_alone_and_an_erased_one_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "keystore"
    keystore = SoftwareKeystore(folder, Log(Silence()))
    await keystore.write_secret(0, os.urandom(32))
    path = folder / "slot-0"
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    await keystore.erase_secret(0)
    assert not path.exists()


async def test_what_is_not_a_secret_reads_as_none(tmp_path: Path) -> None:
    keystore = SoftwareKeystore(tmp_path, Log(Silence()))
    for content in (b"", bytes(32), os.urandom(31), os.urandom(33)):
        (tmp_path / "slot-1").write_bytes(content)
        assert await keystore.read_secret(1) is None


async def test_a_file_in_the_folders_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "keystore").write_bytes(b"x")
    keystore = SoftwareKeystore(tmp_path / "keystore", Log(Silence()))
    for deed in (keystore.write_secret(0, os.urandom(32)), keystore.erase_secret(0), keystore.read_secret(0)):
        with pytest.raises(KeystoreError, match="E-KEY-SOFTWARE"):
            await deed


async def test_the_signer_keeps_its_key(tmp_path: Path) -> None:
    signer = SoftwareSigner(tmp_path / "keystore" / "signing-key", "smartpole.example/sp03")
    again = SoftwareSigner(tmp_path / "keystore" / "signing-key", "smartpole.example/sp03")
    assert signer.algorithm == ED25519
    assert signer.public_key == again.public_key
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(await again.sign(b"m"), b"m")
    (tmp_path / "keystore" / "signing-key").write_bytes(b"short")
    with pytest.raises(KeystoreError, match="E-KEY-SIGNER"):
        SoftwareSigner(tmp_path / "keystore" / "signing-key", "smartpole.example/sp03")
