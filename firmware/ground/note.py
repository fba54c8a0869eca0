"""Signed notes and tree checkpoints, in the text forms of C2SP (signed-note, tlog-checkpoint, tlog-proof).

Knows:  a text, names of keys, signatures as bytes.
Never:  a private key, a signature algorithm: those stand behind :class:`Signer` and :class:`Verifier`.
Leaves: text that any transparency-log tool reads.
Clauses: 7.3(1)3 (a checkpoint kept elsewhere makes a rewritten record visible).

    origin                      inclusion proof:  c2sp.org/tlog-proof@v1
    size                                          index 12
    base64(root)                                  base64(hash) ...
                                                  (empty line)
    -- name base64(id || signature)               checkpoint
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from firmware.ground import merkle
from firmware.ground.errors import LedgerError

ED25519: Final = 0x01
ECDSA_P256: Final = 0x02
COSIGNATURE_V1: Final = 0x04
"""A witness's Ed25519 key; its signatures are C2SP tlog-cosignature: eight bytes of time, then the signature."""

_PROOF_HEAD: Final = "c2sp.org/tlog-proof@v1"
_MOST_SIGNATURES: Final = 64


class Signer(Protocol):
    """A key that signs checkpoints; the private half never leaves it."""

    @property
    def name(self) -> str:
        """The key's name and the ledger's origin: a URL without scheme, space or plus."""

    @property
    def algorithm(self) -> int:
        """``ED25519`` or ``ECDSA_P256`` (the signature type byte of signed-note)."""

    @property
    def public_key(self) -> bytes:
        """Ed25519: 32 bytes (RFC 8032). ECDSA: DER SubjectPublicKeyInfo."""

    async def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message`` (Ed25519: 64 bytes; ECDSA: DER over SHA-256)."""


class Verifier(Protocol):
    """A public key that judges signatures."""

    @property
    def name(self) -> str:
        """As :attr:`Signer.name`."""

    @property
    def algorithm(self) -> int:
        """As :attr:`Signer.algorithm`."""

    @property
    def public_key(self) -> bytes:
        """As :attr:`Signer.public_key`."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether ``signature`` is this key's over ``message``."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a ledger commits to: its first ``size`` lines have the Merkle ``root`` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


def key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """Return the four bytes by which a signature line names its key."""
    if algorithm == ECDSA_P256:  # signed-note: for ECDSA the id hashes the SPKI alone
        return hashlib.sha256(public_key).digest()[:4]
    return hashlib.sha256(name.encode() + b"\n" + bytes((algorithm,)) + public_key).digest()[:4]


def verifier_text(name: str, algorithm: int, public_key: bytes) -> str:
    """Return a public key as one line, ``name+id+base64(type || key)``, the form that Go's ``note`` package reads."""
    return f"{name}+{key_id(name, algorithm, public_key).hex()}+{_base64(bytes((algorithm,)) + public_key)}"


def parse_verifier_text(text: str, *, where: str) -> tuple[str, int, bytes]:
    """Read :func:`verifier_text` back as ``(name, algorithm, public_key)``. Raises :class:`LedgerError`."""
    pieces = text.strip().split("+", 2)
    packed = _unbase64(pieces[2]) if len(pieces) == 3 else None
    if not packed or key_id(pieces[0], packed[0], packed[1:]).hex() != pieces[1]:
        raise _malformed("verifier key", where)
    return pieces[0], packed[0], packed[1:]


async def sign_note(text: str, signer: Signer) -> str:
    """Return ``text`` (ends in a newline) with one signature line under it."""
    signature = await signer.sign(text.encode())
    identifier = key_id(signer.name, signer.algorithm, signer.public_key)
    return f"{text}\n\u2014 {signer.name} {_base64(identifier + signature)}\n"


def cosigned_message(text: str, utc_seconds: int) -> bytes:
    """Return what a witness signs about a checkpoint's ``text`` (C2SP ``cosignature/v1``)."""
    return f"cosignature/v1\ntime {utc_seconds}\n{text}".encode()


def pack_cosignature(utc_seconds: int, signature: bytes) -> bytes:
    """Return a cosignature as it stands behind the key id: time (big-endian, 8 bytes), Ed25519 signature."""
    return utc_seconds.to_bytes(8, "big") + signature


def add_signature(note: str, key: Signer | Verifier, signature: bytes) -> str:
    """Return ``note`` with one more signature line, which somebody else's key made."""
    identifier = key_id(key.name, key.algorithm, key.public_key)
    return f"{note}\u2014 {key.name} {_base64(identifier + signature)}\n"


