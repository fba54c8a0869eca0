"""Checkpoints signed by a key in a file: Ed25519. For a bench and the demo.

Knows:  one private key in a file of mode 0600.
Never:  under profile ``pole``: whoever copies the file can sign in the pole's name.
Leaves: 64-byte signatures (signed-note type 0x01).
Clauses: 7.3(1)3 (not fully met by this signer: said in status).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.ground.durable import write_file
from firmware.ground.errors import KeystoreError
from firmware.ground.note import ED25519


class SoftwareSigner:
    """Implements ``ground.note.Signer`` with the raw 32-byte private key in ``path`` (made if missing)."""

    algorithm = ED25519

    def __init__(self, path: Path, name: str) -> None:
        """Read or make the key. Raises KeystoreError."""
        self.name = name
        try:
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_file(path, Ed25519PrivateKey.generate().private_bytes_raw())
            self._key = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeystoreError(
                "E-KEY-SIGNER",
                f"cannot use the ledger's signing key: {type(error).__name__}",
                where=str(path),
                todo="restore the file, or begin a new ledger under a new key and tell the witness",
                clause="7.3(1)3",
            ) from None
        self.public_key = self._key.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        """See ``ground.note.Signer``: 64 bytes, RFC 8032."""
        return self._key.sign(message)
