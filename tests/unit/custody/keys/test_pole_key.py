"""Keys of poles as the office holds them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.custody.keys.pole_key import PoleKey
from firmware.ground import note
from firmware.ground.errors import LedgerError
from tests.signing import Ed25519Key


async def test_an_ed25519_key_judges_a_note() -> None:
    key = Ed25519Key()
    pole = PoleKey.parse(note.verifier_text(key.name, key.algorithm, key.public_key), where="")
    signed = await note.sign_note("text\n", key)
    assert note.open_note(signed, [pole], where="") == "text\n"
    assert not pole.verify(b"other\n", await key.sign(b"text\n"))
    assert len(pole.fingerprint().split()) == 8


def test_a_p256_key_judges_a_signature() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pole = PoleKey.parse(note.verifier_text("pole", note.ECDSA_P256, public), where="")
    signature = key.sign(b"text\n", ec.ECDSA(SHA256()))
    assert pole.verify(b"text\n", signature)
    assert not pole.verify(b"text", signature)
    assert PoleKey.parse(pole.text(), where="").fingerprint() == pole.fingerprint()


def test_other_keys_are_refused() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    wrong_curve = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for algorithm, public in (
        (note.ECDSA_P256, wrong_curve),
        (note.ECDSA_P256, b"junk"),
        (note.ED25519, b"x"),
        (4, b"x" * 32),
    ):
        with pytest.raises(LedgerError) as caught:
            PoleKey.parse(note.verifier_text("pole", algorithm, public), where="")
        assert caught.value.code == "E-LEDGER-KEY"
