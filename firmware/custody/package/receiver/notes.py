"""The pole's ledger judged with the standard library alone: signed notes and inclusion proofs.

Knows:  a public key, notes (C2SP signed-note, tlog-checkpoint), paths in a Merkle tree (RFC 6962).
Never:  a private key.
Leaves: verdicts.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

import base64
import hashlib

from firmware.custody.package.receiver.curves import P256_SPKI, der_pair, ecdsa_p256, ed25519


class PoleKey:
    """A pole's public key: ``name+id+base64(type || key)``."""

    def __init__(self, text: str) -> None:
        name, identifier, packed = text.split("+", 2)
        raw = base64.b64decode(packed, validate=True)
        self.name, self.kind, self.public = name, raw[0], raw[1:]
        hashed = self.public if self.kind == 2 else name.encode() + b"\n" + raw
        self.id = hashlib.sha256(hashed).digest()[:4]
        known = (self.kind == 1 and len(raw) == 33) or (self.kind == 2 and self.public.startswith(P256_SPKI))
        if not known or self.id.hex() != identifier:
            raise ValueError("no key")
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.fingerprint = " ".join(digest[at : at + 8] for at in range(0, 64, 8))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` is this key's over ``message``."""
        if self.kind == 1:
            return ed25519(self.public, message, signature)
        point = self.public[len(P256_SPKI) :]
        x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
        return len(point) == 64 and ecdsa_p256(x, y, message, *der_pair(signature))

    def open(self, note: str) -> str:
        """Return a note's text once this key's signature, the only one under it, was judged good."""
        text, _, foot = note.rpartition("\n\n")
        dash, name, packed = foot.split(" ")
        raw = base64.b64decode(packed[:-1], validate=True)
        canonical = base64.b64encode(raw).decode() + "\n" == packed
        signed = (dash, name, raw[:4], canonical) == ("\u2014", self.name, self.id, True)
        if not (signed and self.verify((text + "\n").encode(), raw[4:])):
            raise ValueError("no signature")
        return text + "\n"


def included(leaf: bytes, number: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Tell whether ``path`` shows ``leaf`` (a line's bytes) as line ``number`` of ``size`` under ``root``."""
    built, low, high, turns = hashlib.sha256(b"\0" + leaf).digest(), 0, size, []
    if not 0 <= number < size:
        return False
    while high - low > 1:
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        turns.append(number < middle)
        low, high = (low, middle) if number < middle else (middle, high)
    for left, other in zip(reversed(turns), path):  # noqa: B905 - lengths are compared below
        built = hashlib.sha256(b"\1" + (built + other if left else other + built)).digest()
    return len(turns) == len(path) and built == root
