"""The bench's officers are nobody: their public keys are hashes of a sentence."""

from __future__ import annotations

import hashlib

import pytest

from firmware.upkeep.bench import NOBODY_A, NOBODY_B, bench_settings

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


@pytest.mark.parametrize(("recipient", "group"), [(NOBODY_A, "a"), (NOBODY_B, "b")])
def test_the_public_key_is_a_hash(recipient: str, group: str) -> None:
    bits = "".join(f"{ALPHABET.index(letter):05b}" for letter in recipient.removeprefix("age1")[:-6])
    point = bytes(int(bits[at : at + 8], 2) for at in range(0, 256, 8))
    assert point == hashlib.sha256(f"smart-pole bench, group {group}".encode()).digest()


def test_a_bench_is_not_a_pole() -> None:
    pole, _, footage = bench_settings()
    assert (pole.profile, footage.keystore, pole.broker) == ("bench", "software", None)
