"""Checkpoints signed inside the TPM: ECDSA P-256 under a key that cannot leave it.

Knows:  one persistent handle, the public half.
Never:  the private half (fixedtpm, sensitivedataorigin: made inside, never exportable).
Leaves: DER signatures over SHA-256 (signed-note type 0x02).
Clauses: 7.3(1)3 (a ledger that only this pole can have signed).

A TPM has no Ed25519, so the algorithm byte is signed-note's 0x02, ECDSA; its key id is the hash of the DER key alone.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from firmware.drivers.tpm import TpmTools, context_file
from firmware.ground.errors import KeystoreError
from firmware.ground.note import ECDSA_P256

_TEMPLATE: Final = "ecc256:ecdsa"
_ATTRIBUTES: Final = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
_P256_SPKI: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class TpmSigner:
    """Implements ``ground.note.Signer``. Made by :meth:`open`."""

    algorithm = ECDSA_P256

    def __init__(self, tools: TpmTools, name: str, handle: int, public_key: bytes) -> None:
        self.name = name
        self.public_key = public_key
        self._tools = tools
        self._handle = f"0x{handle:08x}"

    @classmethod
    async def open(cls, tools: TpmTools, name: str, handle: int = 0x8101_5000) -> TpmSigner:
        """Find the key at persistent ``handle``; make it there if the place is empty. Raises KeystoreError.

        ``name`` is the ledger's origin (see ``ground.note.Signer``).
        """
        listed = (await tools.call("getcap", "handles-persistent")).decode("ascii", "replace")
        if handle not in {int(text, 16) for text in re.findall(r"0x[0-9A-Fa-f]+", listed)}:
            await _make(tools, handle)
        public_key = await tools.call("readpublic", "-Q", "-c", f"0x{handle:08x}", "-f", "der", "-o", "/dev/stdout")
        if not public_key.startswith(_P256_SPKI):
            raise KeystoreError(
                "E-KEY-SIGNER",
                "another kind of key stands where the ledger's signing key belongs",
                where=f"handle 0x{handle:08x}",
                todo="set signing_handle to a free persistent handle",
                clause="7.3(1)3",
            )
        return cls(tools, name, handle, public_key)

    async def sign(self, message: bytes) -> bytes:
        """See ``ground.note.Signer``: DER ECDSA over SHA-256."""
        return await self._tools.call(
            *("sign", "-Q", "-c", self._handle, "-g", "sha256", "-s", "ecdsa", "-d"),
            *("-f", "plain", "-o", "/dev/stdout"),
            give=hashlib.sha256(message).digest(),
        )


async def _make(tools: TpmTools, handle: int) -> None:
    with context_file("tpm-signing-key") as (path, descriptor):
        await tools.call(
            *("createprimary", "-Q", "-C", "o", "-G", _TEMPLATE, "-a", _ATTRIBUTES, "-c", path), files=(descriptor,)
        )
        await tools.call("evictcontrol", "-Q", "-C", "o", "-c", path, f"0x{handle:08x}", files=(descriptor,))
    await tools.flush()
