"""Stock ssh-keygen signs and judges: key files, an agent, FIDO2 tokens; nothing else passes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.drivers import ssh_keygen
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.ground.errors import CaseError
from tests.parts.office import new_key
from tests.parts.security_key import TOUCHED, VERIFIED, EcdsaSecurityKey, SecurityKey

MESSAGE = b'{"act":"recipient.suspended"}\n'


@pytest.fixture
def signatures() -> SshKeygen:
    return SshKeygen({})


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real agent of this test's own, ended by its id."""
    socket = tmp_path / "agent"
    said = subprocess.run(["ssh-agent", "-a", socket], capture_output=True, text=True, check=True).stdout
    try:
        yield {"SSH_AUTH_SOCK": str(socket)}
    finally:
        os.kill(int(re.search(r"SSH_AGENT_PID=(\d+)", said)[1]), 15)


def take_in(agent: dict[str, str], keyfile: Path) -> None:
    """Hand a key to the agent and remove its file."""
    subprocess.run(["ssh-add", "-q", keyfile], check=True, env=os.environ | agent)
    keyfile.unlink()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
async def test_key_files(signatures: SshKeygen, tmp_path: Path, kind: str) -> None:
    key = new_key(tmp_path / "key", kind)
    signature = await signatures.sign(MESSAGE, key, tmp_path / "key")
    assert await signatures.verify(MESSAGE, signature, key)
    assert not await signatures.verify(MESSAGE + b" ", signature, key)
    assert not await signatures.verify(MESSAGE, signature, key, namespace="read.smartpole")
    assert not await signatures.verify(MESSAGE, signature, new_key(tmp_path / "other"))


async def test_an_agent_signs_without_the_key_file(agent: dict[str, str], tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    take_in(agent, tmp_path / "key")
    signatures = SshKeygen(agent)
    assert await signatures.verify(MESSAGE, await signatures.sign(MESSAGE, key), key)
    with pytest.raises(CaseError, match="E-OFFICE-SIGN: the ssh agent did not sign"):
        await signatures.sign(MESSAGE, new_key(tmp_path / "elsewhere"))


async def test_without_an_agent_the_officer_is_told_what_to_do(signatures: SshKeygen, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"E-OFFICE-SIGN: no ssh agent is reachable .* ssh -A"):
        await signatures.sign(MESSAGE, new_key(tmp_path / "key"))


async def test_another_officers_key_file_does_not_sign_for_me(signatures: SshKeygen, tmp_path: Path) -> None:
    mine, _ = new_key(tmp_path / "mine"), new_key(tmp_path / "theirs")
    with pytest.raises(CaseError, match="E-OFFICE-SIGN: that is another officer's key"):
        await signatures.sign(MESSAGE, mine, tmp_path / "theirs")


@pytest.mark.parametrize("token", [SecurityKey, EcdsaSecurityKey])
@pytest.mark.parametrize("flags", [TOUCHED, TOUCHED | VERIFIED])
async def test_fido2_tokens(signatures: SshKeygen, token: type[SecurityKey], flags: int) -> None:
    one, other = token(), token()
    signature = one.sign(MESSAGE, flags=flags)
    assert await signatures.verify(MESSAGE, signature, one.public)
    assert not await signatures.verify(MESSAGE + b" ", signature, one.public)
    assert not await signatures.verify(MESSAGE, signature, other.public)
    assert not await signatures.verify(MESSAGE, signature, one.public, namespace="read.smartpole")


async def test_a_token_that_was_not_touched_has_not_signed(signatures: SshKeygen) -> None:
    token = SecurityKey()
    for flags in (0, VERIFIED):
        assert not await signatures.verify(MESSAGE, token.sign(MESSAGE, flags=flags), token.public)


async def test_what_is_no_signature_and_no_key(signatures: SshKeygen, tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    good = await signatures.sign(MESSAGE, key, tmp_path / "key")
    for bad in (b"", b"\0" * 100, good[:-40], good.replace(b"SSH SIGNATURE", b"SIGNATURE"), good * 100):
        assert not await signatures.verify(MESSAGE, bad, key)
    for nonsense in (
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        f'{key}\nofficer namespaces="*" {key}',
        f"cert-authority {key}",
    ):
        assert not await signatures.verify(MESSAGE, good, nonsense)


async def test_a_program_that_is_missing_or_hangs_is_an_error(
    signatures: SshKeygen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(tmp_path / "key")
    (tmp_path / "bin").mkdir()
    monkeypatch.setitem(ssh_keygen._PLAIN, "PATH", str(tmp_path / "bin"))
    with pytest.raises(CaseError, match=r"E-OFFICE-SSH: .* install openssh-client"):
        await signatures.verify(MESSAGE, b"", key)
    sleeper = tmp_path / "bin" / "ssh-keygen"
    sleeper.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec /bin/sleep 60\n")
    sleeper.chmod(0o700)
    monkeypatch.setattr(ssh_keygen, "_VERIFY_SECONDS", 0.5)
    with pytest.raises(CaseError, match=r"E-OFFICE-SSH: no answer within 0\.5 s"):
        await signatures.verify(MESSAGE, b"", key)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_nothing_is_left_behind(signatures: SshKeygen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    key = SecurityKey()
    await signatures.verify(MESSAGE, key.sign(MESSAGE), key.public)
    await signatures.verify(MESSAGE, b"x", key.public)
    assert list(os.scandir(tmp_path)) == []
