"""What ``pole provision`` did to this pole's chip, for every later start: public halves and places, nothing secret.

Knows:  ``tpm.json`` in the state directory.
Never:  a secret, a private half.
Leaves: the record; or nothing, where the chip was never provisioned.
Clauses: 7.3(1)1 (which chip this pole's secrets are in, so that another one is noticed).

Whoever changes this file gains nothing: sessions are salted to the key recorded here, so a wrong one reaches no chip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from firmware.ground.durable import write_file
from firmware.ground.errors import KeystoreError

NAME: Final = "tpm.json"

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class ChipRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provisioned chip.

    ``chip`` is the SHA-256 of its storage key's public area, by which it is known again; ``storage_key`` that key as
    the TSS serialises it; ``signing_key`` the ledger's public key (DER); ``policy`` the digest that secrets and signing
    key carry; ``owner_name`` the TPM name (hex) of the owner's key ``owner_key`` (PEM), both "" before there is one.
    ``owned`` is false while provisioning is unfinished.
    """

    version: Literal[1] = 1
    owned: bool = False
    chip: Sha256
    maker: Annotated[str, Meta(pattern=r"^[A-Za-z0-9 ._-]{0,32}$")]
    storage_handle: int
    storage_key: bytes
    policy_index: int
    first_index: int
    signing_handle: int
    signing_key: bytes
    policy: Sha256
    owner_name: Annotated[str, Meta(pattern=r"^([0-9a-f]{68})?$")] = ""
    owner_key: str = ""

    def write(self, state: Path) -> None:
        """Replace the record in ``state``, durably. Raises OSError."""
        write_file(state / NAME, msgspec.json.encode(self, order="sorted") + b"\n")


def read_record(state: Path) -> ChipRecord | None:
    """Return the record in ``state``, None where there is none. Raises KeystoreError E-KEY-RECORD."""
    path = state / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=ChipRecord, strict=True)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        raise KeystoreError(
            "E-KEY-RECORD",
            "the record of this pole's TPM cannot be read",
            where=str(path),
            todo="restore it from a backup of the state directory; without it the chip has to be provisioned anew",
            clause="7.3(1)1",
        ) from None
