"""Public keys that judge a pole's signatures.

Knows:  a verifier key as one line of text, signatures.
Never:  a private key.
Leaves: a verdict, a fingerprint a person can compare.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from firmware.ground import note
from firmware.ground.errors import LedgerError


@dataclass(frozen=True, slots=True)
class PoleKey:
    """A pole's public key (``firmware.ground.note.Verifier``)."""

    name: str
    algorithm: int
    public_key: bytes
    _key: Ed25519PublicKey | EllipticCurvePublicKey

    @classmethod
    def parse(cls, text: str, *, where: str) -> PoleKey:
        """Read ``name+id+base64``. Raises :class:`LedgerError` for anything but Ed25519 or ECDSA P-256."""
        name, algorithm, public_key = note.parse_verifier_text(text, where=where)
        try:
            key = _load(algorithm, public_key)
        except (ValueError, UnsupportedAlgorithm):
            raise LedgerError(
                "E-LEDGER-KEY",
                "this is no Ed25519 or P-256 key",
                where=where,
                todo="take the key from the pole's status",
            ) from None
        return cls(name, algorithm, public_key, key)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` is this key's over ``message``."""
        try:
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def text(self) -> str:
        """Return the key as its one line."""
        return note.verifier_text(self.name, self.algorithm, self.public_key)

    def fingerprint(self) -> str:
        """Return the SHA-256 of :meth:`text` in eight groups of eight hex digits, to compare by eye."""
        digest = hashlib.sha256(self.text().encode()).hexdigest()
        return " ".join(digest[at : at + 8] for at in range(0, 64, 8))


def _load(algorithm: int, public_key: bytes) -> Ed25519PublicKey | EllipticCurvePublicKey:
    if algorithm == note.ED25519:
        return Ed25519PublicKey.from_public_bytes(public_key)
    key = load_der_public_key(public_key) if algorithm == note.ECDSA_P256 else None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        message = "another kind of key"
        raise ValueError(message)
    return key
