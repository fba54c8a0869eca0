"""The TPM's driver: secrets in no argument and no file, sessions closed, failures named."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from firmware.drivers.signer_tpm import TpmSigner
from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.footage.ports import SecretSlot
from firmware.ground.errors import KeystoreError
from firmware.ground.note import ECDSA_P256
from tests.parts.swtpm import Swtpm, swtpm

Relay = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LISTENER = """#!/bin/sh
{ for argument in "$@"; do printf '%s\\n' "$argument"; done; env; } >> "$LISTENER_FILE"
exec REAL "$@"
"""


@pytest_asyncio.fixture
async def tpm() -> AsyncIterator[Swtpm]:
    async with swtpm() as part:
        yield part


async def test_no_secret_stands_in_an_argument_the_environment_or_a_file(tpm: Swtpm, tmp_path: Path) -> None:
    """A listener in the place of tpm2 writes down all it is called with; the working folder stays empty."""
    real = next(Path(folder) / "tpm2" for folder in os.environ["PATH"].split(":") if (Path(folder) / "tpm2").exists())
    heard, programs = tmp_path / "heard", tmp_path / "programs"
    programs.mkdir()
    listener = programs / "tpm2"
    text = LISTENER.replace("REAL", str(real)).replace('"$LISTENER_FILE"', str(heard))
    listener.write_text(text)
    listener.chmod(listener.stat().st_mode | stat.S_IXUSR)
    tools = TpmTools(tpm.tcti)
    tools._environment["PATH"] = f"{programs}:{tools._environment['PATH']}"
    secret = os.urandom(32)
    before = set(Path.cwd().iterdir())
    keystore = TpmKeystore(tools)
    await keystore.write_secret(0, secret)
    assert await keystore.read_secret(0) == secret
    told = heard.read_bytes()
    assert b"nvwrite" in told
    assert b"nvread" in told
    assert secret not in told
    assert secret.hex().encode() not in told.lower()
    assert b"session:/proc/self/fd/" in told  # the transfer went through the hidden session
    assert set(Path.cwd().iterdir()) == before


async def test_a_secret_does_not_cross_the_bus_in_clear() -> None:
    """A relay in the middle writes down every byte between the tools and the TPM."""
    async with swtpm() as tpm:
        heard = bytearray()

        async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while piece := await reader.read(4096):
                heard.extend(piece)
                writer.write(piece)
                await writer.drain()
            writer.close()

        def relay(target: str) -> Relay:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                back_reader, back_writer = await asyncio.open_unix_connection(target)
                await asyncio.gather(pipe(reader, back_writer), pipe(back_reader, writer))
                await writer.wait_closed()

            return serve

        folder = tpm.folder
        servers = [
            await asyncio.start_unix_server(relay(f"{folder}/tpm.sock{end}"), path=f"{folder}/bus{end}")
            for end in ("", ".ctrl")
        ]
        keystore = TpmKeystore(TpmTools(f"swtpm:path={folder}/bus"))
        secret = os.urandom(32)
        await keystore.write_secret(1, secret)
        assert await keystore.read_secret(1) == secret
        assert len(heard) > 1000
        assert secret not in heard
        # the same relay does hear a secret that is written without the session: the listener works
        await keystore._tools.call("nvwrite", "0x01500011", "-C", "o", "-i", "-", give=secret)
        assert secret in heard
        for server in servers:
            server.close()
            await server.wait_closed()


async def test_nothing_is_left_loaded_in_the_tpm(tpm: Swtpm) -> None:
    tools = TpmTools(tpm.tcti)
    keystore = TpmKeystore(tools)
    for round_number in range(4):  # a TPM has three places of each kind
        slot: SecretSlot = 0 if round_number % 2 == 0 else 1
        await keystore.write_secret(slot, os.urandom(32))
        await keystore.read_secret(slot)
    for kind in ("handles-transient", "handles-loaded-session", "handles-saved-session"):
        assert await tools.call("getcap", kind) == b""


async def test_checkpoints_are_signed_inside_and_the_key_stays(tpm: Swtpm) -> None:
    signer = await TpmSigner.open(TpmTools(tpm.tcti), "smartpole.example/sp03")
    assert signer.algorithm == ECDSA_P256
    public = load_der_public_key(signer.public_key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(await signer.sign(b"a checkpoint\n"), b"a checkpoint\n", ec.ECDSA(hashes.SHA256()))
    await tpm.stop()
    await tpm.start()
    again = await TpmSigner.open(TpmTools(tpm.tcti), "smartpole.example/sp03")
    assert again.public_key == signer.public_key


async def test_a_missing_tpm_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    keystore = TpmKeystore(TpmTools(f"swtpm:path={tmp_path}/none"))
    with pytest.raises(KeystoreError, match="E-KEY-TPM") as raised:
        await keystore.read_secret(0)
    assert "tcti" in raised.value.todo.lower()


async def test_a_missing_program_is_an_error_too(tmp_path: Path) -> None:
    tools = TpmTools("swtpm:path=/nowhere")
    tools._environment["PATH"] = str(tmp_path)
    with pytest.raises(KeystoreError, match="E-KEY-TPM"):
        await TpmKeystore(tools).read_secret(0)


@pytest.mark.parametrize("leave", ["loaded", "saved"])
async def test_what_killed_processes_left_in_the_tpm_is_cleared(tpm: Swtpm, tmp_path: Path, leave: str) -> None:
    """A pole killed between two tpm2 calls leaves a session behind; enough of them fill the TPM (found by kill -9)."""
    tools = TpmTools(tpm.tcti)
    keystore = TpmKeystore(tools)
    secret = os.urandom(32)
    await keystore.write_secret(0, secret)
    with pytest.raises(KeystoreError, match=r"0x90[2-5]"):
        for number in range(100):
            if leave == "loaded":
                await tools.call("createprimary", "-Q", "-C", "o", "-c", str(tmp_path / "object"))
            else:
                await tools.call("startauthsession", "--hmac-session", "-S", str(tmp_path / f"session-{number}"))
    assert await keystore.read_secret(0) == secret