def signature_of(note: str, verifier: Verifier, *, where: str) -> bytes | None:
    """Return the signature (behind its key id) that stands under ``note`` in the name of ``verifier``; unjudged."""
    identifier = key_id(verifier.name, verifier.algorithm, verifier.public_key)
    for name, packed in _split_note(note, where)[1]:
        if name == verifier.name and packed[:4] == identifier:
            return packed[4:]
    return None


def open_text(note: str, *, where: str) -> str:
    """Return the text of ``note``, its signatures unjudged. Raises :class:`LedgerError`."""
    return _split_note(note, where)[0]


def open_note(note: str, verifiers: Iterable[Verifier], *, where: str) -> str:
    """Return the text of ``note`` once at least one of ``verifiers`` has signed it, and none of them falsely.

    Raises :class:`LedgerError` (``E-LEDGER-NOTE``, ``E-LEDGER-SIGNATURE``). ``where`` names the file in errors.
    """
    text, signatures = _split_note(note, where)
    good = 0
    for verifier in verifiers:
        identifier = key_id(verifier.name, verifier.algorithm, verifier.public_key)
        for name, packed in signatures:
            if name != verifier.name or packed[:4] != identifier:
                continue
            if not verifier.verify(text.encode(), packed[4:]):
                raise _signature("a signature under it is false", where)
            good += 1
    if not good:
        raise _signature("no key that you named has signed it", where)
    return text


def parse_checkpoint(text: str, *, where: str) -> Checkpoint:
    """Read the text of a checkpoint, or a whole signed note unverified. Raises :class:`LedgerError`."""
    lines = text.split("\n")
    root = _unbase64(lines[2]) if len(lines) >= 4 else None
    size = lines[1] if len(lines) >= 4 else ""
    if not lines[0] or root is None or len(root) != 32 or not size.isascii() or not size.isdecimal():
        raise _malformed("checkpoint", where)
    if str(int(size)) != size:
        raise _malformed("checkpoint", where)
    return Checkpoint(lines[0], int(size), root)


def proof_text(index: int, hashes: Sequence[bytes], checkpoint_note: str) -> str:
    """Return a self-contained proof that the checkpoint's ledger has a line at ``index``."""
    lines = [_PROOF_HEAD, f"index {index}", *map(_base64, hashes), "", ""]
    return "\n".join(lines) + checkpoint_note


def check_proof(proof: str, line: bytes, verifiers: Iterable[Verifier], *, where: str) -> tuple[int, Checkpoint]:
    """Return ``(index, checkpoint)`` once ``proof`` shows ``line`` in a checkpoint signed by one of ``verifiers``.

    Raises :class:`LedgerError` (``E-LEDGER-PROOF`` besides those of :func:`open_note`).
    """
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    index = lines[1].removeprefix("index ") if len(lines) > 1 else ""
    hashes = [_unbase64(text) for text in lines[2:]]
    if lines[0] != _PROOF_HEAD or not index.isascii() or not index.isdecimal() or str(int(index)) != index:
        raise _malformed("proof", where)
    checkpoint = parse_checkpoint(open_note(note, verifiers, where=where), where=where)
    found = [piece for piece in hashes if piece is not None and len(piece) == 32]
    leaf = merkle.leaf_hash(line)
    if len(found) != len(hashes) or not merkle.included(leaf, int(index), checkpoint.size, found, checkpoint.root):
        raise LedgerError(
            "E-LEDGER-PROOF",
            f"the proof does not show this line at index {index} of the signed ledger",
            where=where,
            todo="treat the material as altered; ask for it again and compare the ledger with its witness",
            clause="7.3(1)3",
        )
    return int(index), checkpoint


def _split_note(note: str, where: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, blank, foot = note.rpartition("\n\n")
    rows = foot.split("\n")
    if not blank or rows.pop() or not 0 < len(rows) <= _MOST_SIGNATURES:
        raise _malformed("note", where)
    signatures = list[tuple[str, bytes]]()
    for row in rows:
        pieces = row.split(" ")
        packed = _unbase64(pieces[2]) if len(pieces) == 3 and pieces[0] == "\u2014" else None
        if packed is None or len(packed) < 5:
            raise _malformed("note", where)
        signatures.append((pieces[1], packed))
    return text + "\n", signatures


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _unbase64(text: str) -> bytes | None:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if _base64(value) == text else None


def _malformed(kind: str, where: str) -> LedgerError:
    return LedgerError(
        "E-LEDGER-NOTE",
        f"this is no {kind}",
        where=where,
        todo="give the file exactly as it was written",
    )


def _signature(what: str, where: str) -> LedgerError:
    return LedgerError(
        "E-LEDGER-SIGNATURE",
        what,
        where=where,
        todo="check the pole's key fingerprint; treat it as altered",
        clause="7.3(1)3",
    )
