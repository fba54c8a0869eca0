"""The software keystore: two files. For a bench and the demo, and it says so.

Knows:  two 32-byte secrets in ``slot-0`` and ``slot-1`` of its folder.
Never:  under profile ``pole`` (the settings refuse it): a file on flash can be overwritten by name only, so whoever
        copied it before reopens every table it opened.
Leaves: files of mode 0600; a loud log line.
Clauses: 7.3(1)1, 7.1(3) (not met by this keystore: said in status, manifests, certificates).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Literal

from firmware.footage.ports import SECRET_BYTES, SecretSlot
from firmware.ground.durable import remove_file, write_file
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log


class SoftwareKeystore:
    """Implements ``footage.ports.Keystore`` in ``folder`` (made if missing, mode 0700)."""

    name: Literal["software", "tpm2"] = "software"
    erases = False

    def __init__(self, folder: Path, log: Log) -> None:
        self._folder = folder
        log.event("keystore.software", erases=False, weak="copied_secret_reopens_old_tables", clause="7.3_1_1")

    async def read_secret(self, slot: SecretSlot) -> bytes | None:
        """See the port."""
        return await asyncio.to_thread(self._read, slot)

    async def write_secret(self, slot: SecretSlot, secret: bytes) -> None:
        """See the port."""
        refuse_unfit(secret)
        await asyncio.to_thread(self._write, slot, secret)

    async def erase_secret(self, slot: SecretSlot) -> None:
        """See the port. Overwritten in place, then removed: the flash below may keep the old bytes all the same."""
        await asyncio.to_thread(self._erase, slot)

    def _path(self, slot: SecretSlot) -> Path:
        return self._folder / f"slot-{slot}"

    def _read(self, slot: SecretSlot) -> bytes | None:
        try:
            secret = self._path(slot).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed("read", self._path(slot), error) from None
        return secret if len(secret) == SECRET_BYTES and any(secret) else None

    def _write(self, slot: SecretSlot, secret: bytes) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(self._path(slot), secret)
        except OSError as error:
            raise _failed("write", self._path(slot), error) from None

    def _erase(self, slot: SecretSlot) -> None:
        path = self._path(slot)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed("erase", path, error) from None
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(bytes(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            remove_file(path)
        except OSError as error:
            raise _failed("erase", path, error) from None


def refuse_unfit(secret: bytes) -> None:
    """Raise ValueError unless ``secret`` has 32 bytes, not all zero (zeros mean: erased)."""
    if len(secret) != SECRET_BYTES or not any(secret):
        message = f"a secret has {SECRET_BYTES} bytes, not all zero"
        raise ValueError(message)


def _failed(act: str, path: Path, error: OSError) -> KeystoreError:
    return KeystoreError(
        "E-KEY-SOFTWARE",
        f"cannot {act} a secret: {error.strerror}",
        where=str(path),
        todo="check the state directory and its disk",
        clause="7.3(1)1",
    )
