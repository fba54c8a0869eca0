"""OpenSSH's own ssh-keygen signs and judges: ``-Y sign`` and ``-Y verify``, files, agents and FIDO2 keys alike.

Knows:  argument lists; a private temporary folder for the length of one call.
Never:  a private half read by this program, a program that waits for ever, a message in an argument.
Leaves: signatures, verdicts, nothing on a disk.
Clauses: 7.2(1), 5.1(1), 7.3(1)1 (an officer's key is never on a pole: there a forwarded agent signs).

A passphrase is asked for and a touch is awaited by ssh-keygen itself, on the officer's terminal.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from firmware.custody.office.acts import NAMESPACE
from firmware.custody.office.signatures import MOST_SIGNATURE_BYTES
from firmware.ground.errors import CaseError

_SIGN_SECONDS: Final = 120.0
"""A person finds the token, types, touches."""
_VERIFY_SECONDS: Final = 20.0
_WHO: Final = "officer"
_FLAGS_FROM_END: Final = 5
_FROM_THE_TERMINAL: Final = ("SSH_AUTH_SOCK", "HOME", "TERM", "DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS", "SSH_TTY")
_PLAIN: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


class SshKeygen:
    """Implements ``custody.office.signatures.Signatures``. ``environment``: where the agent's socket is named."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = _PLAIN | {name: environment[name] for name in _FROM_THE_TERMINAL if name in environment}

    async def sign(self, message: bytes, key: str, keyfile: Path | None = None, *, namespace: str = NAMESPACE) -> bytes:
        """See the port."""
        if keyfile is None and "SSH_AUTH_SOCK" not in self._environment:
            raise _unsigned(
                "no ssh agent is reachable", "log in with ssh -A, or draw the act up and sign it at the desk"
            )
        with _folder({"key.pub": f"{key}\n".encode()}) as folder:
            arguments = ["-q", "-Y", "sign", "-n", namespace, "-f", str(keyfile or folder / "key.pub")]
            status, signature = await _run(arguments, message, self._environment, _SIGN_SECONDS, quiet=False)
        if status != 0:
            where = "the key file" if keyfile else "the ssh agent"
            raise _unsigned(
                f"{where} did not sign", "see ssh-keygen's own words above; ssh-add -l lists the agent's keys"
            )
        if not await self.verify(message, signature, key, namespace=namespace):
            raise _unsigned("that is another officer's key", "sign with the key that the register has for the account")
        return signature

    async def verify(self, message: bytes, signature: bytes, key: str, *, namespace: str = NAMESPACE) -> bool:
        """See the port."""
        if len(signature) > MOST_SIGNATURE_BYTES or "\n" in key or (key.startswith("sk-") and not _touched(signature)):
            return False
        allowed = f'{_WHO} namespaces="{namespace}" {key}\n'.encode()
        with _folder({"allowed": allowed, "sig": signature}) as folder:
            arguments = ["-Y", "verify", "-n", namespace, "-f", str(folder / "allowed"), "-I", _WHO]
            arguments += ["-s", str(folder / "sig")]
            status, _ = await _run(arguments, message, _PLAIN, _VERIFY_SECONDS, quiet=True)
        return status == 0


def _touched(signature: bytes) -> bool:
    """Tell whether a token says that it was touched; ssh-keygen itself does not ask (PROTOCOL.u2f: flags, counter)."""
    armour = b"".join(line for line in signature.splitlines() if not line.startswith(b"-----"))
    try:
        blob = base64.b64decode(armour, validate=True)
    except ValueError:
        return False
    return len(blob) > _FLAGS_FROM_END and bool(blob[-_FLAGS_FROM_END] & 1)


async def _run(
    arguments: list[str], message: bytes, environment: Mapping[str, str], seconds: float, *, quiet: bool
) -> tuple[int, bytes]:
    """Run ssh-keygen with ``message`` on its input; return exit status and output. Unless ``quiet`` it may speak."""
    try:
        process = await asyncio.create_subprocess_exec(
            "ssh-keygen",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL if quiet else None,
            env=environment,
        )
    except OSError as error:
        raise _failed(error.strerror or "cannot start", "install openssh-client") from None
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(message)
    except TimeoutError:
        raise _failed(f"no answer within {seconds:g} s", "try again; touch the token when it blinks") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, output


@contextmanager
def _folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Give a folder that only this user may enter, with these files; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="acts-") as name:
        for file, content in files.items():
            descriptor = os.open(Path(name) / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
        yield Path(name)


def _unsigned(what: str, todo: str) -> CaseError:
    return CaseError("E-OFFICE-SIGN", what, where="ssh-keygen -Y sign", todo=todo, clause="7.3(1)2")


def _failed(what: str, todo: str) -> CaseError:
    return CaseError("E-OFFICE-SSH", what, where="ssh-keygen", todo=todo)
