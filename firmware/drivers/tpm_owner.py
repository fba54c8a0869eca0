"""The owner of a chip: a key, not a password. Whoever holds it may define, rebind and clear; it crosses no bus.

Knows:  the owner's P-256 key while an owner's act is done; hierarchies, their policies.
Never:  a password of a hierarchy that anybody could type: the three are random and thrown away.
Leaves: sessions authorised by a signature over the chip's fresh number; a digest written, a chip cleared.
Clauses: 7.3(1)1 (officers of both groups together own the chip: its key is sealed to them like an epoch's).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from firmware.drivers import tpm_policy
from firmware.drivers.tpm import TpmTools, memory_file
from firmware.drivers.tpm_guard import read_pcrs
from firmware.drivers.tpm_record import ChipRecord
from firmware.ground.errors import KeystoreError

Hierarchy = Literal["l", "e", "o"]
HIERARCHIES: Final[tuple[Hierarchy, ...]] = ("l", "e", "o")
"""Lockout, endorsement, owner: the owner last, because nothing can be defined after it."""

_PASSWORD_BYTES: Final = 32


class OwnerKey:
    """The owner's private key, in memory only."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @classmethod
    def generate(cls) -> OwnerKey:
        """Make a new one."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, text: bytes, record: ChipRecord) -> OwnerKey:
        """Read what two officers opened. Raises KeystoreError E-KEY-OWNER for anything but the recorded chip's key."""
        try:
            private = load_pem_private_key(text, None)
        except (ValueError, TypeError):
            raise _not_the_owner("no private key is in this file") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise _not_the_owner("this is another kind of key")
        key = cls(private)
        if key.public_pem != record.owner_key:
            raise _not_the_owner(f"this is the key of another chip than {record.chip[:16]}")
        return key

    def pem(self) -> bytes:
        """Return the private half; it leaves this process sealed to the officers only."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, data: bytes) -> bytes:
        """Return an ECDSA signature (DER) over SHA-256 of ``data``."""
        return self._private.sign(data, ec.ECDSA(hashes.SHA256()))


async def name_of(tools: TpmTools, public_pem: str) -> bytes:
    """Return the TPM's name of a public key. Raises KeystoreError."""
    with memory_file("owner", public_pem.encode()) as (pem, number), memory_file("name") as (path, name):
        await tools.call("loadexternal", "-Q", "-C", "n", "-G", "ecc", "-u", pem, "-n", path, "-c", "/dev/null",
                         files=(number, name))  # fmt: skip
        await tools.flush()
        return os.pread(name, 64, 0)


async def take(tools: TpmTools, hierarchy: Hierarchy, owner_name: bytes, salt: tuple[str, int]) -> None:
    """Give a hierarchy the owner's policy and a password that nobody will ever know. Raises KeystoreError."""
    policy = tpm_policy.signed_by(owner_name)
    with memory_file("tpm-policy", policy) as (path, number):
        await tools.call("setprimarypolicy", "-Q", "-C", hierarchy, "-L", path, "-g", "sha256", files=(number,))
    with memory_file("tpm-password", os.urandom(_PASSWORD_BYTES).replace(b"\0", b"\1")) as (path, number):
        async with tools.session("--hmac-session", salt) as (session, context):
            await tools.call(
                "changeauth", "-Q", "-c", hierarchy, "-p", f"session:{session}", f"file:{path}", files=(context, number)
            )


@asynccontextmanager
async def owner_session(tools: TpmTools, record: ChipRecord, key: OwnerKey) -> AsyncIterator[tuple[str, int]]:
    """Give a session in which one command is done as the owner: the key signs the chip's fresh number, no replay.

    It encrypts nothing: that would need the hierarchy's password, which nobody knows. So nothing secret is sent by it.
    """
    with contextlib.ExitStack() as stack:
        salt = stack.enter_context(memory_file("tpm-storage-key", record.storage_key))
        pem, pem_number = stack.enter_context(memory_file("owner", key.public_pem.encode()))
        loaded, loaded_number = stack.enter_context(memory_file("owner-loaded"))
        async with tools.session("--policy-session", salt, hidden=False) as (path, session):
            await tools.call("loadexternal", "-Q", "-C", "n", "-G", "ecc", "-u", pem, "-c", loaded,
                             files=(pem_number, loaded_number))  # fmt: skip
            await tools.flush()
            asked = ("policysigned", "-Q", "-S", path, "-g", "sha256", "-c", loaded, "-x")
            wanted = await tools.call(*asked, "--raw-data=/dev/stdout", files=(session, loaded_number))
            await tools.flush()
            with memory_file("signature", key.sign(wanted)) as (signature, number):
                await tools.call(*asked, "-f", "ecdsa", "-s", signature, files=(session, loaded_number, number))
            await tools.flush()
            yield path, session


async def bind(tools: TpmTools, record: ChipRecord, key: OwnerKey, pcrs: Sequence[int]) -> None:
    """Write the policy for the registers as they are now: one NV write, so either the old policy or the new one."""
    digest = tpm_policy.any_of(tpm_policy.branches(pcrs, await read_pcrs(tools, pcrs)))
    async with owner_session(tools, record, key) as (path, session):
        await tools.call(
            *("nvwrite", f"0x{record.policy_index:08x}", "-Q", "-C", "o", "-P", f"session:{path}", "-i", "-"),
            give=tpm_policy.stored(digest),
            files=(session,),
        )


async def clear(tools: TpmTools, record: ChipRecord, key: OwnerKey) -> None:
    """Empty the chip: secrets, signing key, ownership. Nothing that was sealed under it opens again. KeystoreError."""
    async with owner_session(tools, record, key) as (path, session):
        await tools.call("clear", "-c", "l", f"session:{path}", files=(session,))


def _not_the_owner(what: str) -> KeystoreError:
    return KeystoreError(
        "E-KEY-OWNER",
        what,
        where="--owner-key",
        todo="open tpm-owner.age with both officers' keys at the desk (board/KEYS.md) and give that file",
        clause="7.3(1)1",
    )
