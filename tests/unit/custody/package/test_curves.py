"""Our own verification agrees with RFC 8032, with the cryptography library, and with ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.custody.package.receiver.curves import (
    ED_L,
    P256_N,
    UnknownKind,
    der_pair,
    ecdsa_p256,
    ed25519,
    ssh_signed,
)

RFC_8032 = [  # 7.1, tests 1 to 3: public key, message, first and second half of the signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "point", "number"), RFC_8032)
def test_the_vectors_of_the_rfc(public: str, message: str, point: str, number: str) -> None:
    key, text, good = (bytes.fromhex(part) for part in (public, message, point + number))
    assert ed25519(key, text, good)
    assert not ed25519(key, text + b"x", good)
    more = (int.from_bytes(good[32:], "little") + ED_L).to_bytes(32, "little")
    assert not ed25519(key, text, good[:32] + more)  # the same number, written otherwise


@settings(max_examples=8, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 511), st.integers(0, 255))
def test_it_agrees_with_the_library(message: bytes, bit: int, public_bit: int) -> None:
    ed = Ed25519PrivateKey.generate()
    good, public = ed.sign(message), ed.public_key().public_bytes_raw()
    assert ed25519(public, message, good)
    assert not ed25519(public, message, flipped(good, bit))
    assert not ed25519(flipped(public, public_bit), message, good)
    ec = generate_private_key(SECP256R1())
    point = ec.public_key().public_numbers()
    r, s = der_pair(ec.sign(message, ECDSA(SHA256())))
    assert ecdsa_p256(point.x, point.y, message, r, s)
    assert not ecdsa_p256(point.x, point.y, message + b"x", r, s)
    assert not ecdsa_p256(point.x, point.y, message, r ^ (1 << bit % 250), s)
    assert not ecdsa_p256(point.x, point.y ^ 1, message, r, s)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (P256_N, 1), (1, P256_N)])
def test_numbers_out_of_range_sign_nothing(r: int, s: int) -> None:
    point = generate_private_key(SECP256R1()).public_key().public_numbers()
    assert not ecdsa_p256(point.x, point.y, b"", r, s)


@pytest.mark.parametrize(
    "der",
    ["", "30", "3006020101020102ff", "300702020001020102", "3106020101020102", "3006020101030102", "300602010102"],
)
def test_only_strict_der_is_read(der: str) -> None:
    assert der_pair(bytes.fromhex(der)) == (0, 0)
    assert der_pair(bytes.fromhex("3006020101020102")) == (1, 2)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_an_officer_s_signature_is_judged_as_ssh_keygen_does(kind: str, tmp_path: Path) -> None:
    key, sums = tmp_path / "key", tmp_path / "SHA256SUMS"
    sums.write_text("sums\n")
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key, "-C", "handler-01"], check=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "package.smartpole", sums], check=True)
    said = subprocess.run(["ssh-keygen", "-l", "-f", f"{key}.pub"], capture_output=True, text=True, check=True).stdout
    armored = Path(f"{sums}.sig").read_text()
    assert ssh_signed(armored, b"package.smartpole", b"sums\n") == said.split(" ")[1]
    for namespace, message in ((b"act.smartpole", b"sums\n"), (b"package.smartpole", b"sums")):
        with pytest.raises(ValueError, match="signature"):
            ssh_signed(armored, namespace, message)
    rows = armored.split("\n")
    for place in range(len(armored)):
        changed = armored[:place] + ("A" if armored[place] != "A" else "B") + armored[place + 1 :]
        if place % 23 == 0:  # a signature costs milliseconds
            with pytest.raises((ValueError, IndexError)):  # never: a kind that cannot be judged
                ssh_signed(changed, b"package.smartpole", b"sums\n")
    with pytest.raises(ValueError, match="ssh-keygen"):
        ssh_signed("\n".join([*rows[:2], "".join(rows[2:4]), *rows[4:]]), b"package.smartpole", b"sums\n")


def test_a_kind_that_is_not_judged_is_no_false_signature(tmp_path: Path) -> None:
    sums = tmp_path / "SHA256SUMS"
    sums.write_text("sums\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "key"], check=True)
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", tmp_path / "key", "-n", "package.smartpole", sums]
    subprocess.run(words, check=True)
    with pytest.raises(UnknownKind, match="ssh-rsa"):
        ssh_signed(Path(f"{sums}.sig").read_text(), b"package.smartpole", b"sums\n")
