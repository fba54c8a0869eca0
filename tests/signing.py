"""A real key for ledgers in tests."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.ground.note import ECDSA_P256, ED25519


class Ed25519Key:
    """Signs and verifies; ``firmware.ground.note.Signer`` and ``Verifier`` in one."""

    def __init__(self, name: str = "smartpole.example/sp03", seed: int = 1) -> None:
        self.name = name
        self.algorithm = ED25519
        self._key = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
        self.public_key = self._key.public_key().public_bytes_raw()
        self.signed = 0

    async def sign(self, message: bytes) -> bytes:
        self.signed += 1
        return self._key.sign(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        try:
            self._key.public_key().verify(signature, message)
        except InvalidSignature:
            return False
        return True


class EcdsaKey:
    """Signs as a pole's TPM does: P-256, DER. ``firmware.ground.note.Signer``."""

    algorithm = ECDSA_P256

    def __init__(self, name: str = "smartpole.example/sp03") -> None:
        self.name = name
        self._key = generate_private_key(SECP256R1())
        self.public_key = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ECDSA(SHA256()))
