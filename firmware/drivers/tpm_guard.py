"""A provisioned chip: sessions that its policy lets through, and the answer to "is this the chip?".

Knows:  the record of one chip, the boot registers its policy was bound to.
Never:  a secret; the owner's key: nothing here can define, rebind or clear.
Leaves: policy sessions, salted to the recorded storage key and encrypting in both directions.
Clauses: 7.3(1)1 (another chip, or another boot, gets nothing).

The salt goes to the public key of the record, not to one that the bus says it is: what answers in the chip's stead, or
another chip, cannot take part in the session.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from firmware.drivers import tpm_policy
from firmware.drivers.tpm import TpmTools, memory_file
from firmware.drivers.tpm_policy import COMMANDS, Act
from firmware.drivers.tpm_record import ChipRecord
from firmware.ground.errors import KeystoreError

_NO_SUCH_HANDLE: Final = "0x18B"
_DIGEST_BYTES: Final = 32


class Guard:
    """Opens sessions on the chip of ``record``, whose policy was bound to ``pcrs`` (none: to no boot)."""

    def __init__(self, tools: TpmTools, record: ChipRecord, pcrs: Sequence[int]) -> None:
        self.record = record
        self._tools = tools
        self._pcrs = tuple(pcrs)

    @asynccontextmanager
    async def session(self, act: Act) -> AsyncIterator[tuple[str, int]]:
        """Give ``(path, descriptor)`` of a session in which ``act`` and nothing else is possible, once.

        Raises KeystoreError: E-KEY-CHIP (another chip, or a cleared one), E-KEY-BOOT (the policy refuses this boot).
        """
        await self.check_chip()
        digests = tpm_policy.branches(self._pcrs, await read_pcrs(self._tools, self._pcrs))
        with contextlib.ExitStack() as stack:
            salt = stack.enter_context(memory_file("tpm-storage-key", self.record.storage_key))
            files = [stack.enter_context(memory_file("tpm-policy", digest)) for digest in digests]
            async with self._tools.session("--policy-session", salt) as (path, session):
                if self._pcrs:
                    await self._tools.call("policypcr", "-Q", "-S", path, "-l", pcr_list(self._pcrs), files=(session,))
                await self._tools.call("policycommandcode", "-Q", "-S", path, COMMANDS[act], files=(session,))
                await self._agree(path, session, files)
                yield path, session

    async def check_chip(self) -> None:
        """Raise KeystoreError E-KEY-CHIP unless the chip that answers is the recorded one."""
        found = await chip_at(self._tools, self.record.storage_handle)
        if found != self.record.chip:
            raise other_chip(self.record, found)

    async def _agree(self, path: str, session: int, files: Sequence[tuple[str, int]]) -> None:
        named, index = ",".join(name for name, _ in files), f"0x{self.record.policy_index:08x}"
        try:
            await self._tools.call(
                *("policyor", "-Q", "-S", path, f"sha256:{named}"), files=(session, *(number for _, number in files))
            )
            await self._tools.call("policyauthorizenv", "-Q", "-S", path, "-C", index, index, files=(session,))
        except KeystoreError as error:
            if "0x" not in error.what:
                raise
            raise KeystoreError(
                "E-KEY-BOOT",
                f"the TPM's policy refuses this boot ({pcr_list(self._pcrs) or 'no register'}): {error.what}",
                where="the TPM",
                todo="if the boot chain was updated on purpose: pole rebind --owner-key FILE; else suspect this system",
                clause="7.3(1)1",
            ) from None


async def chip_at(tools: TpmTools, storage_handle: int) -> str:
    """Return the SHA-256 (hex) of the storage key's public area; "" where there is none. Raises KeystoreError."""
    try:
        public = await tools.call("readpublic", "-Q", "-c", f"0x{storage_handle:08x}", "-f", "tss", "-o", "/dev/stdout")
    except KeystoreError as error:
        if _NO_SUCH_HANDLE in error.what:
            return ""
        raise
    return hashlib.sha256(public).hexdigest()


async def read_pcrs(tools: TpmTools, pcrs: Sequence[int]) -> tuple[bytes, ...]:
    """Return the registers' values now, SHA-256 bank, in the order of ``pcrs``. Raises KeystoreError."""
    if not pcrs:
        return ()
    values = await tools.call("pcrread", "-Q", pcr_list(pcrs), "-o", "/dev/stdout")
    return tuple(values[at : at + _DIGEST_BYTES] for at in range(0, len(values), _DIGEST_BYTES))


def pcr_list(pcrs: Sequence[int]) -> str:
    """Return ``sha256:0,2,7`` for tpm2-tools; "" for none."""
    return "sha256:" + ",".join(str(pcr) for pcr in sorted(pcrs)) if pcrs else ""


def other_chip(record: ChipRecord, found: str) -> KeystoreError:
    """Return the error for a chip that is not the recorded one; ``found`` is "" for one without our storage key."""
    answers = f"chip {found[:16]} answers" if found else "one answers that was cleared or never provisioned"
    return KeystoreError(
        "E-KEY-CHIP",
        f"this is not the TPM of this pole: its secrets are in chip {record.chip[:16]} ({record.maker}), {answers}",
        where=f"handle 0x{record.storage_handle:08x}",
        todo="put the board back; if it is gone for good: pole provision --replace (board/KEYS.md). Nothing was erased",
        clause="7.3(1)1",
    )
