"""Public keys of witnesses: organisations that kept a pole's checkpoints and say when they saw them.

Knows:  a verifier key as one line of text, cosignatures.
Never:  a private key; a word of the pole's own taken for a witness's.
Leaves: a verdict, the instant at which a witness saw a checkpoint.
Clauses: 7.3(1)3 (a record that its keeper alone cannot rewrite).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.ground import note
from firmware.ground.errors import LedgerError

_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's public key (``firmware.ground.note.Verifier``): C2SP ``cosignature/v1``, Ed25519."""

    name: str
    algorithm: int
    public_key: bytes
    _key: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str, *, where: str) -> WitnessKey:
        """Read ``name+id+base64``. Raises :class:`LedgerError` for anything but a witness's key."""
        name, algorithm, public_key = note.parse_verifier_text(text, where=where)
        if algorithm != note.COSIGNATURE_V1 or len(public_key) != 32:
            raise LedgerError(
                "E-LEDGER-KEY",
                "this is no witness's key",
                where=where,
                todo="take the key that the witness itself publishes; a pole's key cannot stand for it",
            )
        return cls(name, algorithm, public_key, Ed25519PublicKey.from_public_bytes(public_key))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` (time, then Ed25519) is this witness's over the checkpoint ``message``."""
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
            return False
        signed = note.cosigned_message(message.decode(), _seconds(signature))
        try:
            self._key.verify(signature[_TIME_BYTES:], signed)
        except InvalidSignature:
            return False
        return True

    def seen_utc_seconds(self, signed: str, *, where: str) -> int | None:
        """Return when this witness saw the checkpoint in ``signed``, whose signatures were judged; None: never."""
        signature = note.signature_of(signed, self, where=where)
        return None if signature is None else _seconds(signature)

    def text(self) -> str:
        """Return the key as its one line."""
        return note.verifier_text(self.name, self.algorithm, self.public_key)


def _seconds(signature: bytes) -> int:
    return int.from_bytes(signature[:_TIME_BYTES], "big")
