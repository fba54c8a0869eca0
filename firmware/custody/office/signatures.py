"""Signatures: the port through which officers sign acts and anybody verifies them.

Knows:  bytes, a public key as OpenSSH writes it, a namespace.
Never:  a private half in this process.
Leaves: SSHSIG signatures (armoured), verdicts.
Clauses: 7.2(1) (two officers decide with keys of their own), 5.1(1).

The format is OpenSSH's (PROTOCOL.sshsig): what ``ssh-keygen -Y sign -n act.smartpole`` writes, stock ``ssh-keygen
-Y verify`` judges, on any machine, years later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from firmware.custody.office.acts import NAMESPACE

READING: Final = "read.smartpole"
"""Namespace of the challenge by which somebody shows who asks; such a signature is no act."""

MOST_SIGNATURE_BYTES: Final = 16 * 1024


class Signatures(Protocol):
    """What signs and verifies. Both raise :class:`CaseError` (E-OFFICE-SSH) where the program is missing or hangs."""

    async def sign(self, message: bytes, key: str, keyfile: Path | None = None, *, namespace: str = NAMESPACE) -> bytes:
        """Return the signature of ``message`` by the private half of ``key``.

        The half is in the officer's ssh agent, or in ``keyfile`` (at the desk; may ask for passphrase or touch). Raises
        :class:`CaseError` (E-OFFICE-SIGN) where neither signs.
        """

    async def verify(self, message: bytes, signature: bytes, key: str, *, namespace: str = NAMESPACE) -> bool:
        """Tell whether ``signature`` over ``message`` in ``namespace`` was made by the private half of ``key``."""
