"""Checkpoints signed inside the TPM: ECDSA P-256 under a key that cannot leave it.

Knows:  one persistent handle, the public half.
Never:  the private half (fixedtpm, sensitivedataorigin: made inside, never exportable).
Leaves: DER signatures over SHA-256 (signed-note type 0x02).
Clauses: 7.3(1)3 (a ledger that only this pole can have signed).

A TPM has no Ed25519, so the algorithm byte is signed-note's 0x02, ECDSA; its key id is the hash of the DER key alone.
"""

from __future__ import annotations

import hashlib
from typing import Final

from firmware.drivers.tpm import TpmTools, handles, memory_file
from firmware.drivers.tpm_guard import Guard
from firmware.ground.errors import KeystoreError
from firmware.ground.note import ECDSA_P256

_TEMPLATE: Final = "ecc256:ecdsa"
_ATTRIBUTES: Final = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
_P256_SPKI: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class TpmSigner:
    """Implements ``ground.note.Signer``. Made by :meth:`open` (a bench) or :meth:`provisioned`."""

    algorithm = ECDSA_P256

    def __init__(self, tools: TpmTools, name: str, handle: int, public_key: bytes, guard: Guard | None = None) -> None:
        self.name = name
        self.public_key = public_key
        self._tools = tools
        self._handle = f"0x{handle:08x}"
        self._guard = guard

    @classmethod
    def provisioned(cls, tools: TpmTools, name: str, guard: Guard) -> TpmSigner:
        """Return the signer that ``pole provision`` made; the chip is not asked before it signs."""
        record = guard.record
        return cls(tools, name, record.signing_handle, record.signing_key, guard)

    @classmethod
    async def open(cls, tools: TpmTools, name: str, handle: int = 0x8101_5000) -> TpmSigner:
        """Find the key at persistent ``handle`` of a chip that nobody owns; make it there if the place is empty.

        ``name`` is the ledger's origin (see ``ground.note.Signer``). Raises KeystoreError.
        """
        if handle not in await handles(tools, "persistent"):
            await make_signing_key(tools, handle, _ATTRIBUTES)
        return cls(tools, name, handle, await read_signing_key(tools, handle))

    async def sign(self, message: bytes) -> bytes:
        """See ``ground.note.Signer``: DER ECDSA over SHA-256."""
        digest = hashlib.sha256(message).digest()
        if self._guard is None:
            return await self._sign(digest)
        async with self._guard.session("sign") as (path, session):
            return await self._sign(digest, "-p", f"session:{path}", files=(session,))

    async def _sign(self, digest: bytes, *by: str, files: tuple[int, ...] = ()) -> bytes:
        return await self._tools.call(
            *("sign", "-Q", "-c", self._handle, *by, "-g", "sha256", "-s", "ecdsa", "-d"),
            *("-f", "plain", "-o", "/dev/stdout"),
            give=digest,
            files=files,
        )


async def read_signing_key(tools: TpmTools, handle: int) -> bytes:
    """Return the public half at ``handle`` (DER). Raises KeystoreError E-KEY-SIGNER for another kind of key."""
    public_key = await tools.call("readpublic", "-Q", "-c", f"0x{handle:08x}", "-f", "der", "-o", "/dev/stdout")
    if not public_key.startswith(_P256_SPKI):
        raise KeystoreError(
            "E-KEY-SIGNER",
            "another kind of key stands where the ledger's signing key belongs",
            where=f"handle 0x{handle:08x}",
            todo="set signing_handle to a free persistent handle",
            clause="7.3(1)3",
        )
    return public_key


async def make_signing_key(tools: TpmTools, handle: int, attributes: str, policy: bytes = b"") -> None:
    """Make the key inside the chip and keep it at ``handle``; ``policy`` is the digest it obeys, if any."""
    with memory_file("tpm-signing-key") as (path, key), memory_file("tpm-policy", policy) as (digest, number):
        by = ("-L", digest) if policy else ()
        await tools.call(
            *("createprimary", "-Q", "-C", "o", "-G", _TEMPLATE, "-a", attributes, *by, "-c", path),
            files=(key, number),
        )
        await tools.call("evictcontrol", "-Q", "-C", "o", "-c", path, f"0x{handle:08x}", files=(key,))
    await tools.flush()
