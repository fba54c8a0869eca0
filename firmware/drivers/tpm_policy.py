"""What the chip asks before it obeys, as digests: computed here, enforced in the TPM.

Knows:  the TPM's own encodings (TPM 2.0 Part 3, policy commands), SHA-256.
Never:  a chip, a secret.
Leaves: 32-byte policy digests.
Clauses: 7.3(1)1 (the secret is bound to this board, this boot, and one act a session).

Three acts are allowed, each in a session that can do nothing else:

    PolicyPCR(the chosen registers as they are now)  and  PolicyCommandCode(NV_Read | NV_Write | Sign)

The three are joined by PolicyOR, and that digest stands in an NV index that the owner alone writes. Secrets and signing
key carry PolicyAuthorizeNV(that index): after an update of the boot chain the owner writes a new digest there, and keys
and footage stay. Without measured boot no register is chosen and the first half falls away: then the policy says what
may be done, not who asks (THREATS).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Final, Literal

Act = Literal["read", "write", "sign"]
ACTS: Final[tuple[Act, ...]] = ("read", "write", "sign")
COMMANDS: Final = {"read": "TPM2_CC_NV_Read", "write": "TPM2_CC_NV_Write", "sign": "TPM2_CC_Sign"}
SHA256_ALG: Final = b"\x00\x0b"
STORED_BYTES: Final = 34
"""A digest as the owner's NV index holds it: algorithm, then 32 bytes."""

_CODES: Final = {"read": 0x14E, "write": 0x137, "sign": 0x15D}
_POLICY_COMMAND_CODE: Final = 0x16C
_POLICY_OR: Final = 0x171
_POLICY_PCR: Final = 0x17F
_POLICY_SIGNED: Final = 0x160
_POLICY_AUTHORIZE_NV: Final = 0x192
_EMPTY: Final = bytes(32)


def branches(pcrs: Sequence[int], values: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
    """Return the digests of reading, writing and signing while ``pcrs`` (SHA-256 bank) hold ``values``."""
    booted = _extend(_EMPTY, _POLICY_PCR, _selection(pcrs) + _sha256(b"".join(values))) if pcrs else _EMPTY
    read, write, sign = (_extend(booted, _POLICY_COMMAND_CODE, struct.pack(">I", _CODES[act])) for act in ACTS)
    return read, write, sign


def any_of(digests: Sequence[bytes]) -> bytes:
    """Return the digest of PolicyOR over ``digests``."""
    return _extend(_EMPTY, _POLICY_OR, b"".join(digests))


def stored(digest: bytes) -> bytes:
    """Return what is written into the owner's index for ``digest``."""
    return SHA256_ALG + digest


def as_the_owner_says(index_name: bytes) -> bytes:
    """Return the digest of PolicyAuthorizeNV for the index of that name (as it is once written)."""
    return _extend(_EMPTY, _POLICY_AUTHORIZE_NV, index_name)


def signed_by(key_name: bytes) -> bytes:
    """Return the digest of PolicySigned by the key of that name, without a reference."""
    return _sha256(_extend(_EMPTY, _POLICY_SIGNED, key_name))


def _extend(digest: bytes, code: int, rest: bytes) -> bytes:
    return _sha256(digest + struct.pack(">I", code) + rest)


def _selection(pcrs: Sequence[int]) -> bytes:
    bits = sum(1 << pcr for pcr in pcrs)
    return struct.pack(">I", 1) + SHA256_ALG + b"\x03" + bits.to_bytes(3, "little")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
